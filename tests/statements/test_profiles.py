"""The shipped layouts: recognised by their header, and read as the processor means them.

The samples follow the layouts that the processors document; names, ids and amounts are invented.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from recon.rows import amount
from recon.statements import read
from recon.statements.mapping import ROLES
from recon.statements.model import Hints
from recon.statements.profiles import PROFILES, profile_for

FOLDER = Path(__file__).parents[1] / "data" / "statements" / "profiles"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("kind", ["gross", "net"])
def test_a_processors_export_is_recognised_and_read_gross_or_net(name, kind):
    reading = read(FOLDER / f"{name}.csv", "export.csv", Hints(amount_column=kind))
    assert reading.mapping
    assert reading.mapping.profile == (name.replace("gross", kind) if name.startswith("adyen") else name)
    assert not reading.errors
    lines = reading.lines
    pairs = zip(lines["units"].to_pylist(), lines["scale"].to_pylist(), strict=True)
    assert [amount(*pair) for pair in pairs] == [Decimal(each) for each in EXPECTED[name][kind]]
    assert "XXX" not in lines["currency"].to_pylist()
    assert None not in lines["booking_date"].to_pylist()


def test_fees_stay_beside_the_amount():
    reading = read(FOLDER / "stripe_balance.csv", "export.csv")
    extra = json.loads(reading.lines["extra"][0].as_py())
    assert (extra["fee"], extra["net"]) == ("3.20", "96.80")
    assert reading.lines["external_id"][0].as_py() == "txn_1"
    assert reading.lines["reference"][0].as_py() == "ch_1"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_shipped_layout_reads_an_amount_and_is_found_by_its_own_header(profile):
    found = profile_for(sorted({*profile.header, *(n for names in profile.mapping.columns.values() for n in names)}))
    assert found
    assert found.profile == profile.name or profile.mapping.amount_column == "net"
    assert set(found.columns) <= set(ROLES)
    assert {"amount", "gross", "debit"} & set(found.columns)
    assert "booking_date" in found.columns


def test_a_header_that_no_layout_has_is_left_to_sniffing():
    assert profile_for(["Date", "Amount", "Description"]) is None
