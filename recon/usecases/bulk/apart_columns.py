"""Tables of large loads keep in each row only what differs from row to row.

To add a column with a constant default to a full table PostgreSQL writes no row: it keeps the constant in its catalog
and reads it for every row that was there. So a load's table is made and filled without what all its rows have in
common; of a million matches that is half of what would be written, to the table and to the write-ahead log.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from django.db import IntegrityError


def create_with(cursor: Any, name: str, parent: str, columns: Collection[str], checks: Sequence[str]) -> None:
    """A table with only these columns of `parent`, the wide ones first so that none needs to be aligned, and with
    those of its checks that are about nothing else."""
    own = [definition for column, definition in _columns(cursor, parent).items() if column in columns]
    cursor.execute(f"CREATE TABLE {name} ({', '.join([*own, *_checks(cursor, parent, name, columns), *checks])})")


def like(cursor: Any, name: str, parent: str) -> str:
    """The definition of the table `name` with all columns and checks of `parent`."""
    columns = _columns(cursor, parent)
    return ", ".join([f"LIKE {parent} INCLUDING DEFAULTS INCLUDING STORAGE", *_checks(cursor, parent, name, columns)])


def add_the_rest(
    cursor: Any, name: str, parent: str, common: Mapping[str, Any], checks: Sequence[str], *, seen_later: bool = False
) -> None:
    """The columns and checks of `parent` that a full table lacks, and `checks`, which are about those columns: what
    its rows have in common in `common`, else null.

    The checks look at every row, all in one go. With `seen_later`, and if all are about what is the same in all rows,
    they hold from now on and look at one row; that they hold for all the caller has the database see later
    (`see_that_checks_hold`).
    """
    present = _columns(cursor, name)
    missing = {column: definition for column, definition in _columns(cursor, parent).items() if column not in present}
    added = [f"COLUMN {each} DEFAULT %s" if column in common else f"COLUMN {each}" for column, each in missing.items()]
    inherited = _checks(cursor, parent, name, [*present, *missing])
    seen_later = seen_later and inherited == _checks(cursor, parent, name, [*missing], kept_apart=True)
    unseen = " NOT VALID" if seen_later else ""
    added += [f"{each}{unseen}".replace("%", "%%") for each in (*inherited, *checks)]
    if added:
        values = [common[column] for column in missing if column in common]
        cursor.execute(f"ALTER TABLE {name} {', '.join(f'ADD {each}' for each in added)}", values)
    if constants := common.keys() & missing.keys():
        cursor.execute(f"ALTER TABLE {name} {', '.join(f'ALTER COLUMN {each} DROP DEFAULT' for each in constants)}")
    if seen_later:
        _try_on_one_row(cursor, name)


def _try_on_one_row(cursor: Any, name: str) -> None:
    """Raises IntegrityError as the database would if a row broke one of the checks that it has not looked at."""
    unseen = unseen_checks(cursor, name)
    if unseen:
        cursor.execute(f"SELECT {', '.join(unseen.values())} FROM ONLY {name} LIMIT 1")  # noqa: S608 - from its catalog
        for check, holds in zip(unseen, cursor.fetchone() or (), strict=False):
            if holds is False:
                raise IntegrityError(f'check constraint "{check}" of "{name}" is violated by all rows')


def see_that_checks_hold(cursor: Any, name: str) -> None:
    """Have the database look at every row for the checks that `add_the_rest` has left; the planner goes by them then.
    Others read and write meanwhile. Raises IntegrityError."""
    if unseen := unseen_checks(cursor, name):
        cursor.execute(f"ALTER TABLE {name} {', '.join(f'VALIDATE CONSTRAINT {check}' for check in unseen)}")


def unseen_checks(cursor: Any, name: str) -> dict[str, str]:
    """The checks that hold for new rows, and of which the database does not know whether they hold for the others:
    names, as SQL, and conditions."""
    cursor.execute(
        "SELECT quote_ident(conname), pg_get_expr(conbin, conrelid) FROM pg_constraint"
        " WHERE conrelid = to_regclass(%s) AND contype = 'c' AND NOT convalidated ORDER BY conname",
        [name],
    )
    return dict(cursor.fetchall())


def _columns(cursor: Any, table: str) -> dict[str, str]:
    """Names and definitions of a table's columns, by falling width, texts at the end."""
    cursor.execute(
        """
        SELECT attname, concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
            CASE WHEN attcollation <> typcollation THEN 'COLLATE ' || attcollation::regcollation END,
            CASE WHEN attnotnull THEN 'NOT NULL' END)
        FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attlen < 0, attlen DESC, attnum
        """,
        [table],
    )
    return dict(cursor.fetchall())


def _checks(cursor: Any, parent: str, name: str, columns: Collection[str], *, kept_apart: bool = False) -> list[str]:
    """Those checks of `parent` that are about nothing but these columns, and that `name` does not have yet. With
    `kept_apart` only those that each table has by itself, under another name: where one is inherited no table joins
    before the database has looked at its rows."""
    cursor.execute(
        """
        SELECT 'CONSTRAINT ' || name || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c,
            LATERAL (SELECT CASE WHEN connoinherit THEN 'own_' ELSE '' END || conname AS name) AS its
        WHERE conrelid = %s::regclass AND contype = 'c' AND connoinherit >= %s AND NOT EXISTS (
            SELECT FROM unnest(conkey) AS place JOIN pg_attribute ON attrelid = conrelid AND attnum = place
            WHERE attname <> ALL(%s)
        ) AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = to_regclass(%s) AND o.conname = name)
        ORDER BY conname
        """,
        [parent, kept_apart, list(columns), name],
    )
    return [_AMONG.sub(_as_written, definition) for (definition,) in cursor.fetchall()]


_AMONG: Final = re.compile(r"\((\w+)\)::text = ANY \(\(ARRAY\[([^\]]*)\]\)::text\[\]\)")


def _as_written(said: re.Match[str]) -> str:
    """What was written with IN the database tells otherwise, and does not take for the same when it reads that."""
    return f"{said[1]} IN ({said[2].replace('::character varying', '')})"
