"""The tables that large loads have of their own on PostgreSQL (`recon.usecases.bulk.apart`), and how to find them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from django.db import connection, models

from recon.models import Claim, LedgerEntry, Match, MatchRow, OpenItem, StatementLine, UnmatchedItem
from rules.kept_queries import kept_cursor

RANGE: Final[dict[type[models.Model], tuple[str, ...]]] = {
    LedgerEntry: ("id",),
    StatementLine: ("id",),  # not its statement: a new issue takes lines over
    Match: ("id", "run_number"),
    MatchRow: ("match_id",),
    UnmatchedItem: ("run_number",),
    Claim: ("match_id", "account_id", "row_id"),
    OpenItem: ("id", "account_id", "row_id"),
}
"""The columns that tell the rows of one load from those of all others: first a block of ids or the run's number."""

LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True)
class Apart:
    """A child table, and the first and last value of its range column."""

    name: str
    first: int
    last: int


def tables_apart(model: type[models.Model]) -> list[Apart]:
    """The children of a model's table, by their first key. None on a database that has no such thing."""
    if connection.vendor != "postgresql" or model not in RANGE:
        return []
    with kept_cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass(%s) AND i.inhseqno = 1",
            [model._meta.db_table],
        )
        names = [name for (name,) in cursor.fetchall()]
    found = (re.fullmatch(rf"{model._meta.db_table}_(\d+)_(\d+)", name) for name in names)
    return sorted((Apart(each[0], int(each[1]), int(each[2])) for each in found if each), key=lambda each: each.first)
