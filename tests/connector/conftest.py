"""The stand-in as a running process, and a connector to it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.usecases.outside import connector_sync
from recon.usecases.outside.connectors import create_connector
from tests.cast import actor
from tests.connector.stand_in import KEY

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def made(number: int, *, seconds: float | None = None, **more: Any) -> dict[str, Any]:
    """A transaction as Blnk gives it, made `seconds` (its number by default) after noon."""
    at = NOON + timedelta(seconds=number if seconds is None else seconds)
    return {
        "transaction_id": f"txn_{number:05}",
        "parent_transaction": "",
        "amount": 10.5,
        "precise_amount": 1050,
        "precision": 100,
        "currency": "EUR",
        "reference": f"INV-{number:05}",
        "description": f"Order {number}",
        "source": "bln_world",
        "destination": "bln_bank",
        "status": "APPLIED",
        "created_at": at.isoformat().replace("+00:00", "Z"),
        "meta_data": {"shop": "berlin"},
        **more,
    }


class Blnk:
    """The running stand-in, from a test's side."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def set(self, **state: Any) -> None:
        body = json.dumps(state).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_set", body)).close()

    def state(self) -> Any:
        with urllib.request.urlopen(f"{self.url}/_state") as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def process():
    command = [sys.executable, "-m", "tests.connector.stand_in"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout
        yield Blnk(int(running.stdout.readline()))
        running.terminate()


@pytest.fixture
def blnk(process, settings, monkeypatch) -> Blnk:
    settings.PRIVATE_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(connector_sync, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(connector_sync, "LONGEST_PAUSE", 0.05)
    process.set(transactions=[], faults=[], queries=[], writes=[], gone=[])
    return process


@pytest.fixture
def connector(alice, blnk):
    return create_connector(actor(alice), url=blnk.url, key=KEY, name="Core")
