"""What a run found: its matches, what it left open and why, and files to take away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import FileResponse, StreamingHttpResponse
from rest_framework import serializers

from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, Shape
from recon.api.v1.paging import Paged
from recon.api.v1.rule_trials import TrialShape, TriedVerdictShape
from recon.api.v1.runs import with_results
from recon.api.v1.shown_matches import MatchShape, RuleVersionShape, shown_matches
from recon.api.v1.spec import Call, operation
from recon.models import MatchingRun, MatchState, Side, StatementLine
from recon.usecases.ledger.transactions import entry_id, transaction_id
from recon.usecases.review.pair_verdicts import RuleVerdicts, verdicts_of_run
from recon.usecases.runs import reading
from recon.usecases.runs.export_files import matches_csv, unmatched_csv, workbook
from recon.usecases.runs.reading import Row, UnmatchedView

TAG = "Runs"
SIDES = [side.label for side in Side]


class RunMatchQuery(Shape):
    """Which matches of a run."""

    state = serializers.ChoiceField(
        MatchState.choices, required=False, help_text="By default those it confirmed; of a dry run, those it proposes."
    )
    rule_version = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**62,
        help_text="Only those of the rule at this place in the run, from 1.",
    )


class UnmatchedQuery(Shape):
    """Which rows a run left open."""

    side = serializers.ChoiceField(SIDES, help_text="Whose rows.")
    reason = serializers.CharField(
        max_length=30, default="", allow_blank=True, help_text="Only those with this reason."
    )


class NearRowShape(Shape):
    """The row that came nearest."""

    line = serializers.IntegerField(allow_null=True)
    entry = serializers.CharField(allow_null=True)
    amount = AmountField()
    currency = serializers.CharField()
    booking_date = serializers.DateField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)


class UnmatchedShape(Shape):
    """A row part that a run left open: why, and the nearest miss."""

    side = serializers.ChoiceField(SIDES)
    line = serializers.IntegerField(allow_null=True, help_text="Id of the statement line, if it is one.")
    entry = serializers.CharField(allow_null=True, help_text="Id of the ledger entry, if it is one.")
    part = serializers.IntegerField()
    amount = AmountField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    booking_date = serializers.DateField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    reason = serializers.CharField(help_text="Clients must tolerate new reasons.")
    rule = RuleVersionShape(allow_null=True, help_text="The rule whose nearest miss this is.")
    criterion = serializers.IntegerField(allow_null=True, help_text="The criterion it missed, counted from 1.")
    nearest = NearRowShape(allow_null=True)
    difference = AmountField(allow_null=True, help_text="Statement minus ledger, to the nearest.")
    detail = serializers.DictField(help_text="What else is known of the miss.")
    is_matched_since = serializers.BooleanField()

    example = {
        "side": "statement",
        "line": 7,
        "entry": None,
        "part": 0,
        "amount": "152.00",
        "currency": "EUR",
        "booking_date": "2026-03-31",
        "reference": "INV-2026-0042",
        "description": None,
        "external_id": "E42",
        "reason": "amount_differs",
        "rule": {"id": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "name": "Reference", "version": 2},
        "criterion": 2,
        "nearest": {
            "line": None,
            "entry": "txn_b1d8c2f0-4a55-8e01-8000-00000000002a",
            "amount": "152.75",
            "currency": "EUR",
            "booking_date": "2026-03-30",
            "reference": "INV-2026-0042",
            "description": "Invoice 0042",
        },
        "difference": "-0.75",
        "detail": {},
        "is_matched_since": False,
    }


class RuleVerdictsShape(Shape):
    """What a rule of a run says about a pair of rows."""

    rule = RuleVersionShape(source="version")
    matches = serializers.BooleanField(help_text="All criteria are met. Contested candidates are another matter.")
    verdicts = TriedVerdictShape(many=True)

    example = {
        "rule": {"id": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "name": "Reference", "version": 2},
        "matches": True,
        "verdicts": TrialShape.example["verdicts"],
    }


class PairQuery(Shape):
    """A statement line and a ledger entry."""

    line = serializers.IntegerField(min_value=1, max_value=2**62, help_text="Id of a statement line.")
    entry = serializers.CharField(max_length=64, help_text="Id of a ledger entry.")


@operation(TAG, query=RunMatchQuery, gives=MatchShape, paged=True)
def list_run_matches(call: Call, run_id: str) -> Paged:
    """List the matches of a run in one state."""
    run = with_results(run_id)
    default = MatchState.PROPOSED if run.is_dry_run else MatchState.CONFIRMED
    page = reading.run_matches(
        run,
        call.query.get("state", default.value),
        rule=version_at(run, call.query.get("rule_version")),
        after=call.query["cursor"],
        limit=call.query["limit"],
    )
    return Paged(shown_matches(page.items), page.next_after)


@operation(TAG, query=UnmatchedQuery, gives=UnmatchedShape, paged=True)
def list_run_unmatched(call: Call, run_id: str) -> Paged:
    """List the rows of one side that a run left open, with the reason and the nearest miss."""
    run, query = with_results(run_id), call.query
    side = next(each for each in Side if each.label == query["side"])
    page = reading.run_unmatched(run, side, reason=query["reason"], after=query["cursor"], limit=query["limit"])
    claimed = reading.claimed_keys(run.account, side, page.items)
    return Paged([shown_unmatched(view, side, claimed) for view in page.items], page.next_after)


@operation(TAG, query=PairQuery, gives=RuleVerdictsShape, paged=True)
def explain_pair(call: Call, run_id: str) -> Paged:
    """Explain why a line and an entry did, or did not, match in a run.

    What each rule of the run says of the pair, criterion by criterion; all in one page."""
    number = entry_id(call.query["entry"])
    run = with_results(run_id)
    rows = reading.rows_by_key([(Side.STATEMENT, call.query["line"]), (Side.LEDGER, number or 0)])
    line, entry = rows.get((Side.STATEMENT, call.query["line"])), rows.get((Side.LEDGER, number or 0))
    if line is None or entry is None:
        name = "line" if line is None else "entry"
        fault = Fault(f"query.{name}", f"There is no such {name}.", f"the id of a {name}", str(call.query[name]))
        raise Problem("not-found", fault.message, [fault])
    found: Sequence[RuleVerdicts] = verdicts_of_run(run, line, entry)
    return Paged(list(found))


@operation(TAG, downloads="text/csv")
def download_run_matches(call: Call, run_id: str) -> StreamingHttpResponse:
    """Download all matches of a run as CSV."""
    run = with_results(run_id)
    return csv(f"run-{run.number}-matches.csv", matches_csv(run))


@operation(TAG, downloads="text/csv")
def download_run_unmatched(call: Call, run_id: str) -> StreamingHttpResponse:
    """Download all rows a run left open as CSV."""
    run = with_results(run_id)
    return csv(f"run-{run.number}-unmatched.csv", unmatched_csv(run))


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@operation(TAG, downloads=XLSX)
def download_run(call: Call, run_id: str) -> FileResponse:
    """Download matches and open rows of a run as one workbook."""
    run = with_results(run_id)
    return FileResponse(workbook(run), as_attachment=True, filename=f"run-{run.number}.xlsx", content_type=XLSX)


def csv(name: str, lines: Any) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def version_at(run: MatchingRun, position: int | None) -> int | None:
    if position is None:
        return None
    place = run.run_rules.filter(position=position).first()
    return place.version_id if place else 0


def shown_unmatched(view: UnmatchedView, side: Side, claimed: set[str]) -> dict[str, Any]:
    row = view.row
    return {
        "side": side.label,
        **ids(side, view.item.row_id),
        "part": view.item.part,
        "amount": view.amount,
        "currency": row.currency if row else None,
        "booking_date": row.booking_date if row else None,
        "reference": row.reference if row else None,
        "description": row.description if row else None,
        "external_id": row.external_id if row else None,
        "reason": view.item.reason,
        "rule": view.rule,
        "criterion": view.item.criterion,
        "nearest": near_row(view.nearest),
        "difference": view.difference,
        "detail": view.detail,
        "is_matched_since": view.key in claimed,
    }


def near_row(row: Row | None) -> dict[str, Any] | None:
    """The nearest row, of whichever side it is."""
    if row is None:
        return None
    side = Side.STATEMENT if isinstance(row, StatementLine) else Side.LEDGER
    names = ("amount", "currency", "booking_date", "reference", "description")
    return {**ids(side, row.pk), **{name: getattr(row, name) for name in names}}


def ids(side: Side, row_id: int) -> dict[str, Any]:
    """The public id of a row, under the name of its side."""
    is_line = side == Side.STATEMENT
    return {"line": row_id if is_line else None, "entry": None if is_line else transaction_id(row_id)}
