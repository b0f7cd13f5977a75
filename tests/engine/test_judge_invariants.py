"""What must hold of every outcome, whatever the rules and rows are."""

from __future__ import annotations

import random
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.engine import Outcome
from tests.engine.judging import Body, outcome, row
from tests.engine.reference_rows import Books
from tests.engine.rulebook import rules
from tests.engine.worlds import ZONE, World, worlds

pytestmark = pytest.mark.random

SEVERAL = st.lists(rules(), min_size=1, max_size=2)


def flat(some: list[World]) -> tuple[list[Body], list[Body]]:
    return [line for world, _ in some for line in world], [entry for _, world in some for entry in world]


def said(result: Outcome) -> dict[str, list[Body]]:
    """All tables of an outcome, in an order of their own."""
    names = ("matches", "match_rows", "differences", "runners_up", "unmatched")
    return {name: sorted(getattr(result, name).to_pylist(), key=repr) for name in names}


@given(SEVERAL, worlds())
def test_every_row_is_in_one_match_or_left_over_and_every_match_closes(ruleset: list[Body], some: list[World]) -> None:
    lines, entries = flat(some)
    result = outcome(ruleset, lines, entries, Books(ZONE))
    assert accounted_for(result) == sorted(
        (side, one["id"], 0) for side, rows in enumerate((lines, entries)) for one in rows
    )
    assert unexplained_cents(result) == {}
    orders = {one["id"]: one["ord"] for one in lines}
    first = {one["match_no"]: orders[one["id"]] for one in result.match_rows.to_pylist() if one["side"] == 0}
    assert [first[number] for number in sorted(first)] == sorted(first.values())


def accounted_for(result: Outcome) -> list[tuple[int, int, int]]:
    """(side, id, part) of everything matched and unmatched."""
    return sorted(
        (one["side"], one["id"], one["part"])
        for rows in (result.match_rows, result.unmatched)
        for one in rows.to_pylist()
    )


def unexplained_cents(result: Outcome) -> dict[int, Decimal]:
    """By match: lines minus entries minus differences, where that is not zero."""
    totals: dict[int, Decimal] = {one["match_no"]: Decimal(0) for one in result.matches.to_pylist()}
    for one in result.match_rows.to_pylist():
        totals[one["match_no"]] += Decimal(one["units"]).scaleb(-one["scale"]) * (-1 if one["side"] else 1)
    for one in result.differences.to_pylist():
        totals[one["match_no"]] -= Decimal(one["units"]).scaleb(-one["scale"])
    return {number: total for number, total in totals.items() if total}


@given(SEVERAL, worlds(), st.randoms(use_true_random=False))
def test_neither_threads_nor_the_order_of_rows_nor_chunks_change_anything(
    ruleset: list[Body], some: list[World], shuffle: random.Random
) -> None:
    lines, entries = flat(some)
    expected = said(outcome(ruleset, lines, entries, Books(ZONE), threads=1))
    shuffle.shuffle(lines)
    shuffle.shuffle(entries)
    assert said(outcome(ruleset, lines, entries, Books(ZONE), threads=2)) == expected


@given(SEVERAL, worlds())
def test_an_unrelated_row_changes_no_other_match(ruleset: list[Body], some: list[World]) -> None:
    lines, entries = flat(some)
    stranger = row(99_999, 77, currency="ZZZ", reference="stranger 77777")
    alone = outcome(ruleset, lines, entries, Books(ZONE))
    beside = outcome(ruleset, [*lines, stranger], entries, Books(ZONE))
    assert said(beside)["match_rows"] == said(alone)["match_rows"]
    assert said(beside)["matches"] == said(alone)["matches"]


def test_nothing_against_nothing() -> None:
    result = outcome([{"name": "any", "criteria": [{"field": "amount", "operator": "eq"}]}], [], [], Books())
    assert isinstance(result.matches, pa.Table)
    assert said(result) == {"matches": [], "match_rows": [], "differences": [], "runners_up": [], "unmatched": []}
