"""Damaged files: each is read or refused with a message, never answered by a crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.rows import ROW_SCHEMA
from recon.statements import read
from recon.statements.model import StatementError
from tests.statements.golden import DATA

pytestmark = pytest.mark.random

SAMPLES = [
    "csv/msc01__soacsv2mt940__test_VR-Bank.csv",  # preamble, cells over several lines, a direction column
    "csv/reubano__csv2ofx__payoneer.csv",  # debit and credit columns, a running balance
    "csv/deb-sig__double-entry-generator__example-alipay-records.csv",  # GB18030
    "csv/cantino__reckon__some_other.csv",  # no header
    "xlsx/deb-sig__double-entry-generator__example-citic-records.xls",
    "xlsx/deb-sig__double-entry-generator__example-wechat-records.xlsx",
    "dialects/export.xls",  # HTML
    "dialects/xml2003.xls",  # SpreadsheetML
    "dialects/santander_uk.txt",  # labelled lines
    "dialects/fec_fr.txt",  # bars
    "dialects/datev_extf.csv",
    "dialects/swedbank_ee.csv",  # balances and sums among the rows
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


@given(st.text(st.sampled_from('adtemounr0159.-/,;"\t\n {}[]:€年'), max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        read(text.encode(), "x.csv")
    except StatementError as refusal:
        assert str(refusal)  # noqa: PT017 - a refusal is one of the two right answers


PIECES = [
    "<table>", "</table>", "<tr>", "</td>", "<td colspan=9>", "<Row>", "</Cell>", '<Cell ss:Index="7">', "<!--",
    "<![CDATA[", "&lt;", "&#0;", "&#x110000;", "<script>1</script>", "Date: ", "Amount: 1", "=", "\0", "\u202e",
    "<?xml?>", "1" * 40,
]  # fmt: skip


@pytest.mark.parametrize("name", ["dialects/export.xls", "dialects/xml2003.xls", "dialects/santander_uk.txt"])
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(PIECES)), max_size=8))
def test_markup_and_labels_in_the_wrong_place_are_read_or_refused(name, pieces):
    text = (DATA / name).read_text(encoding="latin-1")
    for share, piece in pieces:
        at = int(share * len(text))
        text = text[:at] + piece + text[at:]
    try:
        reading = read(text.encode("latin-1", "replace"), name)
    except StatementError as refusal:
        assert refusal.errors[0].expected  # noqa: PT017 - a refusal is one of the two right answers
    else:
        digits = [set(text or "") & set("123456789") for text in reading.lines["amount_text"].to_pylist()]
        assert all(units or not told for units, told in zip(reading.lines["units"].to_pylist(), digits, strict=True))
