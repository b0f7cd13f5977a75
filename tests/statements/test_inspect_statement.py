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


def test_conformance_lists_each_disagreement_with_its_reason_and_fails_below_the_goal(tmp_path):
    sample = ROOT / SAMPLE
    (tmp_path / "a.txt").write_bytes(sample.read_bytes())
    (tmp_path / "b.txt").write_bytes(sample.read_bytes())
    columns = "file,format,malformed,transactions,credits_sum,debits_sum,net,first_date,last_date,entry_dates,currency"
    values = "mt940,,3,1000,52,948,2013-10-07,2013-10-25,,EUR,0,948"
    wrong = values.replace("1000", "999")
    (tmp_path / "EXPECTED.csv").write_text(f"{columns},opening,closing\na.txt,{values}\nb.txt,{wrong}\n")
    (tmp_path / "reasons.toml").write_text('"b.txt" = "We are: the file says 1000."\n')
    done = subprocess.run(
        [sys.executable, "manage.py", "check_conformance", str(tmp_path), "--reasons", str(tmp_path / "reasons.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "differs: b.txt: credits 1000.00, expected 999" in done.stdout
    assert "We are: the file says 1000." in done.stdout
    assert "mt940: 1 of 2 files agree" in done.stdout
    assert done.returncode == 1


def test_names_come_back_as_given_and_folders_are_errors_beside_the_others(tmp_path):
    done = inspect("--json", str(tmp_path), f"./{SAMPLE}")
    folder, good = map(json.loads, done.stdout.splitlines())
    assert (folder["file"], folder["errors"][0]["message"]) == (
        str(tmp_path),
        "The file cannot be opened: Is a directory.",
    )
    assert good["file"] == f"./{SAMPLE}"
    assert done.returncode == 1


def test_a_reader_that_has_enough_gets_no_traceback():
    command = [sys.executable, "manage.py", "inspect_statement", "--json", *[SAMPLE] * 50]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["file"] == SAMPLE
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_files_are_inspected_without_django():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "manage.py", "inspect_statement", SAMPLE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "recon.statements.inspection" in done.stderr
    assert "django" not in done.stderr
