"""What pairs were found by is said in the words of people."""

from __future__ import annotations

import pytest

from recon.usecases.runs.found_by import pairs_found_by
from rules.criteria import parse_rule

LOOSE = {"loose": True}
AMOUNT = {"field": "amount", "operator": "eq"}
NEAR = AMOUNT | {"allowable_drift": "0.50"}
DAYS = {"field": "date", "operator": "within_range", "value": "-1d..2d"}
REFERENCE = {"field": "reference", "operator": "eq"}
NUMBER = {"field": "description", "operator": "eq", "pattern": "inv-([0-9]+)", "ledger_field": "reference"} | LOOSE
CONTAINS = {"field": "description", "operator": "contains", "ledger_field": "reference"}
NUMBER_KEY = "the column of that number"


@pytest.mark.parametrize(
    ("key", "criteria", "said"),
    [
        ("amt, reference_key", [AMOUNT, REFERENCE], "same amount and same reference"),
        ("ccy, amt", [NEAR], "same currency and amount, equal ones first"),
        ("ccy, amount_cell", [NEAR], "same currency and amounts near each other"),
        ("ccy, day_cell, found", [DAYS, CONTAINS],
         "same currency, dates within 2 days and words shared by description and the ledger's reference"),
        ("found", [REFERENCE | {"operator": "starts_with"}], "letters shared by the reference of both sides"),
        ("zeroless(s.reference_both_loose)", [REFERENCE | {"operator": "eq"} | LOOSE], "same reference"),
        ("day", [{"field": "date", "operator": "eq"}], "same day"),
        (NUMBER_KEY, [REFERENCE, NUMBER], "description as the ledger's reference"),
        ("group_0, group_1, amt", [AMOUNT], "same parent transaction, same date and same amount"),
        ("", [DAYS], "every line with every entry"),
    ],
)  # fmt: skip
def test_what_the_engine_looked_up_is_said_in_words(key, criteria, said):
    rule = parse_rule({"name": "Rule", "criteria": criteria})
    if key == NUMBER_KEY:
        key = rule.criteria[1].column("statement", "both_loose").name
    assert pairs_found_by(key, rule, ["parent_transaction", "date"]) == said
