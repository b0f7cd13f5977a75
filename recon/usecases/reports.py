"""What ties out and what does not: as at any day, by what is known today.

A row is *open as at D* if it is booked on D or before and no confirmed match had cleared it by then; a match clears
its rows on the latest booking date of its lines (one without lines, on the day it was made). Rows without a date count
as booked before every day. Sums are exact and from the account owner's view.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast

from recon.models import (
    Account,
    Claim,
    Match,
    MatchDifference,
    MatchingRun,
    MatchState,
    RowPart,
    RunRule,
    RunState,
    Side,
    Sign,
    Statement,
    StatementBalance,
)
from recon.rows import amount
from recon.usecases.accounts import entries_in_scope, lines_in_scope, signed_units
from recon.usecases.overview import AGES, age_bounds_on

HALF: Final = 10**9

Sums = dict[str, Decimal]


@dataclass(frozen=True)
class OpenRow:
    """A row that is open as at a day. `amount` is what of it is open."""

    side: Side
    row: Any
    amount: Decimal
    age: int | None


@dataclass(frozen=True)
class Bucket:
    """What is open of one side in one currency and age. `value`: sum of absolute amounts; `net`: of signed ones."""

    side: Side
    currency: str
    age: str  # a key of `AGES`, or "" for rows without a date
    count: int
    net: Decimal
    value: Decimal


@dataclass
class TieOut:
    """One currency of an account as at a day.

    Always: books = lines - open_lines - differences - later + open_entries + unexplained; `unexplained` is nought
    unless matches join currencies.
    """

    currency: str
    stated: Decimal | None = None  # the latest closing balance that a statement states by then
    stated_on: date | None = None
    opening: Decimal | None = None  # of the first statement
    lines: Decimal = Decimal(0)
    open_lines: Decimal = Decimal(0)
    books: Decimal = Decimal(0)
    open_entries: Decimal = Decimal(0)
    differences: Decimal = Decimal(0)
    later: Decimal = Decimal(0)  # entries booked after the day whose lines had cleared by then

    @property
    def computed(self) -> Decimal | None:
        """What the statements come to: the first opening balance and all lines."""
        return None if self.opening is None else self.opening + self.lines

    @property
    def adjusted(self) -> Decimal | None:
        """The books' balance that the statement's implies, once everything open is allowed for."""
        base = self.computed if self.stated is None else self.stated
        return None if base is None else base - self.open_lines - self.differences - self.later + self.open_entries

    @property
    def unexplained(self) -> Decimal:
        explained = self.lines - self.open_lines - self.differences - self.later + self.open_entries
        return self.books - explained

    @property
    def ties(self) -> bool:
        """Everything is explained, and the statements' own balances agree with their lines."""
        agrees = self.stated is None or self.computed is None or self.stated == self.computed
        return not self.unexplained and agrees


@dataclass
class RuleSum:
    """What a rule did in the real runs of a period."""

    rule_id: str
    name: str
    runs: int = 0
    matched: int = 0
    suggested: int = 0


@dataclass(frozen=True)
class AdjustmentSum:
    """What matches left as difference, by type and currency."""

    type: str
    currency: str
    count: int
    amount: Decimal


def open_as_at(account: Account, side: Side, day: date) -> QuerySet[Any]:
    """The rows of one side that are open as at a day, each with its `open_units` at its own scale."""
    rows = booked_by(rows_of(account, side), day).annotate(signed=signed_units(account, side))
    of_row = {"account_id": account.pk, "side": side, "row_id": OuterRef("pk")}
    parts = RowPart.objects.filter(**of_row)
    cleared = Claim.objects.filter(Exists(cleared_by(day).filter(pk=OuterRef("match_id"))))
    open_parts = parts.filter(
        ~Exists(cleared.filter(account_id=account.pk, side=side, row_id=OuterRef("row_id"), part=OuterRef("part")))
    )
    part_units = open_parts.order_by().values("row_id").annotate(total=Sum("units")).values("total")
    is_whole = ~Exists(parts)
    # PostgreSQL sums to numeric, which divides otherwise than the integers it is made of.
    of_parts = Cast(Subquery(part_units), BigIntegerField())
    open_units = Case(When(is_whole, then=F("signed")), default=of_parts, output_field=BigIntegerField())
    found: QuerySet[Any] = rows.annotate(open_units=open_units).filter(
        Q(is_whole, ~Exists(cleared.filter(**of_row, part=0))) | Exists(open_parts)
    )
    return found


def open_rows_page(
    account: Account, side: Side, day: date, after: tuple[date | None, int] | None, limit: int
) -> tuple[list[OpenRow], bool]:
    """One page, the oldest first and those without a date last; and whether there is more."""
    rows = open_as_at(account, side, day)
    if after is not None:
        rows = rows.filter(_behind(*after))
    found = list(rows.order_by(F("booking_date").asc(nulls_last=True), "pk")[: limit + 1])
    shown = [
        OpenRow(side, row, factor(account, side) * amount(row.open_units, row.scale), age_of(row, day))
        for row in found[:limit]
    ]
    return shown, len(found) > limit


def ageing(account: Account, day: date) -> list[Bucket]:
    """What is open as at a day by side, currency and age."""
    buckets: dict[tuple[Side, str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    whens = [When(age_bounds_on("booking_date", least, most, day), then=Value(key)) for key, _, least, most in AGES]
    for side in Side:
        rows = open_as_at(account, side, day).annotate(
            age=Case(*whens, default=Value(""), output_field=CharField()),
            is_in=Case(When(open_units__gte=0, then=Value(1)), default=Value(0)),
        )
        for row in summed(rows, "open_units", "age", "is_in"):
            found = buckets[side, row["currency"], row["age"]]
            value = factor(account, side) * row["total"]
            found[0] += row["count"]
            found[1] += value
            found[2] += abs(value)
    order = {key: place for place, (key, *_) in enumerate(AGES)}
    keys = sorted(buckets, key=lambda key: (key[0], key[1], order.get(key[2], len(AGES))))
    return [Bucket(*key, *buckets[key]) for key in keys]


def tie_out(account: Account, day: date) -> list[TieOut]:
    """The statements' balance against the books', per currency, as at a day."""
    found: dict[str, TieOut] = {}

    def add(name: str, sums: Sums) -> None:
        for currency, value in sums.items():
            row = found.setdefault(currency, TieOut(currency))
            setattr(row, name, getattr(row, name) + value)

    sign = factor(account, Side.LEDGER)
    for side, whole, still_open in ((Side.STATEMENT, "lines", "open_lines"), (Side.LEDGER, "books", "open_entries")):
        rows = booked_by(rows_of(account, side), day).annotate(signed=signed_units(account, side))
        add(whole, totals(rows, "signed", factor(account, side)))
        add(still_open, totals(open_as_at(account, side, day), "open_units", factor(account, side)))
    add("differences", differences_by(account, day))
    add("later", totals(booked_later(account, day), "signed", sign))
    for balance in balances_of(account, day):
        take_balance(found.setdefault(balance.currency, TieOut(balance.currency)), balance)
    return [found[currency] for currency in sorted(found)]


def rule_sums(account: Account | None, since: date, until: date) -> list[RuleSum]:
    """What each rule did in real runs that completed on these days, the most successful first."""
    places = RunRule.objects.filter(run__in=real_runs(account, since, until).order_by()).order_by()
    sums = places.values("version__rule_id", "version__rule__name").annotate(
        runs=Count("run", distinct=True), all_matched=Sum("matched"), all_suggested=Sum("suggested")
    )
    return [
        RuleSum(
            row["version__rule_id"],
            row["version__rule__name"],
            row["runs"],
            row["all_matched"],
            row["all_suggested"],
        )
        for row in sums.order_by("-all_matched", "version__rule__name", "version__rule_id")
    ]


def real_runs(account: Account | None, since: date, until: date) -> QuerySet[MatchingRun]:
    """Completed real runs of a period."""
    runs = MatchingRun.objects.filter(
        state=RunState.COMPLETED, is_dry_run=False, completed_at__date__gte=since, completed_at__date__lte=until
    )
    return runs if account is None else runs.filter(account=account)


def adjustments(
    account: Account | None = None, kind: str = "", state: str = "", currency: str = ""
) -> QuerySet[MatchDifference]:
    """Typed differences of matches, each with its match's `account_id`, `state`, `cleared_on` and `run_number`."""
    match = Match.objects.filter(pk=OuterRef("match_id"))
    rows = MatchDifference.objects.annotate(
        account_id=Subquery(match.values("account_id")),
        state=Subquery(match.values("state")),
        cleared_on=Subquery(match.values("cleared_on")),
        run_number=Subquery(match.values("run_number")),
    )
    wanted = {"account_id": account.pk if account else None, "type": kind, "state": state, "currency": currency}
    return rows.filter(**{name: value for name, value in wanted.items() if value})


def adjustment_sums(account: Account | None, since: date, until: date) -> list[AdjustmentSum]:
    """What confirmed matches that cleared on these days left, by type and currency."""
    matches = Match.objects.filter(state=MatchState.CONFIRMED, cleared_on__gte=since, cleared_on__lte=until)
    if account is not None:
        matches = matches.filter(account_id=account.pk)
    found: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    rows = MatchDifference.objects.filter(match_id__in=matches.order_by().values("pk"))
    for row in summed(rows, "units", "type"):
        found[row["type"], row["currency"]][0] += row["count"]
        found[row["type"], row["currency"]][1] += row["total"]
    return [AdjustmentSum(*key, *found[key]) for key in sorted(found)]


# --- parts of the above --------------------------------------------------------------------------------------------


def rows_of(account: Account, side: Side) -> QuerySet[Any]:
    return lines_in_scope(account) if side == Side.STATEMENT else entries_in_scope(account)


def factor(account: Account, side: Side) -> int:
    """In an inverted account the books are seen from the other side."""
    return -1 if side == Side.LEDGER and account.sign == Sign.INVERTED else 1


def booked_by(rows: QuerySet[Any], day: date) -> QuerySet[Any]:
    return rows.filter(Q(booking_date__lte=day) | Q(booking_date__isnull=True))


def cleared_by(day: date) -> QuerySet[Match]:
    """Matches that had cleared by a day."""
    return Match.objects.filter(Q(cleared_on__lte=day) | Q(cleared_on__isnull=True, created_at__date__lte=day))


def booked_later(account: Account, day: date) -> QuerySet[Any]:
    """Entries booked after a day whose match had cleared by then: the bank was first."""
    claims = Claim.objects.filter(
        Exists(cleared_by(day).filter(pk=OuterRef("match_id"))),
        account_id=account.pk, side=Side.LEDGER, row_id=OuterRef("pk"),
    )  # fmt: skip
    rows = entries_in_scope(account).filter(Exists(claims), booking_date__gt=day)
    return rows.annotate(signed=signed_units(account, Side.LEDGER))


def differences_by(account: Account, day: date) -> Sums:
    claimed = Claim.objects.filter(account_id=account.pk, match_id=OuterRef("pk"))
    matches = cleared_by(day).filter(Exists(claimed), account_id=account.pk, state=MatchState.CONFIRMED)
    return totals(MatchDifference.objects.filter(match_id__in=matches.order_by().values("pk")), "units")


def balances_of(account: Account, day: date) -> Iterator[StatementBalance]:
    """Opening and closing balances stated by a day, the earliest first."""
    statements = Statement.objects.ready().filter(account=account)
    rows = StatementBalance.objects.filter(statement__in=statements, kind__in=("opening", "closing"))
    rows = rows.filter(Q(date__lte=day) | Q(date__isnull=True, statement__period_end__lte=day))
    yield from rows.select_related("statement").order_by("statement__period_start", "statement__number", "pk")


def take_balance(row: TieOut, balance: StatementBalance) -> None:
    """The first opening balance, and the latest closing one."""
    on = balance.date or balance.statement.period_end
    if balance.kind == "opening" and row.opening is None:
        row.opening = balance.amount
    if balance.kind == "closing" and (row.stated_on is None or on is None or on >= row.stated_on):
        row.stated, row.stated_on = balance.amount, on


def totals(rows: QuerySet[Any], column: str, sign: int = 1) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for row in summed(rows, column):
        sums[row["currency"]] += sign * row["total"]
    return sums


def summed(rows: QuerySet[Any], column: str, *by: str) -> Iterator[dict[str, Any]]:
    """Counts and exact sums by currency, scale and more.

    Ten amounts of 18 digits do not fit the databases' integers; their upper and lower digits do."""
    groups: Iterable[dict[str, Any]] = (
        rows.order_by()
        .values("currency", "scale", *by)
        .annotate(count=Count("pk"), upper=Sum(F(column) / Value(HALF)), lower=Sum(F(column) % Value(HALF)))
    )
    for row in groups:
        yield {**row, "total": amount(int(row["upper"] or 0) * HALF + int(row["lower"] or 0), row["scale"])}


def age_of(row: Any, day: date) -> int | None:
    return (day - row.booking_date).days if row.booking_date else None


def _behind(day: date | None, pk: int) -> Q:
    if day is None:
        return Q(booking_date=None, pk__gt=pk)
    return Q(booking_date__gt=day) | Q(booking_date=day, pk__gt=pk) | Q(booking_date=None)
