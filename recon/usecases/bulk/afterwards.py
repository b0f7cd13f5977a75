"""Indexes that large loads leave out are made after the results can be seen, however it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

from recon.usecases.bulk import apart_indexes, embedded_indexes
from recon.usecases.bulk.later import Left, is_left_for_later, noted

logger = logging.getLogger(__name__)


@contextmanager
def indexes_afterwards() -> Iterator[None]:
    """The indexes that large loads within this leave out are made when it is over, however it ends, not each load's at
    its end. What cannot be made then the worker makes."""
    if is_left_for_later():
        yield
        return
    with noted() as left:
        try:
            yield
        finally:
            tables = list(left)
            left.clear()
            _make_up_for(tables)


def _make_up_for(tables: list[Left]) -> None:
    for each in tables:
        try:
            if connection.vendor == "postgresql":
                apart_indexes.complete_later(each.model, each.table)
            else:
                embedded_indexes.complete_later(each.model)
        except DatabaseError:
            logger.warning("The indexes of %s are made another time", each.table, exc_info=True)


def mend_indexes() -> int:
    """Make what a process that was killed has left for later, unless it is made at the end of this anyway. Returns 0:
    whether there is more to do is seen then."""
    apart_indexes.make_what_is_missing()
    embedded_indexes.mend_indexes()
    return 0
