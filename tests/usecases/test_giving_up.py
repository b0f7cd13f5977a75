"""A run that has the database to itself hears of its cancellation, and lets the request in."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from django.db import OperationalError, connection, transaction

from recon.models import IdBlock, MatchingRun, RunKind, RunState
from recon.usecases.bulk.giving_up import given_up_by
from recon.usecases.runs import execution
from recon.usecases.runs.cancelling import asked_aloud
from recon.usecases.runs.execution import _stop
from recon.usecases.runs.lease import Heartbeat, StoppedError, take_lease
from recon.usecases.runs.starting import cancel_run, start_run
from tests.cast import SAME_AMOUNT, actor, make_account, make_rule, make_statement, row

pytestmark = pytest.mark.django_db(transaction=True)

FOR_A_MINUTE = {
    "postgresql": "SELECT pg_sleep(60)",
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e9) SELECT max(i) FROM n",
}


def take_a_minute() -> None:
    with connection.cursor() as cursor:
        cursor.execute(FOR_A_MINUTE[connection.vendor])


class ToldError(Exception):
    """What whoever asks raises."""


def tell() -> None:
    raise ToldError


@transaction.atomic
def write_and_take_a_minute() -> None:
    IdBlock.objects.create(table="given up")
    with given_up_by(tell):
        take_a_minute()


def test_a_statement_is_given_up_and_what_the_transaction_wrote_is_taken_back():
    began = time.monotonic()
    with pytest.raises(ToldError):
        write_and_take_a_minute()
    assert time.monotonic() - began < 30
    assert not IdBlock.objects.filter(table="given up").exists()
    IdBlock.objects.create(table="the connection is as good as new")


def test_it_is_raised_too_if_the_block_makes_light_of_what_was_given_up():
    with pytest.raises(ToldError), transaction.atomic(), given_up_by(tell), suppress(OperationalError):
        take_a_minute()


def test_other_errors_are_raised_as_they_are():
    with pytest.raises(OperationalError), transaction.atomic(), given_up_by(lambda: None):
        raise OperationalError("of its own")


@pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="in memory nobody waits for a lock; tests/runs/test_worker.py does this with a file and a real worker",
)
def test_a_run_is_cancelled_in_the_midst_of_the_transaction_that_would_complete_it(alice):
    account = make_account()
    statement = make_statement(account, [row(1, "10.00")])
    rule = make_rule("Amount", SAME_AMOUNT)
    queued = start_run(actor(alice), account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False)
    run = take_lease(queued.run_id)
    assert run is not None
    at_work = threading.Event()

    def complete() -> None:
        try:
            with Heartbeat(run) as heartbeat:
                try:
                    with transaction.atomic(), given_up_by(heartbeat.check):
                        IdBlock.objects.create(table="nobody else may write now")
                        at_work.set()
                        take_a_minute()
                except StoppedError:
                    _stop(run, heartbeat)
        finally:
            connection.close()

    completing = threading.Thread(target=complete)
    completing.start()
    assert at_work.wait(30)
    began = time.monotonic()
    assert cancel_run(actor(alice), queued).cancel_requested
    completing.join()
    assert time.monotonic() - began < 30
    assert MatchingRun.objects.get(pk=run.pk).state == RunState.CANCELLED
    assert not IdBlock.objects.filter(table="nobody else may write now").exists()


@pytest.mark.skipif(connection.vendor == "postgresql", reason="there the database hears of it whatever happens")
def test_a_run_is_over_too_if_whoever_asked_was_killed_before_writing_it_down(alice, monkeypatch):
    monkeypatch.setattr(execution, "_PATIENCE", 0)
    account = make_account()
    statement = make_statement(account, [row(1, "10.00")])
    queued = start_run(
        actor(alice), account, statement, [make_rule("Amount", SAME_AMOUNT)], kind=RunKind.BATCH, is_dry_run=False
    )
    run = take_lease(queued.run_id)
    assert run is not None
    with asked_aloud(run.run_id), Heartbeat(run) as heartbeat:
        with pytest.raises(StoppedError):
            heartbeat.check()
        _stop(run, heartbeat)
    assert MatchingRun.objects.get(pk=run.pk).state == RunState.CANCELLED
