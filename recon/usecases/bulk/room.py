"""Memory for queries that join millions of rows: PostgreSQL would write what exceeds 4 MB to disk first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection, transaction

ROOM: Final = "64MB"
"""For each table that a query holds in memory, at most."""


@contextmanager
def with_room() -> Iterator[None]:
    """Within this queries have it."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL work_mem = '{ROOM}'")
        yield
        cursor.execute("SET LOCAL work_mem = DEFAULT")
