"""Real worker processes on a database of their own: killed, side by side, and told to stop."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

pytestmark = pytest.mark.server

ROWS = 30_000
MATCHED = 27_000
LEASE = 8  # seconds; less, and a busy machine takes a slow worker for a dead one


class Installation:
    """A migrated database of its own, and processes that work on it."""

    def __init__(self, url: str, data_dir: Path, connect) -> None:
        self.env = {
            **os.environ,
            "DATABASE_URL": url,
            "TIEOUT_DATA_DIR": str(data_dir),
            "TIEOUT_RUN_LEASE_SECONDS": str(LEASE),
            "DJANGO_SETTINGS_MODULE": "recon.settings",
        }
        self.connect = connect
        self.workers: list[subprocess.Popen] = []

    def run(self, *arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], env=self.env, cwd=settings.BASE_DIR, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def scene(self, *arguments: object):
        return json.loads(self.run("-m", "tests.runs.scenes", *map(str, arguments)))

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

    def state_is(self, state: str) -> str:
        return f"SELECT count(*) = 1 FROM recon_matchingrun WHERE state = '{state}'"


@pytest.fixture
def installation(tmp_path):
    name = f"worker_{uuid.uuid4().hex[:12]}"
    server = os.environ.get("DATABASE_URL", "") if "postgresql" in settings.DATABASES["default"]["ENGINE"] else ""
    if server:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
        url = server.replace("/postgres?", f"/{name}?")
        made = Installation(url, tmp_path, lambda: psycopg.connect(url, autocommit=True))
    else:
        path = tmp_path / "tieout.sqlite3"
        made = Installation(
            f"sqlite:///{path}", tmp_path, lambda: sqlite3.connect(path, isolation_level=None, timeout=30)
        )
    made.run("manage.py", "migrate", "--verbosity", "0")
    yield made
    for worker in made.workers:
        worker.kill()
        worker.wait()
    if server:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def is_whole(found) -> bool:
    return (
        found["state"] == "completed"
        and found["lines_total"] == found["lines_matched"] + found["lines_unmatched"]
        and found["matches"] == found["confirmed"] == found["lines_matched"]
        and found["match_rows"] == 2 * found["matches"]
    )


def test_a_run_whose_worker_is_killed_is_finished_by_the_next_from_a_clean_state(installation):
    (run_id,) = installation.scene("stage", ROWS, 1)["runs"]
    first = installation.worker()
    installation.wait_for("SELECT count(*) > 0 FROM recon_match")  # results are arriving: nobody may see them yet
    first.send_signal(signal.SIGKILL)
    first.wait()
    found = installation.scene("report", run_id)
    assert (found["state"], found["claims"], found["open_items"]) == ("running", 0, 0)
    second = installation.worker()
    installation.wait_for(installation.state_is("completed"))
    found = installation.scene("report", run_id)
    assert is_whole(found)
    assert (found["attempts"], found["lines_matched"], found["claims"]) == (2, MATCHED, 2 * MATCHED)
    assert found["open_items"] == found["unmatched"] == 2 * (ROWS - MATCHED)
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=10) == 0


def test_two_runs_at_once_never_claim_the_same_row(installation):
    first, second = installation.scene("stage", ROWS, 2)["runs"]
    workers = [installation.worker("--once"), installation.worker("--once")]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    reports = [installation.scene("report", run_id) for run_id in (first, second)]
    assert [is_whole(found) for found in reports] == [True, True], reports
    assert sorted(found["lines_matched"] for found in reports) == [0, MATCHED]
    assert reports[0]["claims"] == 2 * MATCHED


def test_a_cancelled_run_stops_soon_and_leaves_nothing(installation):
    (run_id,) = installation.scene("stage", ROWS, 1)["runs"]
    installation.worker()
    installation.wait_for(installation.state_is("running"))
    installation.execute("UPDATE recon_matchingrun SET cancel_requested = true")
    assert installation.wait_for(installation.state_is("cancelled")) < 10  # two seconds, on a machine that has time
    found = installation.scene("report", run_id)
    assert [found[name] for name in ("matches", "match_rows", "unmatched", "claims", "open_items")] == [0] * 5


def test_a_worker_that_is_told_to_stop_gives_its_run_back(installation):
    (run_id,) = installation.scene("stage", ROWS, 1)["runs"]
    first = installation.worker()
    installation.wait_for(installation.state_is("running"))
    first.send_signal(signal.SIGTERM)
    first.wait(timeout=20)
    found = installation.scene("report", run_id)
    assert found["state"] in {"queued", "completed"}  # completed, if it was done before it heard
    installation.worker()
    installation.wait_for(installation.state_is("completed"))
    assert is_whole(installation.scene("report", run_id))
