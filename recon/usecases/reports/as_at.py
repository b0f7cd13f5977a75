"""The rows of an account as they stood at the end of a day, by what is known today.

A row is *open as at D* if it is booked on D or before and no confirmed match had cleared it by then; a match clears
its rows on the latest booking date of its lines (one without lines, on the day it was made). Rows without a date count
as booked before every day. Amounts are exact and from the account owner's view.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from heapq import merge
from typing import Any, Final, Literal

from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Cast

from recon.models import Account, Claim, Match, RowPart, Side, Sign, Statement, StatementLine
from recon.rows import amount
from recon.usecases.accounts.scope import entries_in_scope, lines_in_scope, signed_units
from recon.usecases.reports.overview import AGES, age_bounds_on

Standing = Literal["open", "matched", "later", "all"]
Place = tuple[date | None, int]  # booking date and id of a row: what a page starts behind

UNDATED: Final = "none"
PIECE: Final = 1000
FEW_STATEMENTS: Final = 1000


@dataclass(frozen=True)
class RowsAsAt:
    """Which rows of one side; what is empty narrows nothing.

    `standing`: open or matched as at the day, both, or "later": entries booked after the day whose lines had cleared
    by then. `age`: a key of `AGES`, or "none" for rows without a date.
    """

    account: Account
    side: Side
    day: date
    standing: Standing = "open"
    currency: str = ""
    age: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class ShownRow:
    """A row as at a day. `amount` is what of it is open, or all of it where that was not asked."""

    side: Side
    row: Any
    amount: Decimal
    age: int | None


def row_page(wanted: RowsAsAt, after: Place | None, limit: int) -> tuple[list[ShownRow], Place | None]:
    """One page, the oldest first and those without a date last; and the place the next one starts behind."""
    found = sorted(_first_of_each(rows_as_at(wanted), after, limit + 1), key=_order)
    last = found[limit - 1] if len(found) > limit else None
    return _shown(wanted, found[:limit]), _place(last) if last else None


def every_row(wanted: RowsAsAt) -> Iterator[ShownRow]:
    """All of them, in the order of their pages. Which ones is asked once, and the rows are read a piece at a time."""
    queries = rows_as_at(wanted)
    places = (_ordered(rows).values_list("booking_date", "pk").iterator(chunk_size=PIECE) for rows in queries)
    keys = array("q", (pk for _, pk in merge(*places, key=_in_order)))
    for start in range(0, len(keys), PIECE):
        piece = keys[start : start + PIECE].tolist()
        found = [row for rows in queries for row in rows.filter(pk__in=piece)]
        yield from _shown(wanted, sorted(found, key=_order))


def rows_as_at(wanted: RowsAsAt) -> list[QuerySet[Any]]:
    """The rows, each with its `signed` units and, if what is open was asked for, `open_units`; no row is in two of
    the queries."""
    account, side, day = wanted.account, wanted.side, wanted.day
    if wanted.standing == "later":
        found = [booked_later(account, day)]
    elif wanted.standing == "open":
        found = open_as_at(account, side, day)
    elif wanted.standing == "matched":
        found = matched_as_at(account, side, day)
    else:
        found = [booked_by(account, side, day)]
    return [_narrowed(rows, wanted) for rows in found]


def open_as_at(account: Account, side: Side, day: date) -> list[QuerySet[Any]]:
    """The rows of one side that are open as at a day, each with its `open_units` at its own scale: those that were
    not split, and those that were.

    Two queries, as no planner joins by a condition that has OR in it: it asks for each of a million rows.
    """
    parts = _open_parts(account, side, day)
    of_row = parts.filter(row_id=OuterRef("pk")).order_by().values("row_id").annotate(total=Sum("units"))
    # PostgreSQL sums to numeric, which divides otherwise than the integers it is made of.
    of_parts = Cast(Subquery(of_row.values("total")), BigIntegerField())
    rows = booked_by(account, side, day)
    whole = rows.filter(~_is_split(account, side), ~_is_cleared(account, side, day))
    return [
        whole.annotate(open_units=F("signed")),
        rows.filter(pk__in=parts.order_by().values("row_id")).annotate(open_units=of_parts),
    ]


def matched_as_at(account: Account, side: Side, day: date) -> list[QuerySet[Any]]:
    """The rows of one side that were booked by a day and are not open as at it; not split ones, and split ones."""
    rows = booked_by(account, side, day)
    open_parts = _open_parts(account, side, day).filter(row_id=OuterRef("pk"))
    split = RowPart.objects.filter(account_id=account.pk, side=side).order_by()
    return [
        rows.filter(~_is_split(account, side), _is_cleared(account, side, day)),
        rows.filter(~Exists(open_parts), pk__in=split.values("row_id")),
    ]


def booked_by(account: Account, side: Side, day: date) -> QuerySet[Any]:
    """The rows of one side that were booked by a day, each with its `signed` units."""
    rows: QuerySet[Any] = _known_lines(account) if side == Side.STATEMENT else entries_in_scope(account)
    booked: QuerySet[Any] = rows.annotate(signed=signed_units(account, side))
    return booked.filter(Q(booking_date__lte=day) | Q(booking_date__isnull=True))


def booked_later(account: Account, day: date) -> QuerySet[Any]:
    """Entries booked after a day whose match had cleared by then: the bank was first."""
    cleared = Exists(cleared_by(day).filter(pk=OuterRef("match_id")))
    claims = Claim.objects.filter(cleared, account_id=account.pk, side=Side.LEDGER, row_id=OuterRef("pk"))
    rows: QuerySet[Any] = entries_in_scope(account).annotate(signed=signed_units(account, Side.LEDGER))
    return rows.filter(Exists(claims), booking_date__gt=day)


def cleared_by(day: date) -> QuerySet[Match]:
    """Matches that had cleared by a day."""
    return Match.objects.filter(Q(cleared_on__lte=day) | Q(cleared_on__isnull=True, created_at__date__lte=day))


def factor(account: Account, side: Side) -> int:
    """In an inverted account the books are seen from the other side."""
    return -1 if side == Side.LEDGER and account.sign == Sign.INVERTED else 1


def _known_lines(account: Account) -> QuerySet[StatementLine]:
    """The lines in scope. Named, a few statements tell the planner how many lines they have."""
    ready = Statement.objects.ready().filter(account=account).values_list("number", flat=True)
    numbers = list(ready[: FEW_STATEMENTS + 1])
    if len(numbers) > FEW_STATEMENTS:
        return lines_in_scope(account)
    return StatementLine.objects.filter(account_id=account.pk, superseded=False, statement_number__in=numbers)


def _is_split(account: Account, side: Side) -> Exists:
    return Exists(RowPart.objects.filter(account_id=account.pk, side=side, row_id=OuterRef("pk")))


def _is_cleared(account: Account, side: Side, day: date) -> Exists:
    """Whether a row that was not split had been cleared by a day."""
    return Exists(_cleared(day).filter(account_id=account.pk, side=side, row_id=OuterRef("pk"), part=0))


def _cleared(day: date) -> QuerySet[Claim]:
    """Claims of matches that had cleared by a day. Asked the other way round: nearly all have, as a rule, and few are
    quick to tell from the rest."""
    later = Q(cleared_on__gt=day) | Q(cleared_on__isnull=True, created_at__date__gt=day)
    return Claim.objects.filter(~Exists(Match.objects.filter(later, pk=OuterRef("match_id"))))


def _open_parts(account: Account, side: Side, day: date) -> QuerySet[RowPart]:
    """The parts of split rows that nothing had cleared by a day."""
    of_side = {"account_id": account.pk, "side": side}
    cleared = _cleared(day).filter(**of_side, row_id=OuterRef("row_id"), part=OuterRef("part"))
    return RowPart.objects.filter(**of_side).filter(~Exists(cleared))


def _narrowed(rows: QuerySet[Any], wanted: RowsAsAt) -> QuerySet[Any]:
    if wanted.currency:
        rows = rows.filter(currency=wanted.currency)
    if wanted.since:
        rows = rows.filter(booking_date__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(booking_date__lte=wanted.until)
    return _aged(rows, wanted.age, wanted.day)


def _aged(rows: QuerySet[Any], age: str, day: date) -> QuerySet[Any]:
    if age == UNDATED:
        return rows.filter(booking_date__isnull=True)
    bounds = {key: (least, most) for key, _, least, most in AGES}.get(age)
    return rows if bounds is None else rows.filter(age_bounds_on("booking_date", *bounds, day))


def _first_of_each(queries: list[QuerySet[Any]], after: Place | None, limit: int) -> list[Any]:
    """The first rows of each query behind a place."""
    found: list[Any] = []
    for rows in queries:
        behind = rows if after is None else rows.filter(_behind(*after))
        found += _ordered(behind)[:limit]
    return found


def _ordered(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.order_by(F("booking_date").asc(nulls_last=True), "pk")


def _shown(wanted: RowsAsAt, rows: Sequence[Any]) -> list[ShownRow]:
    units = "open_units" if wanted.standing == "open" else "signed"
    sign = factor(wanted.account, wanted.side)
    return [
        ShownRow(wanted.side, row, sign * amount(getattr(row, units), row.scale), _age(row, wanted.day))
        for row in rows
    ]


def _place(row: Any) -> Place:
    return row.booking_date, row.pk


def _order(row: Any) -> tuple[bool, date, int]:
    return _in_order(_place(row))


def _in_order(place: Place) -> tuple[bool, date, int]:
    """Sorts the oldest first and what has no date last."""
    day, pk = place
    return day is None, day or date.min, pk


def _age(row: Any, day: date) -> int | None:
    return (day - row.booking_date).days if row.booking_date else None


def _behind(day: date | None, pk: int) -> Q:
    if day is None:
        return Q(booking_date=None, pk__gt=pk)
    return Q(booking_date__gt=day) | Q(booking_date=day, pk__gt=pk) | Q(booking_date=None)
