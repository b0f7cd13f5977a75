"""The generated data is the same every time, says what is true, and is scored fairly."""

from __future__ import annotations

import pyarrow as pa
import pytest

from benchmarks.contenders import floor, pandas, polars
from benchmarks.scoring import Score, add_pass, possible_matches
from benchmarks.suites import ROWS, SUITES
from rules.criteria import parse_rule


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_suite_is_the_same_every_time_and_its_rules_are_valid(suite: str) -> None:
    one, other = SUITES[suite](500), SUITES[suite](500)
    assert one.statement.equals(other.statement)
    assert one.ledger.equals(other.ledger)
    assert one.line_keys.equals(other.line_keys)
    assert all(parse_rule(rule) for each in one.passes for rule in each.rules)
    assert suite in ROWS


@pytest.mark.parametrize(
    ("suite", "lines", "possible"),
    [
        ("d1", 1000, 0.95),  # 5% have no counterpart
        ("d2", 1000, 0.95),
        ("d4", 1000, 0.95),  # 5% of the totals are wrong
        ("d5", 1000, 0.955),  # a tenth is identical, and all of those have counterparts
    ],
)
def test_most_lines_have_a_counterpart(suite: str, lines: int, possible: float) -> None:
    data = SUITES[suite](lines)
    assert data.statement.num_rows == lines
    assert possible_matches(data.line_keys, data.entry_keys) / lines == pytest.approx(possible, abs=0.02)


@pytest.mark.parametrize("suite", ["d1", "d2", "d4", "d5", "drift2"])
def test_those_that_only_join_find_the_same_pairs(suite: str) -> None:
    data = SUITES[suite](2000)
    pairs = floor(data).matches
    frames = [joined(data) for joined in (polars, pandas)]
    assert pairs >= 1800
    assert [each.matches for each in frames if each] == [pairs, pairs]


def test_a_match_is_right_if_its_rows_belong_together_and_none_is_missing() -> None:
    line_keys = pa.array(["a", "b", "t", "t", None])
    entry_keys = pa.array(["a", "b", "b", "t", None])
    pairs = [
        ("confirmed", 1, [1]),  # right
        ("confirmed", 2, [2]),  # wrong: the other entry of b is missing
        ("suggested", 4, [4]),  # right: either of the identical lines will do
        ("confirmed", 5, [5]),  # wrong: neither belongs to anything
    ]
    matches = [{"match_no": n, "rule_index": 0, "state": state} for n, (state, _, _) in enumerate(pairs)]
    rows = [{"match_no": n, "side": 0, "id": line} for n, (_, line, _) in enumerate(pairs)]
    rows += [{"match_no": n, "side": 1, "id": entry} for n, (_, _, entries) in enumerate(pairs) for entry in entries]
    score = Score(possible=possible_matches(line_keys, entry_keys))
    add_pass(score, ["one"], pa.Table.from_pylist(matches), pa.Table.from_pylist(rows), line_keys, entry_keys)
    assert (score.confirmed, score.confirmed_right, score.suggested, score.suggested_right) == (3, 1, 1, 1)
    assert score.possible == 3
    assert score.precision == pytest.approx(1 / 3)
    assert score.recall == pytest.approx(2 / 3)
