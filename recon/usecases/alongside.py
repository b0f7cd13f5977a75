"""Two things at once, each on a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

Mine = TypeVar("Mine")
Other = TypeVar("Other")


def alongside(here: Callable[[], Mine], there: Callable[[], Other]) -> tuple[Mine, Other]:
    """The results of both, `there` in a thread. One after the other where a second connection would wait for the
    first, or not see what it has written: on SQLite, and inside a transaction.

    Both are over when this returns or raises; the first error counts.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return here(), there()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(_on_own_connection, there)
        mine = here()
        return mine, other.result()


def _on_own_connection(job: Callable[[], Other]) -> Other:
    try:
        return job()
    finally:
        connection.close()
