"""A DuckDB connection of one run: bounded memory, a watched cancel, and the few functions that plain SQL lacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from rapidfuzz.distance import Levenshtein

from recon.engine.options import Cancelled, Options, Progress

_CANCEL_SECONDS = 0.25


class Session:
    """Runs SQL for one run of the engine. Statements raise Cancelled once the run is cancelled."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, options: Options) -> None:
        self.connection = connection
        self.options = options
        self.stopped = threading.Event()
        self._names = 0

    def check(self) -> None:
        """Raise Cancelled if the run has been cancelled: for loops outside of the database."""
        if self.stopped.is_set():
            raise Cancelled

    def run(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Execute one statement."""
        self.check()
        try:
            return self.connection.execute(sql)
        except duckdb.InterruptException as error:
            raise Cancelled from error

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
        self.connection.register("given", given)
        try:
            if not name:
                return self.create(stem, query)
            self.run(f"CREATE TABLE {name} AS {query}")
            return name
        finally:
            self.connection.unregister("given")

    def exists(self, table: str) -> bool:
        """Whether a table or view of this name has been made."""
        found = f"SELECT 1 FROM information_schema.tables WHERE table_name = '{table}'"
        return bool(self.rows(found))

    def drop(self, *tables: str) -> None:
        """Give the memory of tables back."""
        for table in tables:
            self.run(f"DROP TABLE IF EXISTS {table}")

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return self.number(f"SELECT count(*) FROM {table}")

    def load_rows(self, table: str, columns: Mapping[str, Sequence[int] | Sequence[str]]) -> None:
        """Make a table of a few rows of numbers and texts."""
        kinds = {
            name: pa.string() if values and isinstance(values[0], str) else pa.int64()
            for name, values in columns.items()
        }
        self.connection.register("rows_in", pa.table({name: pa.array(columns[name], kinds[name]) for name in columns}))
        self.run(f"CREATE TABLE {table} AS SELECT * FROM rows_in")
        self.connection.unregister("rows_in")

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


@contextmanager
def opened(options: Options) -> Iterator[Session]:
    """A session whose connection is interrupted within half a second once `Options.cancelled` says so."""
    with duckdb.connect(":memory:", config=_config(options)) as connection:
        session = Session(connection, options)
        _add_letter_distance(connection)
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(session, done), name="cancel-watcher", daemon=True)
        watcher.start()
        try:
            yield session
        finally:
            done.set()
            watcher.join()


def _config(options: Options) -> dict[str, Any]:
    # No extension is ever fetched: a run must not depend on a network.
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    if options.threads:
        config["threads"] = options.threads
    if options.memory_limit:
        config["memory_limit"] = options.memory_limit
    if options.temp_dir:
        config["temp_directory"] = options.temp_dir
    return config


def _watch(session: Session, done: threading.Event) -> None:
    while not done.wait(_CANCEL_SECONDS):
        if session.stopped.is_set() or session.options.cancelled():
            session.stopped.set()
            session.connection.interrupt()


def _add_letter_distance(connection: duckdb.DuckDBPyConnection) -> None:
    # DuckDB counts bytes, the contract characters: they differ only in texts beyond ASCII, which are few.
    connection.create_function("unicode_distance", _unicode_distance, ["VARCHAR", "VARCHAR"], "BIGINT")
    connection.execute(
        "CREATE MACRO letter_distance(a, b) AS CASE WHEN strlen(a) = length(a) AND strlen(b) = length(b)"
        " THEN levenshtein(a, b) ELSE unicode_distance(a, b) END"
    )


def _unicode_distance(left: str, right: str) -> int:
    return Levenshtein.distance(left, right)
