"""What a large load leaves for later: indexes that nothing needs before people see its rows.

Whoever loads several tables before anybody looks at them says so (`recon.usecases.bulk.afterwards`) and makes up for
it at the end. Without that a load makes all of them itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from django.db import models


class Left(NamedTuple):
    """A table whose indexes are not complete: the model's own, or one of a large load."""

    model: type[models.Model]
    table: str


_left: ContextVar[dict[Left, None] | None] = ContextVar("tables_left_for_later", default=None)

MOST_INDEXED: Final = 3_000_000
"""Rows that an index made later may have: who writes waits while it is made, a second for a million rows."""


def is_left_for_later() -> bool:
    """Whether somebody makes up for what is left."""
    return _left.get() is not None


def leave(model: type[models.Model], table: str, rows: int = 0) -> bool:
    """Whether the indexes of this table may be left for later, if it has so many rows; if so they are noted."""
    left = _left.get()
    if left is None or rows > MOST_INDEXED:
        return False
    left[Left(model, table)] = None
    return True


@contextmanager
def noted() -> Iterator[dict[Left, None]]:
    """Within this loads may leave indexes for later; gives what they have left, in their order."""
    left: dict[Left, None] = {}
    before = _left.set(left)
    try:
        yield left
    finally:
        _left.reset(before)
