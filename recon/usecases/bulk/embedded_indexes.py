"""A large load into SQLite, or a large change there: its plain indexes are made when all rows are there.

A row that finds its place in an index by itself dirties a page of it, which every commit writes to the log and the log
to the file: sorting the keys of a million rows into a new index takes a third of the time. So a large load takes a
table's plain indexes away and makes them again at its end. Each of these steps is a transaction of its own, between
which others write; meanwhile their queries find the same rows, only slower. Unique indexes stay: what they refuse is
refused row by row. Where the process is killed in between, `mend_indexes` makes what is missing. Who loads several
tables before anybody looks at them makes the indexes of all at the end (`recon.usecases.bulk.afterwards`). Meanwhile a
thread copies the log to the file: a loader that does so after each commit waits for the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from django.db import OperationalError, connection, models, transaction

from recon.usecases.bulk.apart_tables import RANGE
from recon.usecases.bulk.embedded_load import CONVERTED
from recon.usecases.bulk.giving_up import given_up_by
from recon.usecases.bulk.later import MOST_INDEXED, is_left_for_later, leave

ASIDE_FROM: Final = 100_000
"""Rows of one load from which indexes are made afterwards."""

MOST_HELD: Final = 2
"""Times the rows of the load that a table may hold already: making an index sorts those too."""

_COPY_EVERY: Final = 0.2  # seconds
_PAGES: Final = 1000  # in the log, after which a commit copies them: SQLite's own setting


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
