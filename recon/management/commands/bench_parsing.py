"""``./run bench_parsing``: how fast generated files of every format are read."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benchmarks.parsing import WRITERS, measured


class Command(BaseCommand):
    help = "Measure reading: one generated file per format, seconds and peak memory."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", help=f"any of {', '.join(WRITERS)}; several with semicolons (default: all)")
        parser.add_argument("--rows", type=int, help="lines in the file (default: by format)")
        parser.add_argument("--repeat", type=int, default=3, help="the median of so many readings (3)")
        parser.add_argument("--json", action="store_true", help="one JSON object per measurement")

    def handle(self, *args: Any, **options: Any) -> None:
        kinds = [kind.strip() for kind in (options["format"] or ";".join(WRITERS)).split(";")]
        for kind in kinds:
            if kind not in WRITERS:
                raise CommandError(f"unknown format {kind!r}; expected some of {'; '.join(WRITERS)}")
        for kind in kinds:
            found = measured(kind, options["rows"], options["repeat"])
            print(json.dumps(found) if options["json"] else _in_words(found), flush=True)


def _in_words(found: dict[str, Any]) -> str:
    rate = round(found["rows"] / found["seconds"])
    return (
        f"{found['format']:<12} {found['rows']:>9,} rows {found['file_mib']:>7,.1f} MiB {found['seconds']:>8.3f} s"
        f" {rate:>10,} rows/s {found['peak_mib']:>6,} MiB peak"
    )
