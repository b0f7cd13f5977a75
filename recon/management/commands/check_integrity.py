"""Prove that the records agree with each other."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recon.usecases.integrity import CHECKS, violations


class Command(BaseCommand):
    help = "Check that ids lead somewhere, claims, sums and counts agree. One line per violation; exit code 1 if any."

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for found, violation in enumerate(violations(), start=1):  # noqa: B007 - counted
            self.stdout.write(str(violation))
        if found:
            raise CommandError(f"{found:,} violations.")
        self.stdout.write(f"All {len(CHECKS)} checks hold.")
