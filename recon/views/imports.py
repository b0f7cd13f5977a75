"""Files on their way in: choose one, see what is read from it, store it or leave it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.forms.inputs import after_key
from recon.models import Account, LedgerImport, Side, StagedFile, Statement
from recon.partials import page_or_fragment
from recon.usecases.accounts.settings import keep_number
from recon.usecases.errors import Refused
from recon.usecases.finding import page_of
from recon.usecases.imports.files import drop_staged, stage_file
from recon.usecases.imports.importing import (
    NothingNew,
    discard_statement,
    import_ledger,
    import_statement,
    reverse_ledger_import,
)
from recon.views.import_preview import (
    chosen_mapping,
    chosen_repeats,
    chosen_statement,
    preview_context,
    with_number,
)
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message
from recon.wording import counted

NAMES = {Side.STATEMENT: "statement", Side.LEDGER: "ledger"}


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, side: Side) -> HttpResponse:
    """Choose an account and a file; nothing is stored but the file itself, for a day."""
    problem = ""
    if request.method == "POST":
        try:
            staged = stage_file(on_screen(request), posted_file(request))
        except Refused as refused:
            problem = refused.message
        else:
            address = reverse(f"{NAMES[side]}_import", args=[staged.token])
            return redirect(f"{address}?account={request.POST.get('account', '')}")
    context = {
        "side": side.label,
        "problem": problem,
        "accounts": Account.objects.for_people(),
        "chosen": account_key(request),
    }
    return render(request, "imports/upload.html", context, status=422 if problem else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def import_file(request: HttpRequest, side: Side, token: str) -> HttpResponse:
    """What is read from a staged file; with the person's word it is imported."""
    staged = StagedFile.objects.filter(token=token, owner_id=request.user.pk).first()
    if staged is None:
        # Sent twice, gone back to, or forgotten for a day: nothing is wrong, but there is nothing to show.
        messages.info(
            request, "This upload is no longer waiting: it was imported or skipped, or it is over a day old."
        )
        return redirect("statements" if side == Side.STATEMENT else "ledger_imports")
    account = with_number(Account.objects.for_people().filter(pk=account_key(request) or 0).first(), request.POST)
    refusal = ""
    if request.method == "POST" and request.POST.get("action") in {"import", "import_good_rows"}:
        try:
            return stored(request, side, staged, account)
        except NothingNew as nothing:
            drop_staged(staged)
            messages.info(request, nothing.message)
            return redirect("statements" if side == Side.STATEMENT else "ledger_imports")
        except Refused as refused:
            refusal = refused.message
    context = {
        **preview_context(staged, staged.name, account, side, request.POST),
        "staged": staged,
        "account": account,
        "accounts": Account.objects.for_people(),
        "not_stored": refusal,
    }
    fragments = {"import-preview": "imports/_import_preview.html"}
    return page_or_fragment(request, "imports/import.html", fragments, context, status=422 if refusal else 200)


def stored(request: HttpRequest, side: Side, staged: StagedFile, account: Account | None) -> HttpResponse:
    """Import the staged file and show what came of it. Raises Refused."""
    by, mapping, repeats = on_screen(request), chosen_mapping(request.POST), chosen_repeats(request.POST)
    if side == Side.LEDGER:
        made = import_ledger(by, account, staged, staged.name, mapping=mapping, repeats=repeats)
        drop_staged(staged)
        messages.success(
            request, f"{counted(made.record_count, 'entry', 'entries')} of {made.name} added to the ledger."
        )
        return redirect("ledger_imports")
    if account is None:
        raise Refused("Choose the account this statement is of.")
    statement = import_statement(
        by, account, staged, staged.name,
        mapping=mapping,
        good_rows_only=request.POST["action"] == "import_good_rows",
        repeats=repeats,
        replaces=chosen_statement(account, request.POST),
    )  # fmt: skip
    keep_number(by, account)
    drop_staged(staged)
    messages.success(request, import_message(statement))
    return redirect("statement", upload_id=statement.pk)


def import_message(statement: Statement) -> str:
    """What came of an import, in a sentence."""
    if statement.supersedes:
        lines = counted(statement.record_count, "line")
        return f"{statement.name} has replaced {statement.supersedes.name}; it has {lines}."
    skipped = statement.skipped["lines"] if statement.skipped else 0
    left_out = f"; {skipped:,} that {'was' if skipped == 1 else 'were'} there already left out" if skipped else ""
    return f"{counted(statement.record_count, 'line')} of {statement.name} imported{left_out}."


@require_safe
def ledger_imports(request: HttpRequest) -> HttpResponse:
    """The files ledger entries came with, newest first."""
    after = after_key(request.GET.get("after"))
    page = page_of(LedgerImport.objects.select_related("account", "imported_by"), after, key="number")
    context: dict[str, Any] = {"imports": page.rows, "after": after, "next_after": page.next_after}
    return render(request, "imports/ledger_imports.html", context)


@require_POST
def ledger_import_reverse(request: HttpRequest, import_id: str) -> HttpResponse:
    """Take a ledger import back."""
    found = get_object_or_404(LedgerImport, pk=import_id)
    with refusal_as_message(request):
        reverse_ledger_import(on_screen(request), found)
        messages.success(request, f"{found.name} is taken back; its entries are gone from the ledger.")
    return redirect("ledger_imports")


@require_POST
def statement_discard(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Take a statement back."""
    found = get_object_or_404(Statement, pk=upload_id)
    with refusal_as_message(request):
        discard_statement(on_screen(request), found)
        messages.success(request, f"{found.name} is taken back.")
        return redirect("statements")
    return redirect("statement", upload_id=upload_id)


def posted_file(request: HttpRequest) -> UploadedFile[bytes]:
    """The uploaded file. Raises Refused if there is none or it is empty."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise Refused("Choose a file first.")
    if not file.size:
        raise Refused(f"{file.name} is empty.")
    return file


def account_key(request: HttpRequest) -> int | None:
    """The account chosen on the page."""
    return after_key(request.POST.get("account") or request.GET.get("account"))
