"""Every operator on every field, by each of its names: it finds what meets it and nothing else, or is refused."""

from __future__ import annotations

import itertools

import pytest

from rules.criteria import FIELDS, OPERATORS, RuleError, operator_names
from tests.engine.tables import pairs, row, rule, run

TEXTS = ("reference", "description", "counterparty")
NAMES = sorted({name for operator in OPERATORS for name in (operator.name, *operator.aliases)})
FIELDS_OF = {
    "eq": tuple(FIELDS), "equals": tuple(FIELDS),
    "contains": TEXTS, "starts_with": TEXTS, "ends_with": TEXTS, "similar": TEXTS, "agrees": TEXTS,
    "has_words": TEXTS,
    "within_range": ("amount", "date"), "between": ("amount", "date"),
    "greater_than": ("amount", "date"), "less_than": ("amount", "date"), "after": ("date",), "before": ("date",),
}  # fmt: skip
"""Which fields an operator takes, as docs/matching.md has it."""

SIDES: dict[str, list[tuple[dict[str, object], object, object]]] = {
    "amount eq": [({}, "5.00", "5.01"), ({"allowable_drift": "0.02"}, "5.02", "5.03")],
    "amount equals": [({}, "5.00", "5.01"), ({"allowable_drift": 0.01}, "5.05", "5.06"),
                      ({"allowable_drift": "2", "drift_unit": "percent"}, "5.10", "5.11")],
    "amount within_range": [({"value": "0.50"}, "4.50", "4.49"), ({"value": "2%"}, "5.10", "5.11"),
                            ({"value": "-1.00..0.25"}, "4.00", "5.26")],
    "amount greater_than": [({}, "5.01", "5.00")],
    "amount less_than": [({}, "4.99", "5.00")],
    "date eq": [({}, "2026-03-10", "2026-03-11"), ({"allowable_drift": 172800}, "2026-03-12", "2026-03-13"),
                ({"allowable_drift": 1, "drift_unit": "days"}, "2026-03-09", "2026-03-08")],
    "date equals": [({}, "2026-03-10", "2026-03-09"), ({"allowable_drift": 86400}, "2026-03-11", "2026-03-12")],
    "date within_range": [({"value": "2d"}, "2026-03-12", "2026-03-13"),
                          ({"value": "0..3d"}, "2026-03-13", "2026-03-09"),
                          ({"value": "36h"}, "2026-03-11", "2026-03-12")],
    "date greater_than": [({}, "2026-03-11", "2026-03-10")], "date after": [({}, "2026-03-11", "2026-03-10")],
    "date less_than": [({}, "2026-03-09", "2026-03-10")], "date before": [({}, "2026-03-09", "2026-03-10")],
    "text eq": [({}, "INV-1234 a", "INV-1235 a"), ({"loose": True}, "inv 1234a", "inv 1235a")],
    "text equals": [({}, "inv-1234  A", "INV-1234"),
                    ({"pattern": r"(INV-\d+ \w)"}, "for INV-1234 a today", "for 1234")],
    "text contains": [({}, "for inv 1234 a", "for inv 12345 a"), ({"substring": True}, "xINV-1234 ax", "INV-1235 a"),
                      ({"allowable_drift": "10"}, "INV-1235 a", "PO-99")],
    "text starts_with": [({}, "inv-1234 a and more", "for INV-1234 a")],
    "text ends_with": [({}, "for INV-1234 a", "INV-1234 a and more")],
    "text similar": [({"value": "90"}, "INV-1235 a", "INV-1135 a"), ({"value": "80%"}, "INV-1135 a", "PO-99")],
    "text has_words": [({}, "a paid for: inv 1234", "a for inv 12345")],
    "text agrees": [({}, None, "PO-99"), ({}, "INV-1234", "INV-1235")],
}  # fmt: skip
"""By kind of field and operator, without a constant: more keys, what the statement says that meets the ledger's 5.00,
2026-03-10 or "INV-1234 a", and what does not."""

CONSTANTS: dict[str, list[tuple[dict[str, object], object, object]]] = {
    "amount eq": [({"value": "5.00"}, "5.00", "5.01"), ({"value": 5, "allowable_drift": "0.01"}, "5.01", "5.02")],
    "amount equals": [({"value": "5.00", "allowable_drift": 0.1}, "5.50", "5.51")],
    "amount between": [({"value": "1..5"}, "5.00", "5.01")],
    "amount greater_than": [({"value": "4.99"}, "5.00", "4.99")],
    "amount less_than": [({"value": "5.01"}, "5.00", "5.01")],
    "date eq": [({"value": "2026-03-10"}, "2026-03-10", "2026-03-11")],
    "date equals": [({"value": "2026-03-10", "allowable_drift": 86400}, "2026-03-11", "2026-03-12")],
    "date between": [({"value": "2026-03-01..2026-03-10"}, "2026-03-10", "2026-03-11")],
    "date greater_than": [({"value": "2026-03-09"}, "2026-03-10", "2026-03-09")],
    "date after": [({"value": "2026-03-09"}, "2026-03-10", "2026-03-09")],
    "date less_than": [({"value": "2026-03-11"}, "2026-03-10", "2026-03-11")],
    "date before": [({"value": "2026-03-11"}, "2026-03-10", "2026-03-11")],
    "currency eq": [({"value": "eur"}, "EUR", "USD")],
    "currency equals": [({"value": "EUR"}, "EUR", "USD")],
    "text eq": [({"value": "inv-1"}, "INV-1", "INV-12"), ({"value": "INV 01", "loose": True}, "inv-1", "inv-2")],
    "text equals": [({"value": "INV-1"}, "inv-1", "INV-12")],
    "text contains": [({"value": "NV-1"}, "inv-12", "PO-1")],
    "text starts_with": [({"value": "INV"}, "inv-12", "an INV")],
    "text ends_with": [({"value": "-12"}, "inv-12", "inv-123")],
}  # fmt: skip
"""The same of criteria with a constant, asked of either side."""


def kind(field: str) -> str:
    return "text" if field in TEXTS else field


def cases(table):
    return [
        pytest.param(field, name, *case, id=f"{field} {name} {case[0]}")
        for field, name in itertools.product(("amount", "date", "currency", "reference"), NAMES)
        for case in table.get(f"{kind(field)} {name}", [])
    ]


def test_every_operator_is_tried_on_every_field_that_it_takes():
    assert set(NAMES) == set(FIELDS_OF)
    for name, fields in FIELDS_OF.items():
        for field in fields:
            assert name in operator_names(FIELDS[field])
            assert (field, name) == ("currency", name) or f"{kind(field)} {name}" in SIDES | CONSTANTS


def test_an_operator_on_another_field_is_refused_by_name():
    for field, name in itertools.product(FIELDS, NAMES):
        if field not in FIELDS_OF[name]:
            with pytest.raises(RuleError, match=rf"criterion 1: operator: {name} cannot be used on {field}; expected"):
                rule({"field": field, "operator": name, "value": "1"})


def said(field, text):
    """A row that says something in a field, and the same as every other row in the rest."""
    if field == "amount":
        return row(text)
    if field == "date":
        return row(day=text)
    return row(**{field: text})


@pytest.mark.parametrize(("field", "name", "more", "meets", "fails"), cases(SIDES))
def test_the_statement_is_compared_with_the_ledger(field, name, more, meets, fails):
    entry = said(field, {"amount": "5.00", "date": "2026-03-10"}.get(field, "INV-1234 a"))
    criterion = rule({"field": field, "operator": name, **more})
    assert pairs(run(criterion, [said(field, meets)], [entry])) == [([1], [1])]
    assert pairs(run(criterion, [said(field, fails)], [entry])) == []


@pytest.mark.parametrize(("field", "name", "more", "meets", "fails"), cases(CONSTANTS))
def test_a_constant_is_asked_of_the_sides_it_applies_to(field, name, more, meets, fails):
    met, failed = said(field, meets), said(field, fails)
    for side, others in {"statement": (met, failed), "ledger": (failed, met), "both": (met, met)}.items():
        criterion = rule({"field": field, "operator": name, "applies_to": side, **more})
        assert pairs(run(criterion, [met], [met])) == [([1], [1])]
        assert pairs(run(criterion, [failed], [failed])) == []
        if field != "currency":  # of which both sides have the same
            assert pairs(run(criterion, [others[0]], [others[1]])) == [([1], [1])]
            assert pairs(run(criterion, [others[1]], [others[0]])) == ([([1], [1])] if side == "both" else [])


@pytest.mark.parametrize("name", ["eq", "equals"])
def test_rows_of_one_currency_meet(name):
    criterion = rule({"field": "currency", "operator": name})
    assert pairs(run(criterion, [row(currency="USD")], [row(), row(currency="USD")])) == [([1], [2])]


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("other", TEXTS)
@pytest.mark.parametrize(
    "name", sorted(name for name, fields in FIELDS_OF.items() if fields[0] in TEXTS or name == "eq")
)
def test_a_text_is_compared_with_any_text_of_the_ledger(field, other, name):
    more = {"value": "100"} if name == "similar" else {}
    criterion = rule({"field": field, "operator": name, "ledger_field": other, **more})
    assert pairs(
        run(criterion, [row(**{field: "INV-1234"})], [row(**{other: "PO-99"}), row(**{other: "INV-1234"})])
    ) == [([1], [2])]
