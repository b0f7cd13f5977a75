"""Open items: what is not settled yet, and what becomes of it. Those that need somebody are exceptions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers

from recon.api.v1.fields import AmountField, InstantField, Shape
from recon.api.v1.matches import DoneShape
from recon.api.v1.paging import Paged, number
from recon.api.v1.rows import AccountFilter
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.uploads import Why
from recon.models import ItemNote, ItemState, OpenItem, Side
from recon.usecases.ledger.transactions import transaction_id
from recon.usecases.reports.overview import AGES
from recon.usecases.review import decisions as review
from recon.usecases.review.decisions import for_each
from recon.usecases.review.lists import ItemView, item_page, item_views, narrowed, notes_of
from recon.usecases.review.splitting import join_item, split_item

TAG = "Exceptions"
SIDES = [side.label for side in Side]


class ItemShape(Shape):
    """A row part that is not settled yet."""

    id = serializers.IntegerField(source="item.pk")
    account = serializers.IntegerField(source="item.account_id")
    side = serializers.SerializerMethodField()
    line = serializers.SerializerMethodField()
    entry = serializers.SerializerMethodField()
    part = serializers.IntegerField(source="item.part")
    amount = AmountField(source="item.amount")
    currency = serializers.CharField(source="item.currency")
    booking_date = serializers.DateField(source="item.row_date", allow_null=True)
    age = serializers.IntegerField(allow_null=True, help_text="Days since the row's own date.")
    reference = serializers.CharField(source="row.reference", default=None, allow_null=True)
    description = serializers.CharField(source="row.description", default=None, allow_null=True)
    counterparty = serializers.CharField(source="row.counterparty", default=None, allow_null=True)
    state = serializers.ChoiceField(ItemState.choices, source="item.state")
    reason = serializers.CharField(source="item.reason", help_text="The latest run's. Clients must tolerate new ones.")
    owner = serializers.CharField(source="item.owner.username", default=None, allow_null=True)
    hold_until = serializers.DateField(source="item.hold_until", allow_null=True)
    opened_at = InstantField(source="item.opened_at")
    resolved_at = InstantField(source="item.resolved_at", allow_null=True)

    example = {
        "id": 5,
        "account": 1,
        "side": "statement",
        "line": 7,
        "entry": None,
        "part": 0,
        "amount": "-12.00",
        "currency": "EUR",
        "booking_date": "2026-03-31",
        "age": 4,
        "reference": None,
        "description": "Account fee",
        "counterparty": None,
        "state": "open",
        "reason": "no_candidate",
        "owner": "alice",
        "hold_until": None,
        "opened_at": "2026-03-31T12:00:00Z",
        "resolved_at": None,
    }

    def get_side(self, view: ItemView) -> str:
        return Side(view.item.side).label

    def get_line(self, view: ItemView) -> int | None:
        return view.item.row_id if view.item.side == Side.STATEMENT else None

    def get_entry(self, view: ItemView) -> str | None:
        return transaction_id(view.item.row_id) if view.item.side == Side.LEDGER else None


class NoteShape(Shape):
    """What somebody wrote on an open item."""

    id = serializers.IntegerField(source="pk")
    text = serializers.CharField()
    author = serializers.CharField(source="author.username", default=None, allow_null=True)
    created_at = InstantField()

    example = {"id": 1, "text": "Asked the bank.", "author": "alice", "created_at": "2026-03-31T12:00:00Z"}


class ItemQuery(AccountFilter):
    """Which items."""

    side = serializers.ChoiceField(SIDES, required=False)
    state = serializers.ChoiceField(
        [("exceptions", "needs somebody"), *ItemState.choices], required=False,
        help_text="One state; `exceptions`: open, in review or on hold. By default all but resolved ones.",
    )  # fmt: skip
    reason = serializers.CharField(max_length=30, required=False, help_text="Only those with this reason.")
    age = serializers.ChoiceField(
        [("late", "over the SLA"), *((key, name) for key, name, _, _ in AGES)], required=False,
        help_text="An ageing bucket in days, or `late`.",
    )  # fmt: skip
    owner = serializers.CharField(
        max_length=150, required=False, help_text="User name of its owner; `me`: the caller, `nobody`: nobody."
    )


class NoteInput(Shape):
    """A note."""

    text = serializers.CharField(max_length=2000)

    example = {"text": "Asked the bank."}


def known_user(name: str) -> User:
    user: User | None = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise serializers.ValidationError(
            "Expected the user name of somebody who may sign in; `list_people` has them."
        )
    return user


class ActionInput(Shape):
    """What is to become of an item."""

    action = serializers.ChoiceField(
        [
            ("take", "make it mine"),
            ("assign", "give it to `owner`, or to nobody"),
            ("review", "somebody is looking into it"),
            ("hold", "put it on hold until `hold_until`"),
            ("accept", "accept it as a reconciling item; `why` is needed"),
            ("reopen", "make it an ordinary open item again"),
            ("note", "write `why` as a note"),
        ]
    )
    owner = serializers.CharField(max_length=150, allow_null=True, required=False, help_text="A user name.")
    hold_until = serializers.DateField(required=False, help_text="A day in the future.")
    why = serializers.CharField(max_length=2000, allow_blank=True, default="")

    example: dict[str, Any] = {"action": "hold", "hold_until": "2026-04-15", "why": "the bank is looking into it"}

    def validate_owner(self, value: str | None) -> User | None:
        return None if value is None else known_user(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed = {"hold": "hold_until", "assign": "owner"}.get(attrs["action"])
        if needed and needed not in attrs:
            raise serializers.ValidationError({needed: [f"Needed to {attrs['action']} an item."]})
        return attrs


class SplitInput(Shape):
    """A part of an item, and why it is one."""

    amount = AmountField(help_text="Of the part; the item's sign, and nearer to zero. What remains is the next part.")
    why = serializers.CharField(max_length=2000, allow_blank=True, default="")

    example = {"amount": "-5.00", "why": "two invoices were paid at once"}


class SplitShape(Shape):
    """The two items that one became."""

    item = ItemShape()
    remainder = ItemShape()

    example = {"item": ItemShape.example, "remainder": {**ItemShape.example, "id": 6, "part": 2}}


class ManyActions(ActionInput):
    """What is to become of many items."""

    items = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62), min_length=1, max_length=1000
    )

    example = {**ActionInput.example, "items": [5, 6]}


@operation(TAG, query=ItemQuery, gives=ItemShape, paged=True)
def list_open_items(call: Call) -> Paged:
    """List open items.

    The oldest first, those without a date last."""
    query = call.query
    side = next((each for each in Side if each.label == query.get("side")), None)
    items = narrowed(
        OpenItem.objects.all() if query.get("state") == ItemState.RESOLVED else OpenItem.objects.unresolved(),
        account=query.get("account"),
        side=side,
        state=query.get("state", ""),
        reason=query.get("reason"),
        age=query.get("age", ""),
    )
    if owner := query.get("owner"):
        mine = {"me": call.by.user, "nobody": None}
        items = items.filter(owner=mine[owner]) if owner in mine else items.filter(owner__username=owner)
    page = item_page(items, query["cursor"], limit=query["limit"])
    return Paged(page.items, page.next_after)


@operation(TAG, gives=ItemShape)
def get_open_item(call: Call, item_id: int) -> ItemView:
    """Get an open item."""
    return view_of(item_id)


@operation(TAG, scope="review", takes=ActionInput, gives=ItemShape, repeatable=True)
def act_on_open_item(call: Call, item_id: int) -> ItemView:
    """Do something with an open item.

    Take, assign, review, hold, accept, reopen or note. It is resolved by a match, never by hand."""
    action(call)(item_of(item_id))
    return view_of(item_id)


@operation(TAG, scope="review", takes=ManyActions, gives=DoneShape, repeatable=True)
def act_on_open_items(call: Call) -> dict[str, Any]:
    """Do something with many open items.

    Each on its own: what is refused for one stops none of the others."""
    items = list(OpenItem.objects.filter(pk__in=call.given["items"]).select_related("owner").order_by("pk"))
    missing = set(call.given["items"]) - {item.pk for item in items}
    done, refusals = for_each(items, action(call))
    return {"done": done, "refusals": [*(f"There is no open item {each}." for each in sorted(missing)), *refusals]}


@operation(TAG, scope="review", takes=SplitInput, gives=SplitShape, repeatable=True)
def split_open_item(call: Call, item_id: int) -> dict[str, ItemView]:
    """Split an open item into a part and what remains.

    Both take part in matching instead of the row. Suggestions for the whole are withdrawn; refused while a run of the
    account is at work."""
    remainder = split_item(call.by, item_of(item_id), call.given["amount"], call.given["why"])
    return {"item": view_of(item_id), "remainder": view_of(remainder.pk)}


@operation(TAG, scope="review", takes=Why, gives=ItemShape, repeatable=True)
def join_open_item(call: Call, item_id: int) -> ItemView:
    """Put the open parts of a split row together again.

    Into this item; it is the whole row if no part is matched."""
    join_item(call.by, item_of(item_id), call.given["why"])
    return view_of(item_id)


@operation(TAG, gives=NoteShape, paged=True)
def list_notes(call: Call, item_id: int) -> Paged:
    """List the notes on an open item, the oldest first."""
    limit, after = call.query["limit"], number(call.query) or 0
    notes = [note for note in notes_of(item_of(item_id)) if note.pk > after]
    return Paged(notes[:limit], str(notes[limit - 1].pk) if len(notes) > limit else "")


@operation(TAG, scope="review", takes=NoteInput, gives=NoteShape, status=201, repeatable=True)
def create_note(call: Call, item_id: int) -> ItemNote:
    """Write a note on an open item."""
    return review.note(call.by, item_of(item_id), call.given["text"])


def action(call: Call) -> Callable[[OpenItem], Any]:
    """What the checked body asks for."""
    by, given = call.by, call.given
    why = given["why"]
    actions: dict[str, Callable[[OpenItem], Any]] = {
        "take": lambda item: review.assign(by, item, by.user),
        "assign": lambda item: review.assign(by, item, given["owner"]),
        "review": partial(review.take_into_review, by),
        "hold": lambda item: review.hold(by, item, given["hold_until"], why),
        "accept": lambda item: review.accept(by, item, why),
        "reopen": lambda item: review.reopen_item(by, item, why),
        "note": lambda item: review.note(by, item, why),
    }
    return actions[given["action"]]


def item_of(item_id: int) -> OpenItem:
    item: OpenItem = found(OpenItem.objects.select_related("owner"), "open item", item_id)
    return item


def view_of(item_id: int) -> ItemView:
    (view,) = item_views([item_of(item_id)])
    return view
