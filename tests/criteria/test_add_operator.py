"""One class makes an operator: form inputs, sentence, parsing and engine follow from it."""

import pytest

from rules.criteria import FIELDS, OPERATORS, Inputs, Operator, operator_names, parse_rule
from tests.engine.tables import pairs, row, rule, run


class SameEnding(Operator):
    name = "same_ending"
    label = "ends like"
    help = "The last two letters are equal."
    kinds = ("text",)

    def inputs(self, field):
        return Inputs()

    def read(self, field, operator_name, given):
        return {}

    def matches(self, criterion, scope):
        return f"right({criterion.text('statement', 'key')}, 2) = right({criterion.text('ledger', 'key')}, 2)"


@pytest.fixture
def same_ending():
    OPERATORS.append(SameEnding())
    yield
    OPERATORS.pop()


def test_one_class_is_enough(same_ending):
    assert "same_ending" in operator_names(FIELDS["reference"])
    body = {"name": "R", "criteria": [{"field": "reference", "operator": "same_ending"}]}
    assert parse_rule(body).criteria[0].sentence() == "Statement *reference* ends like ledger *reference*"
    outcome = run(
        rule(("reference", "same_ending")), [row(reference="abc")], [row(reference="xBC"), row(reference="bd")]
    )
    assert pairs(outcome) == [([1], [1])]
