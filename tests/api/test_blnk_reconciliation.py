"""Uploads and runs over Blnk's routes; the practice example of its documentation."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO

import pytest

from recon.models import Claim, MatchingRun, Statement
from recon.usecases.runs.exporting import match_rows, unmatched_rows
from tests.api.conftest import transaction

# The practice example of Blnk's documentation: ten ledger entries and what the bank says of them.
LEDGER = ["152.75", "329.40", "87.15", "413.60", "276.89", "199.99", "540.25", "135.70", "92.80", "480.55"]
STATEMENT = ["152.75", "328.80", "90.00", "417.00", "278.00", "250.00", "545.00", "150.00", "92.80", "399.99"]


@pytest.fixture
def practice_ledger(api):
    items = [transaction(f"txn_{number:03}", amount) for number, amount in enumerate(LEDGER, 1)]
    assert api.post("/transactions/bulk", {"transactions": items, "atomic": True}).data["transaction_count"] == 10


def practice_file() -> BytesIO:
    rows = [
        f"ext_{number},{amount},2026-01-{number:02},Payment,USD,txn_{number:03},bank"
        for number, amount in enumerate(STATEMENT, 1)
    ]
    file = BytesIO("\n".join(["ID,Amount,Date,Description,Currency,Reference,Source", *rows]).encode())
    file.name = "practice.csv"
    return file


def rule(api, **amount) -> str:
    criteria = [{"field": "amount", "operator": "equals", **amount}, {"field": "reference", "operator": "equals"}]
    return api.post("/reconciliation/matching-rules", {"name": "practice", "criteria": criteria}).data["rule_id"]


def run(api, upload_id: str, rule_id: str, **options):
    body = {
        "upload_id": upload_id,
        "strategy": "one_to_one",
        "matching_rule_ids": [rule_id],
        "dry_run": False,
        **options,
    }
    return api.post("/reconciliation/start", body)


@pytest.mark.parametrize(
    ("drift", "matched"),
    [
        ({"allowable_drift": Decimal("0.01")}, 6),  # within 1%: 001, 002, 004, 005, 007, 009
        ({}, 2),  # exact: 001, 009
    ],
)
def test_the_practice_example_gives_the_documented_counts(api, practice_ledger, drift, matched):
    rows = [
        {"id": f"ext_{number}", "amount": Decimal(amount), "reference": f"txn_{number:03}", "currency": "USD"}
        for number, amount in enumerate(STATEMENT, 1)
    ]
    started = api.post(
        "/reconciliation/start-instant",
        {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [rule(api, **drift)]},
    )
    assert started.status_code == 200
    done = api.get(f"/reconciliation/{started.data['reconciliation_id']}").data
    assert done["status"] == "completed"
    assert (done["matched_transactions"], done["unmatched_transactions"]) == (matched, 10 - matched)
    assert done["upload_id"].startswith("upload_")
    assert done["is_dry_run"] is False
    assert Claim.objects.count() == 2 * matched


def test_an_upload_counts_its_records(api):
    answer = api.upload("/reconciliation/upload", practice_file(), source="bank")
    assert answer.status_code == 200
    assert answer.data == {"upload_id": Statement.objects.get().upload_id, "record_count": 10, "source": "bank"}
    assert answer.data["upload_id"].startswith("upload_")


def test_a_started_run_is_queued_with_its_counts_adding_up(api, practice_ledger):
    upload = api.upload("/reconciliation/upload", practice_file(), source="bank").data["upload_id"]
    answer = run(api, upload, rule(api))
    assert answer.status_code == 200
    shown = api.get(f"/reconciliation/{answer.data['reconciliation_id']}").data
    assert shown["status"] in {"started", "in_progress", "completed"}
    assert shown["matched_transactions"] + shown["unmatched_transactions"] == 10


def test_an_entry_shows_its_reconciliation_once_it_is_confirmed(api):
    made = api.post("/transactions", transaction("a", "10.00")).data
    rows = [{"id": "e1", "amount": Decimal("10.00"), "reference": "a", "currency": "USD"}]
    body = {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [rule(api)]}
    dry = api.post("/reconciliation/start-instant", {**body, "dry_run": True}).data["reconciliation_id"]
    assert api.get(f"/reconciliation/{dry}").data["matched_transactions"] == 1
    assert "reconciled" not in api.get(f"/transactions/{made['transaction_id']}").data["meta_data"]
    real = api.post("/reconciliation/start-instant", body).data["reconciliation_id"]
    meta = api.get(f"/transactions/{made['transaction_id']}").data["meta_data"]
    assert meta["reconciled"] is True
    assert (meta["reconciliation_id"], meta["external_txn_id"]) == (real, "e1")
    assert meta["reconciliation_amount"] == Decimal("10.00")
    assert meta["reconciled_at"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("start", {"upload_id": "upload_x", "strategy": "one_to_one"}, 400, "RECON_MATCHING_RULES_REQUIRED"),
        ("start", {"upload_id": "upload_x", "matching_rule_ids": []}, 400, "RECON_MATCHING_RULES_REQUIRED"),
        ("start", {"upload_id": "upload_x", "matching_rule_ids": ["rule_x"]}, 404, "RECON_RULE_NOT_FOUND"),
        ("start-instant", {"matching_rule_ids": ["rule_x"]}, 400, "RECON_EXTERNAL_TXNS_REQUIRED"),
        ("start-instant", {"external_transactions": []}, 400, "RECON_EXTERNAL_TXNS_REQUIRED"),
        ("start-instant", {"external_transactions": [{}] * 10_001}, 400, "GEN_VALIDATION_ERROR"),
        ("start-instant", {"external_transactions": [{"id": "a"}]}, 400, "RECON_MATCHING_RULES_REQUIRED"),
        ("start-instant", {"external_transactions": {"id": "a"}}, 400, "GEN_MALFORMED_REQUEST"),
    ],
)
def test_a_start_that_cannot_be_is_refused(api, path, body, status, code):
    response = api.post(f"/reconciliation/{path}", body)
    assert (response.status_code, response.data["error_detail"]["code"]) == (status, code)
    assert response.data["error"] == response.data["error_detail"]["message"]


def test_too_many_rows_are_refused_in_blnks_words(api):
    response = api.post("/reconciliation/start-instant", {"external_transactions": [{}] * 10_001})
    assert response.data["error"] == "too many external_transactions; max is 10000"


def test_unknown_ids_are_not_found(api, exact_rule):
    assert api.get("/reconciliation/recon_x").data["error_detail"]["code"] == "RECON_NOT_FOUND"
    response = run(api, "upload_x", exact_rule)
    assert (response.status_code, response.data["error_detail"]["code"]) == (404, "RECON_NOT_FOUND")


def test_a_bad_row_of_an_instant_run_is_named_and_nothing_is_stored(api, exact_rule):
    rows = [{"id": "e1", "amount": "12,3.4", "reference": "a", "currency": "USD"}]
    response = api.post(
        "/reconciliation/start-instant",
        {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [exact_rule]},
    )
    assert (response.status_code, response.data["error_detail"]["code"]) == (400, "GEN_VALIDATION_ERROR")
    assert response.data["error_detail"]["details"][0]["found"] == "12,3.4"
    assert not Statement.objects.exists()


def test_an_upload_without_a_file_or_with_a_broken_one_is_refused(api):
    missing = api.post("/reconciliation/upload", {"source": "bank"})
    assert (missing.status_code, missing.data["error"]) == (400, "File upload failed")
    empty = BytesIO(b"")
    empty.name = "empty.csv"
    refused = api.upload("/reconciliation/upload", empty, source="bank")
    assert (refused.status_code, refused.data["error_detail"]["code"]) == (400, "RECON_UPLOAD_FAILED")
    assert not Statement.objects.exists()


def test_health_needs_no_key(db, client):
    client.logout()
    assert client.get("/health").json() == {"status": "UP"}


def test_files_of_a_run_name_entries_as_the_routes_do(api):
    entry = api.post("/transactions", transaction("R-1", "10.00")).data["transaction_id"]
    rows = [
        {"id": name, "amount": Decimal("10.00"), "reference": reference, "currency": "USD"}
        for name, reference in (("a", "R-1"), ("b", "other"))
    ]
    body = {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [rule(api)]}
    started = api.post("/reconciliation/start-instant", body).data["reconciliation_id"]
    run_of_it = MatchingRun.objects.get(pk=started)
    assert [row for row in match_rows(run_of_it) if entry in row and "a" in row]
    [left] = unmatched_rows(run_of_it)
    assert left[1] == "b"


def test_a_rule_that_needs_a_rate_is_refused_before_anything_is_stored(api):
    body = {"name": "Abroad", "cross_currency": True, "criteria": [{"field": "amount", "operator": "eq"}]}
    rule_id = api.post("/reconciliation/matching-rules", body).data["rule_id"]
    rows = [{"id": "a", "amount": Decimal("10.00"), "reference": "R", "currency": "USD"}]
    for strategy in ("one_to_one", "many_to_one"):
        answer = api.post(
            "/reconciliation/start-instant",
            {"external_transactions": rows, "strategy": strategy, "grouping_criteria": "reference",
             "matching_rule_ids": [rule_id]},
        )  # fmt: skip
        assert answer.status_code == 400
        assert "exchange rate" in answer.data["error"]
    assert not MatchingRun.objects.exists()
    assert not Statement.objects.exists()
