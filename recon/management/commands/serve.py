"""Start Tieout: web server and worker under one supervisor, on a migrated database that is never empty of a demo."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from recon.migrating import migrate_if_needed
from recon.models import Account
from recon.supervisor import supervise
from recon.usecases.events import Actor
from recon.usecases.rules.audit import seed_rules

MANAGE = settings.BASE_DIR / "manage.py"
THREADS: Final = 16
"""Requests that a process of the web server has at work, each with a connection of its own to the database."""
DEMO_PASSWORD_FILE = settings.DATA_DIR / "demo_password"


class Command(BaseCommand):
    help = "Start the web server and the worker; on an empty database, load the demo first."
    requires_system_checks: list[str] = []  # the children run them; a second start should take a moment only

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=port_number, default=8000, help="port to listen on (default: %(default)s)")
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")

    def handle(self, *args: Any, host: str, port: int, no_demo: bool, **options: Any) -> None:
        refuse_taken_port(host, port)
        migrate_if_needed()
        seed_rules(Actor.command())
        if not no_demo and not Account.objects.for_people().exists() and not User.objects.exists():
            call_command("demo", stdout=self.stdout)
        connection.close()  # children must not inherit it
        commands = {"web server": web_server(host, port), "worker": [sys.executable, str(MANAGE), "worker"]}
        threading.Thread(target=self.announce, args=(host, port), daemon=True).start()
        supervise(commands, say=lambda text: self.stderr.write(f"tieout: {text}"))
        self.stdout.write("Tieout has stopped.")

    def announce(self, host: str, port: int) -> None:
        """Say where to go once the server answers, not before."""
        while not answers(host, port):
            time.sleep(0.05)
        shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::"} else host  # noqa: S104 only compared with
        self.stdout.write(f"\n  Tieout is ready:  http://{shown}:{port}/")
        if credentials := demo_credentials():
            self.stdout.write("  Sign in as:       {}\n  Password:         {}".format(*credentials))
        elif not User.objects.exists():
            self.stdout.write("  Make a first user: ./run createsuperuser")
        self.stdout.write("  Stop with Ctrl-C.\n")
        self.stdout.flush()
        connection.close()


def port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; expected a number from 1 to 65535")
    return int(text)


def refuse_taken_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port") from error


def web_server(host: str, port: int) -> list[str]:
    """granian's command line. SQLite has one writer at a time, so more processes would only wait for each other."""
    processes = 1 if connection.vendor == "sqlite" else 2
    options = {
        "--interface": "wsgi",
        "--host": host,
        "--port": str(port),
        "--workers": str(processes),
        "--blocking-threads": str(THREADS),
        "--log-level": "error",
        "--working-dir": str(settings.BASE_DIR),
    }
    flat = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "granian", *flat, "--respawn-failed-workers", "recon.wsgi:application"]


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def demo_credentials() -> tuple[str, str] | None:
    """The demo user's name and generated password, as long as nobody has changed it."""
    if not DEMO_PASSWORD_FILE.exists():
        return None
    password = DEMO_PASSWORD_FILE.read_text().strip()
    user = User.objects.filter(username="demo").first()
    return ("demo", password) if user is not None and user.check_password(password) else None
