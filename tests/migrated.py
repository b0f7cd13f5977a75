"""Migrated databases to copy: `migrate` takes seconds, a copy of what it made a moment.

A session of tests makes one of each kind, when somebody first needs it; none is left from an earlier session, so that
none is older than the migrations.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

ROOT = Path(__file__).resolve().parents[1]
PLACE = "TIEOUT_TEST_MIGRATED"
"""Names the directory of the session's migrated databases, to the processes of the session."""


def begin() -> Path | None:
    """Make the session's directory, unless somebody has: ./test, or the process that started this one."""
    if PLACE in os.environ:
        return None
    os.environ[PLACE] = tempfile.mkdtemp(prefix="tieout-migrated-")
    return Path(os.environ[PLACE])


def end(place: Path) -> None:
    if (made := place / "postgresql").exists():
        drop(made.read_text())
    shutil.rmtree(place)


def sqlite() -> Path:
    """The file of a migrated database."""
    made = Path(os.environ[PLACE]) / "tieout.sqlite3"
    with alone(made):
        if not made.exists():
            making = made.with_name(f"{uuid4().hex}.sqlite3")
            migrate(f"sqlite:///{making}")
            making.rename(made)
    return made


def postgresql() -> str:
    """The name of a migrated database on the tests' server, which nobody connects to: it could not be copied then."""
    made = Path(os.environ[PLACE]) / "postgresql"
    with alone(made):
        if not made.exists():
            name = create()
            migrate(address(name))
            made.write_text(name)
    return made.read_text()


def create(template: str = "template1") -> str:
    """Make a database on the tests' server, and give its name."""
    name = f"tieout_{uuid4().hex}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return name


def drop(name: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def address(name: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def migrate(url: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "recon.settings"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def alone(made: Path) -> Iterator[None]:
    """Who comes while another process makes it waits."""
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    postgresql() if os.environ.get("DATABASE_URL") else sqlite()
