"""Open items follow matches: opened by a run for what it leaves, resolved by a claim, reopened when a match is undone.

An item exists once per open row part; everything here may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    Match,
    MatchingRun,
    OpenItem,
    RowPart,
    RunState,
    Side,
    Statement,
    reserve_ids,
)
from recon.usecases.bulk.rows import listed

UPSERT = """
    INSERT INTO recon_openitem
        (id, account_id, side, row_id, part, units, scale, currency, row_date, state, reason, run_number, opened_at)
    SELECT %(first)s + ROW_NUMBER() OVER (ORDER BY o.row_id, o.part) - 1,
           %(account)s, %(side)s, o.row_id, o.part, COALESCE(p.units, w.units), w.scale, w.currency, w.booking_date,
           'open', o.reason, {run}, %(now)s
    FROM ({rows}) o
    JOIN {table} w ON w.id = o.row_id
    LEFT JOIN recon_rowpart p
      ON p.account_id = %(account)s AND p.side = %(side)s AND p.row_id = o.row_id AND p.part = o.part
    WHERE NOT EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = %(account)s AND c.side = %(side)s AND c.row_id = o.row_id AND c.part = o.part
    )
    ON CONFLICT (account_id, side, row_id, part) DO UPDATE SET
        reason = excluded.reason,
        run_number = COALESCE(excluded.run_number, recon_openitem.run_number),
        state = CASE WHEN recon_openitem.state = 'resolved' THEN 'open' ELSE recon_openitem.state END,
        resolved_at = NULL
"""

LEFT_BY_RUN = """
    SELECT row_id, part, MIN(reason) AS reason FROM (
        SELECT row_id, part, reason FROM recon_unmatcheditem WHERE run_number = %(run)s AND side = %(side)s
        UNION ALL
        SELECT r.row_id, r.part, 'suggested' FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
        WHERE m.run_number = %(run)s AND m.state = 'suggested' AND r.side = %(side)s
    ) left_rows GROUP BY row_id, part
"""

FREED_BY_UNDOING = """
    SELECT r.row_id, r.part, 'reopened' AS reason FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
    WHERE m.id >= %(from_id)s AND m.id <= %(to_id)s AND m.account_id = %(account)s AND m.state = 'undone'
      AND m.state_changed_at = %(undone_at)s AND r.side = %(side)s
"""

PASSED_OVER = {
    "postgresql": "SELECT unnest(%(ids)s::bigint[]) AS row_id, 0 AS part, 'no_candidate' AS reason",
    "sqlite": "SELECT value AS row_id, 0 AS part, 'no_candidate' AS reason FROM json_each(%(ids)s)",
}

ARRIVED_LATE = """
    SELECT id AS row_id, 0 AS part, 'arrived_late' AS reason FROM recon_statementline
    WHERE id >= %(from_id)s AND id <= %(to_id)s AND %(side)s = 0
"""

RESOLVE_CLAIMED = """
    UPDATE recon_openitem SET state = 'resolved', resolved_at = %s, hold_until = NULL
    WHERE account_id = %s AND state <> 'resolved' AND EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = recon_openitem.account_id AND c.side = recon_openitem.side
          AND c.row_id = recon_openitem.row_id AND c.part = recon_openitem.part
    )
"""

RESOLVE_MATCHED_BY_RUN = {
    # Each row of the run is looked up, whatever the planner believes (OFFSET 0): it knows nothing of tables that have
    # just grown, and went through all rows of the run for each of thousands of items.
    "postgresql": """
        UPDATE recon_openitem SET state = 'resolved', resolved_at = %(now)s, hold_until = NULL
        WHERE state <> 'resolved' AND id = ANY(ARRAY(
            SELECT item.id FROM (
                SELECT r.side, r.row_id, r.part FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
                WHERE m.run_number = %(run)s AND m.state = 'confirmed' OFFSET 0
            ) mine CROSS JOIN LATERAL (
                SELECT id FROM recon_openitem WHERE account_id = %(account)s
                  AND side = mine.side AND row_id = mine.row_id AND part = mine.part OFFSET 0
            ) item
        ))
    """,
    "sqlite": """
        UPDATE recon_openitem SET state = 'resolved', resolved_at = %(now)s, hold_until = NULL
        WHERE account_id = %(account)s AND state <> 'resolved' AND (side, row_id, part) IN (
            SELECT r.side, r.row_id, r.part FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
            WHERE m.run_number = %(run)s AND m.state = 'confirmed'
        )
    """,
}

RESOLVE_MATCHED = """
    UPDATE recon_openitem SET state = 'resolved', resolved_at = %s, hold_until = NULL
    WHERE account_id = %s AND state <> 'resolved'
      AND (side, row_id, part) IN (SELECT side, row_id, part FROM recon_matchrow WHERE match_id = %s)
"""

MANY = 100_000
"""Rows that are opened at once, from which reading their table whole takes less than finding each in it."""

ROW_TABLE = {Side.STATEMENT: "recon_statementline", Side.LEDGER: "recon_ledgerentry"}


def sides_reported(account: Account) -> tuple[Side, ...]:
    """The sides whose open rows are this account's work: an account without a ledger scope owns no entries."""
    return (Side.STATEMENT, Side.LEDGER) if account.scope else (Side.STATEMENT,)


def open_what_a_run_left(account: Account, run_number: int, rows_at_most: int) -> None:
    """Open an item for every row part the run left unmatched or only suggested; known items get its reason."""
    for side in sides_reported(account):
        _upsert(account, side, LEFT_BY_RUN, rows_at_most, run=run_number)


def resolve_claimed(account: Account) -> None:
    """Resolve every open item of the account whose row part is claimed by now."""
    with connection.cursor() as cursor:
        cursor.execute(RESOLVE_CLAIMED, [in_sql(timezone.now()), account.pk])


def resolve_matched_by(account: Account, run_number: int) -> None:
    """Resolve the open items of what a run has confirmed: for few matches quicker than looking at every open item."""
    with connection.cursor() as cursor:
        params = {"now": in_sql(timezone.now()), "account": account.pk, "run": run_number}
        cursor.execute(RESOLVE_MATCHED_BY_RUN[connection.vendor], params)


def resolve_matched(match: Match) -> None:
    """Resolve the open items of a match that was just confirmed."""
    with connection.cursor() as cursor:
        cursor.execute(RESOLVE_MATCHED, [in_sql(timezone.now()), match.account_id, match.pk])


def reopen(account: Account, match_ids: tuple[int, int], undone_at: datetime, rows_at_most: int) -> None:
    """Open the rows again of the matches from the first to the last of `match_ids` that were undone at `undone_at`."""
    undone = {"from_id": match_ids[0], "to_id": match_ids[1], "undone_at": in_sql(undone_at)}
    with joined_whole() if rows_at_most > MANY else nullcontext():
        for side in sides_reported(account):
            _upsert(account, side, FREED_BY_UNDOING, rows_at_most, **undone)


def open_late_lines(account: Account, statement: Statement, line_ids: Sequence[int]) -> None:
    """Open lines from the first to the last id that came into a statement after a real run had taken it up: by repair
    or by a new issue. Without such a run they become open items with the first one."""
    if not line_ids:
        return
    real = MatchingRun.objects.filter(statement=statement, is_dry_run=False, state=RunState.COMPLETED)
    if real.exists():
        first, last = min(line_ids), max(line_ids)
        _upsert(account, Side.STATEMENT, ARRIVED_LATE, last - first + 1, from_id=first, to_id=last)


def open_entries_passed_over(account: Account, entry_ids: Sequence[int]) -> None:
    """Open whole ledger entries that no run has read, because no line of theirs implied them."""
    _upsert(account, Side.LEDGER, PASSED_OVER[connection.vendor], len(entry_ids), ids=listed(entry_ids))


def untouched(account: Account, side: Side, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows that are neither matched, nor split, nor on anybody's list."""
    of_row: Mapping[str, Any] = {"account_id": account.pk, "side": side, "row_id": OuterRef("pk")}
    return rows.filter(
        ~Exists(Claim.objects.filter(**of_row)),
        ~Exists(RowPart.objects.filter(**of_row)),
        ~Exists(OpenItem.objects.filter(**of_row)),
    )


def up_to(until: date, column: str) -> Q:
    """Of a day or an earlier one, or without a date, which could be of any."""
    return Q(**{f"{column}__lte": until}) | Q(**{f"{column}__isnull": True})


def in_sql(instant: datetime) -> Any:
    """An instant as this database's columns hold it, for SQL written by hand."""
    return connection.ops.adapt_datetimefield_value(instant)


@contextmanager
def joined_whole() -> Iterator[None]:
    """Within this PostgreSQL joins tables as a whole: what the transaction has just changed it takes for few rows."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield
        cursor.execute("SET LOCAL enable_nestloop = on")


def _upsert(account: Account, side: Side, rows: str, rows_at_most: int, **params: Any) -> None:
    if not rows_at_most:
        return
    sql = UPSERT.format(rows=rows, table=ROW_TABLE[side], run="%(run)s" if "run" in params else "NULL")
    params |= {"first": reserve_ids(OpenItem, rows_at_most), "account": account.pk, "side": int(side)}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params, "now": in_sql(timezone.now())})
