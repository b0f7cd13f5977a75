"""Matching rules over Blnk's routes."""

from __future__ import annotations

import pytest

RULE = {
    "name": "Amount and reference",
    "description": "as in the rule API document",
    "criteria": [
        {"field": "amount", "operator": "equals", "allowable_drift": 0.01},
        {"field": "reference", "operator": "equals"},
    ],
}


def test_a_rule_comes_back_as_it_went_in(api):
    made = api.post("/reconciliation/matching-rules", RULE)
    assert made.status_code == 201
    assert made.data["rule_id"].startswith("rule_")
    assert {"created_at", "updated_at"} <= made.data.keys()
    read = api.get(f"/reconciliation/matching-rules/{made.data['rule_id']}")
    assert read.status_code == 200
    assert read.data["name"] == RULE["name"]
    assert [dict(criterion) for criterion in read.data["criteria"]] == [
        {"field": "amount", "operator": "equals", "allowable_drift": read.data["criteria"][0]["allowable_drift"]},
        {"field": "reference", "operator": "equals"},
    ]
    assert str(read.data["criteria"][0]["allowable_drift"]) == "0.01"


def test_the_list_is_a_bare_array(api):
    assert isinstance(api.get("/reconciliation/matching-rules").data, list)


def test_a_rule_is_replaced_and_deleted(api):
    path = "/reconciliation/matching-rules/" + api.post("/reconciliation/matching-rules", RULE).data["rule_id"]
    changed = api.send("PUT", path, {**RULE, "name": "Renamed"})
    assert (changed.status_code, changed.data["name"]) == (200, "Renamed")
    deleted = api.send("DELETE", path)
    assert deleted.status_code == 200
    assert isinstance(deleted.data["message"], str)
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_rule_is_not_found(api, method):
    response = api.send(method, "/reconciliation/matching-rules/rule_nope", RULE if method == "PUT" else None)
    assert response.status_code == 404
    assert response.data["error_detail"]["code"] == "RECON_RULE_NOT_FOUND"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": ""}, "name"),
        ({"criteria": []}, "criteri"),
        ({"criteria": [{"field": "amount", "operator": "resembles"}]}, "resembles"),
        ({"criteria": [{"field": "colour", "operator": "eq"}]}, "colour"),
        ({"criteria": [{"field": "description", "operator": "contains", "pattern": "("}]}, "pattern"),
        ({"criteria": [{"field": "amount", "operator": "eq", "allowable_drift": -1}]}, "drift"),
    ],
)
def test_a_rule_that_does_not_hold_is_refused_with_the_place(api, change, named):
    response = api.post("/reconciliation/matching-rules", {**RULE, **change})
    assert response.status_code == 400
    assert response.data["error_detail"]["code"] == "RECON_RULE_INVALID"
    assert named in response.data["error"]
    assert not [rule for rule in api.get("/reconciliation/matching-rules").data if rule["name"] == RULE["name"]]


def test_malformed_json_is_said(api):
    response = api.post("/reconciliation/matching-rules", '{"name": ')
    assert (response.status_code, response.data["error_detail"]["code"]) == (400, "GEN_MALFORMED_REQUEST")
