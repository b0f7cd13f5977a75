"""Cancellations of runs that keep the database to themselves.

SQLite has one writer. While a run is that writer, in the transaction that completes it, nobody can take down that it
is to be cancelled: who asks waits, and hears that it is over. So the request is also a file in the data directory, for
as long as it waits. The run looks for it and gives up, and the request finds its way into the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection


@contextmanager
def asked_aloud(run_id: str) -> Iterator[None]:
    """Have the run hear of its cancellation even if the database cannot tell it, as long as this lasts."""
    if connection.vendor == "postgresql":  # has many writers, perhaps on many machines
        yield
        return
    request = _request(run_id)
    request.parent.mkdir(parents=True, exist_ok=True)
    request.touch()
    try:
        yield
    finally:
        forget(run_id)


def is_asked_aloud(run_id: str) -> bool:
    """Whether somebody waits for this run to be cancelled."""
    return connection.vendor != "postgresql" and _request(run_id).exists()


def forget(run_id: str) -> None:
    """The run is over; or whoever asked for it has said so in the database."""
    if connection.vendor != "postgresql":
        _request(run_id).unlink(missing_ok=True)


def _request(run_id: str) -> Path:
    return Path(settings.DATA_DIR) / "cancelling" / run_id
