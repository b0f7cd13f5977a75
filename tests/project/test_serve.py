"""The supervisor with real processes: both children run, a dead one comes back, a signal stops everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import psutil
import pytest

from tests.sites import ROOT, drop_databases, environment, free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]


def wait_for(what, seconds: float = 120.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come about within {seconds} s")


def status(port: int) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=5) as response:
            return response.status
    except OSError:
        return None


@pytest.fixture
def served(tmp_path):
    """A served product on a migrated database of its own; yields its process and port."""
    databases: list[str] = []
    with serving(environment(tmp_path, databases)) as process_and_port:
        yield process_and_port
    drop_databases(databases)


@pytest.fixture
def served_from_nothing(tmp_path):
    """The same, on a database without a table."""
    databases: list[str] = []
    with serving(environment(tmp_path, databases, empty=True)) as process_and_port:
        yield process_and_port
    drop_databases(databases)


@contextmanager
def serving(env: dict[str, str]):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--no-demo", "--port", str(port)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: status(port) == 200)
        yield process, port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def child(process: subprocess.Popen[str], word: str) -> psutil.Process | None:
    for candidate in psutil.Process(process.pid).children():
        try:
            if word in " ".join(candidate.cmdline()):
                return candidate
        except psutil.NoSuchProcess:  # it ended while we looked, or is dead and not yet reaped
            continue
    return None


@pytest.mark.parametrize("word", ["granian", "worker"])
def test_a_killed_child_is_started_again(served, word):
    process, port = served
    first = wait_for(lambda: child(process, word))
    for part in [*first.children(recursive=True), first]:
        part.kill()
    wait_for(lambda: (again := child(process, word)) and again.pid != first.pid)
    assert wait_for(lambda: status(port) == 200)


def test_what_a_killed_web_server_leaves_behind_is_ended(served):
    """Its workers would go on answering beside those of the one that is started in its place."""
    process, port = served
    first = wait_for(lambda: child(process, "granian"))
    workers = wait_for(lambda: first.children(recursive=True))
    first.kill()
    wait_for(lambda: (again := child(process, "granian")) and again.pid != first.pid)
    wait_for(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers))
    assert wait_for(lambda: status(port) == 200)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_cleanly(served_from_nothing, number):
    process, port = served_from_nothing
    wait_for(lambda: child(process, "worker"))
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert f"http://localhost:{port}/" in out
    assert not [member for member in family if member.is_running() and member.status() != psutil.STATUS_ZOMBIE]


def test_a_taken_port_is_said_in_one_line(served, tmp_path):
    _, port = served
    result = subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TIEOUT_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
