"""The worker: executes queued runs, and takes up those whose worker died."""

from __future__ import annotations

import argparse
import logging
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker

from recon.usecases.run_lease import shutting_down
from recon.usecases.runs import take_up_stale_runs

logger = logging.getLogger(__name__)


class RunWorker(Worker):
    """A queue worker that gives its run back when it is told to stop, instead of finishing or losing it."""

    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        shutting_down.set()
        super().shutdown(signum, frame)


class Command(BaseCommand):
    help = "Execute queued matching runs, and take up those whose worker died."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop when the queue is empty")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        take_up_stale_runs()
        over = threading.Event()
        watch = threading.Thread(target=watch_for_stale_runs, args=(over,), daemon=True)
        watch.start()
        worker = RunWorker(
            queue_names=["default"],
            interval=0.2,  # a person who started a run is looking at the page
            batch=once,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )
        worker.configure_signals()
        worker.run()
        over.set()
        watch.join()


def watch_for_stale_runs(over: threading.Event) -> None:
    """Look for runs whose lease ran out, until `over`."""
    while not over.wait(settings.RUN_LEASE_SECONDS / 4):
        try:
            for run_id in take_up_stale_runs():
                logger.warning("Run %s is taken up again: its worker is gone", run_id)
        except DatabaseError:
            # A restarted database is no reason to stop watching.
            logger.warning("Stale runs could not be looked for", exc_info=True)
            connection.close()
    connection.close()
