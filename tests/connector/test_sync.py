"""Pulling ledger entries from a running Blnk Core: everything, once, exactly, whatever goes wrong."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from recon import blnk_core
from recon.blnk_core import PAGE
from recon.models import Connector, ConnectorSync, Event, LedgerEntry, LedgerImport, SyncState
from recon.outbound import Limits
from recon.usecases.errors import Refused
from recon.usecases.imports.importing import reverse_ledger_import
from recon.usecases.integrity import violations
from recon.usecases.outside import connector_sync
from recon.usecases.outside.connector_sync import (
    StoppedError,
    cancel_sync,
    execute_sync,
    forget_old_syncs,
    start_sync,
    sync_due,
)
from recon.usecases.outside.connectors import change_connector, create_connector, delete_connector, try_connector
from tests.cast import actor, make_account
from tests.connector.conftest import NOON, made
from tests.connector.stand_in import KEY

pytestmark = pytest.mark.django_db

READ_PAGE = connector_sync.read_page


def sync(alice, connector, again_from=None) -> ConnectorSync:
    started = start_sync(actor(alice), connector, again_from)
    execute_sync(started.pk)
    started.refresh_from_db()
    return started


def names() -> list[str | None]:
    return list(LedgerEntry.objects.order_by("pk").values_list("external_id", flat=True))


def test_everything_is_read_once_and_only_what_is_new_the_next_time(alice, blnk, connector):
    blnk.set(transactions=[made(number) for number in range(250)])
    first = sync(alice, connector)
    assert (first.state, first.error, first.seen, first.added, first.total) == ("completed", "", 250, 250, 250)
    assert names() == [f"txn_{number:05}" for number in range(250)]
    imported = LedgerImport.objects.get()
    assert (imported.record_count, imported.state, imported.format) == (250, "ready", "blnk")
    assert Event.objects.filter(verb="ledger imported").count() == 1

    blnk.set(transactions=[made(number) for number in range(253)], queries=[])
    connector.refresh_from_db()
    second = sync(alice, connector)
    assert (second.state, second.added) == ("completed", 3)
    asked = blnk.state()["queries"][0]["filters"]
    assert {
        "field": "created_at",
        "operator": "gte",
        "value": "2026-03-02T11:04:09.000000Z",
    } in asked  # an hour before
    assert LedgerImport.objects.count() == 2
    assert not list(violations())

    connector.refresh_from_db()
    assert sync(alice, connector).import_number is None  # nothing new: no import


def test_an_entry_says_what_the_transaction_said(alice, blnk, connector):
    blnk.set(transactions=[made(1, effective_date="2026-02-28T23:30:00Z", parent_transaction="txn_parent")])
    sync(alice, connector)
    entry = LedgerEntry.objects.get()
    assert (str(entry.amount), entry.currency, entry.status) == ("10.50", "EUR", "APPLIED")
    assert (entry.reference, entry.reference_key) == ("INV-00001", "inv-00001")
    assert (entry.source, entry.destination, entry.account_id) == ("bln_world", "bln_bank", None)
    assert entry.booking_date == date(2026, 2, 28)
    assert entry.booked_at == datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert entry.parent_transaction == "txn_parent"
    assert json.loads(entry.extra or "") == {"meta_data": {"shop": "berlin"}}


def test_only_final_transactions_are_read(alice, blnk, connector):
    states = ["QUEUED", "INFLIGHT", "APPLIED", "VOID", "REJECTED"]
    blnk.set(transactions=[made(number, status=status) for number, status in enumerate(states)])
    sync(alice, connector)
    assert names() == ["txn_00002"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"precise_amount": 1050, "precision": 100}, "10.50"),
        ({"precise_amount": 12345678901234567, "precision": 100, "amount": 123456789012345.67}, "123456789012345.67"),
        ({"precise_amount": 1, "precision": 1000}, "0.001"),
        ({"precise_amount": 5, "precision": 1}, "5"),
        ({"precise_amount": 1500000000000000000, "precision": 1000000000000000000}, "1.50"),  # what wei do not say
        ({"precise_amount": None, "amount": 0.1}, "0.10"),
        ({"precise_amount": 0, "precision": 100}, "0.00"),
    ],
)
def test_amounts_are_exact(alice, blnk, connector, given, expected):
    blnk.set(transactions=[made(1, **given)])
    assert sync(alice, connector).error == ""
    assert str(LedgerEntry.objects.get().amount) == expected


UNREADABLE = [
    ({"precise_amount": 1, "precision": 1000000000000000000}, "does not fit"),
    ({"precise_amount": 10**18, "precision": 100}, "does not fit"),
    ({"precise_amount": 10**30 + 1, "precision": 10**18}, "does not fit"),
    ({"precise_amount": 100, "precision": 3}, "power of ten"),
    ({"precise_amount": "ten"}, "expected a number"),
    ({"precise_amount": None, "amount": None}, "expected a number"),
    ({"currency": "USDT"}, "three letters"),
    ({"reference": "a\x00b"}, "NUL"),
    ({"reference": 5}, "expected a text"),
    ({"effective_date": "yesterday"}, "the time is 'yesterday'"),
]


@pytest.mark.parametrize(("given", "expected"), UNREADABLE)
def test_what_cannot_be_an_entry_stops_the_page_and_is_named(alice, blnk, connector, given, expected):
    blnk.set(transactions=[made(1), made(2, **given)])
    stopped = sync(alice, connector)
    assert stopped.state == SyncState.FAILED
    assert expected in stopped.error
    assert "txn_00002" in stopped.error
    assert not LedgerEntry.objects.exists()
    assert not LedgerImport.objects.exists()


def test_it_may_be_left_out_if_somebody_said_so_and_is_listed(alice, blnk, connector):
    change_connector(actor(alice), connector, skips_unreadable=True)
    connector.refresh_from_db()
    blnk.set(transactions=[made(1), made(2, currency="USDT"), made(3)])
    done = sync(alice, connector)
    assert (done.state, done.added, done.left_out) == ("completed", 2, 1)
    assert "txn_00002" in done.problems[0]
    assert names() == ["txn_00001", "txn_00003"]


def test_more_transactions_of_one_instant_than_a_page_holds_are_all_read(alice, blnk, connector):
    one_instant = [made(number, seconds=0) for number in range(2 * PAGE + 50)]
    before, after = made(998, seconds=-5), made(999, seconds=5)
    blnk.set(transactions=[*one_instant, before, after])
    assert sync(alice, connector).added == 2 * PAGE + 52
    assert len(set(names())) == 2 * PAGE + 52


@pytest.mark.parametrize("fault", ["500", "429", "truncated", "not_json", "unsorted"])
def test_what_passes_is_waited_for(alice, blnk, connector, fault):
    blnk.set(transactions=[made(number) for number in range(250)], faults=["ok", fault, fault, "ok", fault])
    done = sync(alice, connector)
    assert (done.state, done.added) == ("completed", 250)
    assert len(names()) == len(set(names())) == 250


def test_a_page_that_comes_twice_brings_nothing_twice(alice, blnk, connector):
    blnk.set(transactions=[made(number) for number in range(250)], faults=["ok", "again", "ok"])
    assert sync(alice, connector).added == 250
    assert len(names()) == len(set(names())) == 250


def test_what_does_not_pass_fails_and_the_next_sync_goes_on_from_there(alice, blnk, connector):
    blnk.set(transactions=[made(number * 60) for number in range(250)], faults=["ok", *["500"] * 6])
    failed = sync(alice, connector)
    assert (failed.state, failed.added) == ("failed", PAGE)
    assert "answered 500: Failed to retrieve transactions" in failed.error
    assert LedgerImport.objects.get().record_count == PAGE == LedgerEntry.objects.count()
    connector.refresh_from_db()
    blnk.set(faults=[])
    assert sync(alice, connector).added == 150
    assert len(names()) == len(set(names())) == 250


def test_a_slow_answer_is_given_up(alice, blnk, connector, monkeypatch):
    monkeypatch.setattr(blnk_core, "LIMITS", Limits(seconds=0.2))
    monkeypatch.setattr(connector_sync, "ATTEMPTS", 2)
    blnk.set(transactions=[made(1)], faults=["slow", "slow"])
    failed = sync(alice, connector)
    assert failed.state == SyncState.FAILED
    assert "in time" in failed.error


def test_a_wrong_key_is_said_at_once_and_stands_nowhere(alice, blnk):
    wrong = create_connector(actor(alice), url=blnk.url, key="top-secret-key", name="Wrong")
    with pytest.raises(Refused, match="does not accept the key"):
        try_connector(wrong)
    failed = sync(alice, wrong)
    assert "does not accept the key (answered 401: Invalid API key)" in failed.error
    assert "top-secret-key" not in json.dumps(list(Event.objects.values("before", "after", "why")))
    stored = Connector.objects.values("sealed_key", "sealed_url").get()
    assert "top-secret-key" not in stored["sealed_key"]
    assert "127.0.0.1" not in stored["sealed_url"]


def test_trying_says_how_many_there_are(blnk, connector):
    blnk.set(transactions=[made(1), made(2), made(3, status="VOID")])
    assert try_connector(connector) == 2


def test_private_addresses_are_not_asked(alice, blnk, connector, settings):
    settings.PRIVATE_HOSTS = []
    with pytest.raises(Refused, match="private address"):
        try_connector(connector)


def test_something_else_at_the_address_is_said(alice, blnk):
    wrong = create_connector(actor(alice), url=f"{blnk.url}/somewhere", key=KEY, name="Wrong")
    with pytest.raises(Refused, match="answered 404"):
        try_connector(wrong)


def test_a_sync_whose_worker_died_goes_on_behind_the_last_page(alice, blnk, connector, monkeypatch):
    blnk.set(transactions=[made(number) for number in range(250)])
    started = start_sync(actor(alice), connector)
    with monkeypatch.context() as dying:
        pages = []

        def read_then_die(core, place):
            pages.append(place)
            if len(pages) == 3:
                raise KeyboardInterrupt  # no handler of ours runs, as with a kill
            return READ_PAGE(core, place)

        dying.setattr(connector_sync, "read_page", read_then_die)
        with pytest.raises(KeyboardInterrupt):
            execute_sync(started.pk)
    assert LedgerEntry.objects.count() >= PAGE
    execute_sync(started.pk)  # its lease still runs: nobody else may
    started.refresh_from_db()
    assert started.state == SyncState.RUNNING
    ConnectorSync.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    blnk.set(queries=[])
    assert sync_due() == 1
    started.refresh_from_db()
    assert (started.state, started.added) == ("completed", 250)
    assert len(names()) == len(set(names())) == 250
    first = blnk.state()["queries"][0]["filters"]
    assert any(each["field"] == "created_at" for each in first)  # not from the beginning
    assert LedgerImport.objects.get().record_count == 250


def test_a_worker_that_lost_its_lease_stores_nothing_more(alice, blnk, connector, monkeypatch):
    blnk.set(transactions=[made(1)])
    started = start_sync(actor(alice), connector)
    ours = connector_sync.take_lease(started.pk)
    assert ours is not None
    ConnectorSync.objects.update(lease_holder="another")
    with pytest.raises(StoppedError):
        connector_sync.store_page(ours, [made(1)], [NOON], connector_sync.Place(NOON))
    assert not LedgerEntry.objects.exists()


def test_a_sync_is_cancelled_between_pages_and_keeps_what_it_read(alice, blnk, connector, monkeypatch):
    blnk.set(transactions=[made(number) for number in range(250)])
    started = start_sync(actor(alice), connector)

    def read_then_cancel(core, place):
        page = READ_PAGE(core, place)
        if place.at is not None:
            cancel_sync(actor(alice), started)
        return page

    monkeypatch.setattr(connector_sync, "read_page", read_then_cancel)
    execute_sync(started.pk)
    started.refresh_from_db()
    assert (started.state, started.added, LedgerEntry.objects.count()) == ("cancelled", PAGE, PAGE)
    with pytest.raises(Refused, match="already over"):
        cancel_sync(actor(alice), started)


def test_one_sync_at_a_time(alice, connector):
    start_sync(actor(alice), connector)
    with pytest.raises(Refused, match="already"):
        start_sync(actor(alice), connector)
    with pytest.raises(Refused, match="being read"):
        delete_connector(actor(alice), connector)


def test_the_clock_starts_syncs(alice, blnk, connector):
    blnk.set(transactions=[made(1)])
    assert sync_due() == 0  # by hand only
    change_connector(actor(alice), connector, every_minutes=5)
    assert sync_due() == 1
    assert sync_due() == 0
    ConnectorSync.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    assert sync_due() == 1
    change_connector(actor(alice), connector, enabled=False)
    ConnectorSync.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    assert sync_due() == 0


def test_an_account_sees_its_own_balances_and_which_way_money_went(alice, blnk):
    account = make_account(time_zone="Asia/Tokyo")
    mine = create_connector(
        actor(alice), url=blnk.url, key=KEY, name="Bank only", account=account, balances=["bln_bank", "bln_cash"]
    )
    blnk.set(
        transactions=[
            made(1),
            made(2, source="bln_bank", destination="bln_world"),
            made(3, source="bln_bank", destination="bln_cash"),
            made(4, source="bln_world", destination="bln_other"),
            made(5, effective_date="2026-03-02T23:00:00Z"),
        ]
    )
    done = sync(alice, mine)
    entries = {entry.external_id: entry for entry in LedgerEntry.objects.all()}
    assert {name: str(entry.amount) for name, entry in entries.items()} == {
        "txn_00001": "10.50",
        "txn_00002": "-10.50",
        "txn_00003": "10.50",
        "txn_00005": "10.50",
    }
    assert {entry.account_id for entry in entries.values()} == {account.pk}
    assert entries["txn_00005"].booking_date == date(2026, 3, 3)  # in Tokyo
    assert (done.seen, done.added, done.left_out) == (5, 4, 0)


def test_an_account_without_balances_is_refused(alice, blnk):
    with pytest.raises(Refused, match="Name the balances"):
        create_connector(actor(alice), url=blnk.url, key=KEY, name="Bank", account=make_account())


def test_what_was_taken_back_stays_away_until_somebody_reads_again(alice, blnk, connector):
    blnk.set(transactions=[made(1), made(2)])
    sync(alice, connector)
    reverse_ledger_import(actor(alice), LedgerImport.objects.get())
    assert not LedgerEntry.objects.exists()
    connector.refresh_from_db()
    assert sync(alice, connector).added == 0
    connector.refresh_from_db()
    assert sync(alice, connector, again_from=NOON).added == 2
    connector.refresh_from_db()
    assert sync(alice, connector, again_from=NOON).added == 0  # and never twice


def test_an_import_taken_back_while_it_grows_stops_the_sync(alice, blnk, connector, monkeypatch):
    blnk.set(transactions=[made(number) for number in range(250)])
    started = start_sync(actor(alice), connector)

    def read_then_take_back(core, place):
        page = READ_PAGE(core, place)
        for imported in LedgerImport.objects.filter(state="ready"):
            reverse_ledger_import(actor(alice), imported)
        return page

    monkeypatch.setattr(connector_sync, "read_page", read_then_take_back)
    execute_sync(started.pk)
    started.refresh_from_db()
    assert started.state == SyncState.FAILED
    assert "taken back" in started.error
    assert not LedgerEntry.objects.exists()


def test_reading_begins_on_the_day_it_was_told(alice, blnk):
    later = create_connector(actor(alice), url=blnk.url, key=KEY, name="Later", start_on=date(2026, 3, 3))
    midnight = 12 * 3600
    blnk.set(transactions=[made(1), made(2, seconds=midnight - 60), made(3, seconds=midnight + 60)])
    sync(alice, later)
    later.refresh_from_db()
    sync(alice, later)  # looks back an hour, but not past that day
    assert names() == ["txn_00003"]


def test_the_log_forgets_syncs_that_brought_nothing(alice, blnk, connector):
    blnk.set(transactions=[made(1)])
    for _ in range(3):
        connector.refresh_from_db()
        sync(alice, connector)
    ConnectorSync.objects.update(completed_at=timezone.now() - timedelta(days=40))
    assert forget_old_syncs() == 1  # neither the one with entries nor the latest
    assert ConnectorSync.objects.count() == 2
