"""Damaged files: each is read or refused with a message, never answered by a crash."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.rows import ROW_SCHEMA
from recon.statements import read
from recon.statements.model import StatementError
from tests.statements.golden import DATA

SAMPLES = [
    "csv/msc01__soacsv2mt940__test_VR-Bank.csv",  # preamble, cells over several lines, a direction column
    "csv/reubano__csv2ofx__payoneer.csv",  # debit and credit columns, a running balance
    "csv/deb-sig__double-entry-generator__example-alipay-records.csv",  # GB18030
    "csv/cantino__reckon__some_other.csv",  # no header
    "xlsx/deb-sig__double-entry-generator__example-citic-records.xls",
    "xlsx/deb-sig__double-entry-generator__example-wechat-records.xlsx",
]
MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6
)


def mutated(data: bytes, mutations) -> bytes:
    """Bytes replaced, inserted, dropped or repeated at places given as a share of the length."""
    for share, kind, piece in mutations:
        at = int(share * len(data))
        tail = {0: data[at + len(piece) :], 1: data[at:], 2: data[at + 50 :], 3: data[max(at - 200, 0) :]}[kind]
        data = data[:at] + (piece if kind < 2 else b"") + tail
    return data


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations=MUTATIONS)
def test_a_damaged_file_is_read_or_refused(name, mutations):
    data = mutated((DATA / name).read_bytes(), mutations)
    try:
        reading = read(data, name)
    except StatementError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017 - a refusal is one of the two right answers
    else:
        assert reading.lines.schema == ROW_SCHEMA
        assert reading.lines["position"].to_pylist() == list(range(1, reading.lines.num_rows + 1))


@settings(max_examples=25, deadline=None)
@given(st.text(st.sampled_from('adtemounr0159.-/,;"\t\n {}[]:€年'), max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        read(text.encode(), "x.csv")
    except StatementError as refusal:
        assert str(refusal)  # noqa: PT017 - a refusal is one of the two right answers
