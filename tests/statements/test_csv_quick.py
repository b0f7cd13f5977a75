"""The quick way through large files reads exactly what the careful one does."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.statements import csv_format, read
from recon.statements.cells import rows_of
from recon.statements.csv_quick import quick_table
from recon.statements.tables import table_of

CELLS = st.text(st.sampled_from('ab1 ,;"\n\té€=.-\r\u00a0'), max_size=6)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8)


def careful(text: str):
    rows = list(rows_of(text, ",", 1 << 20))
    return table_of(rows[1:], None)


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
@settings(max_examples=80, deadline=None)
def test_a_table_written_by_any_program_is_the_same_table_both_ways(rows, line_end, quoting):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end, quoting=quoting)
    writer.writerows([["x", "y", "z"], *rows])
    assert_same(out.getvalue())


@given(st.text(st.sampled_from('ab1 ,"\n'), max_size=40))
@settings(max_examples=80, deadline=None)
def test_a_text_with_every_quoting_fault_is_the_same_table_both_ways(text):
    assert_same("x,y,z\n" + text)


def assert_same(text: str) -> None:
    quick = quick_table(text.encode(), ("column 1", "column 2", "column 3"), ",", 1)
    if quick is None:  # left to the careful reader
        return
    slow = careful(text)
    assert quick.lines.to_pylist() == slow.lines.to_pylist()
    if slow.rows:
        width = len(slow.header)
        assert all(not any(column.to_pylist()) for column in quick.columns[width:])
        assert [c.to_pylist() for c in quick.columns[:width]] == [c.to_pylist() for c in slow.columns]


@pytest.fixture
def quick_from_the_first_byte(monkeypatch):
    monkeypatch.setattr(csv_format, "WORTHWHILE", 0)


@given(
    st.lists(
        st.tuples(
            st.decimals(-(10**9), 10**9, places=2).map(str) | st.sampled_from(["", "1,5", "oops", "(3.00)", "£4"]),
            st.dates().map(str) | st.sampled_from(["", "31.02.2025", "2025-01-31T10:00:00Z"]),
            st.sampled_from(["EUR", "USD", "", "euro", "?"]),
            st.text(st.sampled_from('xyz "é\\'), max_size=5),
        ),
        min_size=3,
        max_size=20,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_the_reading_is_the_same_both_ways(monkeypatch, rows):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([["amount", "date", "currency", "note"], ["1.00", "2025-01-30", "EUR", "first"], *rows])
    data = out.getvalue().encode()
    monkeypatch.setattr(csv_format, "WORTHWHILE", 1 << 40)
    slow = read(data, "x.csv")
    monkeypatch.setattr(csv_format, "WORTHWHILE", 0)
    quick = read(data, "x.csv")
    assert quick.lines.to_pylist() == slow.lines.to_pylist()
    assert (quick.errors, quick.mapping, quick.questions) == (slow.errors, slow.mapping, slow.questions)
    assert quick.statements[0].left_out == slow.statements[0].left_out


def test_a_large_file_with_bad_rows_names_their_lines(quick_from_the_first_byte):
    rows = [f'{n},{n}.50,2025-01-{n % 28 + 1:02},"two\nlines"' for n in range(1, 2000)]
    rows[500] = '501,oops,2025-01-03,"x"'
    data = ("id,amount,date,description\n" + "\n".join(rows) + "\n\n").encode()
    reading = read(data, "x.csv")
    (error,) = reading.errors
    assert error.line == 2 + 2 * 500
    assert reading.lines.num_rows == 1998
    assert reading.lines["line"].to_pylist()[-1] == 2 + 2 * 500 + 1 + 2 * 1497
