"""The engine gives the verdict of the judge, on every input we could think of and thousands we could not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.judging import SEARCHES, Body, outcome, sayable, searching, taken
from tests.engine.reference import Taken, judge
from tests.engine.reference_rows import Books
from tests.engine.rulebook import rules
from tests.engine.worlds import HUGE, ZONE, World, worlds

pytestmark = pytest.mark.random


def judged(ruleset: list[Body], given_worlds: list[World], books: Books) -> list[Taken]:
    """Each world judged alone."""
    return [m for lines, entries in given_worlds for m in judge(ruleset, lines, entries, books)]


def both_agree(ruleset: list[Body], given_worlds: list[World], books: Books) -> None:
    lines = [line for world, _ in given_worlds for line in world]
    entries = [entry for _, world in given_worlds for entry in world]
    books = replace(books, scale=max((row["scale"] for row in (*lines, *entries)), default=0))
    how = sorted(SEARCHES)[(len(lines) + len(entries) + len(ruleset)) % len(SEARCHES)]
    with searching(how):
        found = outcome(ruleset, lines, entries, books)
    assert sayable(taken(found)) == sayable(judged(ruleset, given_worlds, books)), how


@given(rules(), worlds())
def test_one_rule_one_to_one(rule: Body, some: list[World]) -> None:
    both_agree([rule], some, Books(ZONE))


@given(st.lists(rules(), min_size=2, max_size=3), worlds())
def test_rules_in_order_one_to_one(ruleset: list[Body], some: list[World]) -> None:
    both_agree(ruleset, some, Books(ZONE))


@given(rules(), worlds(), st.sampled_from(["inverted", "unsigned"]))
def test_other_signs(rule: Body, some: list[World], sign: str) -> None:
    both_agree([rule], some, Books(ZONE, sign=sign))


GROUPINGS = {
    "one_to_many": [("reference", "source"), ("currency",), ("date", "currency"), ("description", "currency")],
    "many_to_one": [("reference", "source"), ("currency",), ("date", "currency"), ("amount", "currency")],
    "many_to_many": [("reference", "source"), ("currency",), ("date", "currency"), ("description", "source")],
}


@given(st.lists(rules(grouped=True), min_size=1, max_size=2), worlds(), st.data())
def test_groups(ruleset: list[Body], some: list[World], data: st.DataObject) -> None:
    strategy = data.draw(st.sampled_from(sorted(GROUPINGS)))
    grouping = data.draw(st.sampled_from(GROUPINGS[strategy]))
    both_agree(ruleset, some, Books(ZONE, strategy=strategy, grouping=grouping))


@given(rules(grouped=True), worlds(most=4, count=2), st.sampled_from(["reference", "date", "description"]))
def test_groups_of_mixed_currencies(rule: Body, some: list[World], field: str) -> None:
    lines = [line for world, _ in some for line in world]
    entries = [entry for _, world in some for entry in world]
    both_agree([rule], [(lines, entries)], Books(ZONE, strategy="one_to_many", grouping=(field,)))


RATES = {("XAA", "XAB"): Decimal("1.005"), ("XAB", "XAA"): Decimal("0.333333"), ("XAA", "JPY"): Decimal("162.5")}


@given(rules(), worlds(count=2))
def test_converted_currencies(rule: Body, some: list[World]) -> None:
    lines = [line for world, _ in some for line in world]
    entries = [entry for _, world in some for entry in world]
    both_agree([rule | {"cross_currency": True}], [(lines, entries)], Books(ZONE, rates=RATES))


@given(rules(), worlds(count=1))
def test_limits_of_the_account(rule: Body, some: list[World]) -> None:
    both_agree([rule], some, Books(ZONE, tolerance_limit=Decimal("0.01")))


@given(
    st.lists(rules(), min_size=1, max_size=2), worlds(),
    st.sampled_from(["within_statement", "within_ledger"]),
    st.sampled_from([(), (), ("source",), ("reference",), ("date", "description"), ("currency",)]),
)  # fmt: skip
def test_one_side_by_itself(ruleset: list[Body], some: list[World], strategy: str, grouping: tuple[str, ...]) -> None:
    both_agree(ruleset, some, Books(ZONE, strategy=strategy, grouping=grouping))


@given(st.lists(rules(), min_size=1, max_size=2), worlds(shared=HUGE, scales=(0, 2, 2, 2, 4, 9)), st.data())
def test_amounts_of_eighteen_digits(ruleset: list[Body], some: list[World], data: st.DataObject) -> None:
    strategy = data.draw(st.sampled_from(["one_to_one", "one_to_one", *GROUPINGS]))
    grouping = () if strategy == "one_to_one" else ("reference", "source")
    sign = data.draw(st.sampled_from(["as_given", "as_given", "inverted", "unsigned"]))
    both_agree(ruleset, some, Books(ZONE, sign=sign, strategy=strategy, grouping=grouping))
