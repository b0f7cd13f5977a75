"""The ledger: what our books say."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from recon.forms.filters import RowFilterForm
from recon.forms.inputs import after_key
from recon.models import Account, LedgerEntry, LedgerImport, Side
from recon.partials import page_or_fragment
from recon.usecases.finding import ledger_entries, matched_ids, page_of
from recon.usecases.review.row_history import settlements
from recon.views.rows import extra_facts


@require_safe
def ledger(request: HttpRequest) -> HttpResponse:
    """The list of entries, newest first, with search and filters."""
    form = RowFilterForm(request.GET)
    after = after_key(request.GET.get("after"))
    page = page_of(ledger_entries(form.row_filter()), after)
    matched = matched_ids(Side.LEDGER, (entry.pk for entry in page.rows))
    owners = dict(Account.objects.values_list("pk", "name"))
    context = {
        "form": form,
        "entries": [(entry, owners.get(entry.account_id or 0, ""), entry.pk in matched) for entry in page.rows],
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return page_or_fragment(request, "ledger/ledger.html", {"ledger-rows": "ledger/_ledger_rows.html"}, context)


@require_safe
def ledger_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """One entry with everything its file or caller said, and its matches."""
    entry = get_object_or_404(LedgerEntry, pk=entry_id)
    context = {
        "row": entry,
        "owner": Account.objects.filter(pk=entry.account_id).first() if entry.account_id else None,
        "origin": LedgerImport.objects.filter(number=entry.import_number).first() if entry.import_number else None,
        "extra": extra_facts(entry.extra),
        "settlements": settlements(Side.LEDGER, entry.pk),
        "is_matched": bool(matched_ids(Side.LEDGER, [entry.pk])),
    }
    return page_or_fragment(request, "ledger/ledger_entry.html", {"panel-body": "ledger/_ledger_entry.html"}, context)
