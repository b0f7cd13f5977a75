"""``./run bench``: measure matching beside other ways to do it, on generated data whose right answer is known."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benchmarks.report import Printed, exponents, row
from benchmarks.suites import ROWS, SUITES

ENGINES = ("floor", "tieout", "polars", "pandas", "naive")


class Command(BaseCommand):
    help = "Measure matching on generated data: seconds, rows/s, peak memory, precision and recall."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--suite",
            default="d1,d2,d3,d4,d5,mixed",
            help=f"any of {','.join(SUITES)}; all; api; ledger10m; rematch",
        )
        parser.add_argument("--rows", help="lines in the statement; several sizes with commas (default: by suite)")
        parser.add_argument("--engine", default=",".join(ENGINES), help=f"any of {','.join(ENGINES)}")
        parser.add_argument("--repeat", type=int, default=3, help="the median of so many runs (3)")
        parser.add_argument("--database", metavar="URL", help="also time CSV files to stored results on this database")
        parser.add_argument("--json", action="store_true", help="one JSON object per measurement")

    def handle(self, *args: Any, **options: Any) -> None:
        # Measuring needs the packages that are compared with, which only the development environment has.
        try:
            from benchmarks.measure import measured
        except ModuleNotFoundError as error:
            raise CommandError(f"bench needs the development environment ({error.name} is missing)") from error
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
        printed: list[Printed] = []
        for suite in suites:
            for size in _sizes(options["rows"], ROWS[suite]):
                for each in measured(suite, size, engines, options["repeat"], options["database"]):
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
    for name in names:
        if name not in known:
            raise CommandError(f"unknown {what} {name!r}; expected some of {', '.join(known)}")
    return names


def _sizes(given: str | None, usual: int) -> list[int]:
    if not given:
        return [usual]
    try:
        sizes = [int(size.replace("_", "")) for size in given.split(",")]
    except ValueError as error:
        raise CommandError(f"--rows takes whole numbers, not {given!r}") from error
    if min(sizes) < 1:
        raise CommandError("--rows takes numbers above zero")
    return sizes
