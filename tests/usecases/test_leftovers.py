"""What a run that was cut off has stored: seen by nobody, and removed whoever dies."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.db.models import Max, Min

from recon import errands
from recon.engine import match
from recon.models import (
    Claim,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchRunnerUp,
    OpenItem,
    RunKind,
    RunStage,
    RunState,
    Side,
    UnmatchedItem,
)
from recon.usecases.errors import Refused
from recon.usecases.integrity import violations
from recon.usecases.reports.differences import adjustment_sums, adjustments
from recon.usecases.review.differences import retype_difference
from recon.usecases.review.lists import suggestions
from recon.usecases.review.row_history import settlements
from recon.usecases.rules.evidence import newest_confirmed
from recon.usecases.runs import leftovers, results
from recon.usecases.runs.engine_options import rules_of, unwatched_options
from recon.usecases.runs.execution import execute_run, execute_taken
from recon.usecases.runs.input import read_input
from recon.usecases.runs.lease import NOTHING_COUNTED, Heartbeat, StoppedError, take_lease
from recon.usecases.runs.leftovers import remove_leftovers
from recon.usecases.runs.reading import matches_of_row
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import unmatch

STORED = (Match, MatchRow, MatchDifference, MatchRunnerUp, UnmatchedItem)


def stored() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in STORED}


NOTHING = dict.fromkeys((model.__name__ for model in STORED), 0)


@pytest.fixture
def cut_off(practised):
    """A run as it is when its process dies after storing, before it completes or removes anything."""
    run = practised("Cut off")
    assert MatchDifference.objects.exists()
    block = Match.objects.aggregate(stored_from=Min("id"), stored_to=Max("id"))
    MatchingRun.objects.filter(pk=run.pk).update(state=RunState.CANCELLED, **block, **NOTHING_COUNTED)
    Claim.objects.all().delete()
    OpenItem.objects.all().delete()
    run.refresh_from_db()
    return run


def test_nobody_sees_it(cut_off, by, client):
    placed = MatchRow.objects.filter(side=Side.STATEMENT)[0]
    match = Match.objects.get(pk=placed.match_id)
    assert settlements(Side.STATEMENT, placed.row_id) == []
    assert matches_of_row(Side.STATEMENT, placed.row_id).items == []
    assert list(adjustments()) == []
    assert adjustment_sums(None, dt.date(2000, 1, 1), dt.date(2099, 1, 1)) == []
    assert newest_confirmed(cut_off.account) == []
    assert suggestions(cut_off.account) == []
    assert client.get(f"/matches/{match.pk}/").status_code == 404
    assert list(violations()) == []


def test_nobody_decides_on_it(cut_off, by):
    difference = MatchDifference.objects.all()[0]
    match = Match.objects.get(pk=difference.match_id)
    with pytest.raises(Refused, match="has no results"):
        unmatch(by, match)
    with pytest.raises(Refused, match="has no results"):
        retype_difference(by, difference, "fee")


@pytest.mark.parametrize("state", [RunState.CANCELLED, RunState.FAILED])
@pytest.mark.parametrize("piece", [1, 2, 1_000])
def test_an_errand_of_the_worker_removes_it_a_piece_at_a_time(cut_off, monkeypatch, state, piece):
    monkeypatch.setattr(leftovers, "PIECE", piece)
    MatchingRun.objects.update(state=state)
    assert remove_leftovers in {errand.do for errand in errands.ERRANDS}
    remove_leftovers()
    assert stored() == NOTHING
    cut_off.refresh_from_db()
    assert (cut_off.stored_from, cut_off.stored_to) == (None, None)


def test_other_runs_keep_what_they_stored(cut_off, practised):
    before = stored()
    other = practised("Another")
    of_other = {name: count - before[name] for name, count in stored().items()}
    remove_leftovers()
    assert stored() == of_other
    assert other.lines_matched > 0
    assert list(violations()) == []


def test_a_run_that_was_given_back_starts_from_nothing(cut_off, monkeypatch):
    before = stored()
    MatchingRun.objects.update(state=RunState.QUEUED, attempts=0, completed_at=None)
    remove_leftovers()
    assert stored() == before
    monkeypatch.setattr(results, "FEW", 0)
    execute_run(cut_off.run_id)
    cut_off.refresh_from_db()
    assert (cut_off.state, cut_off.stored_from) == (RunState.COMPLETED, None)
    assert stored() == before
    assert list(violations()) == []


@pytest.mark.parametrize("few", [0, results.FEW])
def test_a_run_that_is_cancelled_at_the_last_moment_leaves_nothing(practised, by, monkeypatch, few):
    monkeypatch.setattr(results, "FEW", few)
    done = practised("Done")
    before = stored()
    versions = [each.version for each in done.run_rules.all()]
    again = start_run(by, done.account, done.statement, versions, kind=RunKind.BATCH, is_dry_run=True)
    taken = take_lease(again.run_id)
    assert taken is not None
    MatchingRun.objects.filter(pk=again.pk).update(cancel_requested=True)
    execute_taken(taken)
    again.refresh_from_db()
    assert (again.state, again.stage, again.stored_from) == (RunState.CANCELLED, RunStage.READING, None)
    assert stored() == before


@pytest.fixture
def frozen(practised, by):
    """A worker's run and its heartbeat, of whom another worker believes that it is dead."""
    done = practised("Done")
    versions = [each.version for each in done.run_rules.all()]
    again = start_run(by, done.account, done.statement, versions, kind=RunKind.BATCH, is_dry_run=True)
    taken = take_lease(again.run_id)
    assert taken is not None
    MatchingRun.objects.filter(pk=taken.pk).update(lease_holder="another worker")
    return taken, Heartbeat(taken)


def test_a_worker_that_was_frozen_stores_nothing_once_another_has_its_run(frozen):
    run, heartbeat = frozen
    rows = read_input(run, lambda done: None)
    outcome = match(rules_of(run), rows.statement, rows.ledger, unwatched_options(run))
    found = results.prepare(run, rows, outcome, [each.version_id for each in run.run_rules.all()])
    before = stored()
    with pytest.raises(StoppedError), transaction.atomic():
        results.load([found], lambda model, done: None, heartbeat.hold)
    assert stored() == before
    results.load([found], lambda model, done: None)
    assert stored() != before


def test_a_worker_that_was_frozen_removes_nothing_once_another_has_its_run(frozen):
    run, _ = frozen
    done = MatchingRun.objects.get(state=RunState.COMPLETED)
    of_other = Match.objects.aggregate(stored_from=Min("id"), stored_to=Max("id"))
    MatchingRun.objects.filter(pk=done.pk).update(lease_holder="another worker", **of_other)
    done.refresh_from_db()
    done.lease_holder = run.lease_holder
    before = stored()
    with pytest.raises(StoppedError):
        leftovers.discard(done, lambda: None, Heartbeat(done).hold)
    assert stored() == before
    leftovers.discard(done, lambda: None, lambda: None)
    assert stored() == NOTHING
