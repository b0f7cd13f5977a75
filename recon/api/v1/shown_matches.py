"""How this API shows matches: in lists, and one with the reasons for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from recon.api.v1.fields import AmountField, InstantField, Shape
from recon.api.v1.paging import Paged
from recon.api.v1.spec import Call
from recon.models import DifferenceType, Match, MatchingRun, MatchState, Origin, RunState, Side
from recon.usecases.ledger.transactions import transaction_id
from recon.usecases.review.match_reasons import Reason, match_reasons
from recon.usecases.runs import reading
from recon.usecases.runs.reading import MatchView, Placed


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
    gap = serializers.CharField(help_text="What it is worse in than the match, in words.")


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
            "rank": each.record.rank,
            "line": each.record.row_id if each.record.side == Side.STATEMENT else None,
            "entry": transaction_id(each.record.row_id) if each.record.side == Side.LEDGER else None,
            "part": each.record.part,
            "amount": each.row.amount if each.row else None,
            "booking_date": each.row.booking_date if each.row else None,
            "reference": each.row.reference if each.row else None,
            "gap": each.gap,
        }
        for each in reading.runners_up(view)
    ]
    return ShownMatch(view, run.run_id if run else None, match_reasons(view), rivals, bool(is_due))
