"""`Idempotency-Key`: sent twice, worked on once."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.utils import timezone

from recon.models import ApiRequest, Event, LedgerEntry, MatchingRun, Statement
from recon.usecases.events import Actor
from recon.usecases.outside.idempotency import LONGEST, begin
from recon.usecases.outside.keys import create_key
from recon.usecases.process_lock import is_alive, this_process
from rules.models import MatchingRule
from tests.api.conftest import Caller, transaction
from tests.api.test_blnk_rules import RULE

KEY = {"Idempotency-Key": "order-17"}


def test_the_same_request_gets_the_same_answer_and_is_done_once(api):
    first = api.post("/transactions", transaction("a"), **KEY)
    again = api.post("/transactions", transaction("a"), **KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (200, first.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert LedgerEntry.objects.count() == 1


def test_the_status_code_comes_back_too(api):
    first = api.post("/reconciliation/matching-rules", RULE, **KEY)
    again = api.post("/reconciliation/matching-rules", RULE, **KEY)
    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert MatchingRule.objects.filter(name=RULE["name"]).count() == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/transactions", transaction("b")),  # another body
        ("/reconciliation/matching-rules", RULE),  # another path
        ("/transactions?x=1", transaction("a")),  # another query
    ],
)
def test_the_same_key_with_another_request_is_refused(api, path, body):
    api.post("/transactions", transaction("a"), **KEY)
    other = api.post(path, body, **KEY)
    assert (other.status_code, other.data["error_detail"]["code"]) == (409, "GEN_CONFLICT")
    assert LedgerEntry.objects.count() == 1


def test_without_a_key_nothing_is_remembered(api):
    api.post("/transactions", transaction("a"))
    assert api.post("/transactions", transaction("a")).status_code == 409
    assert not ApiRequest.objects.exists()


@pytest.mark.parametrize("key", ["k" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(api, key):
    answer = api.post("/transactions", transaction("a"), **{"Idempotency-Key": key})
    assert (answer.status_code, answer.data["error_detail"]["code"]) == (400, "GEN_VALIDATION_ERROR")


def test_a_refused_request_leaves_its_key_free(api):
    assert api.post("/transactions", transaction("a", currency="?"), **KEY).status_code == 400
    assert not ApiRequest.objects.exists()
    assert api.post("/transactions", transaction("a"), **KEY).status_code == 200


def test_a_key_belongs_to_a_user_and_outlives_the_api_key(alice, bob):
    callers = [Caller(create_key(Actor.command(), user, "x", ["admin"])[1]) for user in (alice, alice, bob)]
    first, renewed, other = (caller.post("/transactions", transaction("a"), **KEY) for caller in callers)
    assert renewed.content == first.content
    assert other.status_code == 409  # not a replay: the entry's reference is taken
    assert other.data["error_detail"]["code"] == "TXN_DUPLICATE_REFERENCE"


def bank_file() -> BytesIO:
    file = BytesIO(b"ID,Amount,Date,Currency,Reference\ne1,10.00,2026-01-05,USD,a\n")
    file.name = "bank.csv"
    return file


def test_an_uploaded_file_is_known_again_by_its_content(api):
    """Each sending of a form draws another boundary."""
    api.headers.update(KEY)
    sent = [api.upload("/reconciliation/upload", bank_file(), source="bank") for _ in range(2)]
    assert sent[0].data == sent[1].data
    assert Statement.objects.count() == 1
    assert api.upload("/reconciliation/upload", bank_file(), source="another").status_code == 409


def dead(request: ApiRequest) -> None:
    """As if the process had been killed while it worked on this request."""
    ApiRequest.objects.filter(pk=request.pk).update(status=None, worker="0" * 32, body=b"", headers={})


def instant(rule_id: str) -> dict:
    rows = [{"id": "e1", "amount": 10, "reference": "a", "currency": "USD"}]
    return {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [rule_id]}


def test_a_run_whose_answer_was_lost_is_answered_and_not_started_again(api, exact_rule):
    first = api.post("/reconciliation/start-instant", instant(exact_rule), **KEY)
    dead(ApiRequest.objects.get())
    again = api.post("/reconciliation/start-instant", instant(exact_rule), **KEY)
    assert again.data == first.data
    assert MatchingRun.objects.count() == Statement.objects.count() == 1
    assert api.post("/reconciliation/start-instant", instant(exact_rule), **KEY).content == again.content


def test_rows_that_were_stored_before_the_crash_are_not_stored_again(api, exact_rule):
    api.post("/reconciliation/start-instant", instant(exact_rule), **KEY)
    request = ApiRequest.objects.get()
    MatchingRun.objects.all().delete()
    Event.objects.filter(kind="run").delete()  # killed between storing the rows and starting the run
    dead(request)
    assert api.post("/reconciliation/start-instant", instant(exact_rule), **KEY).status_code == 200
    assert MatchingRun.objects.count() == Statement.objects.count() == 1


def test_what_is_done_for_a_request_is_marked_in_the_audit_trail(api):
    api.post("/transactions", transaction("a"), **KEY)
    assert Event.objects.get(kind="entry").request_id == ApiRequest.objects.get().pk


def test_a_request_in_work_is_waited_for_and_then_said_to_be(alice, monkeypatch):
    monkeypatch.setattr("recon.usecases.outside.idempotency.WAIT_SECONDS", 0.1)
    begin(alice, "order-17", "x" * 64)
    caller = Caller(create_key(Actor.command(), alice, "x", ["admin"])[1])
    monkeypatch.setattr("recon.api.idempotency.fingerprint", lambda *_: "x" * 64)
    answer = caller.post("/transactions", transaction("a"), **KEY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
    assert LedgerEntry.objects.count() == 0


def test_a_process_that_hangs_is_not_waited_for_for_ever(alice):
    first = begin(alice, "order-17", "x" * 64)
    ApiRequest.objects.update(taken_at=timezone.now() - LONGEST * 2)
    assert begin(alice, "order-17", "x" * 64, wait=0) == first


def test_this_process_is_alive_and_unknown_ones_are_not():
    assert is_alive(this_process())
    assert not is_alive("f" * 32)
    assert not is_alive("")
