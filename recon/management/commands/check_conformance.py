"""``./run check_conformance DIR``: read a directory of real files and compare with its EXPECTED.csv."""

from __future__ import annotations

import tomllib
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recon.statements.conformance import REASONS, TABLES, Outcome, outcomes

GOALS = {"fixed formats": 97, "tables": 80}  # percent of the files with expected values


class Command(BaseCommand):
    """Print what agrees, each disagreement with who is right, and fail below the goals."""

    help = "Compare how statement files are read with independently found values (DIR/EXPECTED.csv)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)
        parser.add_argument(
            "--reasons",
            type=Path,
            default=REASONS,
            help="TOML: for each file that disagrees, who is right and why (those of the public samples)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not (options["directory"] / "EXPECTED.csv").is_file():
            raise CommandError(f"{options['directory']} has no EXPECTED.csv")
        reasons = tomllib.loads(options["reasons"].read_text(encoding="utf-8"))
        found = list(outcomes(options["directory"]))
        for outcome in found:
            if not outcome.agrees:
                self._print_disagreement(outcome, reasons.get(outcome.file))
        for outcome in found:
            if outcome.malformed:
                print(f"malformed ({outcome.malformed}): {outcome.file}: {outcome.message or 'read completely'}")
        if not self._reach_goals(found):
            raise CommandError("fewer files agree than the goal")

    def _print_disagreement(self, outcome: Outcome, reason: str | None) -> None:
        differences = "; ".join(f"{figure} {read}, expected {wanted}" for figure, read, wanted in outcome.differences)
        print(f"differs: {outcome.file}: {differences}")
        print(f"    {reason or outcome.message or 'no reason noted'}")

    def _reach_goals(self, found: list[Outcome]) -> bool:
        files = Counter(outcome.format for outcome in found)
        agree = Counter(outcome.format for outcome in found if outcome.agrees)
        for name in sorted(files):
            print(f"{name}: {agree[name]} of {files[name]} files agree")
        reached = True
        for group, goal in GOALS.items():
            names = [name for name in files if (name in TABLES) == (group == "tables")]
            total, good = sum(files[name] for name in names), sum(agree[name] for name in names)
            if total:
                share = 100 * good / total
                reached = reached and share >= goal
                print(f"{group}: {good} of {total} files agree, {share:.1f}% (goal {goal}%)")
        return reached
