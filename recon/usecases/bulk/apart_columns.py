"""Tables of large loads keep in each row only what differs from row to row.

To add a column with a constant default to a full table PostgreSQL writes no row: it keeps the constant in its catalog
and reads it for every row that was there. So a load's table is made and filled without what all its rows have in
common; of a million matches that is half of what would be written, to the table and to the write-ahead log.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final


def create_with(cursor: Any, name: str, parent: str, columns: Collection[str], checks: Sequence[str]) -> None:
    """A table with only these columns of `parent`, the wide ones first so that none needs to be aligned, and with
    those of its checks that are about nothing else."""
    own = [definition for column, definition in _columns(cursor, parent).items() if column in columns]
    cursor.execute(f"CREATE TABLE {name} ({', '.join([*own, *_checks(cursor, parent, name, columns), *checks])})")


def add_the_rest(cursor: Any, name: str, parent: str, common: Mapping[str, Any], checks: Sequence[str]) -> None:
    """The columns and checks of `parent` that a full table lacks: what its rows have in common in `common`, else null.

    The checks look at every row, all in one go.
    """
    present = _columns(cursor, name)
    missing = {column: definition for column, definition in _columns(cursor, parent).items() if column not in present}
    added = [f"COLUMN {each} DEFAULT %s" if column in common else f"COLUMN {each}" for column, each in missing.items()]
    added += [each.replace("%", "%%") for each in (*_checks(cursor, parent, name, [*present, *missing]), *checks)]
    if added:
        values = [common[column] for column in missing if column in common]
        cursor.execute(f"ALTER TABLE {name} {', '.join(f'ADD {each}' for each in added)}", values)
    if constants := common.keys() & missing.keys():
        cursor.execute(f"ALTER TABLE {name} {', '.join(f'ALTER COLUMN {each} DROP DEFAULT' for each in constants)}")


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


def _checks(cursor: Any, parent: str, name: str, columns: Collection[str]) -> list[str]:
    """Those checks of `parent` that are about nothing but these columns, and that `name` does not have yet."""
    cursor.execute(
        """
        SELECT 'CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c
        WHERE conrelid = %s::regclass AND contype = 'c' AND NOT EXISTS (
            SELECT FROM unnest(conkey) AS place JOIN pg_attribute ON attrelid = conrelid AND attnum = place
            WHERE attname <> ALL(%s)
        ) AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = to_regclass(%s) AND o.conname = c.conname)
        ORDER BY conname
        """,
        [parent, list(columns), name],
    )
    return [_AMONG.sub(_as_written, definition) for (definition,) in cursor.fetchall()]


_AMONG: Final = re.compile(r"\((\w+)\)::text = ANY \(\(ARRAY\[([^\]]*)\]\)::text\[\]\)")


def _as_written(said: re.Match[str]) -> str:
    """What was written with IN the database tells otherwise, and does not take for the same when it reads that."""
    return f"{said[1]} IN ({said[2].replace('::character varying', '')})"
