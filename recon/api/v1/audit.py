"""The audit trail: who did what, when, through what and why. Nothing here can change an event."""

from __future__ import annotations

from rest_framework import serializers

from recon.api.v1.fields import AnyField, InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.rows import AccountFilter
from recon.api.v1.spec import Call, found, operation
from recon.models import Event, Via
from recon.usecases.ledger.transactions import transaction_id
from recon.usecases.search import search

TAG = "Audit"
EVENTS = Event.objects.select_related("actor")


class EventShape(Shape):
    """Something that was done."""

    id = serializers.IntegerField(source="pk")
    at = InstantField()
    actor = serializers.CharField(source="actor.username", default=None, allow_null=True)
    via = serializers.ChoiceField(Via.choices)
    verb = serializers.CharField()
    kind = serializers.CharField(help_text="What kind of record: account, item, ledger, match, rule, run, statement …")
    object_id = serializers.CharField(help_text="Id of the record.")
    account = serializers.IntegerField(source="account_id", allow_null=True)
    before = AnyField()
    after = AnyField()
    why = serializers.CharField()

    example = {
        "id": 99,
        "at": "2026-03-31T12:00:00Z",
        "actor": "alice",
        "via": "screen",
        "verb": "match confirmed",
        "kind": "match",
        "object_id": "12",
        "account": 1,
        "before": {"state": "suggested"},
        "after": {"state": "confirmed"},
        "why": "agreed with the bank",
    }


class EventQuery(AccountFilter):
    """Which events."""

    kind = serializers.CharField(max_length=20, required=False, help_text="Kind of record.")
    object_id = serializers.CharField(max_length=64, required=False, help_text="Id of a record.")
    verb = serializers.CharField(max_length=40, required=False, help_text="What was done, such as `match confirmed`.")
    actor = serializers.CharField(max_length=150, required=False, help_text="A user name.")
    via = serializers.ChoiceField(Via.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="At this instant or later.")
    until = serializers.DateTimeField(required=False, help_text="Before this instant.")


class HitShape(Shape):
    """Something found."""

    kind = serializers.CharField(help_text="account, rule, statement, run, ledger entry, statement line")
    title = serializers.CharField()
    note = serializers.CharField()
    id = serializers.CharField(source="key", help_text="Its id.")

    example = {"kind": "statement line", "title": "INV-2026-0042", "note": "2026-03-31 · 152.75 EUR", "id": "7"}


class SearchQuery(Shape):
    """What to look for."""

    q = serializers.CharField(max_length=200, help_text="At least two letters: an id, a name, a reference, an amount.")


@operation(TAG, query=EventQuery, gives=EventShape, paged=True)
def list_events(call: Call) -> Paged:
    """List events, the newest first."""
    names = {"account": "account_id", "actor": "actor__username", "since": "at__gte", "until": "at__lt"}
    wanted = {name: value for name, value in call.query.items() if name not in {"limit", "cursor"}}
    if "account" in wanted:
        wanted["account"] = wanted["account"].pk
    return paged(EVENTS.filter(**{names.get(name, name): value for name, value in wanted.items()}), call.query)


@operation(TAG, gives=EventShape)
def get_event(call: Call, event_id: int) -> Event:
    """Get an event."""
    event: Event = found(EVENTS, "event", event_id)
    return event


@operation("About", query=SearchQuery, gives=HitShape, paged=True)
def search_everything(call: Call) -> Paged:
    """Search everything.

    Accounts, rules, statements, runs, ledger entries and statement lines; at most a few of each kind, in one page."""
    return Paged(
        [
            {"kind": hit.kind.lower(), "title": hit.title, "note": hit.note,
             "key": transaction_id(hit.key) if hit.view == "ledger_entry" else str(hit.key)}
            for hit in search(call.query["q"])
        ]
    )  # fmt: skip
