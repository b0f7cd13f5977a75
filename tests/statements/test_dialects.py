"""Layouts of banks and processors in many countries, rebuilt by hand with made-up rows: read without any mapping."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from functools import cache

import pytest

from recon.statements import read
from recon.statements.model import Reading
from recon.statements.profiles import PROFILES
from tests.statements.golden import DATA, GOLDEN

with (DATA / "dialects.expected.csv").open(encoding="utf-8") as _file:
    EXPECTED = list(csv.DictReader(_file))


@cache
def read_dialect(name: str) -> Reading:
    path = DATA / "dialects" / name
    return read(path, path.name)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda each: each["file"])
def test_a_layout_is_read_without_a_mapping(expected):
    reading = read_dialect(expected["file"])
    assert not reading.errors
    totals = [total for statement in reading.statements for total in statement.totals()]
    assert sum(total.lines for total in totals) == int(expected["lines"])
    assert sum(total.net for total in totals) == Decimal(expected["net"])
    assert "differs" not in {statement.balance_check() for statement in reading.statements}
    if expected["currency"]:
        assert {total.currency for total in totals} == {expected["currency"]}
    if expected["first_date"]:
        assert str(reading.lines["booking_date"][0].as_py()) == expected["first_date"]


def test_every_layout_has_expected_values():
    assert {path.name for path in (DATA / "dialects").iterdir()} == {each["file"] for each in EXPECTED}


def test_every_shipped_layout_has_a_file_that_it_reads():
    made = json.loads((DATA / "profiles" / "expected.json").read_text(encoding="utf-8"))
    known = json.loads(GOLDEN.read_text(encoding="utf-8")).values()
    seen = {*made, *((each.get("mapping") or {}).get("profile") for each in known)}
    for expected in EXPECTED:
        mapping = read_dialect(expected["file"]).mapping
        seen.add(mapping.profile if mapping else None)
    assert {profile.name for profile in PROFILES} - seen == {"adyen_net"}  # the same header as adyen_gross
