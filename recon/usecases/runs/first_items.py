"""Open items of an account's first large run: nothing of the account's is in their way yet, and what they copy of
their rows is in memory. So they are loaded beside the run's other results, where others are opened by a query at the
end (`recon.usecases.review.open_items`), for which the rows are looked up one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from recon.models import Account, Claim, Event, MatchingRun, MatchState, OpenItem, RowPart, Side, reserve_ids
from recon.usecases.bulk.apart import drop_apart, join_apart
from recon.usecases.bulk.rows import Progress, load_rows
from recon.usecases.review.open_items import sides_reported
from recon.usecases.runs.input import RunInput
from recon.usecases.runs.totals import places

MANY: Final = 10_000
"""Items from which it pays to see whether they may be loaded."""

_KEY: Final = ["side", "id", "part"]


def first_items(run: MatchingRun, rows: RunInput, placed: pa.Table, unmatched: pa.Table) -> pa.Table | None:
    """What the run leaves open as open items, sorted by their rows, with ids of their own; None if they are few, or
    must be found by the query.

    `placed`: the rows of matches with their match's ``state``; `unmatched`: what the run reports as such.
    """
    if run.is_dry_run or placed.num_rows + unmatched.num_rows < MANY:
        return None
    left = _left(run.account, placed, unmatched)
    if left.num_rows < MANY or not _has_none(run.account):
        return None
    own = {Side.STATEMENT: rows.statement, Side.LEDGER: rows.ledger}
    items = pa.concat_tables([_items(left.filter(pc.equal(left["side"], int(side))), own[side]) for side in Side])
    first = reserve_ids(OpenItem, items.num_rows)
    constants = {
        "id": pa.array(np.arange(first, first + items.num_rows)),
        "account_id": pa.repeat(run.account_id, items.num_rows),
        "run_number": pa.repeat(run.number, items.num_rows),
        "opened_at": pa.repeat(pa.scalar(timezone.now(), pa.timestamp("us", tz="UTC")), items.num_rows),
    }
    return pa.table({**constants, **{name: items[name] for name in items.column_names}})


def load_first_items(items: pa.Table | None, progress: Progress) -> Sequence[str] | None:
    """None if they are not loaded, because there are none or somebody has opened one of them. Many wait in a table of
    their own, whose name this returns, and are nobody's items yet. To be called in the transaction that completes the
    run."""
    if items is None:
        return None
    waiting: list[str] = []
    try:
        with transaction.atomic():
            load_rows(OpenItem, items, progress=progress, join=lambda _, name: waiting.append(name))
    except DatabaseError:  # whatever it is, the query meets it too, or knows what to do
        if connection.needs_rollback:
            raise
        return None
    return waiting


def join_first_items(waiting: Sequence[str] | None) -> bool:
    """Whether what `load_first_items` has loaded are open items now. From here on nobody else opens items of the
    account before the transaction is over, so this comes late: after its claims have joined, as everybody else claims
    rows first and opens items then, and who does it the other way round and they would wait for each other."""
    if waiting is None:
        return False
    try:
        with transaction.atomic():
            for name in waiting:
                join_apart(OpenItem, name)
    except IntegrityError:  # somebody has opened one of them
        with connection.cursor() as cursor:
            for name in waiting:
                cursor.execute(f"DROP TABLE {name}")
        return False
    return True


def are_still_first(run: MatchingRun, items: pa.Table, match_ids: tuple[int, int]) -> bool:
    """Whether all that was loaded is open still, and as it was read: nobody else has claimed or opened anything in the
    account, or done anything to what it reads. Deletes the items if not.
    """
    loaded = items["id"][0].as_py(), items["id"][-1].as_py()
    of_account = OpenItem.objects.filter(account_id=run.account_id)
    events = Event.objects.filter(Q(account_id=run.account_id) | Q(account_id=None))
    latest = events.exclude(kind="run", object_id=run.pk).order_by("-pk").values_list("at", flat=True).first()
    if (
        not Claim.objects.filter(account_id=run.account_id).exclude(match_id__range=match_ids).exists()
        and not of_account.exclude(pk__range=loaded).exists()
        and (latest is None or (run.started_at is not None and latest < run.started_at))
    ):
        return True
    drop_apart(OpenItem, *loaded)
    of_account.filter(pk__range=loaded).delete()
    return False


def _has_none(account: Account) -> bool:
    """No open items, no parts of rows, and no balances from which an entry's amount is seen otherwise than stored."""
    if (account.scope or {}).get("balances"):
        return False
    of_account = {"account_id": account.pk}
    return not (OpenItem.objects.filter(**of_account).exists() or RowPart.objects.filter(**of_account).exists())


def _left(account: Account, placed: pa.Table, unmatched: pa.Table) -> pa.Table:
    """Row parts with the reason why they are open, each once, in the order of their keys."""
    suggested = placed.filter(pc.equal(placed["state"], MatchState.SUGGESTED.value)).select(_KEY)
    suggested = suggested.append_column("reason", pa.repeat("suggested", suggested.num_rows))
    every = unmatched.select([*_KEY, "reason"])
    left = pa.concat_tables([every, suggested.cast(every.schema)])
    left = left.filter(pc.is_in(left["side"], pa.array([int(side) for side in sides_reported(account)], pa.int8())))
    if suggested.num_rows:
        left = left.group_by(_KEY).aggregate([("reason", "min")]).rename_columns([*_KEY, "reason"])
    return left.sort_by([(name, "ascending") for name in _KEY])


def _items(left: pa.Table, rows: pa.Table) -> pa.Table:
    found = rows.select(["units", "scale", "currency", "booking_date"]).take(places(left["id"], rows["id"]))
    return pa.table(
        {
            "side": left["side"],
            "row_id": left["id"],
            "part": left["part"],
            "reason": left["reason"],
            "units": found["units"],
            "scale": found["scale"],
            "currency": found["currency"],
            "row_date": found["booking_date"],
        }
    )
