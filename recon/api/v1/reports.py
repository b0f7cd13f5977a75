"""Reports: what ties out and what does not, today or as at a past day."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django.utils import timezone
from rest_framework import serializers

from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, IdField, Shape
from recon.api.v1.paging import Paged, number
from recon.api.v1.rows import AccountFilter
from recon.api.v1.run_results import ids
from recon.api.v1.spec import Call, found, operation
from recon.models import Account, DifferenceType, MatchDifference, MatchingRun, MatchState, Side
from recon.usecases.finding import Page, page_of
from recon.usecases.reports import figures as reports
from recon.usecases.reports.as_at import RowsAsAt, row_page
from recon.usecases.reports.differences import adjustment_sums, adjustments
from recon.usecases.reports.overview import days_of, overview_of
from recon.usecases.reports.rule_sums import real_runs, rule_sums
from recon.usecases.review.differences import retype_difference

TAG = "Reports"
LONGEST: Final = 366
SIDES = [side.label for side in Side]


class DayField(serializers.DateField):
    """A day of the last or the next hundred years."""

    def to_internal_value(self, value: Any) -> dt.date:
        day: dt.date = super().to_internal_value(value)
        if not 1900 <= day.year <= 2200:
            raise serializers.ValidationError("Expected a day of the years 1900 to 2200.")
        return day


class AsAtQuery(Shape):
    """Which account, and as at which day."""

    account = IdField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())
    as_at = DayField(required=False, help_text="By the end of this day; today by default.")


class OpenRowQuery(AsAtQuery):
    """Whose rows, and as at which day."""

    side = serializers.ChoiceField(SIDES)


class PeriodQuery(AccountFilter):
    """Which account, and which days."""

    since = DayField(required=False, help_text="The first day; a month before the last one by default.")
    until = DayField(required=False, help_text="The last day; today by default.")


class OpenRowShape(Shape):
    """A row that is open as at a day."""

    side = serializers.ChoiceField(SIDES)
    line = serializers.IntegerField(allow_null=True, help_text="Id of the statement line, if it is one.")
    entry = serializers.CharField(allow_null=True, help_text="Id of the ledger entry, if it is one.")
    amount = AmountField(help_text="What of it is open.")
    currency = serializers.CharField()
    booking_date = serializers.DateField(allow_null=True)
    age = serializers.IntegerField(allow_null=True, help_text="In days, as at the day.")
    reference = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    counterparty = serializers.CharField(allow_null=True)

    example = {
        "side": "ledger",
        "line": None,
        "entry": "txn_b1d8c2f0-4a55-8e01-8000-00000000002a",
        "amount": "-250.00",
        "currency": "EUR",
        "booking_date": "2026-02-11",
        "age": 48,
        "reference": "CHQ-1007",
        "description": "Cheque 1007",
        "counterparty": None,
    }


class BucketShape(Shape):
    """What is open of one side in one currency and age."""

    side = serializers.SerializerMethodField()
    currency = serializers.CharField()
    age = serializers.CharField(help_text="0-3, 4-7, 8-30, 31-90, 91 days; empty: rows without a date.")
    count = serializers.IntegerField()
    net = AmountField(help_text="Sum of signed amounts.")
    value = AmountField(help_text="Sum of absolute amounts.")

    example = {"side": "ledger", "currency": "EUR", "age": "31-90", "count": 1, "net": "-250.00", "value": "250.00"}

    def get_side(self, bucket: reports.Bucket) -> str:
        return bucket.side.label


class TieOutShape(Shape):
    """The statements' balance against the books', in one currency: books = lines - open_lines - differences - later +
    open_entries + unexplained."""

    currency = serializers.CharField()
    stated = AmountField(allow_null=True, help_text="The latest closing balance that a statement states by then.")
    stated_on = serializers.DateField(allow_null=True)
    opening = AmountField(allow_null=True, help_text="Of the first statement.")
    computed = AmountField(allow_null=True, help_text="That and all lines booked since.")
    lines = AmountField(help_text="Sum of statement lines booked by then.")
    open_lines = AmountField(help_text="Those that are open as at the day.")
    books = AmountField(help_text="Sum of ledger entries in scope booked by then.")
    open_entries = AmountField(help_text="Those that are open as at the day: not on a statement yet.")
    differences = AmountField(help_text="Fees, rounding, write-offs … that matches left.")
    later = AmountField(help_text="Entries booked after the day whose lines had cleared by then.")
    adjusted = AmountField(allow_null=True, help_text="The books' balance that the statement's implies.")
    unexplained = AmountField(help_text="Nought unless matches join currencies.")
    ties = serializers.BooleanField(help_text="All is explained, and the statements' balances agree with their lines.")

    example = {
        "currency": "EUR",
        "stated": "1204.55",
        "stated_on": "2026-03-31",
        "opening": "417.00",
        "computed": "1204.55",
        "lines": "787.55",
        "open_lines": "-12.00",
        "books": "550.30",
        "open_entries": "-250.00",
        "differences": "-0.75",
        "later": "0.00",
        "adjusted": "967.30",
        "unexplained": "0.00",
        "ties": True,
    }


class DayShape(Shape):
    """Statement lines that the real runs of a day matched and left."""

    day = serializers.DateField()
    matched = serializers.IntegerField()
    unmatched = serializers.IntegerField()
    rate = AmountField(allow_null=True, help_text="Percent matched; null for a day without lines.")

    example = {"day": "2026-03-31", "matched": 120, "unmatched": 8, "rate": "93.7"}


class RuleSumShape(Shape):
    """What a rule did in the real runs of a period."""

    rule = serializers.CharField(source="rule_id")
    name = serializers.CharField()
    runs = serializers.IntegerField()
    matched = serializers.IntegerField()
    suggested = serializers.IntegerField()

    example = {
        "rule": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10",
        "name": "Reference and amount",
        "runs": 4,
        "matched": 480,
        "suggested": 12,
    }


class AdjustmentShape(Shape):
    """A typed difference of a match: what it does not settle."""

    id = serializers.IntegerField(source="row.pk")
    match = serializers.IntegerField(source="row.match_id")
    account = serializers.IntegerField(source="row.account_id")
    run = serializers.CharField(source="run_id", allow_null=True)
    type = serializers.ChoiceField(DifferenceType.choices, source="row.type")
    amount = AmountField(source="row.amount")
    currency = serializers.CharField(source="row.currency")
    comment = serializers.CharField(source="row.comment")
    state = serializers.ChoiceField(MatchState.choices, source="row.state", help_text="Of the match.")
    cleared_on = serializers.DateField(source="row.cleared_on", allow_null=True)

    example = {
        "id": 3,
        "match": 12,
        "account": 1,
        "run": "recon_5f3c1b7a-10c9-4d1f-8e6a-0b4f5e9d5c2f",
        "type": "fee",
        "amount": "-0.75",
        "currency": "EUR",
        "comment": "",
        "state": "confirmed",
        "cleared_on": "2026-03-31",
    }


class RetypeInput(Shape):
    """What a difference is."""

    type = serializers.ChoiceField(DifferenceType.choices)
    comment = serializers.CharField(max_length=500, allow_blank=True, default="")

    example = {"type": "fee", "comment": "the bank's fee"}


class AdjustmentSumShape(Shape):
    """What matches left as difference, by type and currency."""

    type = serializers.ChoiceField(DifferenceType.choices)
    currency = serializers.CharField()
    count = serializers.IntegerField()
    amount = AmountField()

    example = {"type": "fee", "currency": "EUR", "count": 14, "amount": "-10.50"}


class AdjustmentQuery(AccountFilter):
    """Which differences."""

    type = serializers.ChoiceField(DifferenceType.choices, required=False)
    state = serializers.ChoiceField(MatchState.choices, required=False, help_text="Of their matches.")
    currency = serializers.RegexField(r"^[A-Z]{3}$", required=False)


class MoneyShape(Shape):
    """A count, and the sum of absolute amounts in one currency."""

    currency = serializers.CharField()
    count = serializers.IntegerField()
    value = AmountField()


class ShareShape(Shape):
    """A count by key."""

    key = serializers.CharField()
    name = serializers.CharField()
    count = serializers.IntegerField()


class OverviewShape(Shape):
    """The figures of the first page."""

    match_rate = AmountField(allow_null=True, help_text="Percent of all statement lines that a confirmed match holds.")
    lines = serializers.IntegerField()
    matched = serializers.IntegerField()
    open_count = serializers.IntegerField(help_text="Exceptions: open items that need somebody.")
    open_values = MoneyShape(many=True)
    late_count = serializers.IntegerField(help_text="Of them, those over the SLA.")
    late_values = MoneyShape(many=True)
    ages = ShareShape(many=True)
    undated = serializers.IntegerField()
    reasons = ShareShape(many=True)
    rules = ShareShape(many=True, help_text="Matches by rule in the last 30 days.")
    days = DayShape(many=True)
    runs_today = serializers.DictField(child=serializers.IntegerField(), help_text="By state.")

    example = {
        "match_rate": "93.7",
        "lines": 128,
        "matched": 120,
        "open_count": 8,
        "open_values": [{"currency": "EUR", "count": 8, "value": "412.10"}],
        "late_count": 1,
        "late_values": [{"currency": "EUR", "count": 1, "value": "250.00"}],
        "ages": [{"key": "0-3", "name": "up to 3 days", "count": 7}],
        "undated": 0,
        "reasons": [{"key": "no_candidate", "name": "no_candidate", "count": 5}],
        "rules": [{"key": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "name": "Reference", "count": 120}],
        "days": [DayShape.example],
        "runs_today": {"completed": 1},
    }


@operation(TAG, query=AccountFilter, gives=OverviewShape)
def get_overview(call: Call) -> Any:
    """Get the figures of the first page, of one account or all."""
    return overview_of(call.query.get("account"))


@operation(TAG, query=OpenRowQuery, gives=OpenRowShape, paged=True)
def report_open_rows(call: Call) -> Paged:
    """Report the rows of one side that are open as at a day.

    Booked by then and not cleared by then, by what is known today. The oldest first."""
    query = call.query
    side = next(each for each in Side if each.label == query["side"])
    wanted = RowsAsAt(query["account"], side, as_at(query))
    rows, last = row_page(wanted, row_key(query["cursor"]), query["limit"])
    items = [
        {**ids(side, each.row.pk), "side": side.label, "amount": each.amount, "age": each.age,
         **{name: getattr(each.row, name) for name in TEXTS}}
        for each in rows
    ]  # fmt: skip
    return Paged(items, f"{last[0] or ''}|{last[1]}" if last else "")


TEXTS = ("currency", "booking_date", "reference", "description", "counterparty")


@operation(TAG, query=AsAtQuery, gives=BucketShape, paged=True)
def report_ageing(call: Call) -> Paged:
    """Report what is open as at a day by side, currency and age.

    All in one page."""
    return Paged(reports.ageing(call.query["account"], as_at(call.query)))


@operation(TAG, query=AsAtQuery, gives=TieOutShape, paged=True)
def report_balance(call: Call) -> Paged:
    """Report how the statements' balance ties to the books' as at a day, by currency.

    All in one page."""
    return Paged(reports.tie_out(call.query["account"], as_at(call.query)))


@operation(TAG, query=PeriodQuery, gives=DayShape, paged=True)
def report_match_rate(call: Call) -> Paged:
    """Report what real runs matched, day by day.

    At most a year, all in one page."""
    since, until = period(call.query)
    return Paged(days_of(real_runs(call.query.get("account"), since, until), since, until))


@operation(TAG, query=PeriodQuery, gives=RuleSumShape, paged=True)
def report_rules(call: Call) -> Paged:
    """Report what each rule did in real runs of a period.

    The most successful first, all in one page."""
    return Paged(rule_sums(call.query.get("account"), *period(call.query)))


@operation(TAG, query=AdjustmentQuery, gives=AdjustmentShape, paged=True)
def list_adjustments(call: Call) -> Paged:
    """List adjustments: the typed differences that matches leave.

    The newest first. They are made with their match, and go with it."""
    query = call.query
    rows = adjustments(query.get("account"), query.get("type", ""), query.get("state", ""), query.get("currency", ""))
    page: Page[Any] = page_of(rows, number(query), size=query["limit"])
    numbers = {row.run_number for row in page.rows if row.run_number}
    runs = dict(MatchingRun.objects.filter(number__in=numbers).values_list("number", "run_id"))
    return Paged([{"row": row, "run_id": runs.get(row.run_number)} for row in page.rows], str(page.next_after or ""))


@operation(TAG, scope="review", takes=RetypeInput, gives=AdjustmentShape, repeatable=True)
def retype_adjustment(call: Call, adjustment_id: int) -> dict[str, Any]:
    """Say that an adjustment is something else.

    Its amount never changes; what its run came to stays as it was told."""
    known = found(MatchDifference.objects.all(), "adjustment", adjustment_id)
    retype_difference(call.by, known, call.given["type"], call.given["comment"])
    row: Any = adjustments().get(pk=adjustment_id)
    run = MatchingRun.objects.filter(number=row.run_number or 0).first()
    return {"row": row, "run_id": run and run.run_id}


@operation(TAG, query=PeriodQuery, gives=AdjustmentSumShape, paged=True)
def report_adjustments(call: Call) -> Paged:
    """Report what confirmed matches that cleared in a period left as difference, by type and currency.

    All in one page."""
    return Paged(adjustment_sums(call.query.get("account"), *period(call.query)))


def as_at(query: dict[str, Any]) -> dt.date:
    day: dt.date = query.get("as_at") or timezone.localdate()
    return day


def period(query: dict[str, Any]) -> tuple[dt.date, dt.date]:
    until = query.get("until") or timezone.localdate()
    since = query.get("since") or until - dt.timedelta(days=30)
    if not 0 <= (until - since).days < LONGEST:
        fault = Fault("query.since", f"From {since} until {until}.", f"at most {LONGEST} days, the first one first")
        raise Problem("invalid", f"Expected at most {LONGEST} days, the first one first.", [fault])
    return since, until


def row_key(cursor: str) -> tuple[dt.date | None, int] | None:
    day, _, pk = cursor.partition("|")
    return (dt.date.fromisoformat(day) if day else None, int(pk)) if pk else None
