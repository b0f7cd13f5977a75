"""The indexes of tables that large loads have of their own (`recon.usecases.bulk.apart`).

Unique ones are made before the table is seen, for they keep the data right. The others can wait until people see what
was loaded, if whoever loads makes up for it (`recon.usecases.bulk.later`): until then queries find the same rows, only
slower. Where the process is killed in between, the next large run or the worker makes what is missing
(`make_what_is_missing`): the database's own catalog says what that is.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from typing import Any, Final

from django.db import DatabaseError, connection, models, transaction

from recon.models import Claim, MatchingRun, StatementLine
from recon.usecases.bulk.apart_columns import see_that_checks_hold
from recon.usecases.bulk.apart_tables import RANGE, tables_apart
from recon.usecases.bulk.later import is_left_for_later, leave
from rules.kept_queries import kept_cursor

logger = logging.getLogger(__name__)

INSTEAD: Final = {
    # Files are in the order of days, more or less.
    "entry_account_date": "brin (booking_date)",
    "line_account_date": "brin (booking_date)",
    # All of one run, and nearly all confirmed, whose order is that of the primary key.
    "match_run_state": "btree (run_number, state, id) WHERE state <> 'confirmed'",
    # Loaded in this order.
    "match_row_history": "brin (row_id) WITH (pages_per_range = 16)",
    # The engine sees to it that no row is twice in a match, and claims that none is in two confirmed ones.
    "recon_matchrow_pkey": "btree (match_id)",
}
"""Indexes of which a table of one load needs less, by name: what is written is what a load waits for. None of these is
unique there."""

NEEDLESS: Final = {"entry_import": "import_number", "entry_api_reference_once": "api_reference"}
"""Indexes, by name, that a table does without in which all rows have the same in this column, or nothing: a check says
so, by which the planner leaves the table out."""

ONE_KEY: Final = "one_key"
"""The name, after its table's, of the check that `KEYS` says."""

KEYS: Final[dict[type[models.Model], tuple[str, str, tuple[str, ...]]]] = {
    Claim: ("recon_claim_pkey", "btree (side, row_id)", ("account_id", "part")),
}
"""Unique indexes of which a table needs less in which all rows have the same in some columns, as those of one account
that nobody has split: the index, what is left of it, and these columns. A check says what all rows have there."""

IN_STEP: Final = "in_step"
"""The name, after its table's, of the check that `STEPS` says."""

STEPS: Final[dict[type[models.Model], tuple[str, str]]] = {StatementLine: ("line_position_once", "position")}
"""Unique indexes that can wait where a column of theirs is as far from the id in all rows, as the positions of one
file are: the index and the column. A check says so until the index is there; ids have a unique index of their own."""

SCOPED_BY: Final = ("source", "destination")
"""Texts without an index that say which entries are an account's."""

PATIENCE: Final = "1s"
"""For how long whoever makes an index later waits for those who are changing rows: others who want to queue behind."""

_GLANCE: Final = 10
"""Statistics target of the first look at a table that is looked at again later: a tenth of the usual sample."""


def complete(cursor: Any, model: type[models.Model], name: str, rows: int | None = None) -> None:
    """Index a full table and look at what is in it. With a load of so many `rows` what can wait may be left for later.

    Loads that leave something are several at once, and what keys they have come in order: more processes than one a
    load would only cost what it takes to tell them.
    """
    cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
    some_wait = rows is not None and leave(model, name, rows)
    if some_wait:
        cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
    statements = _indexes_of_child(cursor, model._meta.db_table, name, only_keys=some_wait)
    for statement in statements.values():
        cursor.execute(statement)
    if some_wait:
        cursor.execute(f"SET LOCAL default_statistics_target = {_GLANCE}")
    _analyze(cursor, model, name)


def make_up(cursor: Any, model: type[models.Model], name: str) -> None:
    """Make the indexes that a table has lost with a column, unless they may be left for later."""
    if leave(model, name):
        return
    present = {index for index, _ in _indexes(cursor, name)}
    for index, statement in _indexes_of_child(cursor, model._meta.db_table, name).items():
        if index not in present:
            cursor.execute(statement)
    _analyze(cursor, model, name)


def complete_later(model: type[models.Model], name: str) -> None:
    """Make up for what `complete` and the checks have left, unless the table is gone by now. Each index is a
    transaction of its own: whoever changes rows of the model waits for one of them, at most."""
    with transaction.atomic(), connection.cursor() as cursor:
        if _hold(cursor, name):
            see_that_checks_hold(cursor, name)
    while _make_one(model, name):
        pass
    with transaction.atomic(), connection.cursor() as cursor:
        if _hold(cursor, name):
            _analyze(cursor, model, name)
    _drop_what_stood_for_an_index(name)


def _drop_what_stood_for_an_index(name: str) -> None:
    """See `STEPS`; the index is there. Raises OperationalError where others read the table for longer than those may
    wait who come behind this."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s", [name, f"{name}_{IN_STEP}"]
        )
        if cursor.rowcount:
            cursor.execute("SET LOCAL lock_timeout = '100ms'")
            cursor.execute(f"ALTER TABLE IF EXISTS {name} DROP CONSTRAINT IF EXISTS {name}_{IN_STEP}")
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")


def make_what_is_missing() -> int:
    """An errand of the worker: make the indexes that a process which was killed has left for later. Not while a run is
    at work, which makes its own. Returns 0: whether there is more to do is seen then."""
    if not is_left_for_later() and not MatchingRun.objects.active().exists():
        make_missing(*RANGE)
    return 0


def make_missing(*of: type[models.Model]) -> None:
    """Make the indexes that are left for later of the tables of some models, sooner than others would: for whoever is
    about to look up row by row. Tables that others are changing stay as they are."""
    for model in of:
        for name in _incomplete(model):
            try:
                complete_later(model, name)
            except DatabaseError:
                logger.warning("The indexes of %s are made another time", name, exc_info=True)


def rows_without_index(model: type[models.Model], columns: Sequence[str]) -> int:
    """About how many rows lie in tables of large loads in which no index begins with one of these columns, because it
    is left for later: to look something up is to go through all of them."""
    if connection.vendor != "postgresql":
        return 0
    with kept_cursor() as cursor:
        cursor.execute(
            """
            SELECT COALESCE(sum(c.reltuples), 0)::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(%s) AND (
                SELECT count(DISTINCT a.attname) FROM pg_index x
                JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
                WHERE x.indrelid = c.oid AND a.attname = ANY(%s)) < %s
            """,
            [model._meta.db_table, list(columns), len(columns)],
        )
        return int(cursor.fetchone()[0])


def _incomplete(model: type[models.Model]) -> list[str]:
    """The tables of a model that have fewer indexes than they should, or checks that stand for one or have not looked
    at their rows. None on a database without such tables."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(%s) AND i.inhseqno = 1
              AND ((SELECT count(*) FROM pg_index WHERE indrelid = c.oid)
                < (SELECT count(*) FROM pg_index WHERE indrelid = i.inhparent)
                - (SELECT count(*) FROM pg_constraint, unnest(%s::text[]) AS needless
                   WHERE conrelid = c.oid AND conname = c.relname || '_' || needless)
                OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c'
                   AND (NOT convalidated OR conname = c.relname || '_' || %s)))
            ORDER BY c.relname
            """,
            [model._meta.db_table, [*NEEDLESS.values()], IN_STEP],
        )
        return [name for (name,) in cursor.fetchall()]


def _make_one(model: type[models.Model], name: str) -> bool:
    """Make one of the missing indexes, if there is one."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not _hold(cursor, name):
            return False
        present = {index for index, _ in _indexes(cursor, name)}
        wanted = _indexes_of_child(cursor, model._meta.db_table, name)
        missing = next((index for index in wanted if index not in present), None)
        if missing is not None:
            cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute(wanted[missing])
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
        return missing is not None


def _hold(cursor: Any, name: str) -> bool:
    """Keep others from making indexes of a table, as long as the transaction lasts; False if it is gone. Nobody else
    waits for this. Raises OperationalError if others keep it from us for long."""
    cursor.execute("SELECT to_regclass(%s)", [name])
    if cursor.fetchone()[0] is None:
        return False
    cursor.execute("SET LOCAL lock_timeout = '10s'")
    cursor.execute(f"LOCK TABLE {name} IN SHARE UPDATE EXCLUSIVE MODE")
    cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    return True


def _analyze(cursor: Any, model: type[models.Model], name: str) -> None:
    cursor.execute(f"ANALYZE {name} ({', '.join(_planned_by(cursor, model))})")


def _planned_by(cursor: Any, model: type[models.Model]) -> list[str]:
    """The columns whose values say how a query is best answered: not the texts that no index has. To sample those
    takes longer than all others; the database's own look, a minute later, includes them."""
    cursor.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
        " WHERE i.indrelid = %s::regclass",
        [model._meta.db_table],
    )
    indexed = {column for (column,) in cursor.fetchall()}
    fields = model._meta.local_concrete_fields
    texts = {field.column for field in fields if isinstance(field, models.TextField)} - {*SCOPED_BY}
    return [str(field.column) for field in fields if field.column in indexed or field.column not in texts]


def mend_indexes(**signal: Any) -> None:
    """Give children the indexes their parents have gained in a migration, and take away those that they lost."""
    for model in RANGE:
        for child in tables_apart(model):
            with transaction.atomic(), connection.cursor() as cursor:
                wanted = _indexes_of_child(cursor, model._meta.db_table, child.name)
                present = {name for name, _ in _indexes(cursor, child.name)}
                for name in present - wanted.keys():
                    cursor.execute(f"DROP INDEX {name}")
                for name in wanted.keys() - present:
                    cursor.execute(wanted[name])


def _indexes(cursor: Any, table: str) -> list[tuple[str, str]]:
    """Names and definitions (``CREATE … INDEX name ON table USING …``) of a table's indexes."""
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass"
        " ORDER BY indexrelid",
        [table],
    )
    return list(cursor.fetchall())


def _indexes_of_child(cursor: Any, parent: str, child: str, *, only_keys: bool = False) -> dict[str, str]:
    """The statements that make a child's indexes, by name; a name says what the index is. `only_keys`: those without
    which its rows would not be right."""
    cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [child])
    checks = {check for (check,) in cursor.fetchall()}
    shorter = {index: what_is_left for index, what_is_left, _ in KEYS.values()}
    can_wait = {index for index, _ in STEPS.values() if f"{child}_{IN_STEP}" in checks}
    statements = {}
    for index, definition in _indexes(cursor, parent):
        if f"{child}_{NEEDLESS.get(index)}" in checks:
            continue
        head, _, usual = definition.partition(" USING ")
        create, using = head.partition(" INDEX ")[0], usual
        if index in INSTEAD:
            create, using = "CREATE", INSTEAD[index]
        if f"{child}_{ONE_KEY}" in checks and index in shorter:
            using = shorter[index]
        if only_keys and (create == "CREATE" or index in can_wait):
            continue
        name = f"{child}_{zlib.crc32(using.encode()):08x}"
        statements[name] = f"{create} INDEX {name} ON {child} USING {using}"
    return statements
