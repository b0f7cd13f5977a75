"""Small runs against a large ledger: from the start of a run to its results stored, against ten million open entries.

    DATABASE_URL=postgresql://… ./run bench --suite ledger10m

An empty database gets its ledger first, a million entries at a time by the way that imports take (a few minutes); one
that has it is used again. Each measurement is a process of its own: its first run opens connections, reads what is not
in memory yet and imports what it needs; the runs after it are warm. How cold the machine's disk cache is it cannot tell.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
ENTRIES: Final = 10_000_000
LOAD: Final = 1_000_000
NAME: Final = "Ten million"
EPOCH: Final = dt.date(2026, 1, 1)
RULE: Final = (
    '{"name": "Reference and amount", "criteria": [{"field": "reference", "operator": "eq"},'
    ' {"field": "amount", "operator": "eq", "allowable_drift": "0.01"}]}'
)


def measure(say: Callable[[str], None], entries: int = ENTRIES) -> None:
    """Load the ledger if it is not there, then run 10 and 10,000 lines, three times each in a process of its own."""
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
    for what in (("load", entries), ("run", 10), ("run", 10_000)):
        command = [sys.executable, "-m", "benchmarks.ledger10m", what[0], str(what[1])]
        done = subprocess.run(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            say(line)


def _environment() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "recon.settings"}


def load(entries: int) -> None:
    """Bring the ledger to so many entries, and say how long that took."""
    from django.db import transaction

    from recon.models import Account, LedgerEntry, LedgerImport, LoadState, reserve_ids
    from recon.usecases.bulk.rows import load_rows

    account, _ = Account.objects.get_or_create(name=NAME, defaults={"scope": {"owned": True}})
    before = sum(LedgerImport.objects.filter(account=account).values_list("record_count", flat=True))
    started = time.monotonic()
    for first in range(before, entries, LOAD):
        count = min(LOAD, entries - first)
        imported = LedgerImport(
            number=reserve_ids(LedgerImport, 1), account=account, name="ledger.csv", sha256="0" * 64, format="csv",
            record_count=count, state=LoadState.READY,
        )  # fmt: skip
        ids = reserve_ids(LedgerEntry, count)
        table = _entries(first, count, ids, imported.number, account.pk)
        with transaction.atomic():
            imported.save(force_insert=True)
            load_rows(LedgerEntry, table)
    print(f"{entries:,} entries: {before:,} were there, the others took {time.monotonic() - started:.0f} s")


def _entries(first: int, count: int, ids: int, imported: int, account: int) -> Any:
    """Entries with references of their own, and ten to an amount."""
    import duckdb

    with duckdb.connect() as con:
        return con.execute(
            f"""SELECT {ids} + i - {first} AS id, 100 + (i * 7919) % 999900 AS units, 2::SMALLINT AS scale,
                'EUR' AS currency, DATE '{EPOCH}' + ((i * 31) % 90)::INT AS booking_date, 'E' || i AS external_id,
                printf('PAY%08X', (i * 2654435761 + 12345) % 4294967296) AS reference,
                printf('pay%08x', (i * 2654435761 + 12345) % 4294967296) AS reference_key,
                'Order ' || i AS description, 'order ' || i AS description_key, 'APPLIED' AS status,
                {imported}::BIGINT AS import_number, {account}::BIGINT AS account_id,
                TIMESTAMPTZ '2026-01-01 00:00:00+00' AS created_at
                FROM range({first}, {first + count}) r(i)"""
        ).to_arrow_table()


def run(lines: int) -> None:
    """Reconcile so many lines three times, and say how long the first run took and the others."""
    import django

    django.setup()
    from recon.models import Account, LedgerImport, RunKind
    from recon.usecases.events import Actor
    from recon.usecases.imports.importing import import_statement
    from recon.usecases.runs.starting import start_run
    from recon.usecases.runs.undo import reverse_run
    from rules.authoring import import_rules

    account, by = Account.objects.get(name=NAME), Actor.command()
    entries = sum(LedgerImport.objects.filter(account=account).values_list("record_count", flat=True))
    version = import_rules(by, RULE)[0].current
    seconds, stages = [], []
    for turn in range(3):
        file = _statement(lines, entries, seed=time.time_ns() % 1_000_000_007 + turn)
        statement = import_statement(by, account, file, "lines.csv", repeats="import")
        started = time.monotonic()
        made = start_run(by, account, statement, [version], kind=RunKind.INSTANT, is_dry_run=False)
        seconds.append(time.monotonic() - started)
        stages.append(made.timings)
        if made.state != "completed" or made.lines_matched < 0.9 * lines:
            raise RuntimeError(f"{made.state} {made.error}: {made.lines_matched} lines matched")
        said = made.explanation["rows"]
        reverse_run(by, made)
    print(
        f"{lines:,} lines against {entries:,} entries: first {seconds[0]:.3f} s, then {statistics.mean(seconds[1:]):.3f} s"
    )
    print(f"    {said}; first {stages[0]}, last {stages[-1]}")


def _statement(lines: int, entries: int, seed: int) -> bytes:
    """Lines of entries all over the ledger; every twentieth has a reference that no entry has."""
    rows = ["id,amount,date,currency,reference"]
    for number in range(lines):
        i = (seed + number * 611_953) % entries
        units, day = 100 + (i * 7919) % 999900, EPOCH + dt.timedelta(days=(i * 31) % 90)
        code = "NONE" if number % 20 == 7 else "PAY"
        rows.append(
            f"L{number},{units // 100}.{units % 100:02},{day},EUR,{code}{(i * 2654435761 + 12345) % 4294967296:08X}"
        )
    return "\n".join(rows).encode()


if __name__ == "__main__":
    import django

    django.setup()
    {"load": load, "run": run}[sys.argv[1]](int(sys.argv[2]))
