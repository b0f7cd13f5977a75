"""``./run bench``: measure matching beside other ways to do it, on generated data whose right answer is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from benchmarks.report import Printed, exponents, row
from benchmarks.suites import ROWS, SUITES
from recon.migrating import migrations_missing
from recon.models import LedgerEntry

ENGINES = ("floor", "tieout", "polars", "pandas", "naive")

ALONE = ("api", "ledger10m", "rematch")
"""Suites that measure a whole installation, on the database of DATABASE_URL, and say so in words."""


class Command(BaseCommand):
    help = "Measure matching on generated data: seconds, rows/s, peak memory, precision and recall."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--suite",
            default="d1,d2,d3,d4,d5,mixed",
            help=f"any of {','.join(SUITES)}; all; one of {', '.join(ALONE)}",
        )
        parser.add_argument("--rows", help="lines in the statement; several sizes with commas (default: by suite)")
        parser.add_argument("--engine", default=",".join(ENGINES), help=f"any of {','.join(ENGINES)}")
        parser.add_argument("--repeat", default="3", metavar="N", help="the median of so many runs (3)")
        parser.add_argument("--database", metavar="URL", help="also time CSV files to stored results on this database")
        parser.add_argument("--json", action="store_true", help="one JSON object per measurement")

    def handle(self, *args: Any, **options: Any) -> None:
        # Measuring needs the packages that are compared with, which only the development environment has.
        try:
            from benchmarks.measure import Failed, measured
        except ModuleNotFoundError as error:
            raise CommandError(f"bench needs the development environment ({error.name} is missing)") from error
        if options["suite"] in ALONE:
            _check_alone(options["suite"], as_json=options["json"])
        if options["suite"] == "api":
            from benchmarks.http_api import measure

            measure(self.stdout.write)
            return
        if options["suite"] == "ledger10m":
            from benchmarks import ledger10m

            ledger10m.measure(self.stdout.write)
            return
        if options["suite"] == "rematch":
            from benchmarks import rematch

            rematch.measure(self.stdout.write, _sizes(options["rows"], 1_000_000)[0])
            return
        suites = list(SUITES) if options["suite"] == "all" else _chosen(options["suite"], SUITES, "suite")
        engines = _chosen(options["engine"], ENGINES, "engine")
        repeat = _sizes(options["repeat"], 3, "--repeat")[0]
        sizes = {suite: _sizes(options["rows"], ROWS[suite]) for suite in suites}
        if options["database"]:
            _check_database(options["database"])
        try:
            self._measure(measured, sizes, engines, repeat, options)
        except Failed as error:
            raise CommandError(str(error)) from error

    def _measure(
        self, measured: Any, sizes: dict[str, list[int]], engines: list[str], repeat: int, options: dict[str, Any]
    ) -> None:
        printed: list[Printed] = []
        for suite, of_suite in sizes.items():
            for size in of_suite:
                for each in measured(suite, size, engines, repeat, options["database"]):
                    measurement = each["measurement"]
                    printed.append(measurement)
                    if options["json"]:
                        self.stdout.write(json.dumps(measurement))
                    else:
                        self.stdout.write(row(measurement, first=len(printed) == 1))
                        for note in each["notes"]:
                            self.stdout.write(f"    {note}")
                    self.stdout.flush()
        if not options["json"]:
            for line in exponents(printed):
                self.stdout.write(line)


def _chosen(given: str, known: Any, what: str) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise CommandError(f"no {what} is named; expected some of {', '.join(known)}")
    for name in names:
        if what == "suite" and name in ALONE:
            raise CommandError(f"{name} is measured alone: --suite {name}")
        if name not in known:
            raise CommandError(f"unknown {what} {name!r}; expected some of {', '.join(known)}")
    return names


def _check_alone(suite: str, *, as_json: bool) -> None:
    if as_json:
        raise CommandError(f"{suite} says in words what it measured; --json is for {', '.join(SUITES)}")
    missing = migrations_missing()  # which also says if the database is not there
    if suite == "api" and os.environ.get("DATABASE_URL") and not missing and LedgerEntry.objects.exists():
        raise CommandError("api needs an empty database; that of DATABASE_URL has ledger entries")


def _check_database(url: str) -> None:
    """Before anything is generated: whether results could be stored there."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0"]
    done = subprocess.run(
        command, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if line.startswith("tieout: ")), "")
        raise CommandError(f"--database: {said.removeprefix('tieout: ') or done.stderr.strip().splitlines()[-1]}")


def _sizes(given: str | None, usual: int, what: str = "--rows") -> list[int]:
    if not given:
        return [usual]
    try:
        sizes = [int(size.replace("_", "")) for size in given.split(",")]
    except ValueError as error:
        raise CommandError(f"{what} takes whole numbers, not {given!r}") from error
    if min(sizes) < 1:
        raise CommandError(f"{what} takes numbers above zero")
    return sizes
