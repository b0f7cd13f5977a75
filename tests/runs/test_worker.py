"""Real worker processes on a database of their own: killed, side by side, cancelled."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from django.conf import settings

from tests.sites import drop_databases, environment

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROWS = 20_000
MATCHED = 18_000
LEASE = 8  # seconds; less, and a busy machine takes a slow worker for a dead one


REPORTED = (
    "state", "attempts", "lines_total", "lines_matched", "lines_unmatched", "matches", "confirmed", "match_rows",
    "unmatched", "claims", "open_items",
)  # fmt: skip
REPORT = """
    SELECT run.state, attempts, lines_total, lines_matched, lines_unmatched,
        (SELECT count(*) FROM recon_match WHERE run_number = run.number),
        (SELECT count(*) FROM recon_match WHERE run_number = run.number AND state = 'confirmed'),
        (SELECT count(*) FROM recon_matchrow WHERE match_id IN
            (SELECT id FROM recon_match WHERE run_number = run.number)),
        (SELECT count(*) FROM recon_unmatcheditem WHERE run_number = run.number),
        (SELECT count(*) FROM recon_claim WHERE account_id = run.account_id),
        (SELECT count(*) FROM recon_openitem WHERE account_id = run.account_id AND state <> 'resolved')
    FROM recon_matchingrun AS run WHERE run_id = '{}'
"""


NOTHING = dict.fromkeys(("matches", "match_rows", "unmatched", "claims", "open_items"), 0)


class Step(NamedTuple):
    """One statement in the words of either database."""

    sqlite: str
    postgres: str


CANCEL = "UPDATE recon_matchingrun SET cancel_requested = true WHERE number = new.run_number AND NOT cancel_requested"
TO_CANCEL = Step(CANCEL, CANCEL)
FOREVER = ", ".join(f"recon_ledgerentry AS {name}" for name in "abcd")
TO_HANG = Step(
    f"SELECT count(*) FROM {FOREVER} WHERE a.id + b.id = c.id + d.id",
    "PERFORM pg_sleep(600)",
)


class Installation:
    """A migrated database of its own, and processes that work on it."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = {**env, "TIEOUT_RUN_LEASE_SECONDS": str(LEASE)}
        self.workers: list[subprocess.Popen] = []

    @property
    def is_postgres(self) -> bool:
        return "DATABASE_URL" in self.env

    def connect(self):
        if self.is_postgres:
            return psycopg.connect(self.env["DATABASE_URL"], autocommit=True)
        path = Path(self.env["TIEOUT_DATA_DIR"]) / "tieout.sqlite3"
        return sqlite3.connect(path, isolation_level=None, timeout=30)

    def run(self, *arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], env=self.env, cwd=settings.BASE_DIR, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def stage(self, runs: int) -> list[str]:
        return json.loads(self.run("-m", "tests.runs.scenes", str(ROWS), str(runs)))

    def report(self, run_id: str) -> dict[str, Any]:
        """The state of a run, and how many rows of results there are."""
        with self.connect() as own:
            found = own.execute(REPORT.format(run_id)).fetchone()
        return dict(zip(REPORTED, found, strict=True))

    def worker(self, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "manage.py", "worker", *arguments]
        started = subprocess.Popen(command, env=self.env, cwd=settings.BASE_DIR, stderr=subprocess.DEVNULL)
        self.workers.append(started)
        return started

    def value(self, sql: str):
        """One value, read on a connection of our own."""
        with self.connect() as own:
            return own.execute(sql).fetchone()[0]

    def execute(self, sql: str) -> None:
        with self.connect() as own:
            own.execute(sql)

    def wait_for(self, sql: str, seconds: float = 60) -> float:
        """Wait until a query gives something true; returns the seconds it took."""
        began = time.monotonic()
        while not self.value(sql):
            assert time.monotonic() - began < seconds, f"waited {seconds} s for {sql}"
            time.sleep(0.01)
        return time.monotonic() - began

    def always(self, event: str, condition: str, step: Step) -> None:
        """Have the database itself take a step with each row of an event, until `no_longer` is called."""
        when = f"CREATE TRIGGER always AFTER {event} FOR EACH ROW WHEN ({condition})"
        if self.is_postgres:
            self.execute(
                f"CREATE OR REPLACE FUNCTION always() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN {step.postgres}; RETURN NULL; END $$"
            )
        self.execute(f"{when} EXECUTE FUNCTION always()" if self.is_postgres else f"{when} BEGIN {step.sqlite}; END")
        self.kept_on = event.split(" ON ")[1]

    def no_longer(self) -> None:
        """Undo `always`; a connection whose process was killed in its midst is ended."""
        if self.is_postgres:
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            self.execute(f"DROP TRIGGER IF EXISTS always ON {self.kept_on}")
        else:
            self.execute("DROP TRIGGER IF EXISTS always")

    def is_in(self, run_id: str, state: str) -> str:
        return f"SELECT state = '{state}' FROM recon_matchingrun WHERE run_id = '{run_id}'"

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    databases: list[str] = []
    yield Installation(environment(tmp_path_factory.mktemp("installation"), databases))
    drop_databases(databases)


@pytest.fixture
def installation(database):
    yield database
    database.stop_workers()


def is_whole(found) -> bool:
    return (
        found["state"] == "completed"
        and found["lines_total"] == found["lines_matched"] + found["lines_unmatched"]
        and found["matches"] == found["confirmed"] == found["lines_matched"]
        and found["match_rows"] == 2 * found["matches"]
    )


def test_a_run_whose_worker_is_killed_is_finished_by_the_next_from_a_clean_state(installation):
    (run_id,) = installation.stage(1)
    number = installation.value(f"SELECT number FROM recon_matchingrun WHERE run_id = '{run_id}'")
    installation.always("UPDATE ON recon_matchingrun", "new.state = 'completed'", TO_HANG)
    first = installation.worker()
    # Results are arriving; nobody may see them yet. However long it takes us to look, the run does not get further.
    installation.wait_for(f"SELECT count(*) > 0 FROM recon_match WHERE run_number = {number}")
    first.send_signal(signal.SIGKILL)
    first.wait()
    installation.no_longer()
    found = installation.report(run_id)
    assert (found["state"], found["claims"], found["open_items"]) == ("running", 0, 0)
    second = installation.worker()
    installation.wait_for(installation.is_in(run_id, "completed"))
    found = installation.report(run_id)
    assert is_whole(found)
    assert (found["attempts"], found["lines_matched"], found["claims"]) == (2, MATCHED, 2 * MATCHED)
    assert found["open_items"] == found["unmatched"] == 2 * (ROWS - MATCHED)
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=10) == 0


def test_a_worker_that_was_frozen_for_longer_than_its_lease_adds_nothing_to_what_the_next_has_done(installation):
    (run_id,) = installation.stage(1)
    frozen = installation.worker("--once")
    installation.wait_for(installation.is_in(run_id, "running"))
    frozen.send_signal(signal.SIGSTOP)
    assert installation.report(run_id)["attempts"] == 1
    installation.worker()
    installation.wait_for(installation.is_in(run_id, "completed"))
    done = installation.report(run_id)
    assert is_whole(done)
    assert (done["attempts"], done["claims"]) == (2, 2 * MATCHED)
    frozen.send_signal(signal.SIGCONT)
    frozen.wait(timeout=60)
    assert installation.report(run_id) == done
    installation.run("manage.py", "check_integrity")


def test_two_runs_at_once_never_claim_the_same_row(installation):
    first, second = installation.stage(2)
    workers = [installation.worker("--once"), installation.worker("--once")]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    reports = [installation.report(run_id) for run_id in (first, second)]
    assert [is_whole(found) for found in reports] == [True, True], reports
    assert sorted(found["lines_matched"] for found in reports) == [0, MATCHED]
    assert reports[0]["claims"] == 2 * MATCHED


def test_a_cancelled_run_stops_soon_and_leaves_nothing(installation):
    (run_id,) = installation.stage(1)
    installation.worker()
    installation.wait_for(installation.is_in(run_id, "running"))
    installation.execute(f"UPDATE recon_matchingrun SET cancel_requested = true WHERE run_id = '{run_id}'")
    assert installation.wait_for(installation.is_in(run_id, "cancelled")) < 10
    installation.wait_for(f"SELECT stored_from IS NULL FROM recon_matchingrun WHERE run_id = '{run_id}'")
    assert installation.report(run_id).items() >= NOTHING.items()


def test_a_run_that_has_the_database_to_itself_is_cancelled_soon_and_leaves_nothing(installation):
    (run_id,) = installation.stage(1)
    number = installation.value(f"SELECT number FROM recon_matchingrun WHERE run_id = '{run_id}'")
    installation.always("INSERT ON recon_openitem", "true", TO_HANG)  # in the transaction that would complete the run
    installation.worker()
    installation.wait_for(
        f"SELECT count(*) = {2 * (ROWS - MATCHED)} FROM recon_unmatcheditem WHERE run_number = {number}"
    )
    time.sleep(1)
    installation.run("-m", "tests.runs.scenes", "cancel", run_id)
    assert installation.wait_for(installation.is_in(run_id, "cancelled")) < 10
    installation.wait_for(f"SELECT stored_from IS NULL FROM recon_matchingrun WHERE run_id = '{run_id}'")
    installation.no_longer()
    assert installation.report(run_id).items() >= NOTHING.items()


def test_what_a_cancelled_run_stored_is_removed_by_the_next_worker_if_its_own_is_killed(installation):
    (run_id,) = installation.stage(1)
    installation.always("INSERT ON recon_match", "true", TO_CANCEL)
    first = installation.worker()
    installation.wait_for(
        f"SELECT state NOT IN ('queued', 'running') FROM recon_matchingrun WHERE run_id = '{run_id}'"
    )
    first.send_signal(signal.SIGKILL)
    first.wait()
    installation.no_longer()
    assert installation.report(run_id)["state"] == "cancelled"
    assert installation.worker("--once").wait(timeout=60) == 0
    assert installation.report(run_id).items() >= NOTHING.items()
