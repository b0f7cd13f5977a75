"""Rows by the million into SQLite: a whole transaction's in one statement, and indexes made when all rows are there.

SQLite begins every statement anew, checks and all; for one row that takes longer than the row itself. So a statement
takes all rows from a database in memory (`recon.usecases.bulk.laid_out`), or, where a row is too long for that or an
open transaction has read too many such databases, 200 as values of Python's.

A row that finds its place in an index by itself dirties a page of it, which every commit writes to the log and the log
to the file: sorting the keys of a million rows into a new index takes a third of the time. So a large load takes a
table's plain indexes away and makes them again at its end. Each of these steps is a transaction of its own, between
which others write; meanwhile their queries find the same rows, only slower. Unique indexes stay: what they refuse is
refused row by row. Where the process is killed in between, `mend_indexes` makes what is missing. Who loads several
tables before anybody looks at them makes the indexes of all at the end (`recon.usecases.bulk.afterwards`). Meanwhile a
thread copies the log to the file: a loader that does so after each commit waits for the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import repeat
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from django.db import OperationalError, connection, models, transaction

from recon.usecases.bulk.apart import in_common
from recon.usecases.bulk.apart_tables import RANGE
from recon.usecases.bulk.giving_up import given_up_by
from recon.usecases.bulk.laid_out import TABLE, as_database
from recon.usecases.bulk.later import MOST_INDEXED, is_left_for_later, leave

ASIDE_FROM: Final = 100_000
"""Rows of one load from which indexes are made afterwards."""

MOST_HELD: Final = 2
"""Times the rows of the load that a table may hold already: making an index sorts those too."""

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

_COPY_EVERY: Final = 0.2  # seconds
_PAGES: Final = 1000  # in the log, after which a commit copies them: SQLite's own setting


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


@contextmanager
def large_load(model: type[models.Model], rows: int, chunk: int, progress: Callable[[int], None]) -> Iterator[int]:
    """Load so many rows within this, and the plain indexes of the table are made afterwards, if that pays. Gives how
    many rows to commit at a time, `chunk` at most: with plain indexes in place each commit writes many of their pages.

    If the block fails they are not: its rows go first (`mend_indexes`). `progress` is asked while an index is made.
    """
    if rows < ASIDE_FROM:
        yield chunk
        return
    with _log_copied_beside():
        aside = _is_worth_it(model, rows)
        if aside:
            with transaction.atomic():
                _take_away_indexes(model)
        yield min(chunk, CONVERTED) if aside else chunk
        if aside and not leave(model, model._meta.db_table):
            _make_missing(model, lambda: progress(rows))


@contextmanager
def large_change(model: type[models.Model], rows: int) -> Iterator[None]:
    """Open, change or resolve so many rows within this, in a transaction, and on SQLite the plain indexes of the table
    are made afterwards, if that pays. Whoever reads meanwhile has the table as it was, with them; if the transaction
    is rolled back they are there again."""
    if connection.vendor != "sqlite" or rows < ASIDE_FROM or not _is_worth_it(model, rows):
        yield
        return
    if not connection.in_atomic_block:
        raise RuntimeError("indexes of a table that changes are taken away in the transaction that changes it")
    _take_away_indexes(model)
    yield
    if not leave(model, model._meta.db_table):
        _make_missing(model, lambda: None)


def _take_away_indexes(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        for name in _indexes(model):
            cursor.execute(f"DROP INDEX IF EXISTS {connection.ops.quote_name(name)}")


@contextmanager
def _log_copied_beside() -> Iterator[None]:
    """Have another thread copy the write-ahead log to the database's file, as long as this lasts, instead of every
    commit that finds a thousand pages in it. It never keeps a writer or a reader waiting."""
    if connection.in_atomic_block:
        yield
        return
    over = threading.Event()

    def copy() -> None:
        try:
            while not over.wait(_COPY_EVERY):
                # Where the database is locked at that moment: next time, or by the first commit after this.
                with suppress(OperationalError), connection.cursor() as cursor:
                    cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()

    _set_checkpoint_after(0)
    copying = threading.Thread(target=copy, name="log-copier", daemon=True)
    copying.start()
    try:
        yield
    finally:
        over.set()
        copying.join()
        _set_checkpoint_after(_PAGES)


def _set_checkpoint_after(pages: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA wal_autocheckpoint = {pages}")


def _is_worth_it(model: type[models.Model], rows: int) -> bool:
    if model not in RANGE:
        return False
    most = max(min(MOST_HELD * rows, MOST_INDEXED - rows), 0)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM (SELECT 1 FROM {model._meta.db_table} LIMIT %s)", [most + 1])  # noqa: S608
        held: int = cursor.fetchone()[0]
    return held <= most


def mend_indexes(**signal: Any) -> None:
    """Make the indexes that a load which was cut off has left out, unless all are made afterwards. Takes a millisecond
    where there is none."""
    if connection.vendor == "sqlite" and not is_left_for_later():
        for model in RANGE:
            _make_missing(model, lambda: None)


def complete_later(model: type[models.Model]) -> None:
    """Make up for the indexes that loads of a table have left for later."""
    _make_missing(model, lambda: None)


def _make_missing(model: type[models.Model], ask: Callable[[], None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master")
        present = {name for (name,) in cursor.fetchall()}
    for name, statement in _indexes(model).items():
        if name not in present and model._meta.db_table in present:
            with given_up_by(ask), transaction.atomic(), connection.cursor() as cursor:
                # Another load of the table may have made it in between.
                cursor.execute(statement.replace("CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1))


def _indexes(model: type[models.Model]) -> dict[str, str]:
    """The statements that make a model's plain indexes, by name. Those of constraints are not among them."""
    editor = connection.schema_editor()
    return {index.name: str(index.create_sql(model, editor)) for index in model._meta.indexes}
