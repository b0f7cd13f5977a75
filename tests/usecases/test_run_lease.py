"""The thread that keeps a run's lease hears of whatever must stop the run."""

from __future__ import annotations

import pytest

from recon.models import MatchingRun, RunKind, RunStage
from recon.usecases.runs.lease import Heartbeat, StoppedError, take_lease
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, actor, make_account, make_rule, make_statement, row


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
