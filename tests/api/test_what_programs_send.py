"""Rows and requests as programs send them: every row counts, and what no database holds is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recon.api.json import dumps, dumps_flat, loads
from recon.models import MatchingRun, Statement, StatementLine
from recon.usecases.accounts.scope import builtin_account
from recon.usecases.events import Actor
from recon.usecases.imports.importing import import_pasted

ROW = {"id": "a", "amount": 10, "reference": "r", "currency": "USD"}
WORDS = ("total", "Opening balance", "Closing balance", "Saldo", "Summe", "pending", "***", "reference", "ok")


@pytest.fixture
def rule_id(api) -> str:
    rule = {"name": "exact", "criteria": [{"field": "amount", "operator": "eq"}]}
    return str(api.post("/reconciliation/matching-rules", rule).data["rule_id"])


def start(api, rule_id: str, rows: list[Any], strategy: str = "one_to_one"):
    body = {
        "external_transactions": rows,
        "strategy": strategy,
        "grouping_criteria": "reference",
        "matching_rule_ids": [rule_id],
    }
    return api.post("/reconciliation/start-instant", body)


@pytest.mark.parametrize("strategy", ["one_to_one", "one_to_many"])
@pytest.mark.parametrize("key", ["reference", "description", "id"])
def test_no_row_is_left_out_for_its_words(api, rule_id, strategy, key):
    rows = [{**ROW, "id": str(number), key: word} for number, word in enumerate(WORDS)]
    assert start(api, rule_id, rows, strategy).status_code == 200
    assert list(MatchingRun.objects.values_list("lines_total", flat=True)) == [len(WORDS)]


@pytest.mark.parametrize(
    "more", [{"status": "pending"}, {"sign": "D"}, {"type": "debit"}, {"fee": 1, "ключ": {"a": 1}}]
)
def test_what_blnk_does_not_know_of_a_row_is_ignored(api, rule_id, more):
    rows = [{**ROW, "date": "2026-01-01"}, {**ROW, **more, "id": "b", "date": None}]
    assert start(api, rule_id, rows).status_code == 200
    assert list(StatementLine.objects.values_list("units", "scale", "extra")) == [(1000, 2, None)] * 2


@pytest.mark.parametrize(
    ("written", "read"),
    [("1.234", "1.234"), ("1e5", "100000"), ("12E-3", "0.012"), ("1E-9", "0.000000001"), ("-1.500", "-1.5")],
)
def test_json_numbers_have_a_point_and_may_have_an_exponent(api, rule_id, written, read):
    body = json.dumps({"external_transactions": [ROW], "matching_rule_ids": [rule_id]})
    sent = body.replace('"amount": 10', f'"amount": {written}')
    assert api.post("/reconciliation/start-instant", sent).status_code == 200
    line = StatementLine.objects.get()
    assert Decimal(line.units).scaleb(-line.scale) == Decimal(read)


@pytest.mark.parametrize("written", ["1e400", "-1e400", "1e-400", "1e999999999", "NaN", "1e18"])
def test_numbers_that_do_not_fit_are_refused(api, rule_id, written):
    body = json.dumps({"external_transactions": [ROW], "matching_rule_ids": [rule_id]})
    response = api.post("/reconciliation/start-instant", body.replace('"amount": 10', f'"amount": {written}'))
    assert response.status_code == 400
    assert not Statement.objects.exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROW, None], "external_transactions[1] must be an object"),
        ([ROW, [1]], "external_transactions[1] must be an object"),
        ([{"id": "a", "currency": "USD"}], "external_transactions[0].amount is required"),
        ([{"id": "a", "amount": 5, "currency": ""}], "external_transactions[0].currency is required"),
        ([ROW, {}], "Line 2: it is empty"),
        ([ROW, {**ROW, "amount": None}], "Line 2, column amount: it is empty"),
        ([ROW, {**ROW, "amount": "-"}], "Line 2, column amount"),
        ([{**ROW, "amount": Decimal("1.234")}, {**ROW, "amount": "1,5"}], "Line 2, column amount: found '1,5'"),
        ([ROW, {**ROW, "date": True}], "Line 2, column date: found 'true'"),
        ([{**ROW, "date": "pending"}, {**ROW, "date": "2026-01-01"}], "Line 1, column date: found 'pending'"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_nothing_stored(api, rule_id, rows, said):
    body = json.dumps({"external_transactions": rows, "matching_rule_ids": [rule_id]}, default=float)
    response = api.post("/reconciliation/start-instant", body)
    assert (response.status_code, said in response.data["error"]) == (400, True), response.data
    assert not Statement.objects.exists()


def test_a_date_that_a_program_in_go_has_not_set_is_none(api, rule_id):
    assert start(api, rule_id, [{**ROW, "date": "0001-01-01T00:00:00Z"}]).status_code == 200
    assert list(StatementLine.objects.values_list("booking_date", "booked_at")) == [(None, None)]


def test_rows_that_are_pasted_as_objects_all_count_too(db):
    rows = [{**ROW, "id": str(number), "reference": word} for number, word in enumerate(WORDS)]
    assert import_pasted(Actor.command(), builtin_account(), rows).record_count == len(WORDS)


@pytest.mark.parametrize(
    "path",
    ["reconciliation/a%00b", "reconciliation/matching-rules/%00", "transactions/%00", "transactions/reference/%00"],
)
def test_ids_that_no_database_holds_are_not_found(api, path):
    assert api.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff and more"])
@pytest.mark.parametrize("key", ["reference", "extra", "id"])
def test_a_json_file_with_text_that_no_database_holds_is_refused(api, key, text):
    content = json.dumps([{**ROW, key: "x?"}]).replace("x?", text)
    file = SimpleUploadedFile("a.json", content.encode())
    response = api.upload("/reconciliation/upload", file, source="s")
    assert (response.status_code, response.data["error_detail"]["details"][0]["line"]) == (400, 1)


def test_surrogate_pairs_in_a_json_file_are_characters(api):
    file = SimpleUploadedFile("a.json", json.dumps([{**ROW, "reference": "💶"}]).encode())
    assert api.upload("/reconciliation/upload", file, source="s").status_code == 200
    assert StatementLine.objects.get().reference == "💶"


def test_among_the_rows_of_a_json_file_something_else_is_refused(api):
    file = SimpleUploadedFile("a.json", json.dumps([ROW, 5]).encode())
    response = api.upload("/reconciliation/upload", file, source="s")
    assert (response.status_code, response.data["error"]) == (400, "Row 2 of the list is no object.")


def test_a_long_source_is_refused(api):
    file = SimpleUploadedFile("a.csv", b"id,amount,currency,date\n1,5.00,USD,2026-01-31\n")
    response = api.upload("/reconciliation/upload", file, source="s" * 201)
    assert (response.status_code, response.data["error"]) == (400, "source must have at most 200 characters")


def test_the_list_of_runs_comes_in_parts_the_latest_first(api, rule_id):
    ids = [start(api, rule_id, [ROW]).data["reconciliation_id"] for _ in range(4)]

    def listed(query: str) -> list[str]:
        return [each["reconciliation_id"] for each in api.get(f"/reconciliation{query}").data]

    assert listed("") == ids[::-1]
    assert listed("?limit=2") == [ids[3], ids[2]]
    assert listed("?limit=2&offset=3") == [ids[0]]
    for wrong in ("limit=x", "limit=-1", "offset=1e3", "offset=99999999999999999999"):
        assert api.get(f"/reconciliation?{wrong}").data["error_detail"]["code"] == "GEN_VALIDATION_ERROR"


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 'à \u2028\n"', "amount": 12, "currency": None, "date": True}, {}],
        [{"amount": Decimal("12.30"), "id": "x"}, {"amount": 1, "extra": {"deep": [Decimal("1E+2")]}}],
    ],
)
def test_rows_are_written_as_they_were_sent(rows):
    assert loads(dumps_flat(rows)) == rows == loads(dumps(rows))
