"""Executing a run: read the open rows, match them, load the results, and make them visible in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Final

from django.db import DatabaseError, transaction
from django.db.models import F, Model
from django.utils import timezone

from recon.engine import Cancelled, EngineError, Outcome, match
from recon.models import (
    Claim,
    Event,
    LoadState,
    MatchingRun,
    OpenItem,
    RunKind,
    RunRule,
    RunStage,
    RunState,
    Side,
    Statement,
    Via,
)
from recon.usecases.accounts.scope import hold_still
from recon.usecases.bulk.afterwards import indexes_afterwards, mend_indexes
from recon.usecases.bulk.alongside import beside
from recon.usecases.bulk.giving_up import given_up_by
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.webhook_outbox import announce_run
from recon.usecases.review.open_items import (
    open_what_a_run_left,
    resolve_claimed,
    resolve_claimed_by_many,
    resolve_matched_by,
    sides_reported,
)
from recon.usecases.runs import results as run_results
from recon.usecases.runs.application import competing, read_application
from recon.usecases.runs.at_hand import AtHand
from recon.usecases.runs.cancelling import forget
from recon.usecases.runs.claims import (
    ClaimedError,
    claiming_alone,
    giving_way,
    join_claims,
    load_claims,
    withdraw_suggestions,
)
from recon.usecases.runs.engine_options import engine_options, explained, rules_of
from recon.usecases.runs.first_items import are_still_first, join_first_items, load_first_items
from recon.usecases.runs.input import RunInput, read_input
from recon.usecases.runs.lease import NOTHING_COUNTED, Heartbeat, StoppedError, shutting_down, take_lease
from recon.usecases.runs.leftovers import discard, keep_note, remove_leftovers_of
from recon.usecases.runs.passed_over import note_passed_over
from recon.usecases.runs.results import Results

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""Workers that may die over a run before it counts as failed: a run that kills its worker must not do so for ever."""

MATCHINGS = 5
"""How often a run matches because another one claimed a row first; the last time it keeps others from that."""

RESOLVED_ONE_BY_ONE: Final = 100_000
"""Claims up to which their open items are looked for one by one; more are found sooner among all that are open."""

_PATIENCE: Final = 2.0
"""Seconds for which a run that has heard of its cancellation waits until that is written down."""


def execute_run(run_id: str, at_hand: AtHand | None = None) -> None:
    """Execute a queued run, or one whose worker died. Does nothing if it is over or somebody else has it.

    `at_hand` is what the run would read, if that is in memory already. Never raises for what is wrong with the run:
    that is its outcome, kept in its state and error.
    """
    run = take_lease(run_id)
    if run is not None:
        execute_taken(run, at_hand)


def execute_taken(run: MatchingRun, at_hand: AtHand | None = None) -> None:
    """Execute a run whose lease is ours, as `execute_run` does."""
    with indexes_afterwards():  # whoever waits for the results, or has cancelled the run, need not wait for them
        if run.attempts > ATTEMPTS:
            _end(run, RunState.FAILED, f"Given up after {ATTEMPTS} attempts: each time the worker died.")
        else:
            _execute(run, at_hand)
        remove_leftovers_of(run)
    if run.kind == RunKind.BATCH:
        mend_indexes()  # what an attempt before this one has left out


def _execute(run: MatchingRun, at_hand: AtHand | None) -> None:
    with Heartbeat(run) as heartbeat:
        try:
            _work(run, heartbeat, at_hand)
        except (StoppedError, Cancelled):
            _stop(run, heartbeat)
        except (Refused, EngineError) as error:
            _end(run, RunState.FAILED, str(error))
        except Exception as error:
            logger.exception("Run %s failed", run.run_id)
            _end(run, RunState.FAILED, f"An unexpected error stopped this run ({type(error).__name__}: {error}).")
        else:
            if not run.is_dry_run and Side.LEDGER in sides_reported(run.account):
                _agree_with_others(run)
        finally:
            forget(run.run_id)


def _work(run: MatchingRun, heartbeat: Heartbeat, at_hand: AtHand | None) -> None:
    for matching in range(MATCHINGS):
        if matching or run.attempts > 1 or run.stored_from is not None:
            discard(run, heartbeat.check, heartbeat.hold)  # of an attempt that was cut off, or that came second
        is_last = matching == MATCHINGS - 1
        try:
            with claiming_alone(run.account_id, heartbeat.check) if is_last else nullcontext():
                return _match_once(run, heartbeat, at_hand)
        except ClaimedError:
            at_hand = None
            logger.info("Run %s matches again: another one claimed a row of its matches first", run.run_id)
    raise Refused(f"Other runs took rows of this one's matches {MATCHINGS} times; start it again when they are over.")


def _match_once(run: MatchingRun, heartbeat: Heartbeat, at_hand: AtHand | None) -> None:
    laps = Laps()
    heartbeat.report(RunStage.READING)
    if run.applied_from is None:
        rows, outcome = _match(run, heartbeat, laps, at_hand)
    else:
        rows, outcome = _take_over(run, run.applied_from, heartbeat, laps)
    version_ids = [each.version_id for each in run.run_rules.all()]
    placed = at_hand.placed() if at_hand and run.applied_from is None else None
    results = run_results.prepare(run, rows, outcome, version_ids, placed=placed)
    heartbeat.counts = results.counts
    run.explanation |= {"rows": rows.explanation, "next_entry": rows.next_entry}
    complete(run, heartbeat, results, laps)


def _match(run: MatchingRun, heartbeat: Heartbeat, laps: Laps, at_hand: AtHand | None) -> tuple[RunInput, Outcome]:
    options = engine_options(run, heartbeat)
    rows = at_hand.rows if at_hand else read_input(run, lambda done: _reading(heartbeat, done), options)
    heartbeat.check()
    laps.end("reading")
    heartbeat.counts = {"lines_total": rows.statement.num_rows}
    heartbeat.report(RunStage.MATCHING, 0, rows.statement.num_rows + rows.ledger.num_rows)
    ahead = at_hand.outcome(heartbeat.check) if at_hand else None
    outcome = ahead or match(rules_of(run), rows.statement, rows.ledger, replace(options, claimed=rows.claimed))
    heartbeat.check()
    laps.end("matching")
    run.explanation["rules"] = [explained(rule) for rule in outcome.rules]
    return rows, outcome


def _take_over(run: MatchingRun, dry: MatchingRun, heartbeat: Heartbeat, laps: Laps) -> tuple[RunInput, Outcome]:
    """A dry run's outcome instead of a new one; refused if some of it no longer holds and that was not agreed to."""
    application = read_application(dry)
    if application.dropped and not run.options.get("rest_only"):
        raise Refused(f"{application.dropped} matches of the dry run no longer hold.")
    heartbeat.check()
    laps.end("reading")
    run.explanation |= {"rules": dry.explanation["rules"], "dropped": application.dropped}
    run.explanation |= competing(run, dry, heartbeat)
    laps.end("matching")
    return application.rows, application.outcome


def _reading(heartbeat: Heartbeat, done: int) -> None:
    heartbeat.report(RunStage.READING, done)
    heartbeat.check()


class Stored:
    """Rows stored so far, table by table, wherever they are loaded; stops a load of a run that must not go on."""

    def __init__(self, heartbeat: Heartbeat, total: int) -> None:
        self.heartbeat, self.total = heartbeat, total
        self.done: dict[type[Model], int] = {}

    def __call__(self, table: type[Model], rows: int) -> None:
        self.done[table] = rows
        self.heartbeat.report(RunStage.STORING, sum(list(self.done.values())), self.total)
        self.heartbeat.check()


class Laps:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def end(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] = round(now - self._since, 3)
        self._since = now


def complete(run: MatchingRun, heartbeat: Heartbeat, results: Results, laps: Laps) -> None:
    """Load the results and make them visible: claims, open items, counts and the run's state in one transaction, the
    rest beside it, where nobody sees it before that transaction is over; few results all go with it.

    Raises `ClaimedError` if another run was first, `StoppedError` if the run was cancelled or is ours no longer.
    """
    stored = Stored(heartbeat, results.rows)
    load = partial(run_results.load, [results], stored, hold=None if results.are_few else heartbeat.hold)
    if not results.are_few and not heartbeat.ours().update(**keep_note(run, results.match_ids)):
        raise StoppedError
    with (
        nullcontext() if results.are_few else beside(lambda: results.totals, only_reading=True),
        nullcontext(load) if results.are_few else beside(load) as loaded,
        transaction.atomic(),
    ):
        waiting = load_claims(results.claims, partial(stored, Claim)) if results.claims.num_rows else ()
        items = load_first_items(results.items, partial(stored, OpenItem))
        loaded()
        join_claims(waiting, heartbeat.check)
        with giving_way(), given_up_by(heartbeat.check) if items else nullcontext():
            opened = join_first_items(items)
        _refuse_vanished_statement(run)
        if not run.is_dry_run:
            with giving_way(), nullcontext() if results.are_few else given_up_by(heartbeat.check):
                settle(run, results, opened=opened)
        for position, (matched, suggested) in enumerate(results.by_rule, start=1):
            RunRule.objects.filter(run=run, position=position).update(matched=matched, suggested=suggested)
        laps.end("storing")
        # Only now is the run's row kept from a cancellation, or a worker that believes us dead, until the end.
        if (
            not heartbeat.ours()
            .filter(cancel_requested=False)
            .update(
                state=RunState.COMPLETED,
                stage=RunStage.DONE,
                completed_at=timezone.now(),
                explanation=run.explanation,
                timings=laps.seconds,
                totals=results.totals,
                **keep_note(run, None),
                **results.counts,
            )
        ):
            raise StoppedError
        record(itself(run), "run completed", "run", run.run_id, account_id=run.account_id, after=results.counts)
        announce_run(run.run_id)


def _agree_with_others(run: MatchingRun) -> None:
    """What a run has opened somebody may have claimed at the same time, or the other way round: neither saw what the
    other had not committed yet. The run itself is over, whatever becomes of this."""
    others = Event.objects.filter(account_id=run.account_id).exclude(kind="run", object_id=run.run_id)
    try:
        with transaction.atomic():
            hold_still(run.account_id)  # waits for people; other runs look for themselves when they are through
            last = others.order_by("-pk").values_list("at", flat=True).first()
            if last is not None and run.started_at is not None and last >= run.started_at:
                resolve_claimed(run.account)
    except DatabaseError:
        logger.exception("Whether others claimed what run %s left open could not be seen", run.run_id)


def settle(run: MatchingRun, results: Results, *, opened: bool = False) -> None:
    """What the claims of a real run mean for the account's suggestions and open items, if these are not `opened`."""
    withdraw_suggestions(run.account_id)
    if not (opened and results.items is not None and are_still_first(run, results.items, results.match_ids)):
        open_what_a_run_left(run.account, run.number, results.left_open, results.item_ids, results.match_ids)
        if results.claims.num_rows <= RESOLVED_ONE_BY_ONE:
            resolve_matched_by(run.account, run.number)
        else:  # comes last: while a large table changes others wait to read it
            resolve_claimed_by_many(run.account, run.number, results.item_ids)
    if results.passes_over:
        note_passed_over(run, results.until)


def _refuse_vanished_statement(run: MatchingRun) -> None:
    if run.statement is None:
        return
    # Locked, so that a statement cannot be taken back between this look and the end of the transaction.
    state = Statement.objects.select_for_update().values_list("state", flat=True).get(pk=run.statement_id)
    if state != LoadState.READY:
        raise Refused(f"The statement was {state} while this run worked on it.")


def _stop(run: MatchingRun, heartbeat: Heartbeat) -> None:
    """After a stop: cancelled by a person, given back by a worker that shuts down, or somebody else's by now."""
    asked = MatchingRun.objects.filter(pk=run.pk, lease_holder=run.lease_holder, cancel_requested=True)
    if heartbeat.asked_aloud:
        _wait_for(asked.exists)
    if heartbeat.asked_aloud or asked.exists():
        _end(run, RunState.CANCELLED, "")
    elif shutting_down.is_set():  # what is stored already the next attempt removes
        heartbeat.ours().update(state=RunState.QUEUED, stage=RunStage.WAITING, attempts=F("attempts") - 1)


def _wait_for(written: Callable[[], bool]) -> None:
    """Let whoever asked for a cancellation write it down, unless that process is gone meanwhile."""
    until = time.monotonic() + _PATIENCE
    while not written() and time.monotonic() < until:
        time.sleep(0.02)


def _end(run: MatchingRun, state: RunState, error: str) -> None:
    """End a run without results, if it is still ours. What it has stored is removed afterwards."""
    with transaction.atomic():
        still_ours = MatchingRun.objects.filter(pk=run.pk, lease_holder=run.lease_holder, state=RunState.RUNNING)
        if still_ours.update(
            state=state, error=error, completed_at=timezone.now(), applied_from=None, **NOTHING_COUNTED
        ):
            after = {"error": error} if error else None
            record(itself(run), f"run {state}", "run", run.run_id, account_id=run.account_id, after=after)
            announce_run(run.run_id)


def itself(run: MatchingRun) -> Actor:
    """The run as who does something: on behalf of who started it."""
    return Actor(run.created_by, Via.RUN)
