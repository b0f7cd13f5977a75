"""Who works on a run: a lease in the database, kept alive by a heartbeat.

A worker that is killed stops beating; its lease runs out and the next worker takes the run up. A worker that lost its
lease (a frozen machine, a long pause) finds out before it could make anything visible: the transaction that completes
a run asks for the lease once more.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F, Prefetch, Q
from django.utils import timezone

from recon.models import MatchingRun, RunKind, RunRule, RunStage, RunState
from recon.usecases.bulk.soon import soon
from recon.usecases.runs.cancelling import is_asked_aloud

logger = logging.getLogger(__name__)

LOOK_EVERY, LOOK_AT_INSTANT = 0.5, 1.5
"""Seconds between two looks at the run's row: a cancellation is noticed within this time. Each looks through a
connection of its own, which many instant runs at once must not open at the same time."""

shutting_down = threading.Event()
"""Set when this process was told to stop: its runs are given back instead of finished."""


class StoppedError(Exception):
    """The run must not go on: it was cancelled, given back, or belongs to somebody else by now."""


NOTHING_COUNTED: Final = {
    f"{side}_{what}": 0 for side in ("lines", "entries") for what in ("total", "matched", "suggested", "unmatched")
} | {"matches_confirmed": 0, "matches_suggested": 0}
"""A run without results: one that starts again, and one that was cut off."""


def lease_end() -> datetime:
    """When a lease taken now runs out."""
    return timezone.now() + timedelta(seconds=settings.RUN_LEASE_SECONDS)


def take_lease(run_id: str) -> MatchingRun | None:
    """The run, now ours to execute; None if it is over or in somebody else's hands."""
    free = Q(state=RunState.QUEUED) | Q(state=RunState.RUNNING, lease_until__lt=timezone.now())
    taken = MatchingRun.objects.filter(free, run_id=run_id).update(
        attempts=F("attempts") + 1, rows_done=0, rows_total=0, rows_per_second=0, **taken_now(), **NOTHING_COUNTED
    )
    if not taken:
        return None
    whole = MatchingRun.objects.select_related("account", "statement", "created_by")
    return whole.prefetch_related(RULES).get(run_id=run_id)


RULES: Final = Prefetch("run_rules", RunRule.objects.select_related("version"))
"""The rules of a run, with what executing it reads of them."""


def taken_now() -> dict[str, Any]:
    """The columns of a run that a worker has taken up."""
    now = timezone.now()
    return {
        "state": RunState.RUNNING,
        "stage": RunStage.READING,
        "lease_holder": uuid4().hex,
        "lease_until": lease_end(),
        "heartbeat_at": now,
        "started_at": now,
    }


_OURS: Final = "SELECT 1 FROM recon_matchingrun WHERE run_id = %s AND lease_holder = %s AND state = %s"
_HELD: Final = {"sqlite": _OURS, "postgresql": f"{_OURS} FOR NO KEY UPDATE"}
"""Written by hand: a large run's load on SQLite asks a hundred times. There whoever writes holds everything."""


class Heartbeat:
    """Keeps a run's lease and reports its progress, from a thread of its own; notices that the run must stop.

    Inside a caller's transaction nobody else can see the run, so there is nobody to keep it from and no thread.
    """

    def __init__(self, run: MatchingRun) -> None:
        self.run_id, self.holder = run.run_id, run.lease_holder
        self.progress: dict[str, Any] = {"stage": run.stage, "rows_done": 0, "rows_total": 0}
        self.counts: dict[str, int] = {}  # what is known of the outcome before it is stored
        self._stage_began = time.monotonic()
        self.cancelled = self.asked_aloud = self.lost = False
        self._written: dict[str, Any] = {}
        self._last_beat = time.monotonic()
        self._every = LOOK_AT_INSTANT if run.kind == RunKind.INSTANT else LOOK_EVERY
        self._over = threading.Event()
        self._thread = None if connection.in_atomic_block else threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def report(self, stage: RunStage, done: int = 0, total: int = 0) -> None:
        """Say where the work is: written with the next beat, so that reporting costs nothing."""
        if stage != self.progress["stage"]:
            self._stage_began = time.monotonic()
        rate = int(done / max(time.monotonic() - self._stage_began, 0.001))
        self.progress = {"stage": stage, "rows_done": done, "rows_total": total, "rows_per_second": rate}

    def must_stop(self) -> bool:
        return self.cancelled or self.asked_aloud or self.lost or shutting_down.is_set()

    def check(self) -> None:
        """Raise `StoppedError` if the run must not go on."""
        self.asked_aloud = self.asked_aloud or is_asked_aloud(self.run_id)
        if self.must_stop():
            raise StoppedError

    def ours(self) -> Any:
        """The run's row, as long as the lease is ours."""
        return MatchingRun.objects.filter(run_id=self.run_id, lease_holder=self.holder, state=RunState.RUNNING)

    def hold(self) -> None:
        """Raise `StoppedError` unless the run is ours still, and keep it so until this transaction is over.

        Whatever stores or removes something of the run's calls this before it commits. A worker that was frozen goes
        on where it was, and may be somebody for whom another one has begun anew: a look at the clock, or at what the
        thread has heard, comes too early to tell.
        """
        with connection.cursor() as cursor:
            cursor.execute(_HELD[connection.vendor], [self.run_id, self.holder, RunState.RUNNING])
            if cursor.fetchone() is None:
                self.lost = True
                raise StoppedError

    def _keep(self) -> None:
        try:
            while not self._over.wait(self._every):
                self._look()
        finally:
            connection.close()

    def _look(self) -> None:
        try:
            self._beat()
        except DatabaseError:
            # A restarted database costs a beat, not the run; a lease that ran out meanwhile is lost.
            logger.warning("No heartbeat for run %s", self.run_id, exc_info=True)
            connection.close()
            self.lost = time.monotonic() - self._last_beat > settings.RUN_LEASE_SECONDS

    def _beat(self) -> None:
        progress, since = self.progress | self.counts, time.monotonic() - self._last_beat
        if progress != self._written or since >= settings.RUN_LEASE_SECONDS / 4:
            soon(lambda: self.ours().update(heartbeat_at=timezone.now(), lease_until=lease_end(), **progress))
            self._written, self._last_beat = progress, time.monotonic()
        cancelled = self.ours().values_list("cancel_requested", flat=True).first()
        self.lost, self.cancelled = cancelled is None, bool(cancelled)
