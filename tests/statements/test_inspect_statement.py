"""The command that shows how files are read: one line of JSON per file, no database."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = "tests/data/statements/mt940/zilverline__mt940__triodos_iban.txt"


def inspect(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "inspect_statement", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_file_is_printed_without_a_database_and_one_that_cannot_be_read_fails_the_command(tmp_path):
    broken = tmp_path / "broken.xml"
    broken.write_text("<?xml version='1.0'?><invoice/>")
    done = inspect("--json", SAMPLE, str(broken), "missing.sta")
    assert done.returncode == 1, done.stderr
    good, bad, missing = map(json.loads, done.stdout.splitlines())
    assert (good["file"], good["format"]) == (SAMPLE, "mt940")
    assert good["statements"][0]["opening"] == "0.00"
    assert good["statements"][0]["balance_check"] == "ok"
    assert (bad["file"], bad["statements"]) == (str(broken), [])
    assert "not a bank statement" in bad["errors"][0]["message"]
    assert missing["errors"][0]["message"].startswith("The file cannot be opened")


def test_without_json_it_speaks_in_words():
    done = inspect(SAMPLE)
    assert done.returncode == 0, done.stderr
    assert "balance check: ok" in done.stdout
