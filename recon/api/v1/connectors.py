"""Connectors: ledgers that run elsewhere and are read from, and how reading them went."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from rest_framework import serializers

from recon.api.v1.fields import IdField, InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.spec import Call, found, operation
from recon.models import Account, Connector, ConnectorSync, LedgerImport, SyncState
from recon.usecases.outside import connectors as usecases
from recon.usecases.outside.connector_sync import cancel_sync, start_sync

TAG = "Connectors"
MOST_MINUTES = 1_000_000


class ConnectorShape(Shape):
    """A running Blnk Core whose transactions become ledger entries. Its key is shown nowhere."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    url = serializers.SerializerMethodField()
    account = serializers.IntegerField(source="account_id", allow_null=True)
    balances = serializers.ListField(child=serializers.CharField())
    start_on = serializers.DateField(allow_null=True)
    every_minutes = serializers.IntegerField(allow_null=True, help_text="Null: only when somebody asks.")
    overlap_minutes = serializers.IntegerField()
    skips_unreadable = serializers.BooleanField()
    writes_back = serializers.BooleanField()
    enabled = serializers.BooleanField()
    read_until = InstantField(allow_null=True, help_text="When the newest transaction read so far was made.")
    write_error = serializers.CharField(help_text="Why matches could not be written back, if they could not.")
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    created_at = InstantField()

    example: dict[str, Any] = {
        "id": 1,
        "name": "Blnk production",
        "url": "https://blnk.example.com",
        "account": None,
        "balances": [],
        "start_on": None,
        "every_minutes": 15,
        "overlap_minutes": 60,
        "skips_unreadable": False,
        "writes_back": True,
        "enabled": True,
        "read_until": "2026-03-31T12:00:00Z",
        "write_error": "",
        "created_by": "alice",
        "created_at": "2026-03-31T12:00:00Z",
    }

    def get_url(self, connector: Connector) -> str:
        return usecases.unseal_or_empty(connector.sealed_url)


class ConnectorChange(Shape):
    """What to change. The address and the key are kept encrypted."""

    name = serializers.CharField(max_length=200, required=False)
    url = serializers.CharField(max_length=1000, required=False, help_text="The address of the Blnk Core.")
    key = serializers.CharField(max_length=1000, required=False, help_text="Shown nowhere again.")
    account = IdField(
        queryset=Account.objects.for_people(), required=False, allow_null=True, pk_field=serializers.IntegerField(),
        help_text="The owner of what is read. Null: anybody's; accounts take them by balance or source.",
    )  # fmt: skip
    balances = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=100,
        help_text="Only transactions that touch these; for an account they say which way money went. Empty: all.",
    )  # fmt: skip
    start_on = serializers.DateField(required=False, allow_null=True, help_text="Older transactions are not read.")
    every_minutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=100_000, help_text="Null: only when somebody asks."
    )
    overlap_minutes = serializers.IntegerField(required=False, min_value=0, max_value=MOST_MINUTES)
    skips_unreadable = serializers.BooleanField(
        required=False, help_text="Leave out what cannot be an entry, instead of stopping at it."
    )
    writes_back = serializers.BooleanField(required=False, help_text="Show matches in `meta_data` in Blnk.")
    enabled = serializers.BooleanField(
        required=False, help_text="False: the clock starts nothing and nothing is written back."
    )

    example: dict[str, Any] = {"every_minutes": 15}


class ConnectorInput(ConnectorChange):
    """A connector to be made."""

    name = serializers.CharField(max_length=200)
    url = serializers.CharField(max_length=1000, help_text="The address of the Blnk Core.")
    key = serializers.CharField(max_length=1000, help_text="Shown nowhere again.")

    example = {"name": "Blnk production", "url": "https://blnk.example.com", "key": "…"}


class SyncShape(Shape):
    """One reading of what is new."""

    id = serializers.IntegerField(source="pk")
    connector = serializers.IntegerField(source="connector_id")
    state = serializers.ChoiceField(SyncState.choices)
    since = InstantField(allow_null=True, help_text="Transactions made from then on; null: from the first one.")
    total = serializers.IntegerField(allow_null=True, help_text="How many there were to read when it began.")
    seen = serializers.IntegerField()
    added = serializers.IntegerField(help_text="Those that became ledger entries.")
    left_out = serializers.IntegerField()
    problems = serializers.ListField(child=serializers.CharField(), help_text="The first of those left out.")
    ledger_import = serializers.SerializerMethodField(help_text="The ledger import that took the entries.")
    error = serializers.CharField()
    requested_by = serializers.CharField(source="requested_by.username", default=None, allow_null=True)
    created_at = InstantField()
    completed_at = InstantField(allow_null=True)

    example: dict[str, Any] = {
        "id": 7,
        "connector": 1,
        "state": "completed",
        "since": "2026-03-31T11:00:00Z",
        "total": 120,
        "seen": 120,
        "added": 118,
        "left_out": 0,
        "problems": [],
        "ledger_import": "import_6b0f5a3c-93e2-4c0b-8a53-0d8f5f9d3a11",
        "error": "",
        "requested_by": "alice",
        "created_at": "2026-03-31T12:00:00Z",
        "completed_at": "2026-03-31T12:00:04Z",
    }

    def get_ledger_import(self, sync: ConnectorSync) -> str | None:
        if sync.import_number is None:
            return None
        imported = LedgerImport.objects.filter(number=sync.import_number).first()
        return imported.import_id if imported else None


class SyncInput(Shape):
    """From when on to read."""

    start_on = serializers.DateField(
        required=False, help_text="Read again everything made since this day. Without it: what is new."
    )

    example = {"start_on": "2026-03-01"}


class TestShape(Shape):
    """What the Blnk Core answered."""

    transactions = serializers.IntegerField(help_text="How many applied transactions it has.")

    example = {"transactions": 1200}


CONNECTORS = Connector.objects.select_related("created_by")
SYNCS = ConnectorSync.objects.select_related("requested_by")


@operation(TAG, gives=ConnectorShape, paged=True)
def list_connectors(call: Call) -> Paged:
    """List connectors, the newest first."""
    return paged(CONNECTORS, call.query)


@operation(TAG, scope="admin", takes=ConnectorInput, gives=ConnectorShape, status=201, repeatable=True)
def create_connector(call: Call) -> Connector:
    """Create a connector.

    Nothing is read until somebody asks, or the clock says so."""
    return connector_of(usecases.create_connector(call.by, **call.given).pk)


@operation(TAG, gives=ConnectorShape)
def get_connector(call: Call, connector_id: int) -> Connector:
    """Get a connector."""
    return connector_of(connector_id)


@operation(TAG, scope="admin", takes=ConnectorChange, gives=ConnectorShape)
def update_connector(call: Call, connector_id: int) -> Connector:
    """Change a connector, pause or resume it."""
    usecases.change_connector(call.by, connector_of(connector_id), **call.given)
    return connector_of(connector_id)


@operation(TAG, scope="admin")
def delete_connector(call: Call, connector_id: int) -> None:
    """Delete a connector with its log. What it read stays in the ledger."""
    usecases.delete_connector(call.by, connector_of(connector_id))


@operation(TAG, scope="admin", gives=TestShape)
def test_connector(call: Call, connector_id: int) -> dict[str, int]:
    """Ask the Blnk Core whether it answers and accepts the key."""
    return {"transactions": usecases.try_connector(connector_of(connector_id))}


@operation(TAG, gives=SyncShape, paged=True)
def list_connector_syncs(call: Call, connector_id: int) -> Paged:
    """List the readings of a connector, the newest first."""
    return paged(SYNCS.filter(connector=connector_of(connector_id)), call.query)


@operation(TAG, scope="upload", takes=SyncInput, gives=SyncShape, status=201, repeatable=True)
def sync_connector(call: Call, connector_id: int) -> ConnectorSync:
    """Read what is new, in the background.

    It goes on from where the latest reading stopped; no transaction becomes an entry twice."""
    day = call.given.get("start_on")
    since = datetime.combine(day, time.min, UTC) if day else None
    return sync_of(start_sync(call.by, connector_of(connector_id), since).pk)


@operation(TAG, gives=SyncShape)
def get_connector_sync(call: Call, sync_id: int) -> ConnectorSync:
    """Get a reading: where it stands, and what came of it."""
    return sync_of(sync_id)


@operation(TAG, scope="upload", gives=SyncShape)
def cancel_connector_sync(call: Call, sync_id: int) -> ConnectorSync:
    """Cancel a reading. What it has read stays."""
    cancel_sync(call.by, sync_of(sync_id))
    return sync_of(sync_id)


def connector_of(connector_id: int) -> Connector:
    connector: Connector = found(CONNECTORS, "connector", connector_id)
    return connector


def sync_of(sync_id: int) -> ConnectorSync:
    sync: ConnectorSync = found(SYNCS, "reading", sync_id)
    return sync
