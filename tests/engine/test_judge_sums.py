"""Groups without a key: a bounded search may confirm the only sum there is. And reversals within one side."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.judging import Body, outcome, row, taken
from tests.engine.reference_rows import Books

pytestmark = pytest.mark.random

RULE: Body = {
    "name": "sum by counterparty",
    "criteria": [
        {"field": "amount", "operator": "eq", "allowable_drift": "0.01"},
        {"field": "counterparty", "operator": "eq"},
    ],
}
LARGEST_GROUP = 5

parties = st.sampled_from(["Ann", "Ann", "Ann", "Bea", None])
names = st.sampled_from([None, "a", "b", "c"])
amounts = st.sampled_from([100, 101, 200, 250, 300, 350, 700, -50, -100, 0])


@st.composite
def books(draw: st.DrawFn) -> tuple[list[Body], list[Body]]:
    entries = [
        row(n, draw(amounts), counterparty=draw(parties), reference=draw(names))
        for n in range(1, draw(st.integers(1, 9)))
    ]
    lines = [row(n, draw(amounts), counterparty=draw(parties)) for n in range(1, draw(st.integers(2, 4)))]
    return lines, entries


def sums(line: Body, entries: list[Body]) -> list[frozenset[int]]:
    """Every group that settles the line: same party, no opposite sign, at most a cent away."""
    pool = [entry for entry in entries if line["counterparty"] and entry["counterparty"] == line["counterparty"]]
    return [
        frozenset(entry["id"] for entry in group)
        for size in range(1, LARGEST_GROUP + 1)
        for group in combinations(pool, size)
        if abs(line["units"] - sum(entry["units"] for entry in group)) <= 1
        and line["units"] * sum(entry["units"] for entry in group) >= 0
    ]


@given(st.lists(books(), min_size=1, max_size=8), st.sampled_from(["review", "date", "best"]))
def test_a_sum_is_confirmed_only_if_there_is_no_other(
    several: list[tuple[list[Body], list[Body]]], on_ambiguity: str
) -> None:
    worlds = [
        ([line | {"currency": f"XA{chr(65 + n)}", "id": 100 * n + line["id"]} for line in lines],
         [entry | {"currency": f"XA{chr(65 + n)}", "id": 100 * n + entry["id"]} for entry in entries])
        for n, (lines, entries) in enumerate(several)
    ]  # fmt: skip
    every_line = [line for lines, _ in worlds for line in lines]
    every_entry = [entry for _, entries in worlds for entry in entries]
    rule = RULE | {"on_ambiguity": on_ambiguity}
    found = taken(outcome([rule], every_line, every_entry, Books(strategy="one_to_many")))
    states = {next(iter(m.lines))[0]: (m.state, frozenset(entry for entry, _ in m.entries)) for m in found}
    for lines, entries in worlds:
        solutions = {line["id"]: sums(line, entries) for line in lines}
        for line, groups in solutions.items():
            state, group = states.get(line, ("", frozenset()))
            assert not group or group in groups
            rivals = [other for rival, others in solutions.items() if rival != line for other in others]
            if state == "confirmed":  # twins apart: entries differ in nothing but amount, party and reference
                kind = {entry["id"]: f"{entry['units']} {entry['reference']}" for entry in entries}
                assert len({tuple(sorted(kind[one] for one in each)) for each in groups}) == 1
                assert not any(group & other for other in rivals), "another line could have had some of it"
            if len(groups) == 1 and not any(groups[0] & other for other in rivals):
                assert (state, group) == ("confirmed", groups[0])


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
