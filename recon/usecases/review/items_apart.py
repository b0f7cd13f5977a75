"""Open items that a large change opens or resolves, in tables of their own (`recon.usecases.bulk.apart`).

To change the state of a million items where they are takes every index of theirs as long as a new item would; so those
that are resolved, or open again, are deleted and written anew, as they were otherwise, into a new table. Those whose
state stays stay where they are. That a row part has one item, whatever table it is in, is in migration 0019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from recon.models import Account, ItemState, OpenItem, RowPart, Side
from recon.usecases.bulk import apart
from recon.usecases.bulk.moved import moved_apart
from recon.usecases.bulk.whole import change_whole

_LOCK = (
    "SELECT tieout_lock_items(%s, %s), EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'recon_openitem'::regclass)"
)

# What the planner believes of tables that have just grown is nothing: each row is looked up by itself (OFFSET 0).
KNOWN_ONE_BY_ONE = """
    UPDATE recon_openitem SET reason = known.reason, run_number = COALESCE({run}, run_number), resolved_at = NULL,
        state = CASE WHEN state = 'resolved' THEN 'open' ELSE state END
    FROM (
        SELECT i.id, o.reason FROM (SELECT * FROM ({rows}) every_row OFFSET 0) o CROSS JOIN LATERAL (
            SELECT id FROM recon_openitem
            WHERE account_id = %(account)s AND side = %(side)s AND row_id = o.row_id AND part = o.part OFFSET 0
        ) i WHERE {unclaimed} OFFSET 0
    ) known WHERE recon_openitem.id = known.id
"""
UNKNOWN_ONE_BY_ONE = """
    NOT EXISTS (
        SELECT 1 FROM recon_openitem
        WHERE account_id = %(account)s AND side = %(side)s AND row_id = o.row_id AND part = o.part OFFSET 0
    )
"""

UNCLAIMED = """
    NOT EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = %(account)s AND c.side = %(side)s AND c.row_id = o.row_id AND c.part = o.part
    )
"""

# What a run leaves open it has not claimed itself: its own table of claims need not be looked at.
_UNCLAIMED_BY_OTHERS = """
    NOT EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = %(account)s AND c.side = %(side)s AND c.row_id = o.row_id AND c.part = o.part
          AND (c.match_id < %(first_match)s OR c.match_id > %(last_match)s)
    )
"""

_PARTS = """
    LEFT JOIN recon_rowpart p
      ON p.account_id = %(account)s AND p.side = %(side)s AND p.row_id = o.row_id AND p.part = o.part
"""

_COLUMNS = """
    id, account_id, side, row_id, part, units, scale, currency, row_date, opened_at, over_sla_at, owner_id,
    state, hold_until, reason, run_number, resolved_at
"""

# What is known moves, open or not, with its new reason: to change it where it is takes every index one row at a time.
_OPEN = """
    WITH left_open AS MATERIALIZED (SELECT * FROM ({rows}) o WHERE {unclaimed}),
    known AS MATERIALIZED (
        DELETE FROM recon_openitem i USING left_open o
        WHERE i.account_id = %(account)s AND i.side = %(side)s AND i.row_id = o.row_id AND i.part = o.part
        RETURNING i.*, o.reason AS latest
    )
    INSERT INTO {apart} ({columns})
    SELECT id, account_id, side, row_id, part, units, scale, currency, row_date, opened_at, over_sla_at, owner_id,
           CASE WHEN state = 'resolved' THEN 'open' ELSE state END, hold_until, latest, COALESCE({run}, run_number),
           NULL::timestamptz
    FROM known
    UNION ALL
    SELECT %(first)s + ROW_NUMBER() OVER (ORDER BY o.row_id, o.part) - 1,
           %(account)s, %(side)s, o.row_id, o.part, {units}, w.scale, w.currency, w.booking_date,
           %(now)s, NULL, NULL, 'open', NULL, o.reason, {run}, NULL
    FROM left_open o
    JOIN {table} w ON w.id = o.row_id {parts}
    WHERE NOT EXISTS (SELECT 1 FROM known k WHERE k.row_id = o.row_id AND k.part = o.part)
"""

_OPEN_NEW = """
    INSERT INTO {apart} (id, side, row_id, part, units, scale, currency, row_date, reason)
    SELECT %(first)s + ROW_NUMBER() OVER (ORDER BY o.row_id, o.part) - 1, %(side)s, o.row_id, o.part,
           {units}, w.scale, w.currency, w.booking_date, o.reason
    FROM ({rows}) o
    JOIN {table} w ON w.id = o.row_id {parts}
    WHERE NOT EXISTS (
        SELECT 1 FROM recon_openitem i
        WHERE i.account_id = %(account)s AND i.side = %(side)s AND i.row_id = o.row_id AND i.part = o.part
    )
"""

_RESOLVE = """
    WITH claimed AS (
        DELETE FROM recon_openitem i
        WHERE i.account_id = %(account)s AND i.state <> 'resolved' AND i.run_number IS DISTINCT FROM %(run)s
          AND EXISTS (
            SELECT 1 FROM recon_claim c
            WHERE c.account_id = %(account)s AND c.side = i.side AND c.row_id = i.row_id AND c.part = i.part
        )
        RETURNING i.*
    )
    INSERT INTO {apart} ({columns})
    SELECT id, account_id, side, row_id, part, units, scale, currency, row_date, opened_at, over_sla_at, owner_id,
           'resolved', NULL, reason, run_number, %(now)s
    FROM claimed
"""

ROW_TABLE = {Side.STATEMENT: "recon_statementline", Side.LEDGER: "recon_ledgerentry"}


def are_apart(account: Account) -> bool:
    """Whether items have several tables. Until this transaction is over nobody else gives items of the account one;
    waits for who does."""
    return _locked(account, alone=False)


def hold_items(account: Account) -> None:
    """Until this transaction is over nobody else opens items of the account; waits for who does. For whoever is about
    to hold what a run waits for that has opened some already."""
    _locked(account, alone=True)


def is_much_open(account: Account, run_number: int) -> bool:
    """Whether the account has as many open items as pay for a table of their own, besides those of this run."""
    enough = apart.apart_from(OpenItem)
    some = OpenItem.objects.filter(account_id=account.pk).exclude(state=ItemState.RESOLVED).order_by()
    some = some.exclude(run_number=run_number)
    return some[:enough].count() >= enough


def open_apart(
    account: Account, sides: Mapping[Side, int], rows: str, own_id: int, *, were_claimed: bool = False, **params: Any
) -> None:
    """Open an item for each of the `rows` (a query for ``row_id, part, reason`` of one side) that is not claimed, with
    the reason; known ones are open again. `sides` with the first id for new ones. `own_id` as for `moved_apart`.
    `were_claimed`: so far all of them were, so that none is open. ``first_match`` and ``last_match`` among `params`:
    the matches of the run that leaves them, which has claimed none.

    Until the transaction is over nobody else opens items of the account.
    """
    _locked(account, alone=True)
    params |= {"account": account.pk, "now": in_sql(timezone.now())}
    words = {"rows": rows, "run": "%(run)s" if "run" in params else "NULL", **_amounts(account)}
    if were_claimed and not OpenItem.objects.filter(account_id=account.pk, state=ItemState.RESOLVED).exists():
        return _open_new(sides, own_id, words, params)
    by_others = UNCLAIMED if params.get("first_match") is None else _UNCLAIMED_BY_OTHERS
    words |= {"unclaimed": "TRUE" if were_claimed else by_others, "columns": _COLUMNS}
    with joined_whole(), moved_apart(OpenItem, own_id) as name, connection.cursor() as cursor:
        for side, first in sides.items():
            own = {**params, "side": int(side), "first": first}
            cursor.execute(_OPEN.format(**words, apart=name, table=ROW_TABLE[side]), own)
    return None


def _open_new(sides: Mapping[Side, int], own_id: int, words: Mapping[str, str], params: dict[str, Any]) -> None:
    """The same where none is known that could open again: what new ones have in common is not written for each."""
    common = {
        "account_id": params["account"], "state": ItemState.OPEN.value, "opened_at": params["now"],
        "run_number": params.get("run"),
        "owner_id": None, "hold_until": None, "resolved_at": None, "over_sla_at": None,
    }  # fmt: skip
    with joined_whole(), moved_apart(OpenItem, own_id, common) as name, connection.cursor() as cursor:
        for side, first in sides.items():
            own = {**params, "side": int(side), "first": first}
            cursor.execute(_OPEN_NEW.format(**words, apart=name, table=ROW_TABLE[side]), own)


def _amounts(account: Account) -> dict[str, str]:
    """Where the amounts of items come from: to look for parts of rows takes a while where nobody has split one."""
    if RowPart.objects.filter(account_id=account.pk).exists():
        return {"units": "COALESCE(p.units, w.units)", "parts": _PARTS}
    return {"units": "w.units", "parts": ""}


_CLAIMED_OPEN = """
    recon_openitem.account_id = %s AND recon_openitem.state <> 'resolved'
    AND recon_openitem.run_number IS DISTINCT FROM %s AND EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = %s AND c.side = recon_openitem.side
          AND c.row_id = recon_openitem.row_id AND c.part = recon_openitem.part
    )
"""

_FREED_RESOLVED = """
    recon_openitem.account_id = %s AND recon_openitem.state = 'resolved' AND recon_openitem.side = ANY(%s) AND EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = %s AND c.side = recon_openitem.side
          AND c.row_id = recon_openitem.row_id AND c.part = recon_openitem.part
          AND c.match_id BETWEEN %s AND %s
    )
"""


def resolve_whole(account: Account, run_number: int) -> None:
    """Resolve open items whose row parts are claimed by now where they are nearly all of a table; others stay open. A
    run claims none of what it leaves open: its own items are not looked at."""
    resolved = {"state": "resolved", "resolved_at": in_sql(timezone.now()), "hold_until": None}
    at_least = f"account_id = {account.pk} AND state <> 'resolved' AND run_number IS DISTINCT FROM {run_number}"
    change_whole(OpenItem, _CLAIMED_OPEN, [account.pk, run_number, account.pk], resolved, at_least=at_least)


def reopen_whole(account: Account, sides: Sequence[Side], match_ids: tuple[int, int]) -> int:
    """Open items of these sides again whose row parts matches from the first to the last of `match_ids` hold, all of
    which are being undone, where they are nearly all of a table; returns how many."""
    opened = {"state": "open", "resolved_at": None, "reason": "reopened"}
    meant = [account.pk, [int(side) for side in sides], account.pk, *match_ids]
    at_least = f"account_id = {account.pk} AND state = 'resolved'"  # tables of other accounts are not even held
    return change_whole(OpenItem, _FREED_RESOLVED, meant, opened, at_least=at_least)


def resolve_apart(account: Account, own_id: int, run_number: int) -> None:
    """Resolve every open item of the account, but for those of the run, whose row part is claimed by now."""
    _locked(account, alone=True)
    with joined_whole(), moved_apart(OpenItem, own_id) as name, connection.cursor() as cursor:
        params = {"account": account.pk, "now": in_sql(timezone.now()), "run": run_number}
        cursor.execute(_RESOLVE.format(apart=name, columns=_COLUMNS), params)


_RESOLVE_ONE_BY_ONE = """
    UPDATE recon_openitem SET state = 'resolved', resolved_at = %(now)s, hold_until = NULL
    WHERE state <> 'resolved' AND id = ANY(ARRAY(
        SELECT i.id FROM (
            SELECT id, side, row_id, part FROM recon_openitem
            WHERE account_id = %(account)s AND state <> 'resolved' AND run_number IS DISTINCT FROM %(run)s OFFSET 0
        ) i CROSS JOIN LATERAL (
            SELECT 1 FROM recon_claim c
            WHERE c.account_id = %(account)s AND c.side = i.side AND c.row_id = i.row_id AND c.part = i.part OFFSET 0
        ) claimed
    ))
"""


def resolve_one_by_one(account: Account, run_number: int) -> None:
    """The same where not many are open: each is looked up among the claims, whatever the planner believes."""
    with connection.cursor() as cursor:
        params = {"account": account.pk, "now": in_sql(timezone.now()), "run": run_number}
        cursor.execute(_RESOLVE_ONE_BY_ONE, params)


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
        cursor.execute("SET LOCAL enable_mergejoin = off")
        yield
        cursor.execute("SET LOCAL enable_mergejoin = on")
        cursor.execute("SET LOCAL enable_nestloop = on")


def _locked(account: Account, *, alone: bool) -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [account.pk, alone])
        return bool(cursor.fetchone()[1])
