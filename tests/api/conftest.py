"""A caller with a key, speaking JSON as a program would."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
import simplejson
from django.core import signals
from django.db import close_old_connections
from django.test import Client

from recon.usecases.events import Actor
from recon.usecases.outside.keys import create_key, service_account


class Caller:
    """Sends JSON with a key; answers carry `data` with exact numbers."""

    def __init__(self, key: str, header: str = "X-Blnk-Key") -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {header: key}

    def send(self, method: str, path: str, body=None, **headers):
        text = body if isinstance(body, str) else simplejson.dumps(body, use_decimal=True)
        return self._answer(
            self.client.generic(
                method, path, "" if body is None else text, content_type="application/json",
                headers={**self.headers, **headers},
            )
        )  # fmt: skip

    def get(self, path: str, **headers):
        return self.send("GET", path, **headers)

    def post(self, path: str, body=None, **headers):
        return self.send("POST", path, body, **headers)

    def upload(self, path: str, file, **fields):
        return self._answer(self.client.post(path, {"file": file, **fields}, headers=self.headers))

    def _answer(self, response):
        is_json = response.headers.get("Content-Type", "").startswith("application/")
        response.data = simplejson.loads(response.content, use_decimal=True) if is_json and response.content else None
        return response


def make_key(*scopes: str) -> str:
    by = Actor.command()
    _, text = create_key(by, service_account(by, f"program {' '.join(scopes)}"), "test", scopes)
    return text


@pytest.fixture
def caller_with(db):
    """Makes a caller whose key has the given scopes."""
    return lambda *scopes: Caller(make_key(*scopes))


@pytest.fixture
def api(caller_with) -> Caller:
    return caller_with("admin")


@pytest.fixture
def exact_rule(api) -> str:
    """Id of a rule: exact amount and the same reference."""
    criteria = [{"field": "amount", "operator": "eq"}, {"field": "reference", "operator": "eq"}]
    return api.post("/reconciliation/matching-rules", {"name": "Exact", "criteria": criteria}).data["rule_id"]


def transaction(reference: str, amount: str = "10.00", **fields) -> dict:
    return {"reference": reference, "amount": Decimal(amount), "currency": "USD", "source": "@a", **fields}


@pytest.fixture
def open_connection(db) -> Iterator[None]:
    """Requests of the bare WSGI application do not close the test's connection, as those of Django's client do not."""
    ends = (signals.request_started, signals.request_finished)
    for end in ends:
        end.disconnect(close_old_connections)
    yield
    for end in ends:
        end.connect(close_old_connections)
