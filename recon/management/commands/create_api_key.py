"""Make a service account and an API key for it."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recon.models import KeyScope
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.outside.keys import create_key


class Command(BaseCommand):
    help = "Make a service account and an API key for it; the key is the last line of the output, and shown only now."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="name of the service account; made if it does not exist")
        parser.add_argument("--scopes", required=True, help=f"comma separated: {', '.join(KeyScope.values)}")

    def handle(self, *args: Any, name: str, scopes: str, **options: Any) -> None:
        by = Actor.command()
        try:
            _, text = create_key(by, name, name, [scope.strip() for scope in scopes.split(",") if scope.strip()])
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)
