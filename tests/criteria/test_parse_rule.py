"""A rule is read exactly, or refused with everything that is wrong with it."""

import json
from decimal import Decimal

import pytest

from rules.criteria import FIELDS, OPERATORS, RuleError, operators_for, parse_rule
from rules.criteria.values import Window


def rule_of(*criteria, **options):
    return parse_rule({"name": "A rule", "criteria": list(criteria), **options})


def problems_of(*criteria, **options):
    with pytest.raises(RuleError) as refused:
        rule_of(*criteria, **options)
    return [(problem.criterion, problem.key) for problem in refused.value.problems]


def window_of(**criterion):
    return rule_of(criterion).criteria[0].window


@pytest.mark.parametrize(
    ("criterion", "window"),
    [
        # eq: the drift is in the currency
        (
            {"operator": "eq", "allowable_drift": Decimal("0.01")},
            Window(Decimal("-0.01"), Decimal("0.01"), "absolute"),
        ),
        # equals, as Blnk's clients mean it: a fraction, 0.01 is 1%
        ({"operator": "equals", "allowable_drift": 0.01}, Window(Decimal(-1), Decimal(1), "percent")),
        # the unit overrides what the operator's name implies
        (
            {"operator": "equals", "allowable_drift": "2", "drift_unit": "absolute"},
            Window(Decimal(-2), Decimal(2), "absolute"),
        ),
        (
            {"operator": "eq", "allowable_drift": 2, "drift_unit": "percent"},
            Window(Decimal(-2), Decimal(2), "percent"),
        ),
        ({"operator": "within_range", "value": "0.50"}, Window(Decimal("-0.50"), Decimal("0.50"), "absolute")),
        ({"operator": "within_range", "value": "2%"}, Window(Decimal(-2), Decimal(2), "percent")),
        ({"operator": "within_range", "value": "-1.00..0.25"}, Window(Decimal("-1.00"), Decimal("0.25"), "absolute")),
        ({"operator": "within_range", "value": "-1%..0%"}, Window(Decimal(-1), Decimal(0), "percent")),
        ({"operator": "within_range", "value": "-5%..0"}, Window(Decimal(-5), Decimal(0), "percent")),
        ({"operator": "within_range", "value": 5}, Window(Decimal(-5), Decimal(5), "absolute")),
    ],
)
def test_amount_tolerances_keep_their_unit(criterion, window):
    assert window_of(field="amount", **criterion) == window


@pytest.mark.parametrize(
    ("value", "window"),
    [
        ("2d", Window(Decimal(-2), Decimal(2), "days")),
        ("36h", Window(Decimal(-129600), Decimal(129600), "seconds")),
        ("-1d..3d", Window(Decimal(-1), Decimal(3), "days")),
        ("0d..3d", Window(Decimal(0), Decimal(3), "days")),
        ("0..3d", Window(Decimal(0), Decimal(3), "days")),
        ("-12h..0", Window(Decimal(-43200), Decimal(0), "seconds")),
        ("30m", Window(Decimal(-1800), Decimal(1800), "seconds")),
    ],
)
def test_date_windows_keep_their_unit(value, window):
    assert window_of(field="date", operator="within_range", value=value) == window


@pytest.mark.parametrize(
    ("criterion", "key"),
    [
        ({"field": "colour", "operator": "eq"}, "field"),
        ({"field": "amount", "operator": "resembles"}, "operator"),
        ({"field": "amount", "operator": "contains"}, "operator"),  # an operator on the wrong field
        ({"field": "amount", "operator": "after"}, "operator"),  # an alias on the wrong field
        ({"field": "amount", "operator": "within_range"}, "value"),  # a missing value
        ({"field": "amount", "operator": "between"}, "value"),
        ({"field": "date", "operator": "between", "value": ""}, "value"),
        ({"field": "reference", "operator": "similar"}, "value"),
        ({"field": "reference", "operator": "agrees", "value": "A"}, "value"),  # compares the two sides only
        ({"field": "date", "operator": "within_range", "value": "2"}, "value"),  # days or hours?
        ({"field": "date", "operator": "within_range", "value": "0..2"}, "value"),
        ({"field": "amount", "operator": "within_range", "value": "-5%..1"}, "value"),  # percent of what?
        ({"field": "amount", "operator": "within_range", "value": "-1.00..2%"}, "value"),
        ({"field": "date", "operator": "within_range", "value": "1.5d"}, "value"),  # half a calendar day
        ({"field": "date", "operator": "between", "value": "2026-01-31..2026-01-01"}, "value"),
        ({"field": "amount", "operator": "between", "value": "100"}, "value"),
        ({"field": "amount", "operator": "eq", "value": "12,3.4"}, "value"),
        ({"field": "amount", "operator": "eq", "allowable_drift": -1}, "allowable_drift"),
        ({"field": "amount", "operator": "equals", "allowable_drift": 2}, "allowable_drift"),  # 200%
        ({"field": "amount", "operator": "eq", "allowable_drift": "x"}, "allowable_drift"),
        ({"field": "amount", "operator": "eq", "allowable_drift": True}, "allowable_drift"),
        ({"field": "date", "operator": "eq", "allowable_drift": 1, "drift_unit": "business_days"}, "drift_unit"),
        ({"field": "date", "operator": "eq", "allowable_drift": 1, "drift_unit": "weeks"}, "drift_unit"),
        ({"field": "reference", "operator": "eq", "allowable_drift": 1}, "allowable_drift"),  # would be ignored
        ({"field": "reference", "operator": "similar", "value": "101"}, "value"),
        ({"field": "reference", "operator": "eq", "pattern": "("}, "pattern"),
        ({"field": "reference", "operator": "eq", "pattern": "a(?=b)"}, "pattern"),  # not RE2
        ({"field": "reference", "operator": "eq", "pattern": "a" * 501}, "pattern"),
        ({"field": "reference", "operator": "eq", "ledger_field": "amount"}, "ledger_field"),
        ({"field": "reference", "operator": "eq", "applies_to": "ledger"}, "applies_to"),  # without a value
        ({"field": "reference", "operator": "eq", "loose": "yes"}, "loose"),
        ({"field": "reference", "operator": "eq", "substring": True}, "substring"),  # means nothing with eq
        ({"field": "reference", "operator": "eq", "fuzzy": True}, "fuzzy"),  # an unknown key
        ({"field": "reference", "operator": "contains", "value": "abc", "substring": True}, "substring"),  # it is
        ({"field": "date", "operator": "eq", "value": "2026-01-31", "expected": "2d"}, "expected"),  # no other side
        ({"field": "date", "operator": "after", "value": "2026-01-31", "expected": 2}, "expected"),
        ({"field": "date", "operator": "within_range", "value": "2d", "expected": "soon"}, "expected"),
    ],
)
def test_what_is_not_understood_is_refused_under_its_key(criterion, key):
    assert problems_of(criterion) == [(1, key)]


def test_a_rule_that_was_saved_when_idle_keys_were_passed_over_still_reads():
    kept = {"field": "reference", "operator": "contains", "value": "abc", "substring": True}
    body = {"name": "Kept", "criteria": [kept]}
    with pytest.raises(RuleError, match=r"criterion 1: substring: .* finds it anywhere already"):
        parse_rule(body)
    assert parse_rule(body, stored=True).criteria[0].constant == "abc"


def test_all_problems_are_named_at_once_with_their_criterion():
    found = problems_of(
        {"field": "amount", "operator": "nope"}, {"field": "x", "operator": "eq"}, on_ambiguity="guess"
    )
    assert found == [(None, "on_ambiguity"), (1, "operator"), (2, "field")]


def test_problems_say_what_was_expected():
    with pytest.raises(RuleError, match="expected one of eq, equals, within_range"):
        rule_of({"field": "amount", "operator": "contains"})


@pytest.mark.parametrize("criteria", [None, [], "amount", {}])
def test_a_rule_without_criteria_is_refused(criteria):
    with pytest.raises(RuleError, match="at least one criterion"):
        parse_rule({"name": "Empty", "criteria": criteria})


def test_a_rule_needs_a_name():
    with pytest.raises(RuleError, match="expected a name"):
        parse_rule({"criteria": [{"field": "amount", "operator": "eq"}]})


def test_a_rule_gives_its_body_back_as_it_came_in():
    body = json.loads(
        '{"rule_id": "rule_1", "name": "Exact", "description": "", "criteria":'
        ' [{"field": "amount", "operator": "equals", "value": "", "pattern": "", "allowable_drift": 0.010}]}',
        parse_float=Decimal,
    )
    assert parse_rule(body).as_given() == body


def test_empty_values_of_clients_say_nothing():
    rule_of({"field": "reference", "operator": "equals", "value": "", "pattern": "", "allowable_drift": 0})


@pytest.mark.parametrize(
    ("criterion", "sentence"),
    [
        ({"field": "amount", "operator": "eq"}, "Statement *amount* equals ledger *amount*"),
        (
            {"field": "amount", "operator": "equals", "allowable_drift": Decimal("0.01")},
            "Statement *amount* equals ledger *amount*, at most 1% of the ledger amount apart",
        ),
        (
            {"field": "description", "operator": "contains", "ledger_field": "reference", "loose": True},
            "Statement *description* contains ledger *reference*, letters and digits only",
        ),
        (
            {"field": "description", "operator": "contains", "value": "INV-"},
            "Statement *description* contains “INV-”",
        ),
        (
            {"field": "date", "operator": "within_range", "value": "2d"},
            "Statement *date* is within 2 days of ledger *date*",
        ),
        (
            {"field": "date", "operator": "within_range", "value": "-1d..3d", "expected": "1d"},
            "Statement *date* is between 1 day before and 3 days after ledger *date*, usually 1 day later",
        ),
        ({"field": "date", "operator": "after", "value": "2026-01-31"}, "Statement *date* is after 2026-01-31"),
        (
            {"field": "amount", "operator": "between", "value": "100..500", "applies_to": "both"},
            "Statement and ledger *amount* is between 100 and 500",
        ),
        (
            {"field": "reference", "operator": "similar", "value": "85"},
            "Statement *reference* is similar to ledger *reference*, at least 85% alike",
        ),
    ],
)
def test_a_criterion_says_itself(criterion, sentence):
    assert rule_of(criterion).criteria[0].sentence() == sentence


def test_every_field_offers_operators_with_label_and_help():
    for field in FIELDS.values():
        for operator in operators_for(field):
            assert operator.label
            assert operator.help
            assert operator.inputs(field).keys >= {"field", "operator"}
    assert len({operator.name for operator in OPERATORS}) == len(OPERATORS)
