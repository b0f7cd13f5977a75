"""Real CSV files and spreadsheets, read untouched: against values found by others, and against what we read before."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import pytest

from recon.statements import read
from tests.statements.golden import DATA, GOLDEN, summary, table_files

with (DATA / "tables.expected.csv").open(encoding="utf-8") as _file:
    EXPECTED = list(csv.DictReader(_file))

COUNTED_AS_BOOKED = {
    # Others count the line that is marked as pending (Umsatz vorgemerkt); ours is left out with that reason.
    "omarkohl__ofxstatement-sparkasse-freiburg__simple1.csv": ("1", "123", "0"),
}
OTHER_DATES = {
    # Others took the day of the purchase; ours is the day the bank booked it (银行记账日).
    "deb-sig__double-entry-generator__example-boc-records.csv": ("2024-12-14", "2024-12-31"),
}


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda each: each["file"])
def test_the_untouched_sniffed_mapping_gives_the_count_sums_and_dates_found_by_others(expected):
    path = DATA / expected["file"]
    reading = read(path, path.name)
    (statement,) = reading.statements
    assert not reading.errors
    figures = (expected["lines"], expected["credits"], expected["debits"])
    lines, into, out = COUNTED_AS_BOOKED.get(path.name, figures)
    assert statement.lines.num_rows == int(lines)
    totals = statement.totals()
    assert sum(total.credits for total in totals) == Decimal(into)
    assert sum(total.debits for total in totals) == Decimal(out)
    days = statement.lines["booking_date"].to_pylist()
    other = OTHER_DATES.get(path.name, (expected["first_date"], expected["last_date"]))
    assert (str(min(days)), str(max(days))) == other
    known = {total.currency for total in totals} - {"XXX"}  # the file may name none: then it is asked for
    assert known <= set(expected["currency"].split("|"))


@pytest.mark.parametrize("path", table_files(), ids=lambda path: path.name)
def test_every_real_table_is_read_as_before(path):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert summary(path) == golden[path.name]


def test_the_golden_file_has_no_file_that_is_gone():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden.keys() == {path.name for path in table_files()}
