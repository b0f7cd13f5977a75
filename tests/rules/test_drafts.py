"""The editor's state: what the inputs say, the rule that makes, and what one step of editing does."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from rules.bodies import read_body
from rules.criteria import FIELDS, OPERATORS, RuleError, operators_for, parse_rule
from rules.drafts import Draft, DraftCriterion, draft_from_form, draft_of
from rules.forms import APPLIES_TO, EXTRA_KEYS, UNIT_LABELS, VALUE_LABELS, rule_form
from rules.gallery import GALLERY
from tests.rules.posting import posted


def as_posted(draft: Draft) -> Draft:
    """The draft after its inputs went through a browser."""
    form = QueryDict(mutable=True)
    for name, value in posted(draft).items():
        form.setlist(name, value if isinstance(value, list) else [value])
    return draft_from_form(form)


@pytest.mark.parametrize(
    "criterion",
    [
        '{"field": "amount", "operator": "eq", "allowable_drift": 0.010}',
        '{"field": "amount", "operator": "equals", "allowable_drift": 0.01}',  # Blnk's fraction
        '{"field": "amount", "operator": "equals", "allowable_drift": 0}',
        '{"field": "amount", "operator": "eq", "value": 250, "applies_to": "both"}',
        '{"field": "amount", "operator": "between", "value": "100..500"}',
        '{"field": "amount", "operator": "within_range", "value": "-1.00..0.25"}',
        '{"field": "amount", "operator": "greater_than", "value": "0", "applies_to": "ledger"}',
        '{"field": "date", "operator": "equals", "allowable_drift": 1800}',
        '{"field": "date", "operator": "before"}',
        '{"field": "date", "operator": "within_range", "value": "2d", "expected": 2}',
        '{"field": "date", "operator": "between", "value": "2026-01-01..2026-01-31"}',
        '{"field": "reference", "operator": "contains", "allowable_drift": 10}',
        '{"field": "reference", "operator": "contains", "loose": true, "substring": true}',
        '{"field": "description", "operator": "contains", "value": "INV-"}',
        '{"field": "description", "operator": "eq", "ledger_field": "reference", "pattern": "(INV-\\\\d+)"}',
        '{"field": "counterparty", "operator": "similar", "value": 90}',
        '{"field": "currency", "operator": "eq", "value": "EUR"}',
    ],
)
def test_a_rule_saved_untouched_stays_as_it_came_in(criterion):
    body = read_body(f'{{"name": "N", "kept": 1, "criteria": [{criterion}]}}')
    assert as_posted(draft_of(body)).body(body) == body


@pytest.mark.parametrize("criterion", [each["criteria"][0] for each in (rule.body for rule in GALLERY.values())])
def test_the_form_says_the_same_as_the_criterion_it_shows(criterion):
    body = {"name": "N", "criteria": [criterion]}
    rewritten = as_posted(draft_of(body)).body()
    assert parse_rule(rewritten).criteria[0].sentence() == parse_rule(body).criteria[0].sentence()


def test_a_fraction_of_blnk_is_shown_in_percent():
    body = read_body(
        '{"name": "N", "criteria": [{"field": "amount", "operator": "equals", "allowable_drift": 0.015}]}'
    )
    said = draft_of(body).criteria[0].said
    assert (said["operator"], said["allowable_drift"], said["drift_unit"]) == ("eq", "1.5", "percent")


def test_every_field_offers_the_operators_of_the_vocabulary():
    for field in FIELDS.values():
        form = rule_form(Draft({}, (DraftCriterion("c1", {"field": field.name}).tidied(),)))
        assert [choice.value for choice in form.criteria[0].operators] == [each.name for each in operators_for(field)]


def test_the_form_has_an_input_for_all_that_any_operator_takes():
    for operator in OPERATORS:
        for field in FIELDS.values():
            if field.kind in operator.kinds:
                inputs = operator.inputs(field)
                assert inputs.value == "none" or inputs.value in VALUE_LABELS
                assert set(inputs.drift_units) <= set(UNIT_LABELS)
                assert inputs.options <= {*EXTRA_KEYS, "loose", "ledger_field", "applies_to"}
    assert [value for value, _ in APPLIES_TO] == ["statement", "ledger", "both"]


def draft(*fields: str) -> Draft:
    start = Draft({"name": "N"})
    for field in fields:
        start = start.after(f"add:{field}")
    return start


def order(given: Draft) -> list[str]:
    return [each.said["field"] for each in given.criteria]


@pytest.mark.parametrize(
    ("step", "fields"),
    [
        ("up:c2", ["date", "amount", "reference"]),
        ("down:c2", ["amount", "reference", "date"]),
        ("up:c1", ["amount", "date", "reference"]),  # it is the first already
        ("down:c3", ["amount", "date", "reference"]),  # it is the last already
        ("remove:c1", ["date", "reference"]),
        ("duplicate:c1", ["amount", "amount", "date", "reference"]),
        ("add:currency", ["amount", "date", "reference", "currency"]),
        ("order:c3,c1", ["reference", "amount", "date"]),  # who is not named comes last
        ("remove:c9", ["amount", "date", "reference"]),  # nobody has that key
        ("dance:c1", ["amount", "date", "reference"]),
        ("", ["amount", "date", "reference"]),
    ],
)
def test_a_step_of_editing(step, fields):
    after = draft("amount", "date", "reference").after(step)
    assert order(after) == fields
    assert len({each.key for each in after.criteria}) == len(fields)


def test_another_field_brings_its_own_operators_and_drops_what_no_longer_fits():
    old = DraftCriterion(
        "c1",
        {"field": "date", "operator": "contains", "value": "INV-", "value_input": "text", "loose": "on"},
        "fixed",
    )
    new = old.tidied()
    assert (new.said, new.against) == ({"field": "date", "operator": "eq"}, "fixed")


@pytest.mark.parametrize("field", ["reference", "amount", "date", "currency"])
def test_a_fixed_value_left_empty_is_refused_and_not_a_comparison_with_the_ledger(field):
    empty = Draft({"name": "N"}, (DraftCriterion("c1", {"field": field, "operator": "eq"}, "fixed"),))
    with pytest.raises(RuleError) as refused:
        parse_rule(empty.body())
    assert "value" in rule_form(empty, refused.value.problems).criteria[0].problems


def test_a_preset_fills_the_value():
    windowed = Draft({}, (DraftCriterion("c1", {"field": "date", "operator": "within_range"}),))
    assert windowed.after("preset:c1:0d..3d").criteria[0].said["value"] == "0d..3d"
