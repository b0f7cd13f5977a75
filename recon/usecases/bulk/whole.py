"""The same change of all rows of a table that a large load has of its own, on PostgreSQL: at one go, however many.

What a new column holds in the rows that were there before it the database keeps once, beside the table. So where all
rows of a child (`recon.usecases.bulk.apart`) come to have the same state, the column is dropped and added again with
that in it: no row is written, and no index but those that ask for the state. The few rows that stay as they are move
into the model's own table before that. Whoever changes rows of the child waits from the count to the end of the
transaction, and whoever reads some from the change on, so this comes late; where others are at work on it for long
nothing is done.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import OperationalError, ProgrammingError, connection, models, transaction

from recon.usecases.bulk import apart
from recon.usecases.bulk.apart import columns_of
from recon.usecases.bulk.apart_columns import add_the_rest
from recon.usecases.bulk.apart_indexes import make_up
from recon.usecases.bulk.apart_tables import LOCK_NOT_AVAILABLE, tables_apart
from recon.usecases.bulk.rows import listed

logger = logging.getLogger(__name__)

MOST_LEFT: Final = 50_000
"""Rows that may stay as they are: they move one by one, which takes a second."""

SHARE_LEFT: Final = 10
"""One row of so many may, at most: of a table that has shrunk for long little would be left."""

MOST_DROPPED: Final = 200
"""Columns that a table may have lost: it can have 1,600 in its life, and each takes a bit of every row."""


class _NotWholeError(Exception):
    """Too many rows stay as they are."""


def change_whole(
    model: type[models.Model],
    meant: str,
    params: Sequence[Any],
    values: Mapping[str, Any],
    *,
    at_least: str = "TRUE",
) -> int:
    """Give the rows of the model for which `meant`, a condition in SQL, holds these values, in those tables of large
    loads of which nearly all rows are meant; returns how many rows that were. All others are for the caller.

    `at_least`: what holds for rows that are meant, and is quickly seen. Within a transaction.
    """
    if not tables_apart(model):
        return 0
    with connection.cursor() as cursor:
        # From now on nobody drops one of them, or makes one of several (`make_room`), before this is over.
        cursor.execute(f"LOCK TABLE ONLY {model._meta.db_table} IN ROW EXCLUSIVE MODE")
    return sum(_changed(model, each.name, meant, params, values, at_least) for each in tables_apart(model))


def condition_of(rows: models.QuerySet[Any, Any]) -> tuple[str, Sequence[Any]]:
    """What a queryset of one table asks of its rows: SQL and parameters."""
    query = rows.query.clone()
    query.get_initial_alias()
    sql, params = query.get_compiler(connection=connection).compile(query.where)
    if len(query.alias_map) > 1:
        raise ValueError("asks for more than one table's columns")
    return sql, params


def _changed(
    model: type[models.Model], name: str, meant: str, params: Sequence[Any], values: Mapping[str, Any], at_least: str
) -> int:
    if not _is_worth_it(model, name, at_least):
        return 0
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # Less than it takes to detect a deadlock, so that whoever would be in one with this goes on.
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
            cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
            changed = _only_meant(cursor, model, name, meant, params)
            cursor.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
            _set_throughout(cursor, model, name, values)
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
            make_up(cursor, model, name)
    except _NotWholeError:
        return 0
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return 0
    except ProgrammingError:  # what a table holds would not be taken for what its parent asks
        logger.exception("The rows of %s are changed one by one", name)
        return 0
    return changed


def _is_worth_it(model: type[models.Model], name: str, at_least: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), count(*) FILTER (WHERE {at_least}), ("  # noqa: S608 - names and conditions of ours
            " SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attisdropped"
            f") FROM ONLY {name} AS {model._meta.db_table}",
            [name],
        )
        rows, perhaps, dropped = cursor.fetchone()
    return rows >= apart.apart_from(model) and dropped < MOST_DROPPED and _are_few(rows - perhaps, rows)


def _are_few(left: int, rows: int) -> bool:
    return left <= MOST_LEFT and left * SHARE_LEFT <= rows


def _only_meant(cursor: Any, model: type[models.Model], name: str, meant: str, params: Sequence[Any]) -> int:
    """Have nothing but rows that are meant in a table, and return how many they are. Raises `_NotWholeError`."""
    table = model._meta.db_table
    rows = f"ONLY {name} AS {table}"
    # What the planner believes of tables that have just grown is nothing: they are joined as a whole.
    cursor.execute("SET LOCAL enable_nestloop = off")
    cursor.execute("SET LOCAL work_mem = '128MB'")
    cursor.execute(f"SELECT count(*) FROM {rows} WHERE {meant}", params)  # noqa: S608 - as above
    of_all = cursor.fetchone()[0]
    cursor.execute(f"SELECT count(*) FROM ONLY {name}")  # noqa: S608
    left = cursor.fetchone()[0] - of_all
    if not of_all or not _are_few(left, of_all + left):
        raise _NotWholeError
    if left:
        columns = columns_of(model)
        cursor.execute(
            f"SELECT id FROM ONLY {name} i"  # noqa: S608
            f" WHERE NOT EXISTS (SELECT FROM (SELECT id FROM {rows} WHERE {meant}) meant WHERE meant.id = i.id)",
            params,
        )
        others = listed([pk for (pk,) in cursor.fetchall()])
        cursor.execute(
            f"WITH others AS (DELETE FROM ONLY {name} WHERE id = ANY(%s::bigint[]) RETURNING *)"  # noqa: S608
            f" INSERT INTO {table} ({columns}) SELECT {columns} FROM others",
            [others],
        )
        if cursor.rowcount != left:
            raise RuntimeError(f"{name}: {cursor.rowcount} of {left} rows have moved")
    cursor.execute("SET LOCAL work_mem = DEFAULT")
    cursor.execute("SET LOCAL enable_nestloop = on")
    return int(of_all)


def _set_throughout(cursor: Any, model: type[models.Model], name: str, values: Mapping[str, Any]) -> None:
    """Have all rows of a child hold these values. Checks that ask for them are made, and hold, before it is one of the
    model's tables again."""
    table = model._meta.db_table
    cursor.execute(f"ALTER TABLE {name} NO INHERIT {table}")
    cursor.execute(f"ALTER TABLE {name} {', '.join(f'DROP COLUMN {column}' for column in values)}")
    add_the_rest(cursor, name, table, values, [])
    cursor.execute(f"ALTER TABLE {name} INHERIT {table}")
