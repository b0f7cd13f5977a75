"""What requests that no route takes, or too many of them, are told."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client


@pytest.mark.parametrize("header", [{"X-Blnk-Key": "k"}, {"Authorization": "Bearer k"}])
def test_a_program_that_asks_for_a_route_of_blnk_that_is_not_here_gets_json(db, header):
    answer = Client().get("/ledgers", headers=header)
    assert (answer.status_code, answer.json()["error_detail"]["code"]) == (404, "GEN_NOT_FOUND")
    assert "/ledgers" in answer.json()["error"]


def test_a_browser_gets_a_page_also_behind_a_proxy_with_a_password(db):
    answer = Client().get("/ledgers", headers={"Authorization": "Basic YTpi"})
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (404, "text/html")


def test_what_nobody_can_do_is_no_matter_of_scopes(caller_with):
    assert caller_with("read").send("PATCH", "/reconciliation").status_code == 405


def test_a_file_that_leaves_something_open_is_refused_with_advice(api):
    rows = [{"day": "2026-03-01", "amount": {"value": 1050, "currency": "EUR"}, "id": "1"}]
    answer = api.upload("/reconciliation/upload", SimpleUploadedFile("a.json", json.dumps(rows).encode()), source="s")
    assert answer.status_code == 400
    assert "such as 1050" in answer.data["error"]
    assert "/api/v1/statements" in answer.data["error"]
    [place] = answer.data["error_detail"]["details"]
    assert (place["column"], place["expected"]) == ("mapping.in_cents", "an answer in the mapping: one of false, true")
