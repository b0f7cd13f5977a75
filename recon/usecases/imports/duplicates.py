"""What a new file repeats of what is already there: announced, never merged in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

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
)
from recon.usecases.accounts.scope import lines_in_scope, unfinished_imports
from recon.usecases.bulk.rows import read_queryset
from recon.usecases.imports.continuity import Span, overlapping

Kind = Literal[
    "same_file", "same_number", "same_rows", "alike", "changed", "same_period", "follows", "gap", "balance_differs",
    "no_balance_check", "fees",
    "left_out", "no_date", "not_final", "account", "currency", "inexact", "no_reference",
]  # fmt: skip
REPEATS: tuple[Kind, ...] = ("same_file", "same_number", "same_rows", "alike", "changed")
"""The announcements that need a decision before the file is imported."""


@dataclass(frozen=True)
class Announcement:
    """Something to know before importing, in a sentence. `rows` counts what it is about."""

    kind: Kind
    text: str
    rows: int = 0


@dataclass(frozen=True)
class Known:
    """The positions of rows that are there already, and how many more only look like a row that is there."""

    positions: pa.Array
    alike: int = 0


NOTHING_KNOWN: Final = Known(pa.array([], pa.int64()))


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


def repeated_number(account: Account, span: Span) -> Announcement | None:
    """Says when the account has a statement of the bank's same number for days of the same period."""
    if not span.number:
        return None
    seen = next((each for each in overlapping(account, span) if each.statement_number == span.number), None)
    if seen is None:
        return None
    text = f"Statement no. {span.number} is there already, as {seen.name}: this may be its re-issue."
    return Announcement("same_number", text, seen.record_count)


def known_rows(account: Account | None, side: Side, rows: pa.Table) -> Known:
    """Which of the keyed `rows` are stored already: with the bank's own id, day and amount; or, where not both have an
    id, with the same day, amount and texts.

    The n-th such row of a file repeats the n-th one that is stored, so two real twins stay two. A row that agrees with
    a stored one in everything but an id of its own is only alike.
    """
    return find_known(rows, _stored(account, side, rows))


def find_known(rows: pa.Table, stored: pa.Table) -> Known:
    """Which of the keyed `rows` are among the `stored` ones, as `known_rows` says it."""
    if not rows.num_rows or not stored.num_rows:
        return NOTHING_KNOWN
    with duckdb.connect() as con:
        con.register("fresh_rows", rows.select(["position", *_COMPARED]))
        con.register("stored_rows", stored)
        found = con.execute(_FIND_KNOWN).to_arrow_table()
    is_known = found["is_known"]
    alike = found.num_rows - int(pc.sum(is_known).as_py() or 0)
    return Known(found["position"].filter(is_known).combine_chunks().cast(pa.int64()), alike)


def repeated_rows(side: Side, rows: pa.Table, known: Known) -> list[Announcement]:
    """How many rows are there already, and how many only look so."""
    what = "lines" if side == Side.STATEMENT else "entries"
    found = []
    if count := len(known.positions):
        are = "is" if count == 1 else "are"
        text = f"{count:,} of {rows.num_rows:,} {what} {are} already there: same id, or same day, amount and texts."
        found.append(Announcement("same_rows", text, count))
    if known.alike:
        text = (
            f"{known.alike:,} of {rows.num_rows:,} {what} may be there already: same day, amount and texts, but"
            " another id."
        )
        found.append(Announcement("alike", text, known.alike))
    return found


MONEY: Final = (
    "units::HUGEINT * [1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1][scale + 1]"
)
"""DuckDB's text for an amount of any scale: raised to nine decimal places."""

_COMPARED = (
    "external_id", "booking_date", "units", "scale", "currency", "reference_key", "description_key",
    "counterparty_key",
)  # fmt: skip
_TEXTS = "booking_date, money, currency, reference_key, description_key, counterparty_key"
_SAME_TEXTS = " AND ".join(f"h.{name.strip()} IS NOT DISTINCT FROM f.{name.strip()}" for name in _TEXTS.split(","))
_FIND_KNOWN = f"""
    WITH fresh AS (SELECT *, {MONEY} AS money FROM fresh_rows),
    stored AS (SELECT *, {MONEY} AS money FROM stored_rows),
    by_id AS (
        SELECT external_id, booking_date, money, currency, count(*) AS held
        FROM stored WHERE external_id IS NOT NULL GROUP BY ALL),
    marked AS (
        SELECT f.*, h.held IS NOT NULL AND row_number() OVER (
            PARTITION BY f.external_id, f.booking_date, f.money, f.currency ORDER BY f.position) <= h.held AS has_id
        FROM fresh f LEFT JOIN by_id h ON h.external_id = f.external_id AND h.money = f.money
            AND h.currency = f.currency AND h.booking_date IS NOT DISTINCT FROM f.booking_date),
    nameless AS (SELECT {_TEXTS}, count(*) AS held, count(*) FILTER (external_id IS NULL) AS without_id
                 FROM stored GROUP BY ALL),
    numbered AS (
        SELECT *, row_number() OVER (PARTITION BY {_TEXTS} ORDER BY has_id DESC, position) AS n,
               row_number() OVER (PARTITION BY {_TEXTS}, has_id ORDER BY position) AS nth_unknown
        FROM marked),
    looked_up AS (
        SELECT f.position, f.n <= h.held AS is_alike,
               f.n <= h.held AND (f.external_id IS NULL OR f.nth_unknown <= h.without_id) AS is_known
        FROM numbered f JOIN nameless h ON {_SAME_TEXTS} WHERE NOT f.has_id)
    SELECT position, true AS is_known FROM marked WHERE has_id
    UNION ALL SELECT position, is_known FROM looked_up WHERE is_known OR is_alike
    ORDER BY position
"""  # noqa: S608 - constants of ours


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
