"""Ledger entries from programs: one, a list, a stream; all of them or none."""

from __future__ import annotations

import json

import pytest

from recon.models import LedgerEntry, LedgerImport

ENTRY = {"amount": "152.75", "currency": "EUR", "booking_date": "2026-03-31", "reference": "INV-1"}


def stream(v1, lines, query: str = "", **headers):
    """Send lines as NDJSON."""
    client, path = v1.caller.client, f"/api/v1/ledger/entries/bulk{query}"
    kind = "application/x-ndjson"
    return client.generic("POST", path, "\n".join(lines), content_type=kind, headers={**v1.caller.headers, **headers})


def test_a_stream_becomes_one_import_that_can_be_reversed(v1, account):
    lines = [json.dumps({**ENTRY, "reference": f"INV-{number}"}) for number in range(300)]
    made = stream(v1, ["", *lines, ""], f"?account={account.pk}&name=March").json()
    assert (made["record_count"], made["state"], made["name"]) == (300, "ready", "March")
    assert LedgerEntry.objects.filter(account_id=account.pk).count() == 300
    assert v1.post(f"ledger/imports/{made['id']}/reverse", {"why": "twice"}).data["state"] == "discarded"
    assert not LedgerEntry.objects.exists()


def test_a_stream_that_is_sent_twice_is_stored_once(v1):
    first = stream(v1, [json.dumps(ENTRY)], **{"Idempotency-Key": "march"})
    again = stream(v1, [json.dumps(ENTRY)], **{"Idempotency-Key": "march"})
    assert (first.json(), LedgerEntry.objects.count()) == (again.json(), 1)


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"amount": "12,75"}, "entry 2, amount"),
        ({"amount": 1e300}, "entry 2, amount"),
        ({"amount": "1234567890123456789"}, "entry 2, amount"),
        ({"currency": "eur"}, "entry 2, currency"),
        ({"booking_date": "2026-02-31"}, "entry 2, booking_date"),
        ({"booking_date": None}, "entry 2, booking_date"),
        ({"status": "MAYBE"}, "entry 2, status"),
        ({"reference": "a\0b"}, "entry 2, reference"),
        ({"refrence": "INV-2"}, "entry 2, refrence"),
        ({"extra": [1]}, "entry 2, extra"),
    ],
)
def test_one_bad_entry_is_named_and_nothing_is_stored(v1, bad, place):
    answer = stream(v1, [json.dumps(ENTRY), json.dumps({**ENTRY, **bad})])
    assert (answer.status_code, [each["place"] for each in answer.json()["errors"]]) == (422, [place])
    assert not LedgerEntry.objects.exists()
    assert not LedgerImport.objects.exists()


@pytest.mark.parametrize("line", ["{", "[1]", "7", '{"amount": NaN}', '{"a": 1} {"b": 2}'])
def test_a_line_that_is_no_object_is_refused(v1, line):
    assert stream(v1, [json.dumps(ENTRY), line]).status_code == 422
    assert not LedgerEntry.objects.exists()


def test_amounts_keep_every_digit(v1):
    lines = [
        '{"amount": 123456789012345.678, "currency": "BHD", "booking_date": "2026-03-31"}',
        json.dumps({**ENTRY, "amount": "0.10"}),
        json.dumps({**ENTRY, "amount": "1000", "currency": "JPY"}),
    ]
    assert stream(v1, lines).status_code == 201
    amounts = [each["amount"] for each in v1.get("ledger/entries?fields=amount").data["items"]]
    assert amounts == ["1000", "0.10", "123456789012345.678"]


def test_a_single_entry_needs_a_day(v1, account):
    made = v1.post(f"ledger/entries?account={account.pk}", {**ENTRY, "amount": "-1.5"})
    assert (made.status_code, made.data["amount"], made.data["account"]) == (201, "-1.50", account.pk)
    without = {name: value for name, value in ENTRY.items() if name != "booking_date"}
    assert v1.post("ledger/entries", without).status_code == 422
