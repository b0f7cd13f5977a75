"""Rules as programs write them: what was sent comes back, and a faulty one says where."""

from __future__ import annotations

BODY = {
    "name": "Fees",
    "criteria": [{"field": "amount", "operator": "within_range", "value": "1%"}],
    "on_ambiguity": "skip",
    "max_difference": "2.50",
    "difference_type": "fee",
    "group_date": "latest",
    "suggest_only": True,
}


def test_every_setting_of_a_rule_is_stored_as_it_was_sent(v1):
    made = v1.post("rules", BODY)
    assert (made.status_code, made.data["body"]) == (201, BODY)
    tag = v1.get(f"rules/{made.data['id']}").headers["ETag"]
    changed = v1.send("PUT", f"rules/{made.data['id']}", BODY | {"max_difference": 3}, **{"If-Match": tag})
    assert (changed.status_code, changed.data["body"]) == (200, BODY | {"max_difference": 3})


def test_a_limit_that_is_no_amount_is_refused_with_its_place(v1):
    answer = v1.post("rules", BODY | {"max_difference": "much"})
    assert answer.status_code == 400
    assert "max_difference" in str(answer.data["errors"])
