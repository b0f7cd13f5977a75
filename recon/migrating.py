"""Bring the database up to date, one process at a time: two that migrate at once would make each table twice."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

_LOCK: Final = 1416193390
"""Of a PostgreSQL database: the first of the numbers that this product's advisory locks begin with."""


def migrate_if_needed() -> None:
    """Migrate unless nothing is missing, or somebody else has done it by the time that it is our turn."""
    if migrations_missing():
        with alone():
            if migrations_missing():
                call_command("migrate", interactive=False, verbosity=0)


def migrations_missing() -> bool:
    """Whether the database lacks tables, or has those of an older version. Raises CommandError if it is not there."""
    try:
        executor = MigrationExecutor(connection)
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as error:
        raise CommandError(f"the database cannot be reached: {' '.join(str(error).split())}") from error


@contextmanager
def alone() -> Iterator[None]:
    with _alone_on_postgresql() if connection.vendor == "postgresql" else _alone_on_sqlite():
        yield


@contextmanager
def _alone_on_sqlite() -> Iterator[None]:
    """By a file beside the database: to open and close that itself would drop the locks that SQLite has on it."""
    database = Path(connection.settings_dict["NAME"])
    with database.with_name(f"{database.name}.migrating").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say_that_it_waits()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _alone_on_postgresql() -> Iterator[None]:
    """On a connection of its own, in a transaction, so that a pooler in between leaves it to us meanwhile."""
    beside = connections.create_connection("default")
    try:
        beside.set_autocommit(False)
        with beside.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                _say_that_it_waits()
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            yield
    finally:
        beside.close()


def _say_that_it_waits() -> None:
    sys.stderr.write("tieout: another command is preparing the database; waiting for it\n")
