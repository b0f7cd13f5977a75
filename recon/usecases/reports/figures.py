"""What ties out and what does not: as at any day, by what is known today (`recon.usecases.reports.as_at` says how).

Sums are exact and from the account owner's view.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Case, Max, Q, QuerySet, Value, When

from recon.models import Account, Side, Statement, StatementBalance
from recon.usecases.bulk.room import with_room
from recon.usecases.reports.as_at import booked_by, booked_later, factor, open_as_at
from recon.usecases.reports.differences import differences_by
from recon.usecases.reports.overview import AGES, rate
from recon.usecases.reports.sums import Sums, summed, totals

MONTHS: Final = 12
"""Months that are told apart; what is older is one sum."""

Span = tuple[date | None, date | None]


@dataclass(frozen=True)
class DaySum:
    """Rows of one side, currency, scale and booking date that go one way, in or out."""

    side: Side
    currency: str
    booking_date: date | None
    count: int
    total: Decimal


@dataclass(frozen=True)
class DaySums:
    """An account's rows that were booked by a day, and those of them that are open; of split rows, what is open."""

    booked: list[DaySum]
    open: list[DaySum]


@dataclass(frozen=True)
class Bucket:
    """What is open of one side in one currency and age. `value`: sum of absolute amounts; `net`: of signed ones."""

    side: Side
    currency: str
    age: str  # a key of `AGES`, or "" for rows without a date
    count: int
    net: Decimal
    value: Decimal


@dataclass(frozen=True)
class AgeRow:
    """What is open of one side in one currency: a bucket for each of `AGES`, and one for rows without a date."""

    side: Side
    currency: str
    buckets: list[Bucket | None]

    @property
    def count(self) -> int:
        return sum(each.count for each in self.buckets if each)

    @property
    def net(self) -> Decimal:
        return sum((each.net for each in self.buckets if each), Decimal(0))


@dataclass(frozen=True)
class Booked:
    """Rows of one side that were booked in a month, and how many of them are still open."""

    count: int
    open: int

    @property
    def matched(self) -> int:
        return self.count - self.open

    @property
    def rate(self) -> Decimal | None:
        """Percent matched, rounded down; None if there are none."""
        return rate(self.matched, self.count)


@dataclass(frozen=True)
class Month:
    """From `since` (None: everything older) until `until`; neither: rows without a date."""

    since: date | None
    until: date | None
    lines: Booked
    entries: Booked


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
    counts: dict[str, int] = field(default_factory=dict)  # how many rows are in each of these sums, by its name

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
    def expected(self) -> Decimal:
        """What the entries come to, once everything open is allowed for."""
        return self.books - self.unexplained

    @property
    def steps(self) -> list[Step]:
        """From the statement to the books: where it starts, then what has to be allowed for."""
        base = self.computed if self.stated is None else self.stated
        parts = {
            "open_lines": -self.open_lines,
            "open_entries": self.open_entries,
            "differences": -self.differences,
            "later": -self.later,
        }
        count = self.counts.get
        allowed = [
            Step(name, count(name, 0), None if base is None else value, value)
            for name, value in parts.items()
            if count(name)
        ]
        return [Step("lines", count("lines", 0), base, self.lines), *allowed]

    @property
    def ties(self) -> bool:
        """Everything is explained, and the statements' own balances agree with their lines."""
        agrees = self.stated is None or self.computed is None or self.stated == self.computed
        return not self.unexplained and agrees


@dataclass(frozen=True)
class Step:
    """One line of a reconciliation statement: what it takes from, or adds to, the statement's balance and its rows."""

    name: str  # of a sum of `TieOut`
    count: int
    balance: Decimal | None  # None: the statements state no balance
    rows: Decimal


def day_sums(account: Account, day: date) -> DaySums:
    """What was booked by a day and what of it is open, by booking date: whatever a report tells follows from it."""
    with with_room():
        booked = [row for side in Side for row in _sums_of(account, side, booked_by(account, side, day), "signed")]
        return DaySums(booked, _open_sums(account, day))


def _open_sums(account: Account, day: date) -> list[DaySum]:
    return [
        row
        for side in Side
        for rows in open_as_at(account, side, day)
        for row in _sums_of(account, side, rows, "open_units")
    ]


def _sums_of(account: Account, side: Side, rows: QuerySet[Any], column: str) -> Iterator[DaySum]:
    is_in = Case(When(**{f"{column}__gte": 0}, then=Value(1)), default=Value(0))
    sign = factor(account, side)
    for row in summed(rows.annotate(is_in=is_in), column, "booking_date", "is_in"):
        yield DaySum(side, row["currency"], row["booking_date"], row["count"], sign * row["total"])


def ageing(account: Account, day: date, sums: DaySums | None = None) -> list[Bucket]:
    """What is open as at a day by side, currency and age. `sums`: what `day_sums` gave, if that is known."""
    buckets: dict[tuple[Side, str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    for row in sums.open if sums else _open_sums(account, day):
        found = buckets[row.side, row.currency, _age_key(row.booking_date, day)]
        found[0] += row.count
        found[1] += row.total
        found[2] += abs(row.total)
    order = {key: place for place, (key, *_) in enumerate(AGES)}
    keys = sorted(buckets, key=lambda key: (key[0], key[1], order.get(key[2], len(AGES))))
    return [Bucket(*key, *buckets[key]) for key in keys]


def _age_key(booked: date | None, day: date) -> str:
    """The key of `AGES` for rows booked on a date; "" for those without one."""
    if booked is None:
        return ""
    age = (day - booked).days
    return next(key for key, _, least, most in AGES if age >= (least or 0) and (most is None or age <= most))


def by_age(buckets: Iterable[Bucket]) -> list[AgeRow]:
    """The buckets as lines of a table, one per side and currency."""
    rows: dict[tuple[Side, str], dict[str, Bucket]] = defaultdict(dict)
    for each in buckets:
        rows[each.side, each.currency][each.age] = each
    keys = [*(key for key, *_ in AGES), ""]
    return [AgeRow(*key, [found.get(age) for age in keys]) for key, found in rows.items()]


def months(account: Account, day: date, sums: DaySums | None = None) -> list[Month]:
    """What was booked in each of the last twelve months and is matched by the day; then what is older or undated.

    `sums`: what `day_sums` gave, if that is known."""
    sums = sums or day_sums(account, day)
    counts: dict[Span, dict[Side, list[int]]] = {}
    for place, rows in enumerate((sums.booked, sums.open)):
        for row in rows:
            of_month = counts.setdefault(_month_of(row.booking_date, day), {each: [0, 0] for each in Side})
            of_month[row.side][place] += row.count
    keys = sorted(counts, key=lambda key: (key[0] or date.min, key[1] or date.min), reverse=True)
    return [
        Month(*key, *(Booked(all_rows, still) for all_rows, still in (counts[key][side] for side in Side)))
        for key in keys
    ]


def _month_of(booked: date | None, day: date) -> Span:
    """From when until when the month goes that a date is counted in."""
    if booked is None:
        return None, None
    first = _months_before(day.replace(day=1), MONTHS - 1)
    if booked < first:
        return None, first - timedelta(days=1)
    month = booked.replace(day=1)
    return month, min(day, _months_before(month, -1) - timedelta(days=1))


def _months_before(first: date, count: int) -> date:
    """The first day of the month so many months before; after, if negative."""
    month = first.year * 12 + first.month - 1 - count
    return date(month // 12, month % 12 + 1, 1)


def tie_out(account: Account, day: date, sums: DaySums | None = None) -> list[TieOut]:
    """The statements' balance against the books', per currency, as at a day. `sums`: what `day_sums` gave, if that is
    known."""
    sums = sums or day_sums(account, day)
    found: dict[str, TieOut] = {}

    def add(name: str, sums: Sums) -> None:
        for currency, (count, value) in sums.items():
            row = found.setdefault(currency, TieOut(currency))
            setattr(row, name, value)
            row.counts[name] = count

    for side, whole, still_open in ((Side.STATEMENT, "lines", "open_lines"), (Side.LEDGER, "books", "open_entries")):
        add(whole, _by_currency(sums.booked, side))
        add(still_open, _by_currency(sums.open, side))
    with with_room():
        add("differences", totals(differences_by(account, day), "units"))
        add("later", totals(booked_later(account, day), "signed", factor(account, Side.LEDGER)))
    for balance in balances_of(account, day):
        take_balance(found.setdefault(balance.currency, TieOut(balance.currency)), balance)
    return [found[currency] for currency in sorted(found)]


# --- parts of the above --------------------------------------------------------------------------------------------


def latest_closing_day(account: Account) -> date | None:
    """The last day that the account's statements cover."""
    day: date | None = Statement.objects.ready().filter(account=account).aggregate(day=Max("period_end"))["day"]
    return day


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


def _by_currency(rows: Iterable[DaySum], side: Side) -> Sums:
    sums: Sums = {}
    for row in rows:
        if row.side == side:
            count, total = sums.get(row.currency, (0, Decimal(0)))
            sums[row.currency] = count + row.count, total + row.total
    return sums
