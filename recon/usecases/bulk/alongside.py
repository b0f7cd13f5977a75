"""Two things at once, each on a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from django.db import connection

Mine = TypeVar("Mine")
Other = TypeVar("Other")


def alongside(
    here: Callable[[], Mine], there: Callable[[], Other], *, only_reading: bool = False
) -> tuple[Mine, Other]:
    """The results of both, `there` in a thread. One after the other where a second connection would wait for the
    first, or not see what it has written: on SQLite, unless both are `only_reading`, and inside a transaction.

    Both are over when this returns or raises; the first error counts.
    """
    with beside(there, at_once=False, only_reading=only_reading) as other:
        mine = here()
        return mine, other()


@contextmanager
def beside(
    there: Callable[[], Other], *, at_once: bool = True, only_reading: bool = False
) -> Iterator[Callable[[], Other]]:
    """`there` in a thread while the block does something else; the block gets what waits for its result.

    Where that cannot be, `there` is over before the block begins, or, unless `at_once`, runs when it is waited for.
    """
    if connection.in_atomic_block or (connection.vendor != "postgresql" and not only_reading):
        if not at_once:
            yield there
            return
        result = there()
        yield lambda: result
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(copy_context().run, _on_own_connection, there).result


def _on_own_connection(job: Callable[[], Other]) -> Other:
    try:
        return job()
    finally:
        connection.close()
