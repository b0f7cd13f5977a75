"""What must hold of every outcome, whatever the rules and rows are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.engine import Outcome
from tests.engine import judging
from tests.engine.judging import Body, outcome, row, sayable, taken
from tests.engine.reference_rows import Books
from tests.engine.rulebook import rules
from tests.engine.worlds import DAY, TIMES, ZONE, World, worlds

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
    with rows_in_chunks(3):
        assert said(outcome(ruleset, lines, entries, Books(ZONE), threads=2)) == expected


@contextmanager
def rows_in_chunks(most: int) -> Iterator[None]:
    """Tables come in chunks of a few rows, as from a database."""
    whole = judging.table

    def in_chunks(rows: Sequence[Body], schema: pa.Schema) -> pa.Table:
        parts = [whole(rows[start : start + most], schema) for start in range(0, len(rows), most)]
        return pa.concat_tables(parts) if parts else whole(rows, schema)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(judging, "table", in_chunks)
        yield


STRANGERS: dict[str, Body] = {
    "plain": {"units": 77},
    "undated money out": {"units": -77},
    # Not finer: the world's largest differences would have more than 18 digits then (docs/matching.md).
    "of a fraction of a cent": {"units": 77_777, "scale": 4},
    "with a time of day": {"units": 77, "booked_at": TIMES[0], "booking_date": DAY},
    "huge": {"units": 10**17 + 77, "booking_date": DAY},
}
"""Rows that nothing meets; each of them makes the engine compare all others in another way."""


@given(SEVERAL, worlds(count=3), st.sampled_from(sorted(STRANGERS)), st.sampled_from(["one_to_one", "one_to_many"]))
def test_an_unrelated_row_changes_no_other_match(
    ruleset: list[Body], some: list[World], which: str, strategy: str
) -> None:
    lines, entries = flat(some)
    stranger = {
        **row(99_999),
        "currency": "ZZZ",
        "source": "abroad",
        "reference": "stranger 77777",
        **STRANGERS[which],
    }
    books = Books(ZONE, strategy=strategy, grouping=("source", "reference") if strategy == "one_to_many" else ())
    alone = said(outcome(ruleset, lines, entries, books))
    for beside in (
        outcome(ruleset, [*lines, stranger], entries, books),
        outcome(ruleset, lines, [*entries, stranger], books),
    ):
        told = said(beside)
        assert {name: told[name] for name in ("matches", "match_rows", "differences")} == {
            name: alone[name] for name in ("matches", "match_rows", "differences")
        }


@given(rules(), rules(), worlds(count=3))
def test_a_rule_matches_as_if_it_were_alone_on_what_earlier_rules_did_not_confirm(
    first: Body, second: Body, some: list[World]
) -> None:
    lines, entries = flat(some)
    both = taken(outcome([first, second], lines, entries, Books(ZONE)))
    by_first = taken(outcome([first], lines, entries, Books(ZONE)))
    sure = [match for match in by_first if match.state == "confirmed"]
    gone = {row for match in sure for row in match.rows}
    rest = [[one for one in rows if (side, (one["id"], 0)) not in gone] for side, rows in enumerate((lines, entries))]
    by_second = [replace(match, rule=1) for match in taken(outcome([second], rest[0], rest[1], Books(ZONE)))]
    confirmed = sure + [match for match in by_second if match.state == "confirmed"]
    assert sayable(match for match in both if match.state == "confirmed") == sayable(confirmed)
    claimed = {row for match in confirmed for row in match.rows}
    for match in [match for match in by_first + by_second if match.state == "suggested"]:  # the earlier rule's stand
        if not match.rows & claimed:
            claimed |= match.rows
            confirmed.append(match)
    assert sayable(both) == sayable(confirmed)


def test_nothing_against_nothing() -> None:
    result = outcome([{"name": "any", "criteria": [{"field": "amount", "operator": "eq"}]}], [], [], Books())
    assert isinstance(result.matches, pa.Table)
    assert said(result) == {"matches": [], "match_rows": [], "differences": [], "runners_up": [], "unmatched": []}
