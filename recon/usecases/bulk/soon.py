"""Small writes that cannot wait until a large load is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db import OperationalError, connection

Result = TypeVar("Result")

_LOOK_AGAIN: Final = 30  # milliseconds


def soon(write: Callable[[], Result]) -> Result:
    """The result of `write`, which is all or nothing and may be tried several times.

    A load on SQLite lets go of the only writer's place for a hundredth of a second between its transactions. Whether
    it is free SQLite looks after milliseconds at first, later every tenth of a second only, and may miss it for long;
    so this has it begin anew.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return write()
    patience: Any = connection.settings_dict["OPTIONS"].get("timeout", 5)
    until = time.monotonic() + patience
    _have_it_wait(_LOOK_AGAIN)
    try:
        while True:
            try:
                return write()
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
    finally:
        _have_it_wait(int(1000 * patience))


def _have_it_wait(milliseconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")
