"""Looking for rows: search words, filters and keyset pages for lists of any length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from recon.models import Claim, LedgerEntry, Side, StatementLine
from recon.rows import MAX_SCALE, MAX_UNITS
from recon.usecases.accounts.scope import unfinished_imports
from rules.criteria.text import text_key

PAGE_ROWS = 50

AnyRow = TypeVar("AnyRow", bound=Model)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list. `next_after` is the key the next page starts behind; None on the last page."""

    rows: list[Item]
    next_after: int | None = None


@dataclass(frozen=True)
class RowFilter:
    """What a list of ledger entries or statement lines is narrowed down to; empty means everything."""

    text: str = ""
    account_id: int | None = None
    currency: str = ""
    booked_from: date | None = None
    booked_until: date | None = None
    matched: bool | None = None


def page_of(rows: QuerySet[AnyRow], after: int | None, key: str = "pk", size: int = PAGE_ROWS) -> Page[AnyRow]:
    """Newest first (`-key`). Behind a key instead of an offset: page 10,000 costs as much as page 1."""
    if after is not None:
        rows = rows.filter(**{f"{key}__lt": after})
    found = list(rows.order_by(f"-{key}")[: size + 1])
    return Page(found[:size], getattr(found[size - 1], key) if len(found) > size else None)


def page_in_file_order(
    lines: QuerySet[StatementLine], after: int | None, size: int = PAGE_ROWS
) -> Page[StatementLine]:
    """Lines of one statement as they stand in the file, behind a position."""
    if after is not None:
        lines = lines.filter(position__gt=after)
    found = list(lines.order_by("position")[: size + 1])
    return Page(found[:size], found[size - 1].position if len(found) > size else None)


def ledger_entries(wanted: RowFilter) -> QuerySet[LedgerEntry]:
    """Entries of finished imports and of the API that meet the filter."""
    rows = LedgerEntry.objects.all()
    if unfinished := unfinished_imports():
        rows = rows.exclude(import_number__in=unfinished)
    return _narrowed(rows, wanted, Side.LEDGER)


def statement_lines(statement_number: int, wanted: RowFilter) -> QuerySet[StatementLine]:
    """Lines of one statement that meet the filter."""
    return _narrowed(StatementLine.objects.filter(statement_number=statement_number), wanted, Side.STATEMENT)


def matched_ids(side: Side, row_ids: Iterable[int]) -> set[int]:
    """Those of the rows that a confirmed match holds, in whichever account."""
    return set(Claim.objects.filter(side=side, row_id__in=list(row_ids)).values_list("row_id", flat=True))


def _narrowed(rows: QuerySet[Any], wanted: RowFilter, side: Side) -> QuerySet[Any]:
    if wanted.account_id is not None:
        rows = rows.filter(account_id=wanted.account_id)
    if wanted.currency:
        rows = rows.filter(currency=wanted.currency.upper())
    if wanted.booked_from:
        rows = rows.filter(booking_date__gte=wanted.booked_from)
    if wanted.booked_until:
        rows = rows.filter(booking_date__lte=wanted.booked_until)
    if wanted.matched is not None:
        claimed = Exists(Claim.objects.filter(side=side, row_id=OuterRef("pk")))
        rows = rows.filter(claimed if wanted.matched else ~claimed)
    return rows.filter(about(wanted.text)) if wanted.text.strip() else rows


def about(text: str) -> Q:
    """Rows whose reference, description, counterparty or own id holds the text, or whose amount it is."""
    key = text_key(text) or ""
    found = (
        Q(reference_key__contains=key)
        | Q(description_key__contains=key)
        | Q(counterparty_key__contains=key)
        | Q(external_id=text.strip())
    )
    return found | amounts_like(text)


def amounts_like(text: str) -> Q:
    """Rows with this amount in either direction, at whatever scale they are stored: 12.5 finds 12.50 and -12.500."""
    try:
        wanted = abs(Decimal(text.strip().replace(",", "")))
    except InvalidOperation:
        return Q(pk__in=[])
    if not wanted.is_finite():
        return Q(pk__in=[])
    found = Q(pk__in=[])
    for scale in range(MAX_SCALE + 1):
        units = wanted.scaleb(scale)
        if units == units.to_integral_value() and units <= MAX_UNITS:
            found |= Q(scale=scale, units__in=[int(units), -int(units)])
    return found
