"""The connector pages."""

from __future__ import annotations

import pytest
from django.urls import reverse

from recon.models import Connector, ConnectorSync
from recon.usecases.outside.connector_sync import sync_due
from recon.usecases.outside.secrets import unseal
from tests.cast import make_account
from tests.connector.conftest import made
from tests.connector.stand_in import KEY

pytestmark = pytest.mark.django_db

FORM = {"name": "Core", "key": KEY, "overlap_minutes": "60"}


def page_of(client, name, *args) -> str:
    return client.get(reverse(name, args=args)).content.decode()


def test_from_nothing_to_entries_in_the_ledger(client, blnk):
    blnk.set(transactions=[made(1), made(2)])
    shown = client.post(reverse("connector_new"), {**FORM, "url": blnk.url}, follow=True).content.decode()
    assert "Core is saved. Test the connection" in shown
    connector = Connector.objects.get()
    tried = client.post(reverse("connector_test", args=[connector.pk]), follow=True).content.decode()
    assert "It answers, and accepts the key: 2 applied transactions." in tried
    client.post(reverse("connector_sync", args=[connector.pk]))
    sync = ConnectorSync.objects.get()
    assert "Waiting for the worker" in page_of(client, "connector", connector.pk)
    assert 'hx-trigger="every 1s"' in page_of(client, "sync_progress", sync.pk)
    assert sync_due() == 1
    over = client.get(reverse("sync_progress", args=[sync.pk]), headers={"HX-Request": "true"})
    assert over.headers["HX-Refresh"] == "true"
    assert "every 1s" not in over.content.decode()
    assert "INV-00001" in page_of(client, "ledger")
    assert "Take back" in page_of(client, "ledger_imports")
    assert "Core" in page_of(client, "connectors")


def test_the_key_is_never_shown_and_kept_if_none_is_given(client, blnk, connector):
    for name, args in (("connector", [connector.pk]), ("connector_edit", [connector.pk]), ("connectors", [])):
        assert KEY not in page_of(client, name, *args)
    client.post(reverse("connector_edit", args=[connector.pk]), {**FORM, "key": "", "url": blnk.url, "name": "New"})
    connector.refresh_from_db()
    assert (connector.name, unseal(connector.sealed_key)) == ("New", KEY)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"key": ""}, "This field is required"),
        ({"url": "blnk.example.com"}, "Expected an address"),
        ({"url": "https://blnk.example.com/?key=1"}, "behind a question mark"),
        ({"name": ""}, "This field is required"),
        ({"key": "gehe\u00efm"}, "The key holds characters that no key has"),
        ({"every_minutes": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_form_that_cannot_hold_says_why(client, given, expected):
    page = client.post(reverse("connector_new"), {**FORM, "url": "https://blnk.example.com", **given})
    assert page.status_code == 422
    assert expected in page.content.decode()
    assert not Connector.objects.exists()


def test_an_account_needs_its_balances(client):
    form = {**FORM, "url": "https://blnk.example.com", "account": make_account().pk}
    assert "Name the balances" in client.post(reverse("connector_new"), form).content.decode()
    client.post(reverse("connector_new"), {**form, "balances": "bln_a, bln_b"})
    assert Connector.objects.get().balances == ["bln_a", "bln_b"]


def test_a_failed_reading_says_what_to_do(client, blnk, connector):
    blnk.set(transactions=[made(1, currency="USDT")])
    client.post(reverse("connector_sync", args=[connector.pk]))
    sync_due()
    shown = page_of(client, "connector", connector.pk)
    assert "Transaction txn_00001: the currency is &#x27;USDT&#x27;; expected three letters such as EUR." in shown


def test_read_again_paused_cancelled_deleted(client, blnk, connector):
    def press(name, key, **fields):
        return client.post(reverse(name, args=[key]), fields, follow=True).content.decode()

    assert "Say from which day" in press("connector_sync", connector.pk, **{"from": "yesterday"})
    press("connector_sync", connector.pk, **{"from": "2026-01-01"})
    sync = ConnectorSync.objects.get()
    assert str(sync.since) == "2026-01-01 00:00:00+00:00"
    assert "cancel that first" in press("connector_delete", connector.pk)
    press("sync_cancel", sync.pk)
    sync.refresh_from_db()
    assert sync.state == "cancelled"
    assert "paused" in press("connector_enable", connector.pk, enabled="false")
    assert "goes on" in press("connector_enable", connector.pk, enabled="true")
    assert "is deleted" in press("connector_delete", connector.pk)


def test_the_pages_cost_the_same_queries_however_long_the_log_is(client, alice, connector, django_assert_num_queries):
    for _ in range(3):
        ConnectorSync.objects.create(connector=connector, state="completed", import_number=1, requested_by=alice)
    with django_assert_num_queries(7):  # session, user, connector, active, refused, syncs, imports
        page_of(client, "connector", connector.pk)
    with django_assert_num_queries(4):  # session, user, connectors, latest syncs
        page_of(client, "connectors")
