"""``./run inspect_statement FILE… [--json]``: how files are read; stores nothing and needs no database."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from recon.statements.inspection import in_words, inspect_file
from recon.statements.model import Hints


class Command(BaseCommand):
    """Print how each file is read; exit 1 if one of them cannot be read at all."""

    help = "Show how statement files are read: format, account, balances, totals and row errors. Stores nothing."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="one line of JSON per file")
        parser.add_argument("--currency", help="the account's currency, for files that name none")
        parser.add_argument("--date-order", choices=("dmy", "mdy", "ymd"), help="for files that leave it open")

    def handle(self, *args: Any, **options: Any) -> None:
        hints = Hints(currency=options["currency"], date_order=options["date_order"])
        all_read = True
        for name in options["files"]:
            found, was_read = inspect_file(Path(name), name, hints)
            all_read = all_read and was_read
            print(json.dumps(found, ensure_ascii=False) if options["json"] else in_words(found), flush=True)
        if not all_read:
            sys.exit(1)
