"""A wrong setting stops the start with one line that says which one and what is expected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TIEOUT_DEBUG", "maybe", "expected true or false"),
        ("TIEOUT_HTTPS", "2", "expected true or false"),
        ("TIEOUT_SECRET_KEY", "short", "at least 50 random characters"),
        ("TIEOUT_TRUSTED_ORIGINS", "books.example.com", "expected origins such as https://"),
        ("TIEOUT_TIME_ZONE", "Mars/Olympus", "expected a time zone such as Europe/Berlin"),
        ("TIEOUT_MAX_UPLOAD_MB", "0", "expected a whole number of at least 1"),
        ("TIEOUT_MATCH_MEMORY_MB", "4GB", "expected a whole number of at least 256"),
        ("TIEOUT_SUM_POOL", "31", "expected a whole number from 2 to 30"),
        ("TIEOUT_LOG_LEVEL", "LOUD", "expected one of DEBUG, INFO, WARNING, ERROR"),
        ("TIEOUT_DATA_DIR", "/proc/tieout", "expected a directory that can be made"),
        ("DATABASE_URL", "mysql://root@localhost/books", "expected sqlite:///path/to/file or postgresql://"),
        ("DATABASE_URL", "books", "expected sqlite:///path/to/file or postgresql://"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_line(name, value, expected):
    result = manage("check", **{name: value})
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith(f"tieout: {name} ")
    assert expected in result.stderr


def test_the_production_switches_leave_nothing_to_warn_about(tmp_path):
    result = manage(
        "check",
        "--deploy",
        "--fail-level=WARNING",
        TIEOUT_DATA_DIR=str(tmp_path),
        TIEOUT_HTTPS="true",
        TIEOUT_ALLOWED_HOSTS="books.example.com",
        TIEOUT_TRUSTED_ORIGINS="https://books.example.com",
        TIEOUT_BEHIND_PROXY="true",
    )
    assert result.returncode == 0, result.stderr


def test_a_command_on_a_database_without_tables_says_how_to_make_them(tmp_path):
    result = manage("check_integrity", DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith("./run migrate makes them")
    assert "Traceback" not in result.stderr


def test_the_generated_secret_key_stays_and_is_private(tmp_path):
    show = ("shell", "--no-imports", "-c", "from django.conf import settings; print(settings.SECRET_KEY)")
    first = manage(*show, TIEOUT_DATA_DIR=str(tmp_path))
    second = manage(*show, TIEOUT_DATA_DIR=str(tmp_path))
    assert first.stdout == second.stdout
    assert len(first.stdout.strip()) >= 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_every_variable_is_in_the_readme_table():
    settings = (ROOT / "recon" / "settings.py").read_text()
    readme = (ROOT / "README.md").read_text()
    read = {part.split('"')[1] for part in settings.split("env_")[1:] if '"' in part and part.split('"')[1].isupper()}
    missing = {name for name in read | {"TIEOUT_SECRET_KEY"} if f"`{name}`" not in readme}
    assert read >= {"DATABASE_URL", "TIEOUT_DATA_DIR", "TIEOUT_DEBUG"}
    assert not missing
