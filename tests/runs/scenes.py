"""What tests of worker processes do inside the installation under test; run as ``python -m tests.runs.scenes``."""

from __future__ import annotations

import json
import sys

import django

django.setup()

import pyarrow as pa  # noqa: E402  Django has to be set up before its models are imported

from recon.models import (  # noqa: E402
    Account,
    LedgerEntry,
    LoadState,
    MatchingRun,
    RunKind,
    Statement,
    StatementLine,
    reserve_ids,
)
from recon.usecases.bulk.rows import load_rows  # noqa: E402
from recon.usecases.events import Actor  # noqa: E402
from recon.usecases.runs.starting import cancel_run, start_run  # noqa: E402
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, make_rule  # noqa: E402


def stage(rows: int, runs: int) -> list[str]:
    """An account with `rows` lines, all but the last tenth with their entry, and the ids of `runs` queued runs."""
    account = Account.objects.create(name=f"Big bank {reserve_ids(Account, 1)}", scope={"owned": True})
    statement = Statement.objects.create(
        number=reserve_ids(Statement, 1),
        account=account,
        name="big.csv",
        sha256="0" * 64,
        format="csv",
        state=LoadState.READY,
        record_count=rows,
    )
    of_statement = {"statement_number": pa.repeat(statement.number, rows), "position": pa.array(range(1, rows + 1))}
    load_rows(StatementLine, pa.table({**columns(StatementLine, account, rows, "R"), **of_statement}))
    created = pa.repeat(pa.scalar(statement.created_at, pa.timestamp("us", tz="UTC")), rows)
    of_ledger = {"status": pa.repeat("APPLIED", rows), "created_at": created}
    load_rows(LedgerEntry, pa.table({**columns(LedgerEntry, account, rows, "L"), **of_ledger}))
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    by = Actor.command()
    return [
        start_run(by, account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False).run_id for _ in range(runs)
    ]


def columns(model, account: Account, rows: int, last_tenth: str) -> dict[str, pa.Array]:
    first = reserve_ids(model, rows)
    references = [f"r{number}" if number < rows * 0.9 else f"{last_tenth}{number}".lower() for number in range(rows)]
    return {
        "id": pa.array(range(first, first + rows)),
        "account_id": pa.repeat(account.pk, rows),
        "units": pa.array(range(100, 100 + rows)),
        "scale": pa.repeat(pa.scalar(2, pa.int16()), rows),
        "currency": pa.repeat("EUR", rows),
        "booking_date": pa.repeat(pa.scalar(20000, pa.int32()).cast(pa.date32()), rows),
        "reference": pa.array(references),
        "reference_key": pa.array(references),
    }


if __name__ == "__main__":
    if sys.argv[1] == "cancel":
        cancel_run(Actor.command(), MatchingRun.objects.get(run_id=sys.argv[2]))
    else:
        print(json.dumps(stage(*map(int, sys.argv[1:]))))  # noqa: T201  the answer to the test
