"""The audit trail: who did what, when, via what and why."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from recon.forms.filters import EventFilterForm
from recon.forms.inputs import after_key
from recon.models import Account, Event
from recon.partials import page_or_fragment
from recon.usecases.finding import page_of

PAGES = {
    "run": "run",
    "rule": "rule",
    "statement": "statement",
    "account": "account",
    "match": "match",
    "item": "item",
    "webhook": "webhook",
    "connector": "connector",
}
"""Kind of record -> URL name of its page."""


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Events, newest first; nothing on this page can change one."""
    form = EventFilterForm(request.GET)
    after = after_key(request.GET.get("after"))
    page = page_of(form.narrow(Event.objects.select_related("actor")), after)
    accounts = dict(Account.objects.values_list("pk", "name"))
    context = {
        "form": form,
        "events": [
            (event, record_url(event), accounts.get(event.account_id or 0, ""), changes(event)) for event in page.rows
        ],
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return page_or_fragment(request, "audit/audit.html", {"audit-rows": "audit/_audit_rows.html"}, context)


def record_url(event: Event) -> str | None:
    """The page of the record an event is about, if it has one."""
    try:
        return reverse(event.kind, args=[event.object_id]) if event.kind in PAGES else None
    except NoReverseMatch:
        return None


def changes(event: Event) -> list[tuple[str, object, object]]:
    """(what, before, after) for everything that differs; a plain value is listed under an empty name."""
    before = event.before if isinstance(event.before, dict) else {"": event.before}
    after = event.after if isinstance(event.after, dict) else {"": event.after}
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]
