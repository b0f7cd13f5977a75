"""Groups without a key: a bounded search may confirm the only sum there is. And reversals within one side."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.judging import Body, outcome, row, sayable, taken
from tests.engine.reference_rows import Books
from tests.engine.reference_sums import SumBooks, judge_sums
from tests.engine.rulebook import sum_rules
from tests.engine.worlds import HUGE, ZONE, World, worlds

pytestmark = pytest.mark.random

RULE: Body = {
    "name": "sum by counterparty",
    "criteria": [
        {"field": "amount", "operator": "eq", "allowable_drift": "0.01"},
        {"field": "counterparty", "operator": "eq"},
    ],
}


def both_agree(ruleset: list[Body], some: list[World], books: SumBooks) -> None:
    """The engine finds the sums that the judge finds, and tells of a row without one why."""
    lines = [line for world, _ in some for line in world]
    entries = [entry for _, world in some for entry in world]
    books = replace(books, scale=max((one["scale"] for one in (*lines, *entries)), default=0))
    found = outcome(ruleset, lines, entries, books, sum_pool=books.sum_pool, sum_size=books.sum_size)
    judged = [judge_sums(ruleset, *world, books) for world in some]
    assert sayable(taken(found)) == sayable(match for matches, _ in judged for match in matches)
    if len(ruleset) == 1:
        side = 0 if books.strategy == "one_to_many" else 1
        told = {(one["id"], one["part"]): one["reason"] for one in found.unmatched.to_pylist() if one["side"] == side}
        why = {key: reason for _, reasons in judged for key, reason in reasons.items()}
        twins = {key for key, reason in told.items() if reason == "possible_duplicate"}  # of a row that has a sum
        assert {key: told[key] for key in why.keys() - twins} == {key: why[key] for key in why.keys() - twins}


small_amounts = (0, 1, -1, 2, 3, -2, 5, 100, 101, 102, 50, 200, -100, 300)
settings = st.fixed_dictionaries({
    "strategy": st.sampled_from(["one_to_many", "many_to_one"]),
    "sign": st.sampled_from(["as_given", "as_given", "inverted", "unsigned"]),
    "tolerance_limit": st.sampled_from([None, None, Decimal("0.01")]),
    "sum_pool": st.sampled_from([20, 20, 4]),
    "sum_size": st.sampled_from([5, 3, 2]),
})  # fmt: skip


@given(st.lists(sum_rules(), min_size=1, max_size=2), worlds(most=7, count=4, shared=small_amounts), settings)
def test_sums_by_any_rule(ruleset: list[Body], some: list[World], books: Body) -> None:
    both_agree(ruleset, some, SumBooks(ZONE, **books))


NEAR: Body = {"field": "amount", "operator": "eq", "allowable_drift": "0.01"}
EXACT: Body = {"field": "amount", "operator": "eq"}


@given(
    st.sampled_from([[NEAR], [NEAR, RULE["criteria"][1]], [RULE["criteria"][1], EXACT]]),
    st.sampled_from(["review", "date", "best", "skip"]),
    worlds(most=8, count=4, shared=small_amounts),
    settings,
)  # fmt: skip
def test_sums_by_amounts(criteria: list[Body], how: str, some: list[World], books: Body) -> None:
    both_agree([{"name": "sum", "criteria": criteria, "on_ambiguity": how}], some, SumBooks(ZONE, **books))


@given(sum_rules(), worlds(most=5, count=3, shared=HUGE, scales=(0, 2, 2, 4, 9)), settings)
def test_sums_of_eighteen_digits(rule: Body, some: list[World], books: Body) -> None:
    both_agree([rule], some, SumBooks(ZONE, **books))


def test_a_constant_is_asked_of_the_rows_of_a_sum_as_the_account_reads_their_signs() -> None:
    large: Body = {"field": "amount", "operator": "greater_than", "value": "0.50", "applies_to": "ledger"}
    rule = RULE | {"criteria": [*RULE["criteria"], large]}
    entries = [row(n, units, counterparty="Ann") for n, units in enumerate((-60, -40, -51), 1)]
    for sign, matched in (("unsigned", [1, 3]), ("inverted", [1, 3]), ("as_given", [])):
        line = row(1, -111 if sign == "as_given" else 111, counterparty="Ann")
        found = taken(outcome([rule], [line], entries, Books(strategy="one_to_many", sign=sign)))
        assert [entry for match in found for entry, _ in sorted(match.entries)] == matched


def test_a_line_takes_its_next_sum_where_another_has_the_nearest() -> None:
    lines = [row(1, 100, counterparty="Ann"), row(2, 100, counterparty="Ann")]
    entries = [row(n, units, counterparty="Ann") for n, units in enumerate((60, 40, 60, 40), 1)]
    found = taken(outcome([RULE], lines, entries, Books(strategy="one_to_many")))
    assert [(m.state, sorted(m.entries)) for m in found] == [
        ("suggested", [(1, 0), (2, 0)]), ("suggested", [(3, 0), (4, 0)])
    ]  # fmt: skip


def test_a_sole_sum_is_not_confirmed_while_another_line_might_need_one_of_its_rows() -> None:
    lines = [row(1, 500, counterparty="Ann"), row(2, 350, counterparty="Ann")]
    amounts = (500, 150, 200, 300)  # the first line is 500, or 200 + 300; the second only 150 + 200
    entries = [row(n, units, counterparty="Ann", reference=str(n)) for n, units in enumerate(amounts, 1)]
    found = taken(outcome([RULE], lines, entries, Books(strategy="one_to_many")))
    assert [(m.state, sorted(m.entries)) for m in found] == [
        ("suggested", [(1, 0)]), ("suggested", [(2, 0), (3, 0)])
    ]  # fmt: skip


def test_a_sole_sum_is_not_confirmed_while_a_line_with_too_many_candidates_might_need_its_rows() -> None:
    within = {"field": "date", "operator": "within_range", "value": "2d"}
    lines = [row(1, 350, counterparty="Ann", booking_date=date(2026, 1, 7))]
    crowded = row(2, 7_000, counterparty="Ann", booking_date=date(2026, 1, 3))
    entries = [row(n, 900 + n, counterparty="Ann", booking_date=date(2026, 1, 2)) for n in range(1, 21)]
    entries += [row(n, 50 * n, counterparty="Ann", booking_date=date(2026, 1, 5)) for n in (3, 4)]
    entries = [one | {"id": place, "ord": place} for place, one in enumerate(entries, 1)]
    dated = {**RULE, "criteria": [*RULE["criteria"], within]}
    for some, state in ((lines, "confirmed"), ([*lines, crowded], "suggested")):
        found = taken(outcome([dated], some, entries, Books(strategy="one_to_many")))
        assert [(m.state, sorted(m.entries)) for m in found] == [(state, [(21, 0), (22, 0)])]


def test_a_sum_of_some_of_several_twins_is_confirmed_in_row_order() -> None:
    entries = [row(n, 100, counterparty="Ann") for n in range(1, 4)]
    result = outcome([RULE], [row(1, 200, counterparty="Ann")], entries, Books(strategy="one_to_many"))
    assert [(m.state, sorted(m.entries)) for m in taken(result)] == [("confirmed", [(1, 0), (2, 0)])]
    assert result.matches["decided_by"].to_pylist() == ["twins"]


def test_too_many_candidates_are_left_alone() -> None:
    lines = [row(1, 300, counterparty="Ann")]
    entries = [row(n, 100 + n, counterparty="Ann") for n in range(1, 31)]
    assert taken(outcome([RULE], lines, entries, Books(strategy="one_to_many"))) == []


def test_a_payment_and_its_return_cancel_each_other_as_a_suggestion() -> None:
    same = {"name": "returned", "criteria": [{"field": "reference", "operator": "eq"}]}
    lines = [row(1, 500, reference="R1"), row(2, -500, reference="R1"), row(3, -500, reference="R2")]
    result = outcome([same], lines, [row(1, 500, reference="R1")], Books(strategy="within_statement"))
    assert [(m.state, sorted(m.lines), len(m.entries), m.difference) for m in taken(result)] == [
        ("suggested", [(1, 0), (2, 0)], 0, Decimal(0))
    ]
    assert sorted((left["side"], left["id"]) for left in result.unmatched.to_pylist()) == [(0, 3), (1, 1)]


def test_entries_of_one_reference_that_net_to_zero_are_suggested() -> None:
    same = {"name": "reversed", "criteria": [{"field": "currency", "operator": "eq"}]}
    entries = [row(1, 500, reference="R1"), row(2, -500, reference="R1"), row(3, -500, reference="R2")]
    books = Books(strategy="within_ledger", grouping=("reference",))
    assert [(m.state, m.lines, sorted(m.entries)) for m in taken(outcome([same], [], entries, books))] == [
        ("suggested", frozenset(), [(1, 0), (2, 0)])
    ]
