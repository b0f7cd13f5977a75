"""Ledger entries over Blnk's routes."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
import simplejson

from recon.models import LedgerEntry
from recon.usecases.ledger.transactions import entry_id, transaction_id
from tests.api.conftest import transaction


def test_an_entry_comes_back_as_it_went_in(api):
    sent = transaction("inv-1", "152.75", description="Lunch", destination="@b", meta_data={"shop": 7})
    made = api.post("/transactions", sent)
    assert made.status_code == 200
    assert made.data["transaction_id"].startswith("txn_")
    read = api.get(f"/transactions/{made.data['transaction_id']}")
    assert read.data == made.data
    assert (read.data["amount"], read.data["currency"], read.data["reference"]) == (Decimal("152.75"), "USD", "inv-1")
    assert read.data["meta_data"] == {"shop": 7}
    assert read.data["status"] == "APPLIED"


@pytest.mark.parametrize(
    ("fields", "units", "scale"),
    [
        ({"amount": Decimal("0.1")}, 10, 2),
        ({"amount": Decimal("12345678901234.56")}, 1234567890123456, 2),  # a float would lose the cents
        ({"amount": 7}, 700, 2),
        ({"amount": Decimal("1.005")}, 1005, 3),
        ({"amount": "3.20"}, 320, 2),
        ({"precise_amount": 5000, "precision": 100}, 5000, 2),
        ({"precise_amount": 5000, "precision": 1}, 5000, 0),
        ({"amount": 50, "precise_amount": 5000, "precision": 100}, 5000, 2),
        ({"amount": 7, "precision": 1}, 7, 0),
        ({"amount": Decimal("1.5"), "precision": 1}, 15, 1),  # no digit is dropped
        ({"amount": 7, "precision": 0}, 700, 2),  # Blnk's clients send 0 for "not given"
        ({"precise_amount": "123456789012345678", "precision": 100}, 123456789012345678, 2),
        ({"amount": Decimal("1E+3")}, 100000, 2),
        ({"amount": 0, "precise_amount": 5000, "precision": 100}, 5000, 2),  # as Blnk's Go client sends it
    ],
)
def test_amounts_are_read_exactly(api, fields, units, scale):
    body = {key: value for key, value in transaction("a").items() if key != "amount"}
    assert api.post("/transactions", {**body, **fields}).status_code == 200
    entry = LedgerEntry.objects.get()
    assert (entry.units, entry.scale) == (units, scale)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reference": ""}, "TXN_VALIDATION_ERROR"),
        ({"reference": 5}, "TXN_VALIDATION_ERROR"),
        ({"amount": None}, "TXN_INVALID_AMOUNT"),
        ({"amount": "ten"}, "TXN_INVALID_AMOUNT"),
        ({"amount": True}, "TXN_INVALID_AMOUNT"),
        ({"amount": "1_000"}, "TXN_INVALID_AMOUNT"),
        ({"amount": "１２"}, "TXN_INVALID_AMOUNT"),
        ({"amount": Decimal(10) ** 40}, "TXN_INVALID_AMOUNT"),  # 41 digits
        ({"amount": Decimal("0.00000000001")}, "TXN_INVALID_AMOUNT"),  # 11 decimal places
        ({"amount": Decimal("1.0000000000000000000000000000000000001")}, "TXN_INVALID_AMOUNT"),  # never rounded
        ({"amount": "9" * 5000}, "TXN_INVALID_AMOUNT"),
        ({"amount": "1e999999999"}, "TXN_INVALID_AMOUNT"),
        ({"amount": [1]}, "TXN_INVALID_AMOUNT"),
        ({"amount": 50, "precise_amount": 5001, "precision": 100}, "TXN_INVALID_AMOUNT"),
        ({"precise_amount": 1, "precision": 3}, "TXN_PRECISION_NOT_INTEGER"),
        ({"currency": "DOLLAR"}, "TXN_VALIDATION_ERROR"),
        ({"currency": None}, "TXN_VALIDATION_ERROR"),
        ({"status": "MAYBE"}, "TXN_VALIDATION_ERROR"),
        ({"effective_date": "yesterday"}, "TXN_VALIDATION_ERROR"),
        ({"effective_date": "0001-01-01T00:00:00+14:00"}, "TXN_VALIDATION_ERROR"),
        ({"scheduled_for": "tomorrow"}, "TXN_VALIDATION_ERROR"),
        ({"sources": [{"identifier": "@a", "distribution": "50%"}]}, "TXN_VALIDATION_ERROR"),
        ({"destinations": [{"identifier": "@b", "distribution": "left"}]}, "TXN_VALIDATION_ERROR"),
        ({"meta_data": [1]}, "TXN_VALIDATION_ERROR"),
        ({"description": "a\x00b"}, "GEN_MALFORMED_REQUEST"),
        ({"description": "\ud800"}, "GEN_MALFORMED_REQUEST"),
    ],
)
def test_what_cannot_be_an_entry_is_refused_and_nothing_stored(api, fields, code):
    response = api.post("/transactions", {**transaction("a"), **fields})
    assert response.status_code == 400
    assert response.data["error_detail"]["code"] == code
    assert LedgerEntry.objects.count() == 0


def test_numbers_in_meta_data_stay_numbers(api):
    meta = {"rate": Decimal("0.10"), "big": 12345678901234567890, "list": [1, Decimal("2.5"), None, True]}
    made = api.post("/transactions", transaction("a", meta_data=meta))
    assert made.data["meta_data"] == meta
    assert b'"rate":0.10' in made.content


def test_a_number_too_long_to_read_is_malformed(api):
    response = api.post("/transactions", '{"amount": ' + "9" * 5000 + ', "reference": "a", "currency": "USD"}')
    assert (response.status_code, response.data["error_detail"]["code"]) == (400, "GEN_MALFORMED_REQUEST")


def test_a_reference_is_used_once(api):
    api.post("/transactions", transaction("a"))
    again = api.post("/transactions", transaction("a", "11.00"))
    assert again.status_code == 409
    assert again.data["error"] == "reference a has already been used"
    assert LedgerEntry.objects.count() == 1


def test_an_atomic_bulk_is_all_or_nothing(api):
    items = [transaction("a"), transaction("b"), transaction("a")]
    response = api.post("/transactions/bulk", {"transactions": items, "atomic": True})
    assert response.status_code == 409
    assert LedgerEntry.objects.count() == 0


def test_a_bulk_that_is_not_atomic_keeps_the_good_ones_and_names_the_bad(api):
    items = [transaction("a"), transaction("b", currency="?"), transaction("a"), transaction("c")]
    response = api.post("/transactions/bulk", {"transactions": items})
    assert response.status_code == 200
    assert response.data["transaction_count"] == 2
    assert [(each["index"], each["code"]) for each in response.data["errors"]] == [
        (1, "TXN_VALIDATION_ERROR"),
        (2, "TXN_DUPLICATE_REFERENCE"),
    ]
    assert set(LedgerEntry.objects.values_list("reference", flat=True)) == {"a", "c"}


@pytest.mark.parametrize("body", ["{", '"text"', "[1]", '{"amount": NaN}', ""])
def test_malformed_json_is_said(api, body):
    response = api.post("/transactions", body)
    assert response.status_code == 400
    assert response.data["error_detail"]["code"] == "GEN_MALFORMED_REQUEST"


@pytest.mark.parametrize("key", ["", "again"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_json_is_read_whatever_its_content_type_says(api, content_type, key):
    headers = {**api.headers, "Idempotency-Key": key}
    for _ in range(2 if key else 1):
        sent = simplejson.dumps(transaction("a"), use_decimal=True)
        response = api.client.post("/transactions", sent, content_type=content_type, headers=headers)
        assert (response.status_code, LedgerEntry.objects.get().reference) == (200, "a")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "APPLIED"),
        ({"status": "", "scheduled_for": None}, "APPLIED"),
        ({"status": "expired"}, "EXPIRED"),
        ({"inflight": True}, "INFLIGHT"),
        ({"scheduled_for": "0001-01-01T00:00:00Z"}, "APPLIED"),  # Go's word for none
        ({"scheduled_for": "2020-01-01T00:00:00Z"}, "APPLIED"),
        ({"scheduled_for": "2999-01-01T00:00:00Z"}, "SCHEDULED"),
    ],
)
def test_what_is_not_to_be_booked_yet_is_not_applied(api, fields, status):
    assert api.post("/transactions", transaction("a", **fields)).data["status"] == status


def test_a_time_that_was_not_set_is_none(api):
    made = api.post("/transactions", transaction("a", effective_date="0001-01-01T00:00:00Z"))
    assert made.data["effective_date"][:4] >= "2025"


def test_an_entry_without_a_time_of_day_is_shown_with_an_instant(api):
    made = api.post("/transactions", transaction("a")).data["transaction_id"]
    LedgerEntry.objects.update(booked_at=None, booking_date="2026-01-31")
    assert api.get(f"/transactions/{made}").data["effective_date"] == "2026-01-31T00:00:00Z"


def test_a_dry_run_of_a_transaction_stores_nothing(api):
    sent = transaction("a", "12.50", dry_run=True)
    preview = api.post("/transactions", sent)
    assert (preview.status_code, LedgerEntry.objects.count()) == (200, 0)
    assert preview.data == {
        "dry_run": True, "would_apply": True, "reference": "a", "status": "APPLIED", "currency": "USD",
        "amount": Decimal("12.50"), "precise_amount": "1250", "precision": 100, "balances": [],
    }  # fmt: skip
    assert api.post("/transactions", {**sent, "dry_run": False}).status_code == 200
    again = api.post("/transactions", sent).data
    assert (again["would_apply"], again["rejection"]["code"]) == (False, "TXN_DUPLICATE_REFERENCE")
    assert api.post("/transactions", {**sent, "amount": "ten"}).data["error_detail"]["code"] == "TXN_INVALID_AMOUNT"


def test_a_dry_run_of_a_bulk_stores_nothing_and_judges_each(api):
    items = [transaction("a"), transaction("b", currency="?"), transaction("a"), 5]
    preview = api.post("/transactions/bulk", {"transactions": items, "dry_run": True})
    assert (preview.status_code, LedgerEntry.objects.count()) == (200, 0)
    assert (preview.data["dry_run"], preview.data["would_apply"]) == (True, False)
    assert [each.get("rejection", {}).get("code") for each in preview.data["results"]] == [
        None, "TXN_VALIDATION_ERROR", "TXN_DUPLICATE_REFERENCE", "TXN_VALIDATION_ERROR",
    ]  # fmt: skip


@pytest.mark.parametrize("atomic", [True, False])
def test_a_dry_run_inside_a_bulk_is_refused_and_not_stored(api, atomic):
    items = [transaction("a"), transaction("b", dry_run=True)]
    refused = api.post("/transactions/bulk", {"transactions": items, "atomic": atomic})
    assert (refused.status_code, LedgerEntry.objects.count()) == (400, 0)
    assert refused.data["error"] == "transactions[1]: dry_run is asked of a whole bulk, beside transactions"


@pytest.mark.parametrize("unknown", ["txn_x", "txn_00000000-0000-8000-8000-000000000001", "rule_1", "%00"])
def test_an_unknown_id_is_not_found(api, unknown):
    response = api.get(f"/transactions/{unknown}")
    assert response.status_code == 404
    assert response.data["error_detail"]["code"] == "TXN_NOT_FOUND"


def test_public_ids_are_uuids_that_lead_back():
    for number in (1, 2, 10**6, 2**61):
        public = transaction_id(number)
        assert entry_id(public) == number
        assert UUID(public.removeprefix("txn_")).version == 8
    assert len({transaction_id(number) for number in range(1000)}) == 1000
