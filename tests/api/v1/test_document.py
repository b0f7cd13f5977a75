"""The OpenAPI document says what the API does, and nothing on the pages is missing from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from recon.api.v1.schema import document
from recon.api.v1.urls import urlpatterns as api_urls

OPERATIONS = {
    operation["operationId"]: (path, method, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
}

COUNTERPARTS: dict[str, str] = {
    # page -> the operations that do the same, or why there is none, in brackets
    "overview": "get_overview",
    "search": "search_everything",
    "open_items": "list_open_items",
    "statements": "list_statements",
    "statement_upload": "upload_statement",
    "statement_import": "inspect_statement_file upload_statement",
    "discrepancies": "list_discrepancies",
    "discrepancy_resolve": "resolve_discrepancy reopen_discrepancy",
    "statement_line": "get_line list_line_matches",
    "statement": "get_statement list_statement_lines check_statement list_statement_balances",
    "statement_file": "download_statement",
    "statement_discard": "discard_statement",
    "row_repair": "get_row_error repair_row set_row_aside",
    "rows_set_aside": "set_all_rows_aside",
    "reconcile": "upload_statement create_statement start_run",
    "ledger": "list_entries",
    "ledger_upload": "import_ledger_file",
    "ledger_import": "inspect_ledger_file import_ledger_file",
    "ledger_imports": "list_ledger_imports",
    "ledger_import_reverse": "reverse_ledger_import",
    "ledger_entry": "get_entry list_entry_matches",
    "settings": "list_accounts",
    "account_new": "create_account",
    "account": "get_account update_account",
    "runs": "list_runs",
    "run": "get_run summarize_run",
    "run_progress": "get_run",
    "run_cancel": "cancel_run",
    "run_apply": "apply_run",
    "run_reverse": "list_confirmed_by_people reverse_run",
    "run_matches": "list_run_matches",
    "run_unmatched": "list_run_unmatched",
    "run_matches_csv": "download_run_matches",
    "run_unmatched_csv": "download_run_unmatched",
    "run_xlsx": "download_run",
    "match_new": "create_match",
    "match_tie": "add_up_selection",
    "matches_decide": "decide_matches",
    "match": "get_match",
    "match_confirm": "confirm_match",
    "match_reject": "reject_match",
    "match_unmatch": "unmatch",
    "review": "list_open_items list_suggestions",
    "items_act": "act_on_open_items",
    "item": "get_open_item list_notes",
    "item_act": "act_on_open_item create_note",
    "reports": "report_balance report_ageing report_match_rate",
    "report_rows": "report_open_rows",
    "report_rows_csv": "report_open_rows",
    "report_differences": "list_adjustments report_adjustments",
    "report_xlsx": "report_balance report_ageing report_open_rows",
    "audit": "list_events",
    "rule_sets": "list_accounts",
    "rule_set": "get_account_rules set_account_rules",
    "rule_overlaps": "find_rule_overlaps",
    "rule_preview": "preview_rule",
    "rule_read_ahead": "(only makes the first preview of a page quicker)",
    "rule_suggest": "suggest_rules",
    "rule_suggest_save": "create_rule set_account_rules",
    "rule_try": "try_rule",
    "rules": "list_rules",
    "rule_new": "create_rule",
    "rule_gallery": "list_example_rules",
    "rules_import": "import_rules",
    "rules_export": "export_rules",
    "rule_words": "put_rule_in_words",
    "rule": "get_rule update_rule",
    "rule_status": "set_rule_status",
    "rule_delete": "delete_rule",
    "rule_export": "export_rule",
    "rule_versions": "list_rule_versions compare_rule_versions",
    "rule_uses": "get_rule_uses",
    "rule_restore": "restore_rule_version",
    "import_profiles": "list_import_profiles create_import_profile",
    "profile_rename": "update_import_profile",
    "profile_delete": "delete_import_profile",
    "profile_json": "get_import_profile",
    "webhooks": "list_webhooks",
    "webhook_new": "create_webhook",
    "webhook": "get_webhook list_webhook_deliveries",
    "webhook_edit": "update_webhook",
    "webhook_enable": "update_webhook",
    "webhook_test": "test_webhook",
    "webhook_secret": "renew_webhook_secret",
    "webhook_delete": "delete_webhook",
    "delivery": "get_webhook_delivery",
    "delivery_replay": "replay_webhook_delivery",
    "periods": "list_periods check_period close_period",
    "period_reopen": "reopen_period",
    "api_keys": "list_keys",
    "api_key_new": "create_key",
    "api_key_revoke": "revoke_key",
    "review_undo": "unmatch",
    "item_split": "split_open_item",
    "item_join": "join_open_item",
    "difference_retype": "retype_adjustment",
    "connectors": "list_connectors",
    "connector_new": "create_connector",
    "connector": "get_connector list_connector_syncs",
    "connector_edit": "update_connector",
    "connector_test": "test_connector",
    "connector_sync": "sync_connector",
    "connector_enable": "update_connector",
    "connector_delete": "delete_connector",
    "sync_progress": "get_connector_sync",
    "sync_cancel": "cancel_connector_sync",
    "login": "(signing in is for browsers; programs have keys)",
    "logout": "(as login)",
    "blnk_openapi": "(the document of the other API)",
    "health": "(the same for everybody, at /health)",
}


def pages(patterns: Any = None) -> Iterator[str]:
    """Names of all addresses but those of this API."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            if each.url_patterns is not api_urls:
                yield from pages(each.url_patterns)
        elif isinstance(each, URLPattern) and each.name:
            yield each.name


def test_every_page_has_its_counterpart():
    missing = set(pages()) - COUNTERPARTS.keys()
    assert not missing, f"pages without an operation of the API, or a reason, in this table: {sorted(missing)}"
    named = {name for text in COUNTERPARTS.values() if not text.startswith("(") for name in text.split()}
    assert named <= OPERATIONS.keys()


def test_the_table_names_no_page_that_is_gone():
    assert COUNTERPARTS.keys() <= set(pages())


def test_the_document_is_openapi_3_1():
    found = document()
    assert found["openapi"] == "3.1.0"
    jsonschema.Draft202012Validator.check_schema({"$defs": found["components"]["schemas"]})
    assert {tag for _, _, each in OPERATIONS.values() for tag in each["tags"]} == {
        each["name"] for each in found["tags"]
    }


def in_full(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": document()["components"]})


def content(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What an operation takes and gives as JSON, with its examples."""
    yield from operation.get("requestBody", {}).get("content", {}).values()
    yield from (each for status, answer in operation["responses"].items() if status < "300"
                for each in answer.get("content", {}).values())  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described_and_its_examples_hold(name):
    _, _, operation = OPERATIONS[name]
    assert operation["summary"]
    assert "Needs the scope" in operation["description"]
    for each in content(operation):
        is_file = each["schema"].get("format") == "binary" or "multipart" in str(operation.get("requestBody", ""))
        examples = each.get("examples", {})
        assert examples or is_file or not each["schema"]
        for example in examples.values():
            in_full(each["schema"]).validate(example["value"])


def test_the_document_and_its_page_are_there_for_everybody(db, client):
    client.logout()
    assert client.get("/api/v1/schema/").json()["info"]["title"] == "Tieout"
    page = client.get("/api/v1/docs/")
    assert page.status_code == 200
    assert "<script>" not in page.content.decode()
    assert client.get("/api/v1/problems/invalid").json()["status"] == 400
    assert client.get("/api/v1/nothing/here").headers["Content-Type"] == "application/problem+json"
