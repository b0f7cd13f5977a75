"""What the worker does beside its queue, each in a thread of its own that goes on until the worker stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection

from recon.usecases.bulk.apart import make_room
from recon.usecases.bulk.apart_indexes import make_what_is_missing
from recon.usecases.imports.rows import tidy_up_after_loads
from recon.usecases.outside.connector_sync import forget_old_syncs, sync_due
from recon.usecases.outside.connector_write_back import write_back_due
from recon.usecases.outside.webhook_delivery import deliver_due, forget_old
from recon.usecases.review.sla import report_over_sla
from recon.usecases.runs.leftovers import remove_leftovers
from recon.usecases.runs.passed_over import list_passed_over
from recon.usecases.runs.spilling import remove_spilled
from recon.usecases.runs.starting import take_up_stale_runs

logger = logging.getLogger(__name__)

SOON = 5.0
"""Seconds to the first look, so that a worker which never lives long does all of them."""


class Errand(NamedTuple):
    """Something to do again and again. `do` says how much it did: as long as that is something, it goes on at once."""

    name: str
    do: Callable[[], int]
    every: float  # seconds


def take_up_lost_runs() -> int:
    for run_id in take_up_stale_runs():
        logger.warning("Run %s is taken up again: its worker is gone", run_id)
    return 0


ERRANDS = (
    Errand("taking up runs", take_up_lost_runs, settings.RUN_LEASE_SECONDS / 4),
    Errand("delivering webhooks", deliver_due, 1),
    Errand("looking for late items", report_over_sla, 300),
    Errand("listing entries that runs passed over", list_passed_over, 10),
    Errand("removing what cut-off runs left", remove_leftovers, 10),
    Errand("removing what killed processes spilled", remove_spilled, 60),
    Errand("tidying up after loads", tidy_up_after_loads, 60),
    Errand("making indexes that were left out", make_what_is_missing, 60),
    Errand("making room for large loads", make_room, 300),
    Errand("reading from connectors", sync_due, 2),
    Errand("writing back to connectors", write_back_due, 5),
    Errand("forgetting old syncs", forget_old_syncs, 3600),
    Errand("forgetting old webhooks", forget_old, 3600),
)


def start(errands: tuple[Errand, ...], over: threading.Event) -> list[threading.Thread]:
    """Run the errands until `over`; the caller joins the threads."""
    threads = [threading.Thread(target=keep_doing, args=(errand, over), name=errand.name) for errand in errands]
    for thread in threads:
        thread.daemon = True
        thread.start()
    return threads


def keep_doing(errand: Errand, over: threading.Event) -> None:
    """Whatever goes wrong costs one turn, never the errand: a database restarts, a disk is full for a while."""
    try:
        pause = min(errand.every, SOON)
        while not over.wait(pause):
            do_once(errand, over)
            pause = errand.every
    finally:
        connection.close()


def do_once(errand: Errand, over: threading.Event) -> None:
    try:
        while errand.do() and not over.is_set():
            pass
    except DatabaseError:
        logger.warning("The database did not answer while %s", errand.name, exc_info=True)
        connection.close()
    except Exception:
        logger.exception("Something went wrong while %s", errand.name)
