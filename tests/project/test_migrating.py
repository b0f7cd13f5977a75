"""Two commands at once on an empty database: one migrates, the other waits for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sites import ROOT, drop_databases, environment

pytestmark = [pytest.mark.database, pytest.mark.server, pytest.mark.slow]

FIRST = """
import django; django.setup()
from django.core.management import call_command
from recon.migrating import alone
with alone():
    print("begun", flush=True)
    input()
    call_command("migrate", verbosity=0)
"""
SECOND = """
import django; django.setup()
from recon.migrating import migrate_if_needed, migrations_missing
migrate_if_needed()
print(migrations_missing())
"""


def test_the_second_of_two_commands_on_an_empty_database_says_that_it_waits_and_finds_it_migrated(tmp_path):
    databases: list[str] = []
    env = environment(tmp_path, databases, empty=True)
    with started(FIRST, env) as first:
        assert first.stdout
        assert first.stdout.readline() == "begun\n"
        with started(SECOND, env) as second:
            assert second.stderr
            assert "waiting" in second.stderr.readline()
            out, err = first.communicate("\n", timeout=60)
            assert (first.returncode, err) == (0, "")
            out, err = second.communicate(timeout=60)
            assert (second.returncode, out, err) == (0, "False\n", "")
    drop_databases(databases)


def started(code: str, env: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
