"""From what a reader hands back to rows of the database: comparable texts, ids, and a load that is never half seen."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.db import connection, models, transaction

from recon.models import LedgerEntry, LedgerImport, LoadState, MatchingRun, Statement, StatementLine, reserve_ids
from recon.usecases.bulk.embedded_indexes import mend_indexes
from recon.usecases.bulk.rows import Progress, load_rows
from rules.criteria.text import text_keys

KEYED: Final = ("reference", "description", "counterparty")
LEDGER_ONLY: Final = ("destination", "parent_transaction", "status")


_FINAL_WORDS: Final = [
    "APPLIED",
    "BOOKED",
    "CLEARED",
    "COMPLETE",
    "COMPLETED",
    "PAID",
    "POSTED",
    "SETTLED",
    "SUCCEEDED",
]


def keyed(rows: pa.Table) -> pa.Table:
    """The rows with the comparable form of their texts, so that no run has to make it."""
    for name in KEYED:
        rows = rows.append_column(f"{name}_key", text_keys(rows[name]))
    return rows


def line_rows(rows: pa.Table, *, statement_number: int, account_id: int, first_id: int | None = None) -> pa.Table:
    """Keyed rows in the shape of `StatementLine`, with fresh ids in the order of their positions; from `first_id` on,
    if these are reserved already."""
    first_id = reserve_ids(StatementLine, max(rows.num_rows, 1)) if first_id is None else first_id
    rows = rows.drop_columns(["line", *LEDGER_ONLY])
    return _numbered(first_id, rows, statement_number=statement_number, account_id=account_id)


def entry_rows(rows: pa.Table, *, import_number: int, account_id: int | None, created_at: Any) -> pa.Table:
    """Keyed rows in the shape of `LedgerEntry`, with fresh acceptance numbers in the order of the file."""
    status = final_status(rows["status"])
    rows = rows.drop_columns(["line", "position", "status"]).append_column("status", status)
    first_id = reserve_ids(LedgerEntry, max(rows.num_rows, 1))
    rows = _numbered(first_id, rows, import_number=import_number, account_id=account_id)
    created = pa.repeat(pa.scalar(created_at, pa.timestamp("us", tz="UTC")), rows.num_rows)
    return rows.append_column("created_at", created)


def final_status(status: pa.ChunkedArray) -> pa.ChunkedArray:
    """A ledger's own words for an entry that stands become APPLIED; no word stays none; others keep their first twelve
    letters and take part in no run."""
    words = pc.utf8_upper(pc.utf8_trim_whitespace(pc.fill_null(status, "")))
    stands = pc.is_in(words, value_set=pa.array(_FINAL_WORDS))
    return pc.if_else(stands, "APPLIED", pc.utf8_slice_codeunits(words, 0, 12))


def _numbered(first: int, rows: pa.Table, **constants: int | None) -> pa.Table:
    rows = rows.add_column(0, "id", pa.array(np.arange(first, first + rows.num_rows, dtype=np.int64)))
    for name, value in constants.items():
        rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.int64()), rows.num_rows))
    return rows


def load_unseen(
    model: type[models.Model],
    make_rows: Callable[[], pa.Table],
    *,
    announce: Callable[[], None],
    reveal: Callable[[], None],
    progress: Progress | None = None,
) -> None:
    """Load rows that nobody sees until all are there.

    `announce` writes their record as LOADING and `reveal` makes it READY, with its events. In one transaction where
    the database lets others write meanwhile (PostgreSQL); else in many, under a lock that tells the next load whether
    this one is still alive. What a killed load left behind is deleted by the next one.
    """
    if connection.vendor == "postgresql":
        rows = make_rows()  # before the transaction: others that reserve ids need not wait for its end
        load_all_unseen(lambda: load_rows(model, rows, progress=progress), announce=announce, reveal=reveal)
    else:
        load_all_unseen(lambda: load_rows(model, make_rows(), progress=progress), announce=announce, reveal=reveal)


def load_all_unseen(load: Callable[[], Any], *, announce: Callable[[], None], reveal: Callable[[], None]) -> None:
    """As `load_unseen`, with whatever `load` brings in."""
    if connection.vendor == "postgresql" or connection.in_atomic_block:
        with transaction.atomic():
            announce()
            load()
            reveal()
        return
    with only_load():
        with transaction.atomic():
            announce()
        try:
            load()
            with transaction.atomic():
                reveal()
        except BaseException:
            drop_cut_off_loads()
            raise


@contextmanager
def only_load() -> Iterator[None]:
    """The embedded database has one writer; so has this lock, which the system releases when a process dies.

    Whoever holds it knows that every load still marked LOADING was cut off, and takes it away.
    """
    with (settings.DATA_DIR / "loading.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        drop_cut_off_loads()
        yield


def tidy_up_after_loads() -> int:
    """An errand of the worker: take away what a killed load left, without waiting for the next one. Not while a run is
    at work, which may have left indexes out to make them at its end. Returns 0: there is no more to do."""
    if connection.vendor != "postgresql" and not MatchingRun.objects.active().exists():
        with only_load():
            pass
    return 0


def drop_cut_off_loads() -> None:
    """Delete rows and records of loads that will never finish, and make the indexes that they have left out. Call it
    as the only loader (see `only_load`)."""
    for record, rows, column in (
        (Statement, StatementLine, "statement_number"),
        (LedgerImport, LedgerEntry, "import_number"),
    ):
        for number in record._default_manager.filter(state=LoadState.LOADING).values_list("number", flat=True):
            with transaction.atomic():
                rows._default_manager.filter(**{column: number}).delete()
                record._default_manager.filter(number=number).delete()
    mend_indexes()
