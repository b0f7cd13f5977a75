"""The worker: executes queued runs, takes up those whose worker died, and has errands (recon/errands.py)."""

from __future__ import annotations

import argparse
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker

from recon import errands
from recon.usecases.runs.lease import shutting_down
from recon.usecases.runs.starting import take_up_stale_runs


class RunWorker(Worker):
    """A queue worker that gives its run back when it is told to stop, instead of finishing or losing it.

    Where it is idle it stops at its next look at the queue: leaving from within the signal, as the library does, may
    cut off a query, whose transaction then fails to end.
    """

    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        shutting_down.set()
        if not self.running:  # told twice
            super().shutdown(signum, frame)
        self.running = False


class Command(BaseCommand):
    help = "Execute queued matching runs, take up those whose worker died, deliver webhooks."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop when the queue is empty")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        take_up_stale_runs()
        over = threading.Event()
        threads = errands.start(errands.ERRANDS, over)
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
        for thread in threads:
            thread.join(timeout=3)  # a delivery that is cut off is made again
        if once:
            for errand in errands.ERRANDS:
                errands.do_once(errand, threading.Event())
