"""Real servers for tests: a data directory and a database of their own, granian, a worker."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests import migrated

ROOT = migrated.ROOT
PRODUCT = "recon.wsgi:application"


def environment(data: Path, databases: list[str], *, empty: bool = False) -> dict[str, str]:
    """A data directory of its own, and a migrated database of its own, or an `empty` one."""
    env = os.environ | {
        "TIEOUT_DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "recon.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "as_installed")]),
    }
    if env.pop("DATABASE_URL", ""):
        databases.append(migrated.create() if empty else migrated.create(migrated.postgresql()))
        env["DATABASE_URL"] = migrated.address(databases[-1])
    elif not empty:
        shutil.copy(migrated.sqlite(), data)
    return env


def drop_databases(databases: list[str]) -> None:
    for name in databases:
        migrated.drop(name)


def web_command(port: int, application: str = PRODUCT) -> list[str]:
    options = ["--interface", "wsgi", "--port", str(port), "--blocking-threads", "8"]
    return [sys.executable, "-m", "granian", *options, application]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server did not start")


class Site:
    """A served installation, with a key that may do everything."""

    def __init__(self, env: dict[str, str], key: str, application: str) -> None:
        self.env, self.key, self.application = env, key, application
        self.data = Path(env["TIEOUT_DATA_DIR"])
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str]) -> None:
        self.processes.append(subprocess.Popen(command, cwd=ROOT, env=self.env, stderr=subprocess.DEVNULL))

    def start_web(self) -> None:
        self.start(web_command(self.port, self.application))
        wait_for(self.port)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer. Raises OSError if the server breaks off."""
        request = urllib.request.Request(
            f"{self.address}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Blnk-Key": self.key, "Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refused:
            return refused.code, json.load(refused)


def manage(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def served(data: Path, *prepare: str, application: str = PRODUCT, worker: bool = True) -> Iterator[Site]:
    """Serve a fresh installation after the management commands `prepare`."""
    databases: list[str] = []
    env = environment(data, databases)
    for command in prepare:
        manage(env, command)
    key = manage(env, "create_api_key", "--name", "program", "--scopes", "admin").splitlines()[-1]
    site = Site(env, key, application)
    try:
        if worker:
            site.start([sys.executable, "manage.py", "worker"])
        site.start_web()
        yield site
    finally:
        site.stop()
        drop_databases(databases)
