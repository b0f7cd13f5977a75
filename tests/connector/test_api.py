"""Connectors as programs set them up: made, tried, read, watched, changed, deleted."""

from __future__ import annotations

import pytest

from recon.models import Connector, LedgerEntry
from recon.usecases.events import Actor
from recon.usecases.outside.connector_sync import sync_due
from recon.usecases.outside.keys import create_key
from tests.api.conftest import Caller
from tests.api.v1.conftest import Program
from tests.connector.conftest import made
from tests.connector.stand_in import KEY

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def v1():
    return Program(Caller(create_key(Actor.command(), "books", "books", ["admin"])[1]))


def test_a_program_makes_a_connector_and_reads_it(v1, blnk):
    blnk.set(transactions=[made(1), made(2)])
    created = v1.post("connectors", {"name": "Core", "url": blnk.url, "key": KEY})
    assert created.status_code == 201
    assert KEY not in str(created.data)
    path = f"connectors/{created.data['id']}"
    assert v1.post(f"{path}/test").data == {"transactions": 2}

    started = v1.post(f"{path}/syncs", {"start_on": "2026-03-01"})
    assert (started.status_code, started.data["state"]) == (201, "queued")
    assert v1.post(f"{path}/syncs").status_code == 422  # it is being read already
    sync_due()
    over = v1.get(f"connectors/syncs/{started.data['id']}").data
    assert (over["state"], over["added"], LedgerEntry.objects.count()) == ("completed", 2, 2)
    assert v1.get(f"ledger/imports/{over['ledger_import']}").data["record_count"] == 2
    assert [each["id"] for each in v1.get(f"{path}/syncs").data["items"]] == [over["id"]]


def test_a_connector_is_changed_paused_and_deleted(v1, connector):
    path = f"connectors/{connector.pk}"
    changed = v1.send("PATCH", path, {"every_minutes": 15, "enabled": False})
    assert (changed.data["every_minutes"], changed.data["enabled"]) == (15, False)
    waiting = v1.post(f"{path}/syncs").data
    assert v1.send("DELETE", path).status_code == 422  # it is being read
    assert v1.post(f"connectors/syncs/{waiting['id']}/cancel").data["state"] == "cancelled"
    assert v1.send("DELETE", path).status_code == 204
    assert not Connector.objects.exists()


def test_a_key_that_may_only_read_changes_no_connector(connector):
    reader = Program(Caller(create_key(Actor.command(), "reader", "reader", ["read"])[1]))
    assert reader.get("connectors").status_code == 200
    assert reader.post(f"connectors/{connector.pk}/syncs").status_code == 403
    assert reader.send("DELETE", f"connectors/{connector.pk}").status_code == 403


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5001", "http://10.0.0.7", "http://[::1]:5001", "http://localhost.", "http://0x7f.1"]
)
def test_a_private_address_is_refused_when_it_is_given(v1, connector, settings, url):
    settings.PRIVATE_HOSTS = []
    made_so = v1.post("connectors", {"name": "Inside", "url": url, "key": KEY})
    changed = v1.send("PATCH", f"connectors/{connector.pk}", {"url": url})
    for answer in (made_so, changed):
        assert answer.status_code == 422
        assert "private address" in answer.data["detail"]
    before = connector.sealed_url
    connector.refresh_from_db()
    assert connector.sealed_url == before
    assert Connector.objects.count() == 1
