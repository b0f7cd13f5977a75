"""Reconcile two files from the shell."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recon.memory import peak_memory
from recon.migrating import migrate_if_needed
from recon.models import Account, RunState, Strategy
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.runs.engine_options import rates_typed
from recon.usecases.runs.explained import rates_missing_in_words
from recon.usecases.runs.reconcile_files import Finished, Job, reconcile_files
from recon.usecases.runs.report import report

SHOWN_ERRORS = 20
SHOWN_FROM = 0.1
"""Seconds for indexes that are worth a word."""


class Command(BaseCommand):
    help = "Reconcile a statement file with a ledger file by rules in JSON. Exit code 1: the input was refused."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--statement", type=Path, required=True, metavar="FILE", help="what the bank or the processor says")
        add("--ledger", type=Path, required=True, metavar="FILE", help="what the books say")
        add(
            "--rules",
            type=Path,
            required=True,
            metavar="FILE",
            help="JSON: a matching rule or a list, in order",
        )
        add("--strategy", default=Strategy.ONE_TO_ONE, metavar="NAME", help=f"one of {', '.join(Strategy.values)}")
        add("--grouping", default="", metavar="FIELDS", help="what groups share: field names, comma separated")
        add("--dry-run", action="store_true", help="store the outcome but settle nothing")
        add("--json", action="store_true", help="print one JSON object as the last line")
        add("--account", metavar="NAME", help="an existing account (default: one of its own for each call)")
        add("--again", action="store_true", help="import also what the account has already")
        add("--skip-known", action="store_true", help="leave out rows that the account has already")
        add("--good-rows", action="store_true", help="leave out rows of the statement that cannot be read, for repair")
        add("--currency", default="", metavar="CODE", help="of amounts that name none")
        add("--time-zone", default="UTC", metavar="ZONE", help="of the days in the files (default: %(default)s)")
        add("--rate", action="append", default=[], metavar="USD/EUR=0.92", help="ledger units per statement unit")
        add("--statement-mapping", type=Path, metavar="FILE", help="JSON: which column of the statement is what")
        add("--ledger-mapping", type=Path, metavar="FILE", help="JSON: which column of the ledger is what")

    def handle(self, *args: Any, **options: Any) -> None:
        migrate_if_needed()
        try:
            finished = reconcile_files(Actor.command(), job_of(options))
        except Refused as refused:
            raise CommandError(refusal(refused)) from refused
        for text in finished.assumed:
            self.stderr.write(f"reconcile: {text}")
        self.stderr.write(f"reconcile: {spent(finished)}")
        if finished.run.state != RunState.COMPLETED:
            raise CommandError(finished.run.error or f"the run was {finished.run.state}")
        if options["json"]:
            self.print_json(finished)
        else:
            self.stdout.write(in_words(finished))

    def print_json(self, finished: Finished) -> None:
        for piece in report(finished.run, finished.statement, finished.ledger.number):
            self.stdout.write(piece, ending="")
        self.stdout.write("")
        self.stdout.flush()


def job_of(options: dict[str, Any]) -> Job:
    """The job that the options ask for. Raises Refused."""
    return Job(
        statement=options["statement"],
        ledger=options["ledger"],
        rules=text_of(options["rules"]),
        account=account_named(options["account"]),
        strategy=options["strategy"],
        grouping=options["grouping"],
        is_dry_run=options["dry_run"],
        repeats="import" if options["again"] else "skip" if options["skip_known"] else "ask",
        good_rows_only=options["good_rows"],
        currency=currency_code(options["currency"]),
        time_zone=options["time_zone"],
        statement_mapping=mapping_of(options["statement_mapping"]),
        ledger_mapping=mapping_of(options["ledger_mapping"]),
        options={"rates": rates_typed(";".join(options["rate"]))} if options["rate"] else {},
    )


def account_named(name: str | None) -> Account | None:
    if name is None:
        return None
    account = Account.objects.filter(name=name).first()
    if account is None:
        raise Refused(f"There is no account named {name!r}.")
    return account


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error


def mapping_of(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        mapping = json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise Refused(f"{path} is not JSON: {error}") from error
    if not isinstance(mapping, dict):
        raise Refused(f"{path} is not a mapping: expected a JSON object.")
    return mapping


def currency_code(text: str) -> str:
    if text and not re.fullmatch("[A-Z]{3}", text):
        raise Refused(f"{text!r} is not a currency; expected three capital letters such as EUR.")
    return text


def refusal(refused: Refused) -> str:
    """The refusal and, if several rows are at fault, where each one is."""
    lines = [f"{each.message}" for each in refused.row_errors[1 : SHOWN_ERRORS + 1]]
    return "\n".join([refused.message, *lines])


def spent(finished: Finished) -> str:
    """Seconds per stage and the peak of memory."""
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in finished.seconds.items())
    indexes = f"; indexes afterwards {finished.afterwards:.2f} s" if finished.afterwards >= SHOWN_FROM else ""
    return f"{stages}{indexes}; peak memory {peak_memory() / 2**20:,.0f} MiB"


def in_words(finished: Finished) -> str:
    """The result for a person."""
    run = finished.run
    head = f"{run.run_id} {run.state}{' (dry run)' if run.is_dry_run else ''}"
    lines = (run.lines_matched, run.lines_suggested, run.lines_unmatched, run.lines_total)
    entries = (run.entries_matched, run.entries_suggested, run.entries_unmatched, run.entries_total)
    counts = "{:,} matched, {:,} suggested, {:,} unmatched of {:,}"
    told = [f"statement lines: {counts.format(*lines)}", f"ledger entries:  {counts.format(*entries)}"]
    return "\n  ".join([head, *told, *rates_missing_in_words(run)])
