"""What an attempt of a run stored that did not complete: found again, and removed while others write.

Where results are many they are stored before the transaction that makes them visible. The run's row says beforehand
which block of match ids they have (`keep_note`), until they are visible or gone. So a run that is cancelled or has
failed is over at once, and what it leaves is removed after that, a piece at a time: by whoever executed it or, if that
process is killed, by the worker. Nobody sees it meanwhile, as nobody sees the results of a run at work
(`MatchQuerySet.visible`). An attempt that comes after one that was cut off removes the leftovers first: what it stores
has the same run number.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

from django.db import DatabaseError, connection, transaction
from django.db.models import Max, Min, Model

from recon.models import Match, MatchDifference, MatchingRun, MatchRow, MatchRunnerUp, RunState, Side, UnmatchedItem
from recon.usecases.bulk.apart import drop_apart
from recon.usecases.errors import Refused
from recon.usecases.runs.lease import StoppedError, shutting_down

logger = logging.getLogger(__name__)

OF_A_MATCH: Final[tuple[type[Model], ...]] = (MatchRow, MatchDifference, MatchRunnerUp)

PIECE: Final = 10_000
"""Matches, or unmatched items, that go in one transaction: whoever writes to SQLite waits that long."""

PAUSE: Final = 0.02
"""Seconds between two pieces on SQLite: who waits for its only writer looks again after some milliseconds, and would
otherwise hardly ever find it free."""


def keep_note(run: MatchingRun, block: tuple[int, int] | None) -> dict[str, int | None]:
    """The columns of a run whose results are about to be stored, not visible yet, with match ids of this block
    (first, last); those of a run that has none such, if there is no block."""
    run.stored_from, run.stored_to = block or (None, None)
    return {"stored_from": run.stored_from, "stored_to": run.stored_to}


def remove_leftovers() -> int:
    """Remove what runs that are over without results have stored. Returns 0: all of it is gone then."""
    over = MatchingRun.objects.filter(stored_from__isnull=False, state__in=(RunState.FAILED, RunState.CANCELLED))
    for run in over.order_by("number"):
        remove_leftovers_of(run)
    return 0


def remove_leftovers_of(run: MatchingRun) -> None:
    """The same for one run, which may as well be completed or somebody else's: then nothing is done. What cannot be
    removed now is another time."""
    this = MatchingRun.objects.filter(pk=run.pk, stored_from__isnull=False)
    found = this.filter(state__in=(RunState.FAILED, RunState.CANCELLED)).first()
    if found is None:
        return
    try:
        discard(found, _unless_shutting_down, _nobody_takes_it_up)
    except StoppedError:
        return
    except DatabaseError:
        logger.warning("What run %s left is removed another time", run.run_id, exc_info=True)
        connection.close()
        return
    this.update(**keep_note(found, None))


def refuse_unseen(match: Match) -> None:
    """Raise Refused for a match of a run that is at work, or was cut off: it is nobody's to decide on."""
    if not Match.objects.visible().filter(pk=match.pk).exists():
        raise Refused("The run of this match has no results.")


def discard(run: MatchingRun, ask: Callable[[], None], hold: Callable[[], None]) -> None:
    """Remove what an attempt stored, a piece at a time; `ask` is called before each, and may raise to stop. So may
    `hold`, which is called in each transaction: somebody else may be storing the same run's results by now."""
    block = _block(run)
    apart = {UnmatchedItem: (run.number, run.number)} | ({Match: block, MatchRow: block} if block else {})
    for model, ends in apart.items():
        with transaction.atomic():
            drop_apart(model, *ends)
            hold()
    if block is not None:
        _in_turn(_matches(run, *block, hold), ask)
    _in_turn(_unmatched(run, hold), ask)


def _block(run: MatchingRun) -> tuple[int, int] | None:
    """The first and last match id. Without a note, as of a run that an earlier version of this program worked on,
    those of the matches that are there."""
    if run.stored_from is not None and run.stored_to is not None:
        return run.stored_from, run.stored_to
    found = Match.objects.filter(run_number=run.number).aggregate(first=Min("id"), last=Max("id"))
    return None if found["first"] is None else (found["first"], found["last"])


def _in_turn(pieces: Iterator[bool], ask: Callable[[], None]) -> None:
    """Have one piece after the other removed, as long as there was something to remove or more is to come."""
    ask()
    for removed in pieces:
        if removed and connection.vendor == "sqlite" and not connection.in_atomic_block:
            time.sleep(PAUSE)
        ask()


def _matches(run: MatchingRun, first: int, last: int, hold: Callable[[], None]) -> Iterator[bool]:
    """Each step removes the matches of some ids with what belongs to them, and says whether there were any."""
    for start in range(first, last + 1, PIECE):
        ids = (start, min(start + PIECE - 1, last))
        with transaction.atomic():
            removed = sum(model._default_manager.filter(match_id__range=ids).delete()[0] for model in OF_A_MATCH)
            removed += Match.objects.filter(pk__range=ids, run_number=run.number).delete()[0]
            hold()
        yield removed > 0


def _unmatched(run: MatchingRun, hold: Callable[[], None]) -> Iterator[bool]:
    for side in Side:
        items = UnmatchedItem.objects.filter(run_number=run.number, side=side)
        while True:
            beyond = items.order_by("row_id").values_list("row_id", flat=True)[PIECE : PIECE + 1]
            last = next(iter(beyond), None)
            with transaction.atomic():
                removed = (items if last is None else items.filter(row_id__lte=last)).delete()[0]
                hold()
            yield removed > 0
            if last is None:
                break


def _nobody_takes_it_up() -> None:
    """A run that was cancelled or has failed stays so."""


def _unless_shutting_down() -> None:
    if shutting_down.is_set():
        raise StoppedError
