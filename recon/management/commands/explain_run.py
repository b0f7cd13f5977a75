"""Say how a run went about its work."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recon.models import MatchingRun
from recon.usecases.runs.explained import run_in_words


class Command(BaseCommand):
    help = "How a run read the ledger, and each rule's plan, estimate, pairs compared and seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", metavar="ID", help="a run's id (recon_…) or its number")

    def handle(self, *args: Any, **options: Any) -> None:
        given = options["run"]
        wanted = {"number": int(given)} if given.isdecimal() else {"run_id": given}
        run = MatchingRun.objects.filter(**wanted).first()
        if run is None:
            raise CommandError(f"There is no run {given}.")
        for line in run_in_words(run):
            self.stdout.write(line)
