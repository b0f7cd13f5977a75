"""What changed between two versions, in words."""

from __future__ import annotations

import pytest

from rules.differences import changes, settings

AMOUNT = {"field": "amount", "operator": "eq"}
REFERENCE = {"field": "reference", "operator": "eq"}
DATE = {"field": "date", "operator": "within_range", "value": "2d"}


def rule(*criteria, **more):
    return {"name": "N", "criteria": list(criteria), **more}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (rule(AMOUNT), rule(AMOUNT), []),
        (rule(AMOUNT), rule({"field": "amount", "operator": "equals"}), []),  # an alias says the same
        (rule(AMOUNT), rule(AMOUNT, DATE), [("added", "Criterion 2")]),
        (rule(AMOUNT, DATE), rule(DATE), [("removed", "Criterion 1")]),
        (rule(AMOUNT, DATE), rule(AMOUNT, {**DATE, "value": "3d"}), [("changed", "Criterion 2")]),
        (rule(AMOUNT, DATE, REFERENCE), rule(REFERENCE, AMOUNT, DATE), [("moved", "To be criterion 1")]),
        (rule(AMOUNT), rule(AMOUNT, on_ambiguity="best"), [("changed", "When several candidates fit")]),
        (rule(AMOUNT), rule(AMOUNT, cross_currency=True), [("changed", "Across currencies")]),
        (rule(AMOUNT), rule(AMOUNT, suggest_only=True), [("changed", "Only suggests")]),
    ],
)
def test_a_difference_in_words(before, after, said):
    assert [(change.kind, change.what) for change in changes(before, after)] == said


def test_a_changed_criterion_shows_both_sentences():
    (change,) = changes(rule(DATE), rule({**DATE, "value": "3d"}))
    assert change.before == "Statement *date* is within 2 days of ledger *date*"
    assert change.after == "Statement *date* is within 3 days of ledger *date*"


def test_a_criterion_that_the_vocabulary_no_longer_knows_is_shown_as_it_stands():
    (change,) = changes(rule({"field": "amount", "operator": "sounds_like"}), rule(AMOUNT))
    assert "sounds_like" in change.before


def test_a_rule_says_what_it_does_beside_its_criteria_but_not_what_is_usual():
    assert settings(rule(AMOUNT, on_ambiguity="review", group_date="earliest", cross_currency=False)) == []
    said = settings(rule(AMOUNT, suggest_only=True, max_difference="2.50", on_ambiguity="best"))
    assert said == ["When several candidates fit: best", "Largest difference to confirm: 2.50", "Only suggests"]
