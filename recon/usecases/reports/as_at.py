"""The rows of an account as they stood at the end of a day, by what is known today.

A row is *open as at D* if it is booked on D or before and no confirmed match had cleared it by then; a match clears
its rows on the latest booking date of its lines (one without lines, on the day it was made). Rows without a date count
as booked before every day. Amounts are exact and from the account owner's view.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from django.db.models import BigIntegerField, Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Cast

from recon.models import Account, Claim, Match, RowPart, Side, Sign
from recon.rows import amount
from recon.usecases.accounts.scope import entries_in_scope, lines_in_scope, signed_units
from recon.usecases.reports.overview import AGES, age_bounds_on

Standing = Literal["open", "matched", "later", "all"]
Place = tuple[date | None, int]  # booking date and id of a row: what a page starts behind

UNDATED: Final = "none"
PIECE: Final = 1000


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
    rows = rows_as_at(wanted)
    if after is not None:
        rows = rows.filter(_behind(*after))
    found = list(rows.order_by(F("booking_date").asc(nulls_last=True), "pk")[: limit + 1])
    units = "open_units" if wanted.standing == "open" else "signed"
    sign = factor(wanted.account, wanted.side)
    shown = [
        ShownRow(wanted.side, row, sign * amount(getattr(row, units), row.scale), _age(row, wanted.day))
        for row in found[:limit]
    ]
    last = found[limit - 1] if len(found) > limit else None
    return shown, (last.booking_date, last.pk) if last else None


def every_row(wanted: RowsAsAt) -> Iterator[ShownRow]:
    """All of them, read a piece at a time."""
    rows, after = row_page(wanted, None, PIECE)
    yield from rows
    while after is not None:
        rows, after = row_page(wanted, after, PIECE)
        yield from rows


def rows_as_at(wanted: RowsAsAt) -> QuerySet[Any]:
    """The rows, each with its `signed` units and, if what is open was asked for, `open_units`."""
    account, side, day = wanted.account, wanted.side, wanted.day
    if wanted.standing == "later":
        rows = booked_later(account, day)
    elif wanted.standing == "open":
        rows = open_as_at(account, side, day)
    else:
        rows = booked_by(account, side, day)
        rows = rows.filter(~is_open(account, side, day)) if wanted.standing == "matched" else rows
    if wanted.currency:
        rows = rows.filter(currency=wanted.currency)
    if wanted.since:
        rows = rows.filter(booking_date__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(booking_date__lte=wanted.until)
    return _aged(rows, wanted.age, day)


def open_as_at(account: Account, side: Side, day: date) -> QuerySet[Any]:
    """The rows of one side that are open as at a day, each with its `open_units` at its own scale."""
    parts = RowPart.objects.filter(account_id=account.pk, side=side, row_id=OuterRef("pk"))
    part_units = _open_parts(account, side, day).order_by().values("row_id").annotate(total=Sum("units"))
    # PostgreSQL sums to numeric, which divides otherwise than the integers it is made of.
    of_parts = Cast(Subquery(part_units.values("total")), BigIntegerField())
    open_units = Case(When(~Exists(parts), then=F("signed")), default=of_parts, output_field=BigIntegerField())
    rows: QuerySet[Any] = booked_by(account, side, day).annotate(open_units=open_units)
    return rows.filter(is_open(account, side, day))


def is_open(account: Account, side: Side, day: date) -> Q:
    """Whether a row was open at the end of a day, wholly or in part."""
    of_row = {"account_id": account.pk, "side": side, "row_id": OuterRef("pk")}
    whole = Q(~Exists(RowPart.objects.filter(**of_row)), ~Exists(_cleared(day).filter(**of_row, part=0)))
    return whole | Q(Exists(_open_parts(account, side, day)))


def booked_by(account: Account, side: Side, day: date) -> QuerySet[Any]:
    """The rows of one side that were booked by a day, each with its `signed` units."""
    rows: QuerySet[Any] = lines_in_scope(account) if side == Side.STATEMENT else entries_in_scope(account)
    booked: QuerySet[Any] = rows.annotate(signed=signed_units(account, side))
    return booked.filter(Q(booking_date__lte=day) | Q(booking_date__isnull=True))


def booked_later(account: Account, day: date) -> QuerySet[Any]:
    """Entries booked after a day whose match had cleared by then: the bank was first."""
    claims = _cleared(day).filter(account_id=account.pk, side=Side.LEDGER, row_id=OuterRef("pk"))
    rows: QuerySet[Any] = entries_in_scope(account).annotate(signed=signed_units(account, Side.LEDGER))
    return rows.filter(Exists(claims), booking_date__gt=day)


def cleared_by(day: date) -> QuerySet[Match]:
    """Matches that had cleared by a day."""
    return Match.objects.filter(Q(cleared_on__lte=day) | Q(cleared_on__isnull=True, created_at__date__lte=day))


def factor(account: Account, side: Side) -> int:
    """In an inverted account the books are seen from the other side."""
    return -1 if side == Side.LEDGER and account.sign == Sign.INVERTED else 1


def _cleared(day: date) -> QuerySet[Claim]:
    return Claim.objects.filter(Exists(cleared_by(day).filter(pk=OuterRef("match_id"))))


def _open_parts(account: Account, side: Side, day: date) -> QuerySet[RowPart]:
    """The parts of a split row that nothing had cleared by a day."""
    of_side = {"account_id": account.pk, "side": side}
    cleared = _cleared(day).filter(**of_side, row_id=OuterRef("row_id"), part=OuterRef("part"))
    return RowPart.objects.filter(**of_side, row_id=OuterRef("pk")).filter(~Exists(cleared))


def _aged(rows: QuerySet[Any], age: str, day: date) -> QuerySet[Any]:
    if age == UNDATED:
        return rows.filter(booking_date__isnull=True)
    bounds = {key: (least, most) for key, _, least, most in AGES}.get(age)
    return rows if bounds is None else rows.filter(age_bounds_on("booking_date", *bounds, day))


def _age(row: Any, day: date) -> int | None:
    return (day - row.booking_date).days if row.booking_date else None


def _behind(day: date | None, pk: int) -> Q:
    if day is None:
        return Q(booking_date=None, pk__gt=pk)
    return Q(booking_date__gt=day) | Q(booking_date=day, pk__gt=pk) | Q(booking_date=None)
