"""Long statements of the database that are given up half-way, when whoever asked for them is to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError, connection

Ask = Callable[[], None]
"""Raises whatever there is to stop for; may be called from another thread."""

_ASK_EVERY: Final = 0.5  # seconds
_STEPS: Final = 50_000  # of SQLite's machine between two looks at the clock


@contextmanager
def given_up_by(ask: Ask) -> Iterator[None]:
    """Ask every half second while the database is at work on what the block wants of it. If that raises, the statement
    is given up, and this raises the same.

    The transaction is over then as well: SQLite has taken back all of it.
    """
    asking = _from_another_thread if connection.vendor == "postgresql" else _between_steps
    stopped: list[Exception] = []
    try:
        with asking(ask, stopped):
            yield
    except OperationalError:
        if not stopped:
            raise
    if stopped:
        raise stopped[0] from None


@contextmanager
def _between_steps(ask: Ask, stopped: list[Exception]) -> Iterator[None]:
    asked = time.monotonic()

    def look() -> int:
        nonlocal asked
        if time.monotonic() - asked < _ASK_EVERY:
            return 0
        asked = time.monotonic()
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, `given_up_by` raises it
            stopped.append(error)
            return 1
        return 0

    connection.ensure_connection()
    own = connection.connection
    own.set_progress_handler(look, _STEPS)
    try:
        yield
    finally:
        own.set_progress_handler(None, 0)


@contextmanager
def _from_another_thread(ask: Ask, stopped: list[Exception]) -> Iterator[None]:
    connection.ensure_connection()
    own, over = connection.connection, threading.Event()

    def look() -> None:
        while not over.wait(_ASK_EVERY):
            try:
                ask()
            except Exception as error:  # noqa: BLE001 - as above
                stopped.append(error)
                own.cancel()  # of no effect between two statements: the next one is given up half a second later

    asking = threading.Thread(target=look, name="statement-watcher", daemon=True)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
