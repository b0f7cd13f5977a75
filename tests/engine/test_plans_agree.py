"""However candidates are searched, the same rows match: plans are about speed alone."""

import random

import pytest

from recon.engine import ordering, rule_run, taking
from tests.engine.tables import row, rule, run

AMOUNT = {"field": "amount", "operator": "eq"}
DRIFT = {"field": "amount", "operator": "eq", "allowable_drift": "0.03"}
PERCENT = {"field": "amount", "operator": "equals", "allowable_drift": 0.005}
LOPSIDED = {"field": "amount", "operator": "within_range", "value": "-0.05..0.01"}
DATE = {"field": "date", "operator": "within_range", "value": "-1d..2d"}
CONTAINS = {"field": "reference", "operator": "contains"}


def rows(draw, side):
    return [
        row(
            f"{draw.choice((-1, 1, 1))}0.{draw.randint(10, 16)}" if draw.random() < 0.8 else "5.00",
            f"2026-01-0{draw.randint(1, 5)}",
            draw.choice(["ab-1234", "AB 1234 x", "ab-12345", side]),
            description=draw.choice([None, None, "a"]),
        )
        for _ in range(60)
    ]


@pytest.mark.parametrize(
    "criteria",
    [[AMOUNT], [AMOUNT, DATE], [DRIFT, DATE], [PERCENT], [LOPSIDED, DATE], [CONTAINS], [CONTAINS, DRIFT]],
    ids=lambda criteria: "+".join(f"{each['field']}_{each['operator']}" for each in criteria),
)
@pytest.mark.parametrize("on_ambiguity", ["review", "best", "date"])
def test_searching_narrowly_and_widely_agree(monkeypatch, criteria, on_ambiguity):
    draw = random.Random(f"{criteria}{on_ambiguity}")
    lines, entries = rows(draw, "line"), rows(draw, "entry")
    told = []
    for dense in (0, 10**9):  # candidates per row from which on the search is narrowed
        monkeypatch.setattr(rule_run, "_DENSE", dense)
        outcome = run(rule(*criteria, on_ambiguity=on_ambiguity), lines, entries)
        columns = ["match_no", "state", "line_units", "entry_units"]
        told.append((outcome.matches.select(columns).to_pylist(), sorted(map(str, outcome.match_rows.to_pylist()))))
    assert told[0] == told[1]


@pytest.mark.parametrize("criteria", [[AMOUNT], [AMOUNT, DATE], [DRIFT, DATE], [CONTAINS, DRIFT]], ids=str)
@pytest.mark.parametrize("dense", [0, 10**9])
@pytest.mark.parametrize(("few", "slow"), [(0, 1.0), (0, 0.5), (10**9, 1.0)], ids=["rounds", "some", "one by one"])
@pytest.mark.parametrize("bits", [0, 63])
def test_pairs_are_taken_alike_in_rounds_and_one_by_one_however_they_were_ordered(
    monkeypatch, criteria, dense, few, slow, bits
):
    draw = random.Random(f"{criteria}")
    lines, entries = rows(draw, "line"), rows(draw, "entry")
    monkeypatch.setattr(rule_run, "_DENSE", dense)
    told = []
    for settings in ((10**9, 1.0, 0), (few, slow, bits)):
        for module, name, value in zip((taking, taking, ordering), ("_FEW", "_SLOW", "_BITS"), settings, strict=True):
            monkeypatch.setattr(module, name, value)
        outcome = run(rule(*criteria), lines, entries)
        told.append((outcome.matches.to_pylist(), sorted(map(str, outcome.match_rows.to_pylist()))))
    assert told[0] == told[1]
    assert told[0][0]
