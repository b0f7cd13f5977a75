"""Searching by parts finds exactly the pairs that comparing everything with everything finds."""

import random
import re

import pytest

from recon.engine import TooBroad
from tests.engine.judging import searching
from tests.engine.tables import pairs, row, rule, run

CODES = [f"{word}-{number:04}" for number in range(1, 200) for word in ("inv", "po")]


def texts(seed):
    draw = random.Random(seed)
    words = ["payment", "order", "from", "ref", "bank"]
    return [" ".join([*draw.sample(words, 2), draw.choice(CODES), draw.choice(words)]) for _ in range(300)]


@pytest.mark.parametrize(
    "criterion",
    [
        {"operator": "contains"},
        {"operator": "contains", "substring": True},
        {"operator": "contains", "loose": True},
        {"operator": "contains", "loose": True, "substring": True},
        {"operator": "starts_with"},
        {"operator": "ends_with"},
    ],
    ids=str,
)
def test_parts_find_what_comparing_everything_finds(criterion):
    lines = [row(description=text) for text in texts(1)]
    entries = [row(reference=code) for code in CODES] + [row(reference=text[:14]) for text in texts(2)[:60]]
    entries += [row(reference=text[-8:]) for text in texts(3)[:60]]
    body = {"field": "description", "ledger_field": "reference"} | criterion
    found = run(rule(body), lines, entries)
    # A second criterion that every pair meets, so that amounts are the key and texts are only compared.
    compared = run(rule(body, ("amount", "eq")), lines[:150], entries)
    again = run(rule(body), lines[:150], entries)
    assert pairs(found)
    assert pairs(again) == pairs(compared)


@pytest.mark.parametrize(
    ("criterion", "line"),
    [
        ({"operator": "eq"}, "{}"),
        ({"operator": "contains"}, "transfer {} thanks"),
        ({"operator": "contains", "substring": True}, "transfer {}thanks"),
        ({"operator": "starts_with"}, "{} thanks"),
        ({"operator": "ends_with"}, "transfer {}"),
    ],
    ids=str,
)
def test_numbers_printed_in_groups_are_found_by_parts_too(criterion, line):
    draw = random.Random(5)
    numbers = [f"RF{draw.choice('18')}{number * 37:04}00{number % 7}" for number in range(1, 251)]
    grouped = [" ".join(re.findall(".{1,3}", number)) for number in numbers]
    assert sum(" 0" in text for text in grouped) > 50
    lines = [row(description=line.format(text)) for text in grouped]
    entries = [row(reference=number) for number in numbers]
    body = {"field": "description", "ledger_field": "reference", "loose": True} | criterion
    found = run(rule(body), lines, entries)
    compared = run(rule(body, ("amount", "eq")), lines, entries)
    assert pairs(found) == pairs(compared) == [([number], [number]) for number in range(1, 251)]


@pytest.mark.parametrize("criterion", [{"operator": "contains"}, {"operator": "contains", "substring": True}], ids=str)
def test_any_of_a_groups_texts_is_found_by_its_parts(criterion):
    named = ["inv-0001 acme corporation ltd", "po-0002 other"]
    lines = [row("1.00", reference="R", description=text) for text in named]
    entries = [row("1.00", reference="R", description=text) for text in ("po-0003", "inv-0001")]
    body = rule({"field": "description"} | criterion)
    with searching("narrowly, in rounds"):
        found = run(body, lines, entries, strategy="many_to_many", grouping=("reference",))
    assert pairs(found, "confirmed") == [([1, 2], [1, 2])]


def test_a_rule_that_would_compare_too_much_is_refused_with_advice():
    many = [row(str(number)) for number in range(1500)]
    with pytest.raises(TooBroad, match=r"would compare about 2,250,000 pairs.*Add a criterion"):
        run(rule(("reference", "similar", "90")), many, many, candidate_budget=1000)


def test_tokens_beyond_ascii_are_found_beside_plain_ones():
    codes = [f"ÄX-{number:04}" if number % 3 else f"ax-{number:04}" for number in range(300)]
    lines = [row(description=f"Zahlung {code}, für {code[::-1]}") for code in codes] + [row(), row(description="—")]
    entries = [row(reference=code) for code in codes] + [row(reference="…"), row()]
    found = run(rule({"field": "description", "operator": "contains", "ledger_field": "reference"}), lines, entries)
    assert pairs(found, "confirmed") == [([number], [number]) for number in range(1, 301)]
