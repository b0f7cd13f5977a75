"""New reconciliation: what to reconcile, by which rules, tried first or for real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from recon.context import address
from recon.forms.inputs import after_key
from recon.models import Account, MatchingRun, Side, StagedFile, Statement, Strategy
from recon.partials import page_or_fragment
from recon.usecases.accounts.settings import keep_number
from recon.usecases.errors import Refused
from recon.usecases.imports.files import Source, drop_staged, stage_file
from recon.usecases.imports.importing import import_pasted, import_statement
from recon.usecases.rules.choice import default_rules, moved, rule_choices, versions_to_run
from recon.usecases.runs.engine_options import rates_typed
from recon.usecases.runs.reconciling import Method, refuse_what_cannot_run, run_account
from recon.views.import_preview import (
    chosen_mapping,
    chosen_repeats,
    chosen_statement,
    preview_context,
    with_number,
)
from recon.views.imports import import_message, posted_file
from recon.views.people import on_screen

RECENT_STATEMENTS = 30
FRAGMENTS = {
    "import-preview": "imports/_import_preview.html",
    "reconcile-method": "reconcile/_reconcile_method.html",
}


@dataclass(frozen=True)
class Order:
    """What somebody has put together on the page so far."""

    account: Account | None
    source: str  # "file", "paste", "statement" or "open"
    statement: Statement | None
    staged: StagedFile | None
    pasted: str
    rules: list[str]
    strategy: str
    grouping: str
    rates: str


@require_http_methods(["GET", "HEAD", "POST"])
def reconcile(request: HttpRequest) -> HttpResponse:
    """One page from file to run: nothing is stored before one of its two buttons is pressed."""
    problem = ""
    action = request.POST.get("action", "")
    if action in {"dry_run", "reconcile"}:
        try:
            run = started(request, order_of(request), is_dry_run=action == "dry_run")
        except Refused as refused:
            problem = refused.message
        else:
            return redirect(address("run", run.run_id) or address("statements") or "/")
    try:
        order = order_of(request)
    except Refused as refused:
        order, problem = order_of(request, with_file=False), refused.message
    context = page_context(request, order) | {"problem": problem, "not_stored": ""}
    status = 422 if problem else 200
    return page_or_fragment(request, "reconcile/reconcile.html", FRAGMENTS, context, status=status)


def order_of(request: HttpRequest, *, with_file: bool = True) -> Order:
    """The page's fields. A posted file is put aside, so that it need not be sent again. Raises Refused."""
    data = request.POST if request.method == "POST" else request.GET
    statement = Statement.objects.ready().filter(pk=data.get("statement", "")).select_related("account").first()
    accounts = Account.objects.for_people()
    source = data.get("source") or ("statement" if statement else "file")
    chosen = accounts.filter(pk=after_key(data.get("account")) or 0).first()
    account = statement.account if statement and source == "statement" else chosen or accounts.first()
    account = with_number(account, data)
    staged = staged_before(request, data.get("staged", ""))
    if with_file and request.FILES.get("file"):
        staged = stage_file(on_screen(request), posted_file(request))
    method_posted = "strategy" in data
    return Order(
        account=account,
        source=source,
        statement=statement,
        staged=staged,
        pasted=data.get("pasted", ""),
        rules=data.getlist("rules") if method_posted else default_rules(account),
        strategy=data.get("strategy") or (account.strategy if account else Strategy.ONE_TO_ONE),
        grouping=data.get("grouping", "") if method_posted else (account.grouping if account else ""),
        rates=data.get("rates", ""),
    )


def staged_before(request: HttpRequest, token: str) -> StagedFile | None:
    """The person's own file that an earlier request put aside."""
    try:
        return StagedFile.objects.filter(token=UUID(token), owner_id=request.user.pk).first()
    except ValueError:
        return None


def page_context(request: HttpRequest, order: Order) -> dict[str, Any]:
    """What the page shows of an order."""
    data = request.POST
    rule_order = data.getlist("rule_order")
    if "move" in data:
        rule_order = moved(rule_order, data["move"])
    statements = Statement.objects.ready().filter(account__is_builtin=False).select_related("account")
    context = {
        "order": order,
        "accounts": Account.objects.for_people(),
        "statements": statements[:RECENT_STATEMENTS],
        "rules": rule_choices(order.rules, rule_order),
        "strategies": Strategy.choices,
        "staged": order.staged if order.source == "file" else None,
        "starts_run": True,
    }
    source, name = source_of(order)
    if source is not None:
        context |= preview_context(source, name, order.account, Side.STATEMENT, data)
    return context


def source_of(order: Order) -> tuple[Source | None, str]:
    """What there is to preview: the staged file or the pasted text."""
    if order.source == "file" and order.staged:
        return order.staged, order.staged.name
    if order.source == "paste" and order.pasted.strip():
        return order.pasted.encode(), "pasted.csv"
    return None, ""


def started(request: HttpRequest, order: Order, *, is_dry_run: bool) -> MatchingRun:
    """Import what is new, then start the run. Raises Refused; a statement imported before that is kept and named."""
    if order.account is None:
        raise Refused("Make an account first: it says which part of the ledger belongs to it.")
    versions = versions_to_run(order.rules)
    method = Method(order.strategy, order.grouping, rates_typed(order.rates))
    refuse_what_cannot_run(order.account, versions, method, is_dry_run=is_dry_run)
    return run_account(
        on_screen(request),
        order.account,
        statement_of(request, order, order.account),
        versions,
        is_dry_run=is_dry_run,
        strategy=method.strategy,
        grouping=method.grouping,
        rates=method.rates,
        with_open_lines=bool(request.POST.get("with_open_lines")),
    )


def statement_of(request: HttpRequest, order: Order, account: Account) -> Statement | None:
    """The statement to reconcile, imported first if it is new; None to reconcile the open lines. Raises Refused."""
    by = on_screen(request)
    if order.source == "open":
        return None
    if order.source == "statement":
        if order.statement is None:
            raise Refused("Choose the statement to reconcile.")
        return order.statement
    if order.source == "paste":
        if not order.pasted.strip():
            raise Refused("Paste some rows first.")
        return import_pasted(by, account, order.pasted)
    if order.staged is None:
        raise Refused("Choose a file first.")
    statement = import_statement(
        by, account, order.staged, order.staged.name,
        mapping=chosen_mapping(request.POST),
        good_rows_only=bool(request.POST.get("good_rows_only")),
        repeats=chosen_repeats(request.POST),
        replaces=chosen_statement(account, request.POST),
    )  # fmt: skip
    keep_number(by, account)
    drop_staged(order.staged)
    messages.success(request, import_message(statement))
    return statement
