"""Writing matches back to Blnk's meta_data: once, undone with the match, patient with a Blnk that is away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from recon.models import Connector, Match, RunKind
from recon.usecases.outside.connector_sync import execute_sync, start_sync
from recon.usecases.outside.connector_write_back import LOOK_EVERY, TRIES, write_back_due
from recon.usecases.outside.connectors import change_connector
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import unmatch
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_rule, make_statement, row
from tests.connector.conftest import made

pytestmark = pytest.mark.django_db


@pytest.fixture
def matched(alice, blnk, connector):
    """Three pulled transactions, of which the first two are matched; gives the run."""
    change_connector(actor(alice), connector, writes_back=True)
    blnk.set(transactions=[made(1), made(2), made(3)])
    connector.refresh_from_db()
    execute_sync(start_sync(actor(alice), connector).pk)
    account = make_account(scope={"balances": ["bln_bank"]})
    lines = [row(f"bank-{n}", "10.50", reference=f"INV-{n:05}") for n in (1, 2)]
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    return start_run(
        actor(alice), account, make_statement(account, lines), [rule], kind=RunKind.INSTANT, is_dry_run=False
    )


def write_all() -> int:
    """Everything that is due, as the worker's errand does it."""
    written = 0
    while some := write_back_due():
        written += some
    return written


def later() -> None:
    Connector.objects.update(write_after=timezone.now() - timedelta(seconds=1))


def meta(blnk) -> dict:
    return {each["transaction_id"]: each["meta_data"] for each in blnk.state()["transactions"]}


def test_matched_transactions_show_their_reconciliation(blnk, matched):
    assert matched.lines_matched == 2
    assert write_all() == 2
    found = meta(blnk)["txn_00001"]
    match = Match.objects.order_by("pk")[0]
    assert found == {
        "shop": "berlin",  # what was there stays
        "reconciled": True,
        "reconciliation_id": matched.run_id,
        "external_txn_id": "bank-1",
        "reconciled_at": match.created_at.isoformat(),
        "reconciliation_amount": 10.5,
    }
    assert meta(blnk)["txn_00003"] == {"shop": "berlin"}


def test_a_match_is_written_once(blnk, matched):
    assert write_all() == 2
    later()
    assert write_all() == 0
    Connector.objects.update(written_event=0)  # whatever makes it look again
    assert write_all() == 0
    assert len(blnk.state()["writes"]) == 2


def test_unmatching_takes_it_away_and_matching_again_brings_it_back(alice, blnk, matched):
    write_all()
    unmatch(actor(alice), Match.objects.order_by("pk")[0])
    assert write_all() == 1
    found = meta(blnk)["txn_00001"]
    assert (found["reconciled"], found["reconciliation_id"], found["shop"]) == (False, None, "berlin")
    assert meta(blnk)["txn_00002"]["reconciled"] is True


def test_what_was_undone_before_it_was_written_is_never_written(alice, blnk, matched):
    unmatch(actor(alice), Match.objects.order_by("pk")[0])
    assert write_all() == 1
    assert meta(blnk)["txn_00001"] == {"shop": "berlin"}


def test_a_blnk_that_is_away_is_waited_for(blnk, matched):
    blnk.set(faults=["500", "500"])
    assert write_all() == 0
    connector = Connector.objects.get()
    assert "answered 500" in connector.write_error
    assert connector.write_after is not None
    assert write_all() == 0  # not yet
    later()
    assert write_all() == 2
    connector.refresh_from_db()
    assert connector.write_error == ""
    assert connector.write_after is not None
    assert connector.write_after <= timezone.now() + LOOK_EVERY


def test_one_that_blnk_refuses_holds_up_no_other_and_is_left_alone_at_last(alice, blnk, matched):
    blnk.set(gone=["txn_00001"])
    for _ in range(TRIES + 3):
        write_all()
        later()
    refused = Connector.objects.get().pulled.get(transaction_id="txn_00001")
    assert refused.tries == TRIES
    assert "answered 404: entity not found" in refused.error
    assert meta(blnk)["txn_00002"]["reconciled"] is True
    assert write_all() == 0


def test_nothing_is_written_unless_somebody_said_so(alice, blnk, matched):
    change_connector(actor(alice), Connector.objects.get(), writes_back=False)
    assert write_all() == 0
    assert blnk.state()["writes"] == []
    change_connector(actor(alice), Connector.objects.get(), writes_back=True)
    assert write_all() == 2  # what was matched meanwhile too
