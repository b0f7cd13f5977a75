"""Load the demo."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand

from recon.management.commands.serve import DEMO_PASSWORD_FILE, demo_credentials
from recon.migrating import migrate_if_needed
from recon.usecases.demo import demo_exists, load_demo


class Command(BaseCommand):
    help = "Load a month of a small shop, reconciled once, a practice example, and a user to look at them."

    def handle(self, *args: Any, **options: Any) -> None:
        migrate_if_needed()
        if demo_exists():
            known = demo_credentials()
            hint = f" Sign in as {known[0]} with the password {known[1]}." if known else ""
            self.stdout.write(f"The demo is already there.{hint}")
            return
        demo = load_demo()
        keep_password(demo.password)
        shop = demo.runs[0]
        self.stdout.write(f"The demo is ready: {shop.lines_matched:,} of {shop.lines_total:,} lines are matched.")
        self.stdout.write(f"Sign in as {demo.username} with the password {demo.password}")


def keep_password(password: str) -> None:
    """In a file that only its owner can read, for the next start to show; the database has the hash alone."""
    DEMO_PASSWORD_FILE.unlink(missing_ok=True)
    handle = os.open(DEMO_PASSWORD_FILE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(password)
