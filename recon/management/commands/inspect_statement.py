"""``./run inspect_statement FILE… [--json]``, listed among the commands; manage.py answers it without Django."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from recon.statements import command


class Command(BaseCommand):
    help = command.HELP
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if failed := command.run(Namespace(**options)):
            sys.exit(failed)
