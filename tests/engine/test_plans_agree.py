"""However candidates are searched, the same rows match: plans are about speed alone."""

import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from recon.engine import alike, ordering, results, rule_run, taking
from recon.engine.cells import row_kinds
from tests.engine.judging import Body, outcome
from tests.engine.reference_rows import Books
from tests.engine.rulebook import rules
from tests.engine.tables import pairs, row, rule, run
from tests.engine.worlds import ZONE, World, worlds

AMOUNT = {"field": "amount", "operator": "eq"}
DRIFT = {"field": "amount", "operator": "eq", "allowable_drift": "0.03"}
PERCENT = {"field": "amount", "operator": "equals", "allowable_drift": 0.005}
LOPSIDED = {"field": "amount", "operator": "within_range", "value": "-0.05..0.01"}
DATE = {"field": "date", "operator": "within_range", "value": "-1d..2d"}
LATE = {"field": "date", "operator": "within_range", "value": "-1d..2d", "expected": "1d"}
CONTAINS = {"field": "reference", "operator": "contains"}
SIMILAR = {"field": "reference", "operator": "similar", "value": "70"}
DAYS = [f"2026-01-0{day}" for day in range(1, 6)]
KINDS_OF_DATES = {"days": DAYS, "times": [*DAYS, None, "2026-01-02T09:00", "2026-01-02T10:00", "2026-01-03T09:00"]}
NEVER = 10**9
SEARCHES = {"all": (NEVER, NEVER), "narrowly": (0, NEVER), "in cells": (0, 0)}
"""From how many candidates per row on the search is narrowed, and from how many rows per cell on cells are made."""


def search(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    dense, rows_per_kind = SEARCHES[how]
    monkeypatch.setattr(rule_run, "FEW_PAIRS", 0)
    monkeypatch.setattr(rule_run, "_DENSE", dense)
    monkeypatch.setattr(alike, "_ALIKE", rows_per_kind)
    monkeypatch.setattr(results, "_AT_ONCE", 200_000 if how == "all" else 3)


def rows(draw, side, days):
    return [
        row(
            f"{draw.choice((-1, 1, 1))}0.{draw.randint(10, 16)}" if draw.random() < 0.8 else "5.00",
            draw.choice(days),
            draw.choice(["ab-1234", "AB 1234 x", "ab-12345", side]),
            description=draw.choice([None, None, "a"]),
        )
        for _ in range(60)
    ]


@pytest.mark.parametrize("days", KINDS_OF_DATES)
@pytest.mark.parametrize(
    "criteria",
    [
        [AMOUNT], [AMOUNT, DATE], [AMOUNT, LATE], [DRIFT, DATE], [PERCENT], [LOPSIDED, DATE],
        [CONTAINS], [CONTAINS, DRIFT], [SIMILAR, AMOUNT],
    ],
    ids=lambda criteria: "+".join(f"{each['field']}_{each['operator']}" for each in criteria),
)  # fmt: skip
@pytest.mark.parametrize("on_ambiguity", ["review", "date"])
def test_however_it_is_searched_the_same_rows_match(monkeypatch, criteria, on_ambiguity, days):
    draw = random.Random(f"{criteria}{on_ambiguity}")
    lines, entries = rows(draw, "line", KINDS_OF_DATES[days]), rows(draw, "entry", KINDS_OF_DATES[days])
    told = {}
    for how in SEARCHES:
        search(monkeypatch, how)
        found = run(rule(*criteria, on_ambiguity=on_ambiguity), lines, entries)
        told[how] = [getattr(found, name).to_pylist() for name in ("matches", "match_rows", "runners_up", "unmatched")]
    assert told["narrowly"] == told["all"]
    assert told["in cells"] == told["all"]


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_share_of_a_sum_may_be_more_than_of_any_row(monkeypatch, sign):
    lines, entries = [row(f"{sign}9.85", reference="r")] * 100, [row(f"{sign}10.00", reference="r")] * 100
    drift = rule({"field": "amount", "operator": "equals", "allowable_drift": "0.02"})
    search(monkeypatch, "narrowly")
    found = run(drift, lines, entries, strategy="many_to_many", grouping=("reference",))
    assert pairs(found) == [(list(range(1, 101)), list(range(1, 101)))]


@pytest.mark.random
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # what is patched is patched again each time
@given(rules(), worlds())
def test_whatever_the_rule_is_cells_match_the_same_rows(monkeypatch, given_rule: Body, some: list[World]):
    lines = [line for world, _ in some for line in world]
    entries = [entry for _, world in some for entry in world]
    told = {}
    for how in ("all", "in cells"):
        search(monkeypatch, how)
        found = outcome([given_rule], lines, entries, Books(ZONE))
        told[how] = [getattr(found, name).to_pylist() for name in ("matches", "match_rows", "runners_up", "unmatched")]
    assert told["in cells"] == told["all"]


@pytest.mark.parametrize("far", [1, 2**30, 2**31 - 2, 2**40, 2**62])
def test_rows_are_of_one_kind_if_they_are_equal_in_all_columns(far):
    draw = random.Random(far)
    kinds = [(far * draw.randint(-1, 1), far * draw.randint(0, 1), draw.choice("abc"), far) for _ in range(200)]
    columns = [pa.chunked_array([values[:50], values[50:]]) for values in zip(*kinds, strict=True)]
    number = row_kinds([*columns, *columns[:2]]).tolist()
    assert min(number) >= 0
    assert len(set(number)) == len(set(kinds)) == len(set(zip(number, kinds, strict=True)))


@pytest.mark.parametrize("on_ambiguity", ["review", "date"])
@pytest.mark.parametrize("day", [None, "2026-01-05", "2026-01-05T10:00"])
def test_thousands_of_rows_that_nobody_can_tell_apart_are_confirmed_in_their_order(on_ambiguity, day):
    lines, entries = [row(day=day)] * 2000, [row(day=day)] * 1900
    found = run(rule(AMOUNT, on_ambiguity=on_ambiguity), lines, entries, candidate_budget=10_000)
    assert pairs(found, "confirmed") == [([number], [number]) for number in range(1, 1901)]
    assert set(found.unmatched["reason"].to_pylist()) == {"possible_duplicate"}


WAYS = [
    (few, slow, few_of, bits)
    for few, slow in [(10**9, 1.0), (0, 1.0), (0, 0.5)]  # one by one, in rounds, some of them
    for few_of, bits in ((0, 0), (10**9, 63))  # what pairs use up is listed for their rows alone, or for all
]


@pytest.mark.parametrize("criteria", [[AMOUNT], [AMOUNT, DATE], [DRIFT, DATE], [CONTAINS, DRIFT]], ids=str)
@pytest.mark.parametrize("dense", [0, 10**9])
def test_pairs_are_taken_alike_in_rounds_and_one_by_one_however_they_were_ordered(monkeypatch, criteria, dense):
    draw = random.Random(f"{criteria}")
    lines, entries = rows(draw, "line", DAYS), rows(draw, "entry", DAYS)
    monkeypatch.setattr(rule_run, "FEW_PAIRS", 0)
    monkeypatch.setattr(rule_run, "_DENSE", dense)
    told = {}
    names = ("_FEW", "_SLOW", "_FEW_OF", "_BITS")
    for way in WAYS:
        for module, name, value in zip((taking, taking, taking, ordering), names, way, strict=True):
            monkeypatch.setattr(module, name, value)
        found = run(rule(*criteria), lines, entries)
        told[way] = (found.matches.to_pylist(), sorted(map(str, found.match_rows.to_pylist())))
    first = told[WAYS[0]]
    assert first[0]
    assert [way for way in WAYS if told[way] != first] == []
