"""What all operations share: keys and scopes, pages, narrowed answers, tags, problems, sending twice."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from recon.api.v1.schema import document
from recon.models import Account, ApiRequest, MatchingRun, WebhookEndpoint
from tests.cast import make_account, make_entries, row


def faults(answer) -> dict[str, str]:
    return {each["place"]: each["message"] for each in answer.data["errors"]}


def test_a_key_may_do_what_its_scope_says(program_with, account):
    reader = program_with("read")
    assert reader.get("accounts").status_code == 200
    answer = reader.post("ledger/entries", {"amount": "1.00", "currency": "EUR", "booking_date": "2026-03-01"})
    assert (answer.status_code, answer.data["type"]) == (403, "/api/v1/problems/forbidden")
    assert reader.get("me").data["scopes"] == ["read"]


def test_without_a_key_nothing_is_said(db):
    answer = Client().get("/api/v1/accounts")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"]


def test_a_signed_in_browser_may_call_it_with_its_token(alice, account):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.get("/api/v1/me").json()["user"] == "alice"
    body = {"tolerance": "0.10"}
    path = f"/api/v1/accounts/{account.pk}"
    assert browser.patch(path, body, content_type="application/json").status_code == 403
    token = browser.get("/api/v1/docs/").cookies["csrftoken"].value
    headers = {"X-CSRFToken": token}
    assert browser.patch(path, body, content_type="application/json", headers=headers).status_code == 200


def test_pages_go_by_key_and_miss_nothing_that_was_there(v1, account):
    make_entries(account, [row(number, "1.00", reference=f"R{number}") for number in range(1, 8)])
    first = v1.get("ledger/entries?limit=3&fields=reference")
    make_entries(account, [row(99, "1.00", reference="late")])
    seen = first.data["items"]
    cursor = first.data["next_cursor"]
    while cursor:
        page = v1.get(f"ledger/entries?limit=3&fields=reference&cursor={cursor}")
        seen, cursor = seen + page.data["items"], page.data["next_cursor"]
    assert [each["reference"] for each in seen] == [f"R{number}" for number in range(7, 0, -1)]


def test_a_cursor_of_another_list_is_refused(v1, account):
    make_entries(account, [row(number, "1.00") for number in range(3)])
    cursor = v1.get("ledger/entries?limit=1").data["next_cursor"]
    answer = v1.get(f"accounts?cursor={cursor}")
    assert (answer.status_code, list(faults(answer))) == (400, ["query.cursor"])


def test_a_tag_says_whether_a_record_changed(v1, account):
    path = f"accounts/{account.pk}"
    tag = v1.get(path).headers["ETag"]
    assert v1.get(path, **{"If-None-Match": tag}).status_code == 304
    changed = v1.send("PATCH", path, {"number": "DE02"}, **{"If-Match": tag})
    assert (changed.status_code, changed.data["number"]) == (200, "DE02")
    assert v1.get(path, **{"If-None-Match": tag}).status_code == 200
    lost = v1.send("PATCH", path, {"number": "DE03"}, **{"If-Match": tag})
    assert (lost.status_code, lost.data["type"]) == (412, "/api/v1/problems/changed-meanwhile")
    assert Account.objects.get(pk=account.pk).number == "DE02"


def test_two_authors_of_a_rule_do_not_overwrite_each_other(v1, rule):
    path = f"rules/{rule.rule_id}"
    shown = v1.get(path)
    tag, body = shown.headers["ETag"], shown.data["body"]
    assert v1.send("PUT", path, {**body, "name": "First"}, **{"If-Match": tag}).data["version"] == 2
    assert v1.send("PUT", path, {**body, "name": "Second"}, **{"If-Match": tag}).status_code == 412
    assert v1.get(f"{path}/versions/2/diff").data["items"] == [
        {"kind": "changed", "what": "Name", "before": "Exact", "after": "First"}
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", "runs", {"statement": "upload_1", "dryrun": True}, "body.dryrun"),  # mistyped: no real run
        ("POST", "runs", {"statement": "upload_1"}, "body.statement"),
        ("POST", "runs", {}, "body.account"),
        ("GET", "runs?state=done", None, "query.state"),
        ("GET", "runs?colour=red", None, "query.colour"),
        ("GET", "runs?limit=1000", None, "query.limit"),
        ("GET", "runs?fields=id,colour", None, "query.fields"),
        ("POST", "accounts", {"name": "A", "time_zone": "Berlin"}, "body.time_zone"),
        ("POST", "accounts", {"name": "A", "tolerance": "a lot"}, "body.tolerance"),
        ("POST", "accounts", {"name": "A", "currencies": ["EUR", "euro"]}, "body.currencies[1]"),
        ("POST", "accounts", {"name": "A", "scope": {"owner": True}}, "body.scope.owner"),
        (
            "POST",
            "rules",
            {"name": "R", "criteria": [{"field": "amount", "operator": "is"}]},
            "body.criteria[0].operator",
        ),
        ("POST", "matches/decide", {"decision": "maybe", "matches": [1]}, "body.decision"),
    ],
)
def test_what_does_not_hold_is_named_with_its_place(v1, method, path, body, place):
    answer = v1.send(method, path, body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert place in faults(answer)
    assert answer.data["type"] == "/api/v1/problems/invalid"


@pytest.mark.parametrize(
    ("method", "path", "body", "message", "expected", "found"),
    [
        ("GET", "runs?limit=many", None, "A valid integer is required.", "a whole number from 1 to 500", "many"),
        ("POST", "runs", {"statement": "upload_1"}, "There is no statement upload_1.",
         "the id of a record that exists", "upload_1"),
        ("POST", "runs", {"account": 99}, "There is no account 99.", "the id of a record that exists", "99"),
        ("POST", "accounts", {"name": "A", "currencies": ["EUR", "x" * 90]}, None, "a text", "x" * 80 + "…"),
        ("POST", "connectors", {"name": "A", "url": "https://a.example", "key": "k" * 2000}, None, "a text", None),
    ],
)  # fmt: skip
def test_an_error_says_what_was_expected_and_what_was_found(v1, method, path, body, message, expected, found):
    [error] = v1.send(method, path, body).data["errors"]
    assert error["message"] == (message or error["message"])
    assert (error["expected"], error["found"]) == (expected, found)


def test_what_nobody_can_do_is_no_matter_of_scopes(program_with):
    answer = program_with("read").send("DELETE", "runs")
    assert (answer.status_code, answer.data["type"]) == (405, "/api/v1/problems/method-not-allowed")
    assert "GET, POST" in answer.data["detail"]


@pytest.mark.parametrize(
    "body", ["{", "[1,", '{"name": NaN}', '{"name": "a\\u0000b"}', '{"name": "\\ud800"}', "[" * 9000]
)
def test_what_is_no_json_is_refused(v1, body):
    assert v1.send("POST", "accounts", body).status_code == 400


@pytest.mark.parametrize(
    "path", ["runs/recon_1", "runs/a%00b", "accounts/99999999999999999999", "ledger/entries/txn_1"]
)
def test_what_is_not_there_is_not_found(v1, path):
    assert v1.get(path).data["type"] == "/api/v1/problems/not-found"


def test_a_refusal_of_a_use_case_changes_nothing(v1, statement):
    answer = v1.send("DELETE", f"accounts/{statement.account_id}")
    assert (answer.status_code, answer.data["type"]) == (422, "/api/v1/problems/refused")
    empty = make_account("Empty")
    assert v1.send("DELETE", f"accounts/{empty.pk}").status_code == 204
    assert list(Account.objects.filter(is_builtin=False)) == [statement.account]


def test_a_run_that_is_started_twice_with_one_key_runs_once(v1, statement, rule):
    body = {"statement": statement.pk, "rules": [rule.rule_id]}
    first = v1.post("runs", body, **{"Idempotency-Key": "once"})
    again = v1.post("runs", body, **{"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert MatchingRun.objects.count() == 1
    other = v1.post("runs", {**body, "dry_run": True}, **{"Idempotency-Key": "once"})
    assert (other.status_code, other.data["type"]) == (409, "/api/v1/problems/key-reused")


SECRETS = {
    "keys": ({"name": "shop", "service_account": "shop", "scopes": ["read"]}, lambda data: data["text"]),
    "webhooks": ({"url": "https://example.com/hook", "events": ["run.finished"]}, lambda data: data["secret"]),
}


@pytest.mark.parametrize("path", SECRETS)
def test_a_secret_is_made_once_told_again_and_kept_nowhere(v1, caller_with, path):
    body, secret_of = SECRETS[path]
    first = v1.post(path, body, **{"Idempotency-Key": "once"})
    again = v1.post(path, body, **{"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert secret_of(v1.post(path, body, **{"Idempotency-Key": "twice"}).data) != secret_of(first.data)
    other = v1.post(path, {**body, "name": "other"} if path == "keys" else {**body, "description": "x"},
                    **{"Idempotency-Key": "once"})  # fmt: skip
    assert other.status_code == 409
    assert not any(secret_of(first.data).encode() in bytes(each.body) for each in ApiRequest.objects.all())


def test_a_key_that_was_made_twice_over_opens_what_it_may(v1, caller_with):
    body, text_of = SECRETS["keys"]
    v1.post("keys", body, **{"Idempotency-Key": "once"})
    text = text_of(v1.post("keys", body, **{"Idempotency-Key": "once"}).data)
    answer = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})
    assert (answer.status_code, answer.json()["user"]) == (200, "shop")


def test_a_secret_that_is_renewed_twice_with_one_key_is_renewed_once(v1):
    hook = v1.post("webhooks", SECRETS["webhooks"][0]).data["webhook"]["id"]
    first = v1.post(f"webhooks/{hook}/secret", **{"Idempotency-Key": "once"})
    assert v1.post(f"webhooks/{hook}/secret", **{"Idempotency-Key": "once"}).data == first.data
    assert v1.post(f"webhooks/{hook}/secret").data != first.data


def test_what_was_made_and_is_gone_is_not_made_again_by_sending_its_key_again(v1):
    once = {"Idempotency-Key": "once"}
    made = v1.post("webhooks", SECRETS["webhooks"][0], **once).data["webhook"]["id"]
    WebhookEndpoint.objects.filter(pk=made).delete()
    assert [v1.post("webhooks", SECRETS["webhooks"][0], **once).status_code for _ in range(2)] == [404, 404]
    assert not WebhookEndpoint.objects.exists()


def test_a_key_that_was_refused_may_be_asked_for_again_with_a_mended_body(v1):
    once, body = {"Idempotency-Key": "once"}, SECRETS["keys"][0]
    assert v1.post("keys", {**body, "expires_at": "2001-01-01T00:00:00Z"}, **once).status_code == 422
    assert v1.post("keys", body, **once).status_code == 201


NOT_REPEATABLE = {
    # what makes and decides nothing, or is refused the second time
    "add_up_selection", "cancel_connector_sync", "cancel_run", "discard_statement", "inspect_ledger_file",
    "inspect_statement_file", "preview_rule", "put_rule_in_words", "reverse_ledger_import", "revoke_key",
    "suggest_rules", "test_connector", "test_webhook", "try_rule",
}  # fmt: skip


def test_every_post_that_makes_or_decides_takes_an_idempotency_key():
    without = {
        operation["operationId"]
        for methods in document()["paths"].values()
        for method, operation in methods.items()
        if method == "post" and not any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    }
    assert without == NOT_REPEATABLE


def test_a_rule_that_cannot_run_is_refused_and_not_passed_over(v1, statement, rule):
    answer = v1.post("runs", {"statement": statement.pk, "rules": [rule.rule_id, "rule_gone"]})
    assert (answer.status_code, answer.data["detail"]) == (422, "There is no enabled rule rule_gone.")
    assert not MatchingRun.objects.exists()


LISTS = {
    # list -> its queries, with those for the key, on a page of several rows
    "accounts": 2,
    "ledger/entries?account={account}": 5,
    "ledger/imports": 2,
    "statements": 2,
    "statements/{statement}/lines": 5,
    "rules": 3,
    "runs": 2,
    "runs/{run}/matches": 9,
    "runs/{run}/unmatched?side=statement": 7,
    "open-items": 4,
    "audit/events": 2,
    "people": 2,
    "adjustments": 2,
    "reports/open-rows?account={account}&side=ledger": 5,
    "reports/ageing?account={account}": 8,
    "reports/balance?account={account}": 16,
}


@pytest.mark.parametrize(("path", "count"), LISTS.items())
def test_a_list_takes_a_fixed_number_of_queries(v1, run, path, count):
    path = path.format(statement=run.statement_id, run=run.run_id, account=run.account_id)
    v1.get("me")  # notes the key's use, once a minute
    with CaptureQueriesContext(connection) as asked:
        assert v1.get(path).status_code == 200
    said = [each["sql"] or "a statement that is kept" for each in asked]  # psycopg does not repeat those
    reads = [each for each in said if not each.startswith(("SAVEPOINT", "RELEASE", "SET LOCAL"))]
    assert len(reads) == count, "\n".join(reads)
