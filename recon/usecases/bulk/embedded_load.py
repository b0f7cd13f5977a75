"""Rows by the million into SQLite: a whole transaction's in one statement.

SQLite begins every statement anew, checks and all; for one row that takes longer than the row itself. So a statement
takes all rows from a database in memory (`recon.usecases.bulk.laid_out`), or, where a row is too long for that or an
open transaction has read too many such databases, 200 as values of Python's. What becomes of a table's indexes
meanwhile: `recon.usecases.bulk.embedded_indexes`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import repeat
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection, transaction

from recon.usecases.bulk.apart import in_common
from recon.usecases.bulk.laid_out import TABLE, as_database

STATEMENT_ROWS: Final = 200
STATEMENT_VALUES: Final = 32_000
"""What one statement may hold: SQLite allows 32,766 values."""

CONVERTED: Final = 20_000
"""Rows whose values are Python's objects at a time. The memory of many more is given back to the system each time and
asked for again, which takes half as long as making the objects. A multiple of `STATEMENT_ROWS`, to waste none."""

LAID_OUT_FROM: Final = 2_000
"""Rows of one load from which it pays to lay them out."""

MOST_BESIDE: Final = 5
"""Databases in memory that one load takes within a transaction."""

_PLACES: Final = [f"coming_{number}" for number in range(8)]
"""Names of such databases. SQLite has room for ten."""


def insert_rows(
    target: str,
    table: pa.Table,
    chunk: int,
    progress: Callable[[int], None],
    hold: Callable[[], None] | None = None,
) -> None:
    """Append rows to a table, in transactions of `chunk` rows; `progress` hears of each; `hold` is called in
    each, and may raise: who writes to SQLite has it alone from the beginning."""
    if not table.num_rows:
        return
    shared = in_common(table) if table.num_rows > STATEMENT_ROWS else {}
    empty = [name for name in table.column_names[1:] if table[name].null_count == table.num_rows]
    same = [_as_sqlite(table[name].slice(0, 1)).to_pylist()[0] for name in shared]
    rows = table.drop_columns([*shared, *empty])
    statement = _Statement(target, list(shared), rows.column_names)
    if connection.in_atomic_block:
        chunk = max(chunk, -(-rows.num_rows // MOST_BESIDE))
    with _places_beside(rows.num_rows) as places:
        for start in range(0, rows.num_rows, chunk):
            piece = rows.slice(start, chunk)
            # Before the transaction: others write meanwhile.
            place = _laid_out(piece, next(places, None))
            values = [] if place else _in_python(piece.slice(0, CONVERTED))
            with transaction.atomic(), connection.wrap_database_errors:
                if hold is not None:
                    hold()
                if place:
                    _take_over(statement.from_place(place), same, piece.num_rows)
                else:
                    _insert(statement, same, values)
                    for at in range(CONVERTED, piece.num_rows, CONVERTED):
                        _insert(statement, same, _in_python(piece.slice(at, CONVERTED)))
            progress(start + piece.num_rows)


@contextmanager
def _places_beside(rows: int) -> Iterator[Iterator[str]]:
    """Names for databases in memory beside the connection's own, if so many rows are worth it and SQLite was built
    with them: one that is exchanged again and again, or, within a transaction, which holds on to each that it has
    read, a few that go when it is over."""
    if rows < LAID_OUT_FROM or not hasattr(sqlite3.Connection, "deserialize"):
        yield iter(())
    elif connection.in_atomic_block:
        present = _beside()
        transaction.on_commit(_let_go, robust=True)
        yield iter([name for name in _PLACES if name not in present][:MOST_BESIDE])
    else:
        _let_go()  # of what a transaction that was rolled back has left
        try:
            yield repeat(_PLACES[0])
        finally:
            _let_go()


def _beside() -> set[str]:
    """The databases in memory that are there."""
    connection.ensure_connection()
    return {name for _, name, _ in connection.connection.execute("PRAGMA database_list")} & {*_PLACES}


def _let_go() -> None:
    for name in _beside():
        connection.connection.execute(f"DETACH {name}")


def _laid_out(rows: pa.Table, place: str | None) -> str | None:
    """The place, if there is one and the rows could be laid out there."""
    made = as_database(pa.table([_as_sqlite(column) for column in rows.columns], rows.column_names)) if place else None
    if place is None or made is None:
        return None
    with connection.wrap_database_errors:
        if place not in _beside():
            connection.connection.execute(f"ATTACH ':memory:' AS {place}")
        connection.connection.deserialize(made, name=place)
    return place


def _take_over(statement: str, same: list[Any], rows: int) -> None:
    """Insert all rows that are laid out."""
    inserted = connection.connection.execute(statement, same).rowcount
    if inserted != rows:
        raise RuntimeError(f"{rows} rows were laid out and {inserted} inserted: {statement}")


def _in_python(rows: pa.Table) -> list[Any]:
    """The values row by row."""
    values: list[Any] = [None] * (rows.num_rows * rows.num_columns)
    for place, column in enumerate(rows.columns):
        values[place :: rows.num_columns] = _as_sqlite(column).to_pylist()
    return values


class _Statement:
    """INSERT for some number of rows: first what all rows share, bound once, then each row's own values."""

    def __init__(self, target: str, shared: Sequence[str], own: Sequence[str]) -> None:
        self.shared, self.width = len(shared), len(own)
        self.rows = max(1, min(STATEMENT_ROWS, STATEMENT_VALUES // self.width))
        names = ", ".join(connection.ops.quote_name(name) for name in (*shared, *own))
        self._head = f"INSERT INTO {target} ({names}) "
        self._own = ", ".join(connection.ops.quote_name(name) for name in own)

    def from_place(self, place: str) -> str:
        """For all rows that are laid out there."""
        shared = "".join(f"?{number}, " for number in range(1, self.shared + 1))
        return f"{self._head}SELECT {shared}{self._own} FROM {place}.{TABLE}"  # noqa: S608 - names of ours

    @cached_property
    def whole(self) -> str:
        """For as many rows as one statement takes; written once, and known to SQLite from then on."""
        return self.for_rows(self.rows)

    def for_rows(self, count: int) -> str:
        shared = [f"?{place}" for place in range(1, self.shared + 1)]
        places = range(self.shared + 1, self.shared + count * self.width + 1, self.width)
        rows = (", ".join((*shared, *(f"?{place + at}" for at in range(self.width)))) for place in places)
        return f"{self._head}VALUES {', '.join(f'({row})' for row in rows)}"


def _insert(statement: _Statement, same: list[Any], values: list[Any]) -> None:
    """On the connection itself: Django's cursor would read through every statement for its placeholders."""
    execute, step = connection.connection.execute, statement.rows * statement.width
    whole, rest = divmod(len(values), step)
    for start in range(0, whole * step, step):
        execute(statement.whole, same + values[start : start + step])
    if rest:
        execute(statement.for_rows(rest // statement.width), same + values[-rest:])


def _as_sqlite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates and instants as Django writes them: ISO text, instants in UTC without their zone."""
    if pa.types.is_timestamp(column.type):
        text = pc.strftime(column, format="%Y-%m-%d %H:%M:%S")
        return pc.replace_substring_regex(text, r"\.0+$", "")
    return column.cast(pa.string()) if pa.types.is_date(column.type) else column
