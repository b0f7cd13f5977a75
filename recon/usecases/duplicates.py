"""What a new file repeats of what the account already has: announced, never merged in silence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from django.db.models import Q, QuerySet

from recon.models import (
    Account,
    LedgerEntry,
    LedgerImport,
    LoadState,
    Side,
    Statement,
    StatementBalance,
)
from recon.rows import amount
from recon.statements.model import Reading
from recon.usecases.accounts import lines_in_scope, unfinished_imports
from recon.usecases.bulk import read_queryset

Kind = Literal["same_file", "same_rows", "same_period", "gap", "balance_differs", "left_out", "not_final", "account"]
REPEATS: tuple[Kind, ...] = ("same_file", "same_rows")
"""The announcements that need a decision before the file is imported."""


@dataclass(frozen=True)
class Announcement:
    """Something to know before importing, in a sentence. `rows` counts what it is about."""

    kind: Kind
    text: str
    rows: int = 0


def repeated_file(account: Account | None, side: Side, sha256: str) -> Announcement | None:
    """Says when this very file was imported into the account before."""
    past: QuerySet[Any] = (
        Statement.objects.filter(state__in=(LoadState.READY, LoadState.SUPERSEDED))
        if side == Side.STATEMENT
        else LedgerImport.objects.filter(state=LoadState.READY)
    )
    seen = past.filter(account=account, sha256=sha256).first()
    if seen is None:
        return None
    text = f"This very file was imported before, as {seen.name} on {seen.created_at:%Y-%m-%d}."
    return Announcement("same_file", text, seen.record_count)


def repeated_rows(account: Account | None, side: Side, rows: pa.Table) -> Announcement | None:
    """Counts the rows that are already there: by the bank's own id, or by date, amount and reference.

    The n-th identical row of a file repeats the n-th identical row that is stored, so two real twins stay two.
    """
    stored = _stored(account, side, rows)
    if not rows.num_rows or not stored.num_rows:
        return None
    with duckdb.connect() as con:
        con.register("fresh_rows", rows.select(_COMPARED))
        con.register("stored_rows", stored)
        repeated = int(con.execute(_COUNT_REPEATED).fetchall()[0][0])
    if not repeated:
        return None
    what = "lines" if side == Side.STATEMENT else "entries"
    text = f"{repeated:,} of {rows.num_rows:,} {what} are already there: same id, or same day, amount and reference."
    return Announcement("same_rows", text, repeated)


# Amounts of different scale compare equal: both are raised to nine decimal places.
_MONEY = "units::HUGEINT * [1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1][scale + 1]"
_COUNT_REPEATED = f"""
    WITH fresh AS (SELECT *, {_MONEY} AS money FROM fresh_rows),
    stored AS (SELECT *, {_MONEY} AS money FROM stored_rows),
    numbered AS (
        SELECT *, row_number() OVER (PARTITION BY booking_date, money, currency, reference_key) AS n FROM fresh),
    held AS (
        SELECT booking_date, money, currency, reference_key, count(*) AS held FROM stored GROUP BY ALL),
    known AS (SELECT DISTINCT external_id, booking_date, money, currency FROM stored WHERE external_id IS NOT NULL)
    SELECT count(*)
    FROM numbered f
    LEFT JOIN held h ON h.booking_date IS NOT DISTINCT FROM f.booking_date AND h.money = f.money
        AND h.currency = f.currency AND h.reference_key IS NOT DISTINCT FROM f.reference_key
    LEFT JOIN known k ON k.external_id = f.external_id AND k.money = f.money AND k.currency = f.currency
        AND k.booking_date IS NOT DISTINCT FROM f.booking_date
    WHERE f.n <= h.held OR k.external_id IS NOT NULL
"""  # noqa: S608 - constants of ours
_COMPARED = ("external_id", "booking_date", "units", "scale", "currency", "reference_key")


def _stored(account: Account | None, side: Side, rows: pa.Table) -> pa.Table:
    """What is stored within the days of the new rows."""
    held: QuerySet[Any]
    if side == Side.STATEMENT and account is not None:
        held = lines_in_scope(account)
    else:
        held = LedgerEntry.objects.filter(account_id=account.pk if account else None)
        held = held.exclude(import_number__in=unfinished_imports())
    days = pc.min_max(rows["booking_date"]).as_py()
    dated = Q(booking_date__isnull=True)
    if days["min"] is not None:
        dated |= Q(booking_date__range=(days["min"], days["max"]))
    return read_queryset(held.filter(dated).order_by(), _COMPARED)


def statement_neighbours(account: Account, reading: Reading) -> list[Announcement]:
    """How the file's period and balances join those of the account's other statements."""
    start, end = period(reading)
    if start is None or end is None:
        return []
    ready = Statement.objects.ready().filter(account=account)
    found = []
    overlapping = ready.filter(period_start__lte=end, period_end__gte=start).first()
    if overlapping:
        days = f"{overlapping.period_start} to {overlapping.period_end}"
        text = f"The period {start} to {end} overlaps that of {overlapping.name} ({days})."
        found.append(Announcement("same_period", text, overlapping.record_count))
    before = ready.filter(period_end__lt=start).order_by("-period_end", "-number").first()
    return found + (_gaps(before, reading) if before and not overlapping else [])


def _gaps(before: Statement, reading: Reading) -> list[Announcement]:
    """Closing balances of the statement before that are not the opening balances of this one."""
    closing = _closing_balances(before)
    found = []
    for statement in reading.statements[:1]:
        for balance in statement.balances:
            was = closing.get(balance.currency)
            if balance.kind == "opening" and was is not None and was != balance.amount:
                text = (
                    f"The opening balance is {balance.amount} {balance.currency}, but {before.name} closed with {was}:"
                    " a statement in between may be missing."
                )
                found.append(Announcement("gap", text))
    return found


def _closing_balances(statement: Statement) -> dict[str, Decimal]:
    rows = StatementBalance.objects.filter(statement=statement, kind="closing").order_by("id")
    return {row.currency: amount(row.units, row.scale) for row in rows}


def period(reading: Reading) -> tuple[date | None, date | None]:
    """First and last day a file covers: what it states, else the days of its lines."""
    days = pc.min_max(reading.lines["booking_date"]).as_py()
    starts = [each.period_start for each in reading.statements if each.period_start] or [days["min"]]
    ends = [each.period_end for each in reading.statements if each.period_end] or [days["max"]]
    return min(starts), max(ends)
