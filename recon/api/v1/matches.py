"""Matches: rows that settle each other, why they do, and a person's decision on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rest_framework import serializers

from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, InstantField, Shape
from recon.api.v1.paging import Paged, number
from recon.api.v1.rows import AccountFilter
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.uploads import Why
from recon.models import Account, DifferenceType, Match, MatchingRun, MatchState, Origin, RunState, Side
from recon.usecases import manual, reading, review, undo
from recon.usecases.match_reasons import Reason, match_reasons
from recon.usecases.open_item_lists import suggestions
from recon.usecases.reading import MatchView, Placed
from recon.usecases.transactions import entry_id, transaction_id

TAG = "Matches"


class RuleVersionShape(Shape):
    """A rule as it was used."""

    id = serializers.CharField(source="rule_id")
    name = serializers.CharField(source="rule.name")
    version = serializers.IntegerField(source="number")


class PlacedShape(Shape):
    """A row in a match. Its texts are null if it was taken back since."""

    part = serializers.IntegerField(help_text="0: the whole row; a person may have split it.")
    amount = AmountField(help_text="What it settles, after sign and exchange rate.")
    booking_date = serializers.DateField(source="row.booking_date", default=None, allow_null=True)
    reference = serializers.CharField(source="row.reference", default=None, allow_null=True)
    description = serializers.CharField(source="row.description", default=None, allow_null=True)
    external_id = serializers.CharField(source="row.external_id", default=None, allow_null=True)


class PlacedLineShape(PlacedShape):
    """A statement line in a match."""

    id = serializers.IntegerField(source="row.pk", default=None, allow_null=True)


class PlacedEntryShape(PlacedShape):
    """A ledger entry in a match."""

    id = serializers.SerializerMethodField()

    def get_id(self, placed: Placed) -> str | None:
        return transaction_id(placed.row.pk) if placed.row else None


class DifferenceShape(Shape):
    """A part of what a match does not settle, and what it is."""

    type = serializers.ChoiceField(DifferenceType.choices)
    amount = AmountField()
    currency = serializers.CharField()
    comment = serializers.CharField()


class MatchShape(Shape):
    """Rows that settle each other: sum of lines - sum of entries = sum of differences, to the cent."""

    id = serializers.IntegerField(source="view.match.pk")
    account = serializers.IntegerField(source="view.match.account_id")
    run = serializers.CharField(source="run_id", allow_null=True, help_text="Null: by hand, outside a run.")
    rule = RuleVersionShape(source="view.rule", allow_null=True, help_text="Null: by hand.")
    origin = serializers.ChoiceField(Origin.choices, source="view.match.origin")
    state = serializers.ChoiceField(MatchState.choices, source="view.match.state")
    decided_by = serializers.CharField(
        source="view.match.decided_by", help_text="Why it is decided, or why it is only suggested."
    )
    currency = serializers.CharField(source="view.match.currency")
    line_amount = AmountField(source="view.match.line_amount")
    entry_amount = AmountField(source="view.match.entry_amount")
    difference = AmountField(source="view.match.difference")
    differences = DifferenceShape(source="view.differences", many=True)
    lines = PlacedLineShape(source="view.lines", many=True)
    entries = PlacedEntryShape(source="view.entries", many=True)
    cleared_on = serializers.DateField(source="view.match.cleared_on", allow_null=True)
    created_at = InstantField(source="view.match.created_at")
    state_changed_at = InstantField(source="view.match.state_changed_at", allow_null=True)

    example = {
        "id": 12,
        "account": 1,
        "run": "recon_5f3c1b7a-10c9-4d1f-8e6a-0b4f5e9d5c2f",
        "rule": {"id": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "name": "Reference", "version": 2},
        "origin": "rule",
        "state": "confirmed",
        "decided_by": "only_candidate",
        "currency": "EUR",
        "line_amount": "152.00",
        "entry_amount": "152.75",
        "difference": "-0.75",
        "differences": [{"type": "fee", "amount": "-0.75", "currency": "EUR", "comment": ""}],
        "lines": [
            {
                "id": 7,
                "part": 0,
                "amount": "152.00",
                "booking_date": "2026-03-31",
                "reference": "INV-2026-0042",
                "description": None,
                "external_id": "E42",
            }
        ],
        "entries": [
            {
                "id": "txn_b1d8c2f0-4a55-8e01-8000-00000000002a",
                "part": 0,
                "amount": "152.75",
                "booking_date": "2026-03-30",
                "reference": "INV-2026-0042",
                "description": "Invoice 0042",
                "external_id": None,
            }
        ],
        "cleared_on": "2026-03-31",
        "created_at": "2026-03-31T12:00:00Z",
        "state_changed_at": None,
    }


class ReasonShape(Shape):
    """One criterion of the rule: what it expected and found."""

    number = serializers.IntegerField()
    sentence = serializers.CharField()
    expected = serializers.CharField()
    found = serializers.CharField()
    difference = serializers.CharField()


class RunnerUpShape(Shape):
    """A candidate that a suggestion was preferred to."""

    rank = serializers.IntegerField()
    line = serializers.IntegerField(allow_null=True, help_text="Id of the statement line, if it is one.")
    entry = serializers.CharField(allow_null=True, help_text="Id of the ledger entry, if it is one.")
    part = serializers.IntegerField()
    amount = AmountField(allow_null=True)
    booking_date = serializers.DateField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    gap = serializers.CharField(help_text="What it was worse in.")


class MatchDetailShape(MatchShape):
    """A match, criterion by criterion why, and what it was preferred to."""

    reasons = ReasonShape(many=True)
    runners_up = RunnerUpShape(many=True)
    can_decide = serializers.BooleanField(help_text="A decision on it is due.")

    example = {
        **MatchShape.example,
        "reasons": [
            {
                "number": 1,
                "sentence": "the reference equals that of the ledger entry",
                "expected": "INV-2026-0042",
                "found": "INV-2026-0042",
                "difference": "",
            }
        ],
        "runners_up": [],
        "can_decide": False,
    }


@dataclass(frozen=True)
class ShownMatch:
    """A match with its run's public id; the detail fields are for a single one."""

    view: MatchView
    run_id: str | None
    reasons: Sequence[Reason] = ()
    runners_up: Sequence[dict[str, Any]] = ()
    can_decide: bool = False


def shown_matches(views: Sequence[MatchView]) -> list[ShownMatch]:
    """One query for the ids of their runs."""
    numbers = {view.match.run_number for view in views if view.match.run_number}
    ids = dict(MatchingRun.objects.filter(number__in=numbers).values_list("number", "run_id")) if numbers else {}
    return [ShownMatch(view, ids.get(view.match.run_number or 0)) for view in views]


def matches_of(call: Call, side: Side, row_id: int) -> Paged:
    """The matches of a row, the latest first."""
    page = reading.matches_of_row(side, row_id, after=call.query["cursor"], limit=call.query["limit"])
    return Paged(shown_matches(page.items), page.next_after)


def detail(match: Match) -> ShownMatch:
    """One match as `get_match` shows it."""
    run = MatchingRun.objects.filter(number=match.run_number or 0).first()
    (view,) = reading.match_views([match])
    is_due = view.is_suggestion and run is not None and not run.is_dry_run and run.state == RunState.COMPLETED
    rivals = [
        {
            "rank": each.rank,
            "line": each.row_id if each.side == Side.STATEMENT else None,
            "entry": transaction_id(each.row_id) if each.side == Side.LEDGER else None,
            "part": each.part,
            "amount": row.amount if row else None,
            "booking_date": row.booking_date if row else None,
            "reference": row.reference if row else None,
            "gap": each.gap,
        }
        for each, row in reading.runners_up(match)
    ]
    return ShownMatch(view, run.run_id if run else None, match_reasons(view), rivals, bool(is_due))


# --- what is given ------------------------------------------------------------------------------------------------


class LinePart(Shape):
    """A statement line, or a part of one that was split."""

    id = serializers.IntegerField(min_value=1, max_value=2**62)
    part = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)


class EntryPart(Shape):
    """A ledger entry, or a part of one that was split."""

    id = serializers.CharField(max_length=64)
    part = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)

    def validate_id(self, value: str) -> int:
        number = entry_id(value)
        if number is None:
            raise serializers.ValidationError("Expected the id of a ledger entry, txn_…")
        return number


DIFFERENCE_TYPE: dict[str, Any] = {
    "choices": [("", "none"), *DifferenceType.choices],
    "default": "",
    "allow_blank": True,
    "help_text": "What the difference is; needed where the sides do not tie.",
}


class Selection(Shape):
    """Rows of one account that belong together."""

    account = serializers.PrimaryKeyRelatedField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())
    lines = LinePart(many=True, default=list)
    entries = EntryPart(many=True, default=list)
    difference_type = serializers.ChoiceField(**DIFFERENCE_TYPE)

    example: dict[str, Any] = {
        "account": 1,
        "lines": [{"id": 7}],
        "entries": [{"id": "txn_b1d8c2f0-4a55-8e01-8000-00000000002a"}],
        "difference_type": "fee",
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs["lines"]) + len(attrs["entries"]) > 1000:
            raise serializers.ValidationError("Expected at most 1,000 rows.")
        return attrs


class MatchInput(Selection):
    """A match to be made by hand."""

    comment = serializers.CharField(max_length=500, default="", allow_blank=True)
    run = serializers.PrimaryKeyRelatedField(
        queryset=MatchingRun.objects.all(), pk_field=serializers.CharField(), required=False,
        help_text="The run whose leftovers they are.",
    )  # fmt: skip

    example = {**Selection.example, "comment": "The bank took its fee."}


class TieShape(Shape):
    """What a selection adds up to. `problem` says why it cannot be matched; empty: it can."""

    currency = serializers.CharField()
    lines = AmountField()
    entries = AmountField()
    difference = AmountField()
    problem = serializers.CharField()

    example = {"currency": "EUR", "lines": "152.00", "entries": "152.75", "difference": "-0.75", "problem": ""}


class Confirmation(Shape):
    """What a difference is, if the person knows better than the rule."""

    difference_type = serializers.ChoiceField(**DIFFERENCE_TYPE)
    comment = serializers.CharField(max_length=500, default="", allow_blank=True)

    example = {"difference_type": "fee", "comment": "agreed with the bank"}


DECISIONS: dict[str, Callable[..., Match]] = {
    "confirm": review.confirm_match,
    "reject": review.reject_match,
    "unmatch": undo.unmatch,
}


class Decisions(Shape):
    """One decision on many matches."""

    decision = serializers.ChoiceField(list(DECISIONS))
    matches = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62), min_length=1, max_length=1000
    )

    example = {"decision": "confirm", "matches": [12, 13]}


class DoneShape(Shape):
    """How many it was done for, and why the others refused."""

    done = serializers.IntegerField()
    refusals = serializers.ListField(child=serializers.CharField())

    example = {"done": 2, "refusals": []}


class SuggestionQuery(AccountFilter):
    """Whose suggestions."""

    account = serializers.PrimaryKeyRelatedField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())


# --- operations ---------------------------------------------------------------------------------------------------


@operation(TAG, query=SuggestionQuery, gives=MatchShape, paged=True)
def list_suggestions(call: Call) -> Paged:
    """List the suggestions of an account that wait for a decision.

    The oldest first; of completed real runs only."""
    limit = call.query["limit"]
    views = suggestions(call.query["account"], limit + 1, after=number(call.query) or 0)
    return Paged(shown_matches(views[:limit]), str(views[limit - 1].match.pk) if len(views) > limit else "")


@operation(TAG, gives=MatchDetailShape)
def get_match(call: Call, match_id: int) -> ShownMatch:
    """Get a match, with its reasons and runners-up."""
    return detail(match_of(match_id))


@operation(TAG, scope="review", takes=MatchInput, gives=MatchDetailShape, status=201, repeatable=True)
def create_match(call: Call) -> ShownMatch:
    """Match rows by hand.

    One side may be empty if the other adds up to nothing. What the sides differ by needs a type."""
    given = call.given
    made = manual.match_by_hand(
        call.by,
        given["account"],
        parts(given["lines"]),
        parts(given["entries"]),
        difference_type=given["difference_type"],
        comment=given["comment"],
        run=run_of_account(given),
    )
    return detail(made)


@operation(TAG, scope="read", takes=Selection, gives=TieShape)
def add_up_selection(call: Call) -> manual.Tie:
    """Add up rows before matching them.

    What they come to, and whether they can be matched."""
    given = call.given
    rows = manual.chosen_rows(given["account"], parts(given["lines"]), parts(given["entries"]))
    return manual.add_up(rows, given["difference_type"])


@operation(TAG, scope="review", takes=Confirmation, gives=MatchDetailShape, repeatable=True)
def confirm_match(call: Call, match_id: int) -> ShownMatch:
    """Confirm a suggestion.

    Its rows are claimed; other suggestions for them are withdrawn."""
    return detail(review.confirm_match(call.by, match_of(match_id), **call.given))


@operation(TAG, scope="review", takes=Why, gives=MatchDetailShape, repeatable=True)
def reject_match(call: Call, match_id: int) -> ShownMatch:
    """Reject a suggestion.

    Its rows stay open."""
    return detail(review.reject_match(call.by, match_of(match_id), why=call.given["why"]))


@operation(TAG, scope="review", takes=Why, gives=MatchDetailShape, repeatable=True)
def unmatch(call: Call, match_id: int) -> ShownMatch:
    """Undo a confirmed match.

    Its rows are open again; its history stays."""
    return detail(undo.unmatch(call.by, match_of(match_id), why=call.given["why"]))


@operation(TAG, scope="review", takes=Decisions, gives=DoneShape, repeatable=True)
def decide_matches(call: Call) -> dict[str, Any]:
    """Confirm, reject or undo many matches.

    Each on its own: what is refused for one stops none of the others."""
    matches = list(Match.objects.filter(pk__in=call.given["matches"]).order_by("pk"))
    missing = set(call.given["matches"]) - {match.pk for match in matches}
    done, refusals = review.for_each(matches, partial(DECISIONS[call.given["decision"]], call.by))
    return {"done": done, "refusals": [*(f"There is no match {each}." for each in sorted(missing)), *refusals]}


def match_of(match_id: int) -> Match:
    match: Match = found(Match.objects, "match", match_id)
    return match


def parts(given: Sequence[dict[str, int]]) -> list[manual.RowKey]:
    return [(each["id"], each["part"]) for each in given]


def run_of_account(given: dict[str, Any]) -> MatchingRun | None:
    run: MatchingRun | None = given.get("run")
    if run is not None and run.account_id != given["account"].pk:
        fault = Fault("body.run", "The run is of another account.", f"a run of account {given['account'].pk}")
        raise Problem("invalid", fault.message, [fault])
    return run
