"""A run can be stopped, bounded and watched."""

import time

import numpy as np
import pytest

from recon.engine import Cancelled, EngineError, Options, match
from recon.engine.standing import Standing, each_once
from tests.engine.tables import pairs, row, rule, run, table

LONG = [
    row(str(number), description=f"a rather long description that takes time {number * 7919}")
    for number in range(3000)
]


def test_a_cancelled_run_stops_within_two_seconds():
    slow = rule({"field": "description", "operator": "similar", "value": "30"})
    tables = table(LONG), table(LONG, "ledger")
    started = time.monotonic()
    asked: list[float] = []

    def cancelled():
        if time.monotonic() - started > 0.5:
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(Cancelled):
        match([slow], *tables, Options(cancelled=cancelled, candidate_budget=10**9))
    assert time.monotonic() - asked[0] < 2


def test_little_memory_and_one_thread_give_the_same_matches(tmp_path):
    near = rule({"field": "amount", "operator": "eq", "allowable_drift": "3"})
    small = {"memory_limit": "200MB", "temp_dir": str(tmp_path), "threads": 1}
    assert pairs(run(near, LONG[:800], LONG[5:900], **small)) == pairs(run(near, LONG[:800], LONG[5:900], threads=2))


def test_progress_names_the_stages_and_the_rule_at_work():
    heard: list = []
    run([rule(("amount", "eq")), rule(("reference", "eq"))], [row()], [row()], progress=heard.append)
    assert [progress.rule_index for progress in heard] == [None, 0, 1, None, None]
    assert all(progress.stage for progress in heard)


def test_a_row_in_two_matches_ends_the_run():
    none = np.array([-1, -1], np.int32)
    nothing, no = np.zeros(2, np.int64), np.zeros(2, np.bool_)

    def matches(lines, entries):
        rule, by = np.zeros(2, np.int32), np.ones(2, np.int8)
        numbers = np.array(lines, np.int32), np.array(entries, np.int32)
        return Standing(rule, *numbers, nothing, ~no, by, (none, none), (nothing, nothing), no)

    assert each_once(matches([0, 1], [5, 4])).entry.tolist() == [5, 4]
    for lines, entries in (([0, 0], [5, 4]), ([0, 1], [4, 4])):
        with pytest.raises(EngineError, match="took a row twice"):
            each_once(matches(lines, entries))


def test_no_rules_match_nothing():
    outcome = run([], [row()], [row()])
    assert (outcome.matches.num_rows, outcome.unmatched.num_rows) == (0, 2)


def test_empty_sides_are_fine():
    assert run(rule(("amount", "eq")), [], []).matches.num_rows == 0
    assert run(rule(("amount", "eq")), [row()], []).unmatched.num_rows == 1


def test_amount_bands_find_what_comparing_everything_finds():
    lines = [row(f"{number * 3 % 2000}.{number % 100:02}") for number in range(900)]
    entries = [row(f"{number * 7 % 2000}.{number % 90:02}") for number in range(900)]
    near = {"field": "amount", "operator": "eq", "allowable_drift": "2.50"}
    every = {"field": "description", "operator": "eq"}
    described = [[each | {"description": "same"} for each in side] for side in (lines, entries)]
    banded = run(rule(near), lines, entries)
    assert "difference 0 to 0" in banded.rules[0].plan
    assert pairs(banded) == pairs(run(rule(near, every), *described))


@pytest.mark.parametrize("drift", ["0.01", "0.50"])
def test_thousands_of_identical_rows_are_no_square(drift):
    near = rule({"field": "amount", "operator": "eq", "allowable_drift": drift}, ("date", "within_range", "2d"))
    lines = [row("9.99", "2026-01-05")] * 3000 + [row("5.00", "2026-01-05")]
    entries = [row("9.99", "2026-01-04")] * 2900 + [row("5.01", "2026-01-05")]
    outcome = run(near, lines, entries, candidate_budget=10_000)
    assert [each["decided_by"] for each in outcome.matches.to_pylist()] == ["twins"] * 2900 + ["sole"]
    assert pairs(outcome)[2899:] == [([2900], [2900]), ([3001], [2901])]
