"""Matches by hand: rows that a person chose, what they add up to, and the match they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, IdField, Shape
from recon.api.v1.shown_matches import MatchDetailShape, ShownMatch, detail
from recon.api.v1.spec import Call, operation
from recon.models import Account, DifferenceType, MatchingRun
from recon.usecases.ledger.transactions import entry_id
from recon.usecases.review import manual

TAG = "Matches"


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

    account = IdField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())
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
    run = IdField(
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


def parts(given: Sequence[dict[str, int]]) -> list[manual.RowKey]:
    return [(each["id"], each["part"]) for each in given]


def run_of_account(given: dict[str, Any]) -> MatchingRun | None:
    run: MatchingRun | None = given.get("run")
    if run is not None and run.account_id != given["account"].pk:
        fault = Fault("body.run", "The run is of another account.", f"a run of account {given['account'].pk}")
        raise Problem("invalid", fault.message, [fault])
    return run
