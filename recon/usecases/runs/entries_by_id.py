"""Open ledger entries whose ids are known, for runs so small that writing the query would take longer than it does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from recon.models import Account, Side
from recon.usecases.accounts.scope import entries_in_scope, open_query, unfinished_imports, with_open_parts
from recon.usecases.bulk.rows import listed, read_rows

LISTED: Final = {"postgresql": "SELECT unnest(%s::bigint[])", "sqlite": "SELECT value FROM json_each(%s)"}
"""Ids, given as `listed` does."""

_ONE_OF: Final = {
    # An array of unknown length: the planner takes the index, where it would go through a table of some thousands.
    "postgresql": '"recon_ledgerentry"."id" = ANY(ARRAY(SELECT unnest(%s::bigint[])))',
    "sqlite": '"recon_ledgerentry"."id" IN (SELECT value FROM json_each(%s))',
}

_IDS: Final = object()
"""Stands for the ids in a query's parameters."""


def open_entries_by_id(account: Account, ids: Sequence[int], columns: tuple[str, ...]) -> pa.Table:
    """What `open_rows` gives for the entries in the account's scope that have one of these ids; few of them."""
    unfinished = tuple(sorted(unfinished_imports()))
    scope = json.dumps(account.scope, sort_keys=True)
    sql, params, schema = _query(connection.vendor, account, scope, account.cut_over, unfinished, columns)
    filled = [listed(ids) if each is _IDS else each for each in params]
    whole = read_rows(sql, filled, schema, kept=True)
    return with_open_parts(account, Side.LEDGER, lambda: entries_in_scope(account, unfinished), columns, whole)


@lru_cache(maxsize=64)
def _query(
    vendor: str,
    account: Account,
    scope: str,
    cut_over: date | None,
    unfinished: tuple[int, ...],
    columns: tuple[str, ...],
) -> tuple[str, tuple[Any, ...], pa.Schema]:
    """The SQL and its parameters, with `_IDS` among them. All that they depend on is an argument."""
    chosen = RawSQL(_ONE_OF[vendor], [_IDS], BooleanField())  # noqa: S611 - our own text
    return open_query(account, Side.LEDGER, entries_in_scope(account, unfinished).filter(chosen), columns)
