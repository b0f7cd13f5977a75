"""Two files at once: what a run gets without reading it again, and what stays if one file is refused."""

from __future__ import annotations

import json
from concurrent.futures import Future
from datetime import date
from functools import partial

import pyarrow as pa
import pytest

from recon.demo import practice
from recon.models import LoadState, RunState, Side, StatementLine
from recon.usecases.accounts.closing import close_period
from recon.usecases.errors import Refused
from recon.usecases.imports.importing import import_statement, prepare, store_ledger, store_statement
from recon.usecases.integrity import violations
from recon.usecases.runs.at_hand import AtHand
from recon.usecases.runs.input import RunInput, fresh_input, read_input
from recon.usecases.runs.lease import StoppedError
from recon.usecases.runs.reconcile_files import ASSUMED, Job, reconcile_files
from tests.cast import SAME_AMOUNT, actor, make_account, make_rule
from tests.usecases.test_pushdown import queued_run

LEDGER = b"""id,amount,date,status,description,reference
A1,100.00,2026-03-02,booked,"Invoice, one",R-1
A2,-7.5,2026-03-03,pending,Never final,R-2
A3,12.345,2026-03-03,,,
"""
STATEMENT = b"""id,amount,date,description,reference
B1,100.00,2026-03-02,Paid,r-1
B2,3.00,2026-03-04,,
"""


@pytest.mark.parametrize("strategy", ["one_to_one", "one_to_many"])
def test_rows_at_hand_are_those_that_a_run_would_read(alice, settings, tmp_path, db, strategy):
    settings.MEDIA_ROOT = tmp_path
    rows: dict[str, pa.Table] = {}
    by, account = actor(alice), make_account()
    statement = store_statement(
        by,
        account,
        prepare(account, Side.STATEMENT, STATEMENT, "statement.csv", accepting=ASSUMED),
        rows_go_to=partial(rows.__setitem__, "lines"),
    )
    ledger = prepare(account, Side.LEDGER, LEDGER, "ledger.csv", accepting=ASSUMED)
    store_ledger(by, account, ledger, rows_go_to=partial(rows.__setitem__, "entries"))
    run = queued_run(account, statement, make_rule("Rule", SAME_AMOUNT))
    run.strategy = strategy
    at_hand, read = fresh_input(run, **rows), read_input(run, lambda done: None)
    assert at_hand.statement.equals(read.statement.sort_by("id"))
    assert at_hand.ledger.equals(read.ledger.sort_by("id"))
    assert at_hand.ledger.num_rows == 2  # the pending one takes no part
    assert at_hand.next_entry == read.next_entry


@pytest.mark.django_db(transaction=True)
def test_a_refused_side_takes_the_other_one_back(django_user_model, settings, tmp_path):
    """The ledger's first entry lies in a closed period, which is found out when both sides are on their way in."""
    settings.MEDIA_ROOT = tmp_path / "media"
    by, account = actor(django_user_model.objects.create_user("alice")), make_account()
    close_period(by, account, date(2026, 3, 2))
    later = STATEMENT.replace(b"2026-03-02", b"2026-03-04")
    for name, content in (("statement.csv", later), ("ledger.csv", LEDGER), ("rules.json", practice.EXACT.encode())):
        (tmp_path / name).write_bytes(content)
    job = Job(tmp_path / "statement.csv", tmp_path / "ledger.csv", practice.EXACT, account=account)
    with pytest.raises(Refused, match="closed"):
        reconcile_files(by, job)
    assert [each.state for each in account.statements.all()] == [LoadState.DISCARDED]
    assert not StatementLine.objects.exists()
    assert list(violations()) == []
    import_statement(by, account, later, "statement.csv", accepting=ASSUMED)  # it may come again


@pytest.fixture
def practice_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    files = tmp_path / "statement.csv", tmp_path / "ledger.csv"
    for path, content in zip(files, (practice.statement_csv(), practice.ledger_csv()), strict=True):
        path.write_bytes(content)
    return {"statement": files[0], "ledger": files[1]}


RULES = f"[{practice.EXACT}, {practice.WITHIN_ONE_PERCENT}]"


def test_rows_that_are_matched_while_they_are_stored_come_to_the_same(alice, practice_files, practised):
    usual = practised("Read again")
    done = reconcile_files(actor(alice), Job(**practice_files, rules=RULES))
    assert (done.run.state, done.run.totals) == (usual.state, usual.totals)
    assert (done.run.lines_matched, done.run.lines_suggested) == (usual.lines_matched, usual.lines_suggested)
    assert [rule["candidates"] for rule in done.run.explanation["rules"]] == [
        rule["candidates"] for rule in usual.explanation["rules"]
    ]
    assert list(violations()) == []


def test_a_rule_that_the_engine_refuses_fails_the_run_and_the_files_stay(alice, practice_files, settings):
    settings.CANDIDATE_BUDGET = 1_000
    for path, cents in zip(practice_files.values(), ("50", "00"), strict=True):
        rows = (f"{number},{number}.{cents},2026-03-02\n" for number in range(1, 1_601))
        path.write_text(f"id,amount,date\n{''.join(rows)}")
    broad = json.dumps({"name": "Broad", "criteria": [{"field": "amount", "operator": "greater_than"}]})
    done = reconcile_files(actor(alice), Job(**practice_files, rules=broad))
    assert done.run.state == RunState.FAILED
    assert "would compare about" in done.run.error
    assert done.statement.state == LoadState.READY
    assert list(violations()) == []


def test_waiting_for_what_is_matched_ahead_can_be_stopped():
    def stop() -> None:
        raise StoppedError

    nothing = pa.table({})
    never = AtHand(RunInput(nothing, nothing, 1, {}), Future())
    with pytest.raises(StoppedError):
        never.outcome(stop)


@pytest.mark.parametrize("telling", ["statement", "ledger"])
def test_a_file_without_a_currency_has_that_of_the_other(alice, practice_files, telling):
    for side, path in practice_files.items():
        currency = ",USD" if side == telling else ""
        path.write_text(f"id,amount,date{currency and ',currency'}\n1,10.00,2026-03-02{currency}\n")
    done = reconcile_files(actor(alice), Job(**practice_files, rules=practice.EXACT.replace("reference", "currency")))
    assert done.run.lines_matched == 1
    [note] = [each for each in done.assumed if "currency" in each]
    assert "Taken: USD, as in the other file" in note
    assert telling not in note
