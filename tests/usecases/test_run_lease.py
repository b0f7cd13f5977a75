"""The thread that keeps a run's lease hears of whatever must stop the run."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from recon.engine import match
from recon.models import Claim, Match, MatchingRun, MatchRow, OpenItem, RunKind, RunStage, RunState, UnmatchedItem
from recon.usecases.integrity import violations
from recon.usecases.runs import execution, results
from recon.usecases.runs.engine_options import engine_options, rules_of
from recon.usecases.runs.input import read_input
from recon.usecases.runs.lease import Heartbeat, StoppedError, take_lease
from recon.usecases.runs.leftovers import discard
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, actor, make_account, make_entries, make_rule, make_statement, row


@pytest.fixture
def taken(alice):
    """A run that this process has taken up."""
    account = make_account()
    statement = make_statement(account, [row(1, "10.00")])
    run = start_run(
        actor(alice), account, statement, [make_rule("Amount", SAME_AMOUNT)], kind=RunKind.BATCH, is_dry_run=False
    )
    return take_lease(run.run_id)


def test_a_cancellation_is_heard_while_the_work_goes_on(taken):
    heartbeat = Heartbeat(taken)
    for done in range(1, 4):
        heartbeat.report(RunStage.STORING, done, 10)  # every look finds some progress
        heartbeat._look()
        heartbeat.check()
    MatchingRun.objects.filter(pk=taken.pk).update(cancel_requested=True)
    heartbeat.report(RunStage.STORING, 4, 10)
    heartbeat._look()
    with pytest.raises(StoppedError):
        heartbeat.check()
    assert MatchingRun.objects.get(pk=taken.pk).rows_done == 4


def test_a_run_that_somebody_else_took_up_stops(taken):
    heartbeat = Heartbeat(taken)
    MatchingRun.objects.filter(pk=taken.pk).update(lease_holder="somebody else")
    heartbeat.report(RunStage.MATCHING, 1, 10)
    heartbeat._look()
    with pytest.raises(StoppedError):
        heartbeat.check()
    assert MatchingRun.objects.get(pk=taken.pk).rows_done == 0


@pytest.fixture
def frozen_and_overtaken(alice, monkeypatch):
    """A worker with results in its hands that was frozen for longer than its lease: another one has completed the
    run meanwhile. Gives its run, its lease and the results."""
    monkeypatch.setattr(results, "FEW", 0)  # each table is stored in a transaction of its own
    account = make_account()
    make_entries(account, [row(n, f"{n}.00") for n in (1, 2, 3)])
    statement = make_statement(account, [row(n, f"{n}.00") for n in (1, 2, 4)])
    rule = make_rule("Amount", SAME_AMOUNT)
    run_id = start_run(actor(alice), account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False).run_id
    run = take_lease(run_id)
    assert run is not None
    heartbeat = Heartbeat(run)
    rows = read_input(run, lambda done: None)
    outcome = match(rules_of(run), rows.statement, rows.ledger, engine_options(run, heartbeat))
    in_hand = results.prepare(run, rows, outcome, [each.version_id for each in run.run_rules.all()])
    MatchingRun.objects.filter(pk=run.pk).update(lease_until=timezone.now())
    execution.execute_run(run_id)
    assert MatchingRun.objects.get(pk=run.pk).state == RunState.COMPLETED
    return run, heartbeat, in_hand


def store(run, heartbeat, in_hand) -> None:
    results.load([in_hand], lambda table, done: None, hold=heartbeat.hold)


def complete(run, heartbeat, in_hand) -> None:
    execution.complete(run, heartbeat, in_hand, execution.Laps())


def remove(run, heartbeat, in_hand) -> None:
    discard(MatchingRun.objects.get(pk=run.pk), lambda: None, heartbeat.hold)


@pytest.mark.parametrize("go_on", [store, complete, remove])
def test_a_worker_that_wakes_up_after_another_has_done_its_run_changes_nothing(frozen_and_overtaken, go_on):
    bulk = (Match, MatchRow, Claim, UnmatchedItem, OpenItem)
    before = [list(model.objects.order_by("pk").values()) for model in bulk]
    assert [len(rows) for rows in before] == [2, 4, 4, 2, 2]
    with pytest.raises(StoppedError), transaction.atomic():
        go_on(*frozen_and_overtaken)
    assert [list(model.objects.order_by("pk").values()) for model in bulk] == before
    assert MatchingRun.objects.get().state == RunState.COMPLETED
    assert list(violations()) == []
