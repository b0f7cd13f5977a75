"""Entries that a small run did not read become open items all the same."""

from __future__ import annotations

from datetime import date

import pytest

from recon import errands
from recon.models import MatchingRun, OpenItem, PassedOver, RunKind, RunState, Side
from recon.usecases.accounts.closing import unfinished
from recon.usecases.integrity import violations
from recon.usecases.runs import passed_over, pushdown
from recon.usecases.runs.facts import run_facts
from recon.usecases.runs.passed_over import list_passed_over
from recon.usecases.runs.starting import apply_run, start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_entries, make_rule, make_statement, row

MARCH = date(2026, 3, 31)


@pytest.fixture
def account(db, monkeypatch):
    """A ledger that counts as large, with a piece of three entries at a time."""
    monkeypatch.setattr(pushdown, "SMALL", 5)
    monkeypatch.setattr(pushdown, "LOOK_UP", 0)
    monkeypatch.setattr(pushdown, "FETCH", 1)
    monkeypatch.setattr(passed_over, "PIECE", 3)
    account = make_account()
    entries = [row(number, f"{number}.00", "2026-03-02", reference=f"INV-{number}") for number in range(1, 9)]
    later = row(9, "9.00", "2026-04-02", reference="INV-9")
    undated = row(10, "10.00", None, reference="INV-10")
    make_entries(account, [*entries, later, undated])
    return account


@pytest.fixture
def statement(account):
    lines = [row(1, "1.00", "2026-03-03", reference="INV-1"), row(2, "3.33", "2026-03-30", reference="INV-3")]
    return make_statement(account, lines, period_end=MARCH)


def reconcile(alice, account, statement, *, is_dry_run=False):
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    return start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=is_dry_run)


def listed(account):
    items = OpenItem.objects.unresolved().filter(account_id=account.pk, side=Side.LEDGER)
    return sorted(items.values_list("units", "reason"))


def list_all():
    while list_passed_over():
        pass


BY_THE_RUN = [(300, "amount_differs")]
BY_THE_WORKER = [(units, "no_candidate") for units in (200, 400, 500, 600, 700, 800, 1000)]


def test_the_worker_lists_what_a_narrowed_run_did_not_read(alice, account, statement):
    run = reconcile(alice, account, statement)
    assert (run.entries_matched, run.entries_unmatched) == (1, 1)
    assert listed(account) == BY_THE_RUN
    assert run_facts(run).passed_over == "The other open entries are being put on the list of open items."
    assert unfinished(account, MARCH).entries == len(BY_THE_WORKER)
    list_all()
    assert listed(account) == sorted(BY_THE_RUN + BY_THE_WORKER)  # not the one of April
    assert run_facts(run).passed_over == "The other open entries are on the list of open items."
    assert unfinished(account, MARCH).entries == 0
    assert list(violations()) == []


def test_a_dry_run_lists_nothing_and_the_run_that_applies_it_does(alice, account, statement):
    dry = reconcile(alice, account, statement, is_dry_run=True)
    assert not PassedOver.objects.exists()
    assert run_facts(dry).passed_over == ""
    apply_run(actor(alice), dry)
    list_all()
    assert listed(account) == sorted(BY_THE_RUN + BY_THE_WORKER)


def test_a_run_that_reads_the_whole_ledger_lists_it_itself(alice, account, statement, monkeypatch):
    monkeypatch.setattr(pushdown, "SMALL", 50)
    reconcile(alice, account, statement)
    assert not PassedOver.objects.exists()
    assert [units for units, _ in listed(account)] == [200, 300, 400, 500, 600, 700, 800, 1000]


def test_what_people_did_with_an_item_stays(alice, account, statement):
    reconcile(alice, account, statement)
    list_all()
    OpenItem.objects.filter(units=400).update(state="accepted", reason="amount_differs")
    again = make_statement(account, [row(5, "5.00", "2026-03-05", reference="INV-5")], sha256="1" * 64)
    reconcile(alice, account, again)
    list_all()
    assert OpenItem.objects.filter(units=500).get().state == "resolved"
    assert OpenItem.objects.filter(units=400).values_list("state", "reason").get() == ("accepted", "amount_differs")
    assert list(violations()) == []


def test_a_later_run_begins_the_list_anew_and_its_day_counts_if_it_is_later(alice, account, statement):
    first = reconcile(alice, account, statement)
    list_passed_over()
    assert PassedOver.objects.get().next_id == 3
    april = make_statement(account, [row(7, "7.00", "2026-04-30", reference="INV-7")], sha256="2" * 64)
    reconcile(alice, account, april)
    note = PassedOver.objects.get()
    assert (note.next_id, note.until) == (0, date(2026, 4, 30))
    assert note.run_number > first.number
    list_all()
    assert (900, "no_candidate") in listed(account)


def test_it_waits_while_a_run_of_the_account_is_at_work(alice, account, statement):
    run = reconcile(alice, account, statement)
    at_work = MatchingRun.objects.filter(pk=run.pk)
    at_work.update(state=RunState.RUNNING, completed_at=None)
    assert list_passed_over() == 0
    assert listed(account) == BY_THE_RUN
    at_work.update(state=RunState.COMPLETED, completed_at=run.completed_at)
    list_all()
    assert len(listed(account)) == 1 + len(BY_THE_WORKER)


def test_it_is_an_errand_of_the_worker():
    assert list_passed_over in {errand.do for errand in errands.ERRANDS}
