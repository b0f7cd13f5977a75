"""Rows that the database holds already, matched once more: from the start of a run until others can see its results.

    DATABASE_URL=… ./run bench --suite rematch --rows 1000000

Two files are stored with a dry run. Then the same statement runs dry again; for real; and, reversed, for real once more,
which also closes the open items that reversing has made of all its rows. Reversing is timed both times: the first time
items are made, the second time they are there. Another connection says when results can be seen; what is done after
that, indexes for the most part, is told beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.end_to_end import ROOT, write_csv
from benchmarks.suites import SUITES


def measure(say: Callable[[str], None], rows: int) -> None:
    """In a process of its own, so that its memory is too."""
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
    with TemporaryDirectory(prefix="tieout-bench-") as folder:
        data = SUITES["d1"](rows)
        write_csv(data.statement, Path(folder) / "statement.csv")
        write_csv(data.ledger, Path(folder) / "ledger.csv")
        (Path(folder) / "rules.json").write_text(json.dumps(list(data.passes[0].rules)))
        command = [sys.executable, "-m", "benchmarks.rematch", folder]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "recon.settings"}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            say(line)


def _twice(folder: Path) -> None:
    from recon.memory import peak_memory
    from recon.models import MatchingRun, RunKind, RunState
    from recon.usecases.events import Actor
    from recon.usecases.runs.execution import execute_run
    from recon.usecases.runs.reconcile_files import Job, reconcile_files
    from recon.usecases.runs.starting import start_run
    from recon.usecases.runs.undo import reverse_run

    by = Actor.command()
    job = Job(
        statement=folder / "statement.csv", ledger=folder / "ledger.csv", rules=(folder / "rules.json").read_text(),
        is_dry_run=True,
    )  # fmt: skip
    done = reconcile_files(by, job)
    print(f"files to results of a dry run: {sum(done.seconds.values()):.2f} s ({_stages(done.seconds)})", flush=True)
    first, statement = done.run, done.statement
    versions = [used.version for used in first.run_rules.select_related("version").order_by("position")]

    def run(what: str, *, is_dry_run: bool) -> MatchingRun:
        started = time.monotonic()
        made = start_run(by, first.account, statement, versions, kind=RunKind.BATCH, is_dry_run=is_dry_run)
        with _watched(made.pk, *RunState.active()) as seen:
            execute_run(made.run_id)
        seconds, whole = seen[0] - started, time.monotonic() - started
        again = MatchingRun.objects.get(pk=made.pk)
        if again.state != RunState.COMPLETED or again.lines_matched != first.lines_matched:
            raise RuntimeError(f"{again.state} {again.error}: {again.lines_matched} of {first.lines_matched} matched")
        print(f"{what}: {seconds:.2f} s ({_stages(again.timings)}), {whole:.2f} s with what follows", flush=True)
        return again

    def reverse(completed: MatchingRun) -> None:
        started = time.monotonic()
        with _watched(completed.pk, RunState.COMPLETED) as seen:
            reverse_run(by, completed)
        whole = time.monotonic() - started
        print(f"reversed: {seen[0] - started:.2f} s, {whole:.2f} s with what follows", flush=True)

    run("resident rows, dry", is_dry_run=True)
    real = run("resident rows, for real", is_dry_run=False)
    reverse(real)
    reverse(run("resident rows, for real after a reversal", is_dry_run=False))
    print(f"peak {peak_memory() / 2**20:.0f} MiB")


@contextmanager
def _watched(pk: str, *states: str) -> Iterator[list[float]]:
    """What another connection sees while the block is at work: when a run is no more in one of these states."""
    from django.db import connection

    from recon.models import MatchingRun

    seen: list[float] = []

    def watch() -> None:
        while MatchingRun.objects.filter(pk=pk, state__in=states).exists():
            time.sleep(0.02)
        seen.append(time.monotonic())
        connection.close()

    watching = threading.Thread(target=watch)
    watching.start()
    yield seen
    watching.join()


def _stages(seconds: dict[str, float]) -> str:
    return ", ".join(f"{stage} {taken:.2f}" for stage, taken in seconds.items())


if __name__ == "__main__":
    import django

    django.setup()
    _twice(Path(sys.argv[1]))
