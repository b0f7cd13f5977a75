"""Groups are the same whether they are made in arrays or by the database."""

import random

import pytest

from recon.engine import units
from tests.engine.tables import pairs, row, rule, run

DAYS = [f"2026-01-{day:02}" for day in range(1, 9)]


def some_rows(draw, count, *, scales):
    return [
        row(
            f"{draw.randint(-300, 600)}.{'0' * draw.choice(scales)}",
            draw.choice(DAYS),
            draw.choice(["A", "a ", "B", "C-1", "C 1", "D", None]),
            source=draw.choice(["x", "y"]),
        )
        for _ in range(count)
    ]


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 12))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("strategy", ["one_to_many", "many_to_one", "many_to_many"])
def test_groups_made_in_arrays_are_those_of_the_database(seed, strategy, monkeypatch):
    draw = random.Random(seed)
    scales = draw.choice([(2,), (1, 2, 3)])
    lines, entries = some_rows(draw, 20, scales=scales), some_rows(draw, 20, scales=scales)
    grouping = draw.choice([("reference",), ("reference", "source")])
    criteria = [("reference", "eq")] if seed % 2 else [("date", "within_range", "9d")]
    given = rule(
        *criteria,
        ("amount", "within_range", "400"),
        on_ambiguity="best",
        group_date=draw.choice(["earliest", "latest"]),
    )
    options = {"strategy": strategy, "grouping": grouping, "sign": draw.choice(["as_given", "unsigned"])}
    made: list[object] = []
    in_arrays = units._group_in_arrays

    def noted(*args, **more):
        made.append(in_arrays(*args, **more))
        return made[-1]

    monkeypatch.setattr(units, "_group_in_arrays", noted)
    found = run(given, lines, entries, **options)
    assert made
    assert all(each is not None for each in made)
    monkeypatch.setattr(units, "_group_in_arrays", lambda *_, **__: None)
    again = run(given, lines, entries, **options)
    for name in ("matches", "match_rows", "differences", "runners_up", "unmatched"):
        assert getattr(found, name).to_pylist() == getattr(again, name).to_pylist()
    assert found.matches.num_rows


@pytest.mark.parametrize("drift", ["0", "1.00"])
def test_a_group_whose_sum_has_more_units_than_are_stored_is_left_and_stops_nothing_else(drift):
    most = "999999999999999999"
    lines = [row(most, reference="A"), row("5.00", reference="B")]
    entries = [row(most, reference="A"), row("0.00", reference="A"), row("5.00", reference="B")]
    given = rule(("reference", "eq"), {"field": "amount", "operator": "eq", "allowable_drift": drift})
    found = run(given, lines, entries, strategy="one_to_many", grouping=("reference",))
    assert pairs(found) == [([2], [3])]
    assert set(found.unmatched["reason"].to_pylist()) == {"group_total_differs"}
