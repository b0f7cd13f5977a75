"""Jobs that wait at the same moment in one process, done together by one of the threads that brought them.

What each would do alone (ask the database, write to it, commit) is done once for all of them then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

logger = logging.getLogger(__name__)

PATIENCE: Final = 0.02
"""Seconds. A program is back with its next job sooner, and a run alone takes longer."""

LONGEST: Final = 0.1
"""Seconds. Twenty programs take this long to ask for their next runs, each of a hundred rows, on one core."""

LONGEST_ON_THE_WAY: Final = 0.2
"""Seconds for which those are waited for whose jobs are being read already: the processor is at work meanwhile."""

Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(eq=False)
class _Place(Generic[Job, Done]):
    """A job that waits. Once it is `over` it has a result, or else is its own thread's to do."""

    job: Job
    kind: Hashable
    size: int
    over: bool = False
    result: Done | None = None


class Together(Generic[Job, Done]):
    """``Together(work, most=…)(job, kind, size)`` gives the result of a job, which `work` did with others of its kind
    that waited, of at most so much size in all; None if that failed: the caller then does it alone.

    One thread works at a time, that of the job that has waited longest. `work` must do all of its jobs or none. Who
    comes alone is done at once. Where several came together, and go on coming as programs do that start the next job
    when one is over, the next waits for them, for at most `patience` seconds; or for half as long as the last work
    took, if that is more, but no longer than LONGEST: the more are expected, the longer it takes them to be back.
    Then also for those who are `on_the_way`: who came a moment too late would wait for this work and its own.
    """

    def __init__(
        self, work: Callable[[Sequence[Job]], Sequence[Done]], *, most: int, patience: float = PATIENCE
    ) -> None:
        self._work, self._most, self._patience = work, most, patience
        lock = threading.Lock()
        self._came, self._over = threading.Condition(lock), threading.Condition(lock)
        self._waiting: list[_Place[Job, Done]] = []
        self._at_work = False
        self._took = 0.0  # seconds, the last work
        self._expected = 0  # who waited when the last work was over, and those it was done for
        self._on_the_way = 0
        self._own = threading.local()  # `is_on_the_way`: whether this thread is

    @contextmanager
    def on_the_way(self) -> Iterator[None]:
        """Around whatever comes before a job, as soon as it is known that there will be one, and around the call."""
        with self._over:
            self._own.is_on_the_way = True
            self._on_the_way += 1
        try:
            yield
        finally:
            with self._over:
                self._arrive()

    def _arrive(self) -> None:
        """This thread is not on the way any more, because it is here, or will not come."""
        if getattr(self._own, "is_on_the_way", False):
            self._own.is_on_the_way = False
            self._on_the_way -= 1
            self._came.notify()

    def __call__(self, job: Job, kind: Hashable, size: int) -> Done | None:
        mine = _Place[Job, Done](job, kind, size)
        with self._over:
            self._waiting.append(mine)
            self._arrive()
            self._came.notify()
            self._over.wait_for(lambda: mine.over or (not self._at_work and self._waiting[0] is mine))
            if mine.over:
                return mine.result
            self._at_work = True
            self._wait_for_others()
            taken = self._take(mine)
        began = time.monotonic()
        try:
            self._do(taken)
        finally:
            with self._over:
                for each in taken:
                    each.over = True
                self._at_work, self._took = False, time.monotonic() - began
                self._expected = len(taken) + len(self._waiting)
                self._over.notify_all()
        return mine.result

    def _wait_for_others(self) -> None:
        patience = max(self._patience, min(self._took / 2, LONGEST))
        self._came.wait_for(lambda: len(self._waiting) >= self._expected, patience)
        if self._expected > 1:
            longest = max(self._patience, LONGEST_ON_THE_WAY)
            self._came.wait_for(lambda: not self._on_the_way or self._is_full(), longest)

    def _is_full(self) -> bool:
        return sum(each.size for each in self._waiting) >= self._most

    def _take(self, first: _Place[Job, Done]) -> list[_Place[Job, Done]]:
        """The first that waits and those that go with it, in the order in which they came."""
        taken, rest, room = list[_Place[Job, Done]](), list[_Place[Job, Done]](), self._most
        for each in self._waiting:
            if each is first or (each.kind == first.kind and each.size <= room):
                taken.append(each)
                room -= each.size
            else:
                rest.append(each)
        self._waiting = rest
        return taken

    def _do(self, taken: list[_Place[Job, Done]]) -> None:
        try:
            results = self._work([each.job for each in taken])
        except Exception as error:  # noqa: BLE001 - whoever it is about meets it again when doing its job alone
            logger.info("%d jobs are done one by one: %s: %s", len(taken), type(error).__name__, error)
            return
        for each, result in zip(taken, results, strict=True):
            each.result = result
