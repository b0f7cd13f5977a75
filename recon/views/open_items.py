"""Open items: the list behind the figures of the overview."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from recon.forms.filters import OpenItemFilterForm
from recon.forms.inputs import after_key
from recon.models import Account, LedgerEntry, OpenItem, Side, StatementLine
from recon.partials import page_or_fragment
from recon.usecases.finding import page_of


@require_safe
def open_items(request: HttpRequest) -> HttpResponse:
    """Row parts that are not settled yet, with age and reason; filters live in the address."""
    form = OpenItemFilterForm(request.GET)
    after = after_key(request.GET.get("after"))
    page = page_of(form.narrow(OpenItem.objects.unresolved().select_related("owner")), after)
    lines = StatementLine.objects.in_bulk([item.row_id for item in page.rows if item.side == Side.STATEMENT])
    entries = LedgerEntry.objects.in_bulk([item.row_id for item in page.rows if item.side == Side.LEDGER])
    accounts = dict(Account.objects.values_list("pk", "name"))
    today = timezone.localdate()
    rows = [
        (
            item,
            accounts.get(item.account_id, ""),
            lines.get(item.row_id) if item.side == Side.STATEMENT else entries.get(item.row_id),
            (today - item.row_date).days if item.row_date else None,
        )
        for item in page.rows
    ]
    context = {
        "form": form,
        "rows": rows,
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    fragments = {"open-item-rows": "review/_open_item_rows.html"}
    return page_or_fragment(request, "review/open_items.html", fragments, context)
