"""Whatever two files hold: every row of both is accounted for once, and no row is taken for known too often."""

from __future__ import annotations

from collections import Counter
from datetime import date

import duckdb
import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given

from recon.usecases.imports.duplicates import find_known
from recon.usecases.imports.reissues import paired

FACTS = {
    "external_id": st.sampled_from([None, "a", "b"]),
    "units": st.sampled_from([100, 250, -100]),
    "reference_key": st.sampled_from([None, "inv-1", "inv-2"]),
    "description_key": st.sampled_from([None, "chair"]),
    "booking_date": st.sampled_from([None, date(2026, 3, 2), date(2026, 3, 3)]),
}
SCHEMA = pa.schema(
    [
        ("position", pa.int64()), ("external_id", pa.string()), ("units", pa.int64()), ("scale", pa.int16()),
        ("currency", pa.string()), ("booking_date", pa.date32()), ("value_date", pa.date32()),
        ("reference_key", pa.string()), ("description_key", pa.string()), ("counterparty_key", pa.string()),
        ("type_code", pa.string()),
    ]
)  # fmt: skip
ISSUE = st.lists(st.fixed_dictionaries(FACTS), max_size=8)


def table(rows) -> pa.Table:
    numbered = [{"position": n, "scale": 2, "currency": "EUR", **row} for n, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(numbered, schema=SCHEMA)


def facts(row) -> tuple[object, ...]:
    return tuple(row[name] for name in FACTS)


@pytest.mark.random
@given(old=ISSUE, new=ISSUE)
def test_every_row_of_both_issues_is_in_one_pair(old, new):
    stored, fresh = table(old), table(new)
    with duckdb.connect() as con:
        con.register("stored_rows", stored.append_column("id", pa.array(range(101, 101 + len(old)), pa.int64())))
        con.register("fresh_rows", fresh)
        pairs = paired(con).to_pylist()
    assert sorted(pair["old_id"] for pair in pairs if pair["old_id"]) == list(range(101, 101 + len(old)))
    assert sorted(pair["position"] for pair in pairs if pair["position"]) == list(range(1, 1 + len(new)))
    assert all((pair["old_id"] is None) == (pair["kind"] == "new") for pair in pairs)
    assert all((pair["position"] is None) == (pair["kind"] == "missing") for pair in pairs)
    same = [pair for pair in pairs if pair["kind"] == "same"]
    assert all(old[pair["old_id"] - 101] == new[pair["position"] - 1] for pair in same)
    # As many lines keep their match as both issues have in common.
    common = Counter(map(facts, old)) & Counter(map(facts, new))
    assert len(same) == common.total()


@pytest.mark.random
@given(stored=ISSUE, fresh=ISSUE)
def test_a_stored_row_makes_at_most_one_new_row_known_and_a_file_knows_itself(stored, fresh):
    known = find_known(table(fresh), table(stored)).positions.to_pylist()
    assert len(known) == len(set(known)) <= len(stored)
    for position in known:
        row = fresh[position - 1]
        by_id = row["external_id"] is not None and any(same(row, each, ID) for each in stored)
        assert by_id or any(same(row, each, TEXTS) for each in stored)
    itself = find_known(table(fresh), table(fresh))
    assert (itself.positions.to_pylist(), itself.alike) == (list(range(1, 1 + len(fresh))), 0)


ID = ("external_id", "units", "booking_date")
TEXTS = ("units", "booking_date", "reference_key", "description_key")


def same(one, other, names) -> bool:
    return all(one[name] == other[name] for name in names)
