"""Open items follow matches: opened by a run for what it leaves, resolved by a claim, reopened when a match is undone.

An item exists once per open row part; everything here may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    ItemState,
    Match,
    MatchingRun,
    OpenItem,
    RowPart,
    RunState,
    Side,
    Statement,
    reserve_ids,
)
from recon.usecases.bulk import apart
from recon.usecases.bulk.embedded_indexes import large_change
from recon.usecases.bulk.moved import may_move_apart
from recon.usecases.bulk.rows import listed
from recon.usecases.review.items_apart import (
    KNOWN_ONE_BY_ONE,
    ROW_TABLE,
    UNCLAIMED,
    UNKNOWN_ONE_BY_ONE,
    are_apart,
    in_sql,
    is_much_open,
    joined_whole,
    open_apart,
    reopen_whole,
    resolve_apart,
    resolve_one_by_one,
    resolve_whole,
)

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
    WHERE {unclaimed} AND {unknown}
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

FREED_BY_UNDOING_ALL = """
    SELECT row_id, part, 'reopened' AS reason FROM recon_claim
    WHERE account_id = %(account)s AND match_id >= %(from_id)s AND match_id <= %(to_id)s AND side = %(side)s
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


@dataclass(frozen=True)
class ItemIds:
    """The first id for what is opened on each side, and those that new tables of items get their names from."""

    first: Mapping[Side, int]
    opening: int
    resolving: int


def change_unresolved(items: QuerySet[OpenItem], **values: Any) -> int:
    """Change those of the items that are not resolved; returns how many. Where none is found they are looked for once
    more: a large run may have moved them to another table while the first look waited for it."""
    found = items.exclude(state=ItemState.RESOLVED)
    return found.update(**values) or found.update(**values)


def sides_reported(account: Account) -> tuple[Side, ...]:
    """The sides whose open rows are this account's work: an account without a ledger scope owns no entries."""
    return (Side.STATEMENT, Side.LEDGER) if account.scope else (Side.STATEMENT,)


def item_ids(rows_at_most: int, changed_at_most: int = 0) -> ItemIds | None:
    """Ids for what a large change opens, so many rows at most, where items are moved to tables of their own; None if
    it is not large. To be called before the transaction, because whoever wants ids waits until it is over."""
    if max(rows_at_most, changed_at_most) < apart.apart_from(OpenItem):
        return None
    first = reserve_ids(OpenItem, len(Side) * rows_at_most + 2)
    return ItemIds({side: first + 2 + int(side) * rows_at_most for side in Side}, opening=first, resolving=first + 1)


def open_what_a_run_left(
    account: Account, run_number: int, rows_at_most: int, ids: ItemIds | None, match_ids: tuple[int, int]
) -> None:
    """Open an item for every row part the run left unmatched or only suggested; known items get its reason.
    `match_ids`: the first and the last match of the run, if it has any, as `recon.usecases.runs.results` has them."""
    first, last = match_ids
    _open(account, LEFT_BY_RUN, rows_at_most, ids, run=run_number, first_match=first, last_match=last)


def resolve_claimed(account: Account) -> None:
    """Resolve every open item of the account whose row part is claimed by now."""
    _resolve_claimed(account, 0)


def resolve_claimed_by_many(account: Account, run_number: int, ids: ItemIds | None) -> None:
    """The same for a run with many claims, which has just opened what it leaves open (`open_what_a_run_left`)."""
    if connection.vendor != "postgresql" or not ids:
        open_ones = OpenItem.objects.filter(account_id=account.pk).exclude(state=ItemState.RESOLVED)
        return _resolve_claimed(account, open_ones.count())
    resolve_whole(account, run_number)
    if may_move_apart(OpenItem, apart.apart_from(OpenItem)) and is_much_open(account, run_number):
        return resolve_apart(account, ids.resolving, run_number)
    return resolve_one_by_one(account, run_number)


def _resolve_claimed(account: Account, open_ones: int) -> None:
    with large_change(OpenItem, open_ones), connection.cursor() as cursor:
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


def reopen(
    account: Account,
    match_ids: tuple[int, int],
    undone_at: datetime,
    rows_at_most: int,
    *,
    every: bool = False,
    ids: ItemIds | None = None,
) -> None:
    """Open the rows again of the matches from the first to the last of `match_ids` that were undone at `undone_at`;
    `every`: no others of these hold a claim, and `rows_at_most` is the number of those on the sides reported.

    To be called in the transaction that undoes them, before their claims are released: nobody else can claim the rows
    until it is over.
    """
    if every and ids and reopen_whole(account, sides_reported(account), match_ids) == rows_at_most:
        return
    undone = {"from_id": match_ids[0], "to_id": match_ids[1], "undone_at": in_sql(undone_at)}
    freed = FREED_BY_UNDOING_ALL if every else FREED_BY_UNDOING
    _open(account, freed, rows_at_most, ids, were_claimed=True, **undone)


def open_late_lines(account: Account, statement: Statement, line_ids: Sequence[int]) -> None:
    """Open lines from the first to the last id that came into a statement after a real run had taken it up: by repair
    or by a new issue. Without such a run they become open items with the first one. One that is not over yet may have
    read the statement before, and tells of those it reads after all."""
    if not line_ids:
        return
    taken_up = (*RunState.active(), RunState.COMPLETED)
    if MatchingRun.objects.filter(statement=statement, is_dry_run=False, state__in=taken_up).exists():
        first, last = min(line_ids), max(line_ids)
        several = are_apart(account)
        _upsert(account, Side.STATEMENT, ARRIVED_LATE, last - first + 1, several=several, from_id=first, to_id=last)


def open_entries_passed_over(account: Account, entry_ids: Sequence[int]) -> None:
    """Open whole ledger entries that no run has read, because no line of theirs implied them."""
    found = PASSED_OVER[connection.vendor]
    _upsert(account, Side.LEDGER, found, len(entry_ids), several=are_apart(account), ids=listed(entry_ids))


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


def _open(
    account: Account,
    rows: str,
    rows_at_most: int,
    ids: ItemIds | None = None,
    *,
    were_claimed: bool = False,
    **params: Any,
) -> None:
    """On every side that the account reports; `were_claimed` as for `open_apart`."""
    sides = sides_reported(account)
    if ids and may_move_apart(OpenItem, rows_at_most):
        first = {side: ids.first[side] for side in sides}
        return open_apart(account, first, rows, ids.opening, were_claimed=were_claimed, **params)
    several = rows_at_most > 0 and are_apart(account)
    with joined_whole() if rows_at_most > MANY else nullcontext(), large_change(OpenItem, rows_at_most):
        for side in sides:
            first_id = ids.first[side] if ids else None
            _upsert(account, side, rows, rows_at_most, first_id, several=several, were_claimed=were_claimed, **params)
    return None


def _upsert(
    account: Account,
    side: Side,
    rows: str,
    rows_at_most: int,
    first_id: int | None = None,
    *,
    several: bool,
    were_claimed: bool = False,
    **params: Any,
) -> None:
    """`several`: `are_apart`, which also keeps others from making it otherwise."""
    if not rows_at_most:
        return
    words = {"rows": rows, "table": ROW_TABLE[side], "run": "%(run)s" if "run" in params else "NULL"}
    words["unclaimed"] = "TRUE" if were_claimed else UNCLAIMED
    params |= {"account": account.pk, "side": int(side), "now": in_sql(timezone.now())}
    params["first"] = reserve_ids(OpenItem, rows_at_most) if first_id is None else first_id
    with connection.cursor() as cursor:
        if several:
            cursor.execute(KNOWN_ONE_BY_ONE.format(**words), params)
        cursor.execute(UPSERT.format(**words, unknown=UNKNOWN_ONE_BY_ONE if several else "TRUE"), params)
