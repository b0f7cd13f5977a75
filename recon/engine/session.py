"""A DuckDB connection of one run: bounded memory, a watched cancel, and the few functions that plain SQL lacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
from rapidfuzz.distance import Levenshtein

from recon.engine.options import Cancelled, Options, Progress, never

_CANCEL_SECONDS = 0.25
FEW: Final = 50_000
"""Rows up to which one thread is quick enough."""
BATCH: Final = 32_768
"""Rows that a thread of DuckDB reads at once of a table of Arrow."""

_shared: list[duckdb.DuckDBPyConnection] = []  # the engine of small runs, made by the first
_shared_lock = threading.Lock()
_shared_names = count()


class Session:
    """Runs SQL for one run of the engine. Statements raise Cancelled once the run is cancelled."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, options: Options) -> None:
        self.connection = connection
        self.options = options
        self.stopped = threading.Event()
        self._names = 0
        self._made: set[str] = set()  # names of tables and views; asking the database takes milliseconds
        self._counts: dict[str, int] = {}
        self._lent: dict[str, pa.Table] = {}
        self.wanted: set[str] = set()  # tables that explaining needs, whether they have been made or not

    def check(self) -> None:
        """Raise Cancelled if the run has been cancelled: for loops outside of the database."""
        if self.stopped.is_set():
            raise Cancelled

    def run(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Execute one statement."""
        self.check()
        try:
            done = self.connection.execute(sql)
        except duckdb.InterruptException as error:
            raise Cancelled from error
        self._note(sql)
        return done

    def _note(self, sql: str) -> None:
        """Keep the name of a table or view that was made or dropped, and no count of what has changed."""
        verb, _, *rest = sql.split(None, 5)
        if verb == "CREATE":
            self._made.add(rest[0])
            self._counts.pop(rest[0], None)
        elif verb == "INSERT":
            self._counts.pop(rest[0], None)
        elif verb == "DROP":
            self._made.discard(rest[-1])
            self._counts.pop(rest[-1], None)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query, for small results."""
        try:
            return self.run(sql).fetchall()
        except duckdb.InterruptException as error:
            raise Cancelled from error

    def number(self, sql: str) -> int:
        """The one whole number a query gives, 0 for NULL."""
        return int(self.rows(sql)[0][0] or 0)

    def arrow(self, sql: str) -> pa.Table:
        """The result of a query as Arrow.

        Not by `execute`, whose results stream: a large ordered one fills its buffer before anybody reads it, and
        DuckDB 1.5 then waits for ever with every thread asleep (a million matches did).
        """
        self.check()
        try:
            return self.connection.sql(sql).to_arrow_table()
        except duckdb.InterruptException as error:
            raise Cancelled from error

    def create(self, stem: str, query: str) -> str:
        """Store a query as a new table and give its name: every step is its own table, none is updated."""
        self._names += 1
        name = f"{stem}_{self._names}"
        self.run(f"CREATE TABLE {name} AS {query}")
        return name

    def create_from(self, stem: str, given: pa.Table, query: str, *, name: str = "") -> str:
        """The same for a query that also reads ``given``, a table of Arrow; under its own name if one is given."""
        self.connection.register("given", in_pieces(given))
        try:
            if not name:
                return self.create(stem, query)
            self.run(f"CREATE TABLE {name} AS {query}")
            return name
        finally:
            self.connection.unregister("given")

    def exists(self, table: str) -> bool:
        """Whether a table or view of this name has been made."""
        return table in self._made

    def drop(self, *tables: str) -> None:
        """Give the memory of tables back."""
        for table in tables:
            if table in self._lent:
                self.connection.unregister(table)
                del self._lent[table]
            else:
                self.run(f"DROP TABLE IF EXISTS {table}")

    def count(self, table: str) -> int:
        """How many rows a table has. Asked once: in a small run each query is a tenth of all the work."""
        if table not in self._counts:
            self._counts[table] = self.number(f"SELECT count(*) FROM {table}")
        return self._counts[table]

    def has(self, table: str, rows: int) -> None:
        """Say how many rows a table has, if that is known without asking."""
        self._counts[table] = rows

    def load_rows(self, table: str, columns: Mapping[str, Sequence[int] | Sequence[str]]) -> None:
        """Make a table of a few rows of numbers and texts."""
        kinds = {
            name: pa.string() if values and isinstance(values[0], str) else pa.int64()
            for name, values in columns.items()
        }
        self.connection.register("rows_in", pa.table({name: pa.array(columns[name], kinds[name]) for name in columns}))
        self.run(f"CREATE TABLE {table} AS SELECT * FROM rows_in")
        self.connection.unregister("rows_in")

    def lend(self, name: str, given: pa.Table) -> None:
        """Let a table of Arrow be read under a name, without copying it."""
        self._lent[name] = in_pieces(given)
        self.connection.register(name, self._lent[name])
        self._made.add(name)
        self.has(name, given.num_rows)

    def some_of(self, stem: str, table: str, units: np.ndarray) -> str:
        """A new table of some units of a table."""
        lent = self.lent(table)
        if lent is not None:  # in the order of its units, as all rows are
            return self.create_from(stem, lent.take(pa.array(units)), "FROM given")
        return self.create_from(stem, pa.table({"u": units}), f"SELECT t.* FROM {table} t SEMI JOIN given USING (u)")

    def lend_new(self, stem: str, given: pa.Table) -> str:
        """The same under a new name, which it gives."""
        self._names += 1
        self.lend(f"{stem}_{self._names}", given)
        return f"{stem}_{self._names}"

    def lent(self, source: str) -> pa.Table | None:
        """The table of Arrow that is read under a name; None of all else."""
        return self._lent.get(source)

    def without(self, table: str, units: Sequence[int]) -> str:
        """The table without some of its units."""
        if not units:
            return table
        self._names += 1
        gone = f"gone_{self._names}"
        self.load_rows(gone, {"u": units})
        return self.create("free", f"SELECT t.* FROM {table} t ANTI JOIN {gone} g ON t.u = g.u")

    def report(self, stage: str, rule_index: int | None = None, matched: int = 0) -> None:
        """Tell whoever listens where the run stands."""
        self.options.progress(Progress(stage, rule_index, matched))


def in_pieces(given: pa.Table) -> pa.Table:
    """The same rows, cut so that all threads can read: DuckDB gives a thread a whole record batch."""
    return pa.Table.from_batches(given.to_batches(max_chunksize=BATCH), given.schema)


@contextmanager
def opened(options: Options, rows: int) -> Iterator[Session]:
    """A session for so many rows, which is interrupted within half a second once `Options.cancelled` says so."""
    with _shared_connection(options) if rows <= FEW else _own_connection(options) as connection:
        session = Session(connection, options)
        with nullcontext() if options.cancelled is never else _watched(session):
            yield session


@contextmanager
def _watched(session: Session) -> Iterator[None]:
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(session, done), name="cancel-watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def _own_connection(options: Options) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config=_config(options)) as connection:
        _add_functions(connection)
        yield connection


@contextmanager
def _shared_connection(options: Options) -> Iterator[duckdb.DuckDBPyConnection]:
    """A catalog of its own in the engine that small runs share: a new engine takes longer than such a run."""
    with _shared_lock:
        if not _shared:
            _shared.append(duckdb.connect(":memory:", config=_config(replace(options, threads=1))))
            _add_functions(_shared[0])
        connection = _shared[0].cursor()
        own = f"run_{next(_shared_names)}"
    with connection:
        # What is made goes into the run's own catalog; the functions are found in the engine's.
        connection.execute(f"ATTACH ':memory:' AS {own}; SET search_path = '{own}.main,memory.main'")
        try:
            yield connection
        finally:
            connection.execute(f"USE memory; DETACH {own}")


def _config(options: Options) -> dict[str, Any]:
    # No extension is ever fetched: a run must not depend on a network.
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    if options.threads:
        config["threads"] = options.threads
    if options.memory_limit:
        config["memory_limit"] = options.memory_limit
    if options.temp_dir:
        # A folder of its own: at its end an engine removes from one that was there what other engines spill to it too.
        config["temp_directory"] = str(Path(options.temp_dir, uuid4().hex))
    return config


def _watch(session: Session, done: threading.Event) -> None:
    while not done.wait(_CANCEL_SECONDS):
        if session.stopped.is_set() or session.options.cancelled():
            session.stopped.set()
            session.connection.interrupt()


# DuckDB counts bytes, the contract characters: they differ only in texts beyond ASCII, which are few.
_LETTER_DISTANCE: Final = (
    "CREATE MACRO letter_distance(a, b) AS CASE WHEN strlen(a) = length(a) AND strlen(b) = length(b)"
    " THEN levenshtein(a, b) ELSE unicode_distance(a, b) END"
)
# A macro has a name, by which a run can say what it looked its pairs up by.
_ZEROLESS: Final = "CREATE MACRO zeroless(a) AS replace(split_part(a, '|', 1), '0', '')"


def _add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(_LETTER_DISTANCE)
    connection.execute(_ZEROLESS)
    connection.create_function("unicode_distance", _unicode_distance, ["VARCHAR", "VARCHAR"], "BIGINT")


def _unicode_distance(left: str, right: str) -> int:
    return Levenshtein.distance(left, right)
