"""Rows laid out as a database of SQLite's: SQLite finds nothing wrong with it and reads what was given."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.usecases.bulk import laid_out
from recon.usecases.bulk.laid_out import LONGEST_ROW, LONGEST_TEXT, MOST_COLUMNS, MOST_ROWS, as_database

SMALLEST, LARGEST = -(2**63), 2**63 - 1
NUMBERS = st.one_of(st.none(), st.integers(SMALLEST, LARGEST))
TEXTS = st.one_of(st.none(), st.text(max_size=80), st.sampled_from("aü'\0").map(lambda letter: letter * 4_000))


def read_back(rows: pa.Table) -> list[tuple[Any, ...]]:
    made = as_database(rows)
    assert made is not None
    with closing(sqlite3.connect(":memory:")) as own:
        own.deserialize(made)
        assert own.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return own.execute(f"SELECT {', '.join(rows.column_names)} FROM rows").fetchall()


def in_rows(rows: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


@pytest.mark.random
@given(
    st.lists(st.tuples(NUMBERS, st.integers(SMALLEST, LARGEST), TEXTS, TEXTS, st.booleans()), min_size=1, max_size=60),
    st.integers(0, 10),
)
def test_any_rows_come_back_as_they_were(rows, left_out):
    kinds = [pa.int64(), pa.int64(), pa.string(), pa.string(), pa.bool_()]
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    given_rows = pa.table(columns, ["a", "b", "c", "d", "e"]).slice(min(left_out, len(rows) - 1))
    assert read_back(given_rows) == in_rows(given_rows)


@pytest.mark.parametrize("count", [1, 2, 127, 128, 2_000, 16_383, 16_385, 40_000])
def test_tables_of_one_leaf_and_of_many(count):
    numbers = pa.array(range(count), pa.int64())
    alike = pa.array([f"PAY{number:08}" for number in range(count)])
    varied = pa.array([None if number % 7 == 0 else "x" * (number % 150) for number in range(count)])
    for columns in ({"a": numbers}, {"a": numbers, "b": alike}, {"a": alike, "b": varied, "c": numbers}):
        rows = pa.table(columns)
        assert read_back(rows) == in_rows(rows)


@pytest.mark.parametrize("letters", [1, 57, 58, 59, LONGEST_TEXT])
def test_texts_that_are_equally_long(letters):
    rows = pa.table({"a": ["x" * letters, "y" * letters]})
    assert read_back(rows) == in_rows(rows)


def test_what_is_too_long_or_too_much_is_not_laid_out():
    assert as_database(pa.table({"a": ["x" * (LONGEST_TEXT + 1)]})) is None
    wide = {f"column_{number}": ["x" * LONGEST_TEXT] for number in range(LONGEST_ROW // LONGEST_TEXT + 1)}
    assert as_database(pa.table(wide)) is None
    assert as_database(pa.table({"a": pa.array([], pa.int64())})) is None
    assert as_database(pa.table({"a": pa.nulls(MOST_ROWS + 1, pa.int64())})) is None


def test_as_many_columns_as_fit_are_laid_out_and_no_more():
    columns = {f"column_{number}": pa.array([number, None], pa.int64()) for number in range(MOST_COLUMNS)}
    assert read_back(pa.table(columns)) == in_rows(pa.table(columns))
    assert as_database(pa.table({**columns, "another": ["x", None]})) is None


def test_rows_whose_pages_fit_under_one_are_laid_out_and_no_more(monkeypatch):
    monkeypatch.setattr(laid_out, "PAGE", 4_096)
    monkeypatch.setattr(laid_out, "MOST_LEAVES", (4_096 - 12) // 9)
    rows = pa.table({"of_small_pages": ["x" * 4_000] * (laid_out.MOST_LEAVES + 1)})
    assert read_back(rows.slice(1)) == in_rows(rows.slice(1))
    assert as_database(rows) is None


def test_more_than_memory_should_hold_several_times_is_not_laid_out(monkeypatch):
    rows = pa.table({"a": ["x" * LONGEST_TEXT] * 100})
    monkeypatch.setattr(laid_out, "MOST_BYTES", rows.nbytes)
    assert read_back(rows) == in_rows(rows)
    monkeypatch.setattr(laid_out, "MOST_BYTES", rows.nbytes - 1)
    assert as_database(rows) is None


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.binary(), pa.decimal128(9, 2),
     pa.float64(), pa.uint64(), pa.time64("us")],
)  # fmt: skip
def test_what_arrow_would_make_numbers_of_is_not_laid_out(kind):
    """A reference of nothing but digits keeps its zeros in front, whatever kind of text a column has."""
    column = pa.array(["00123", "7"] if "str" in str(kind) else [b"1", b"7"] if kind == pa.binary() else [1, 7], kind)
    assert as_database(pa.table({"a": column})) is None


def test_where_sqlite_would_keep_bytes_of_each_page_free_all_of_a_page_is_read(monkeypatch):
    class Keeping(sqlite3.Connection):
        def serialize(self, *, name: str = "main") -> bytes:
            made = bytearray(super().serialize(name=name))
            made[20] = 12
            return bytes(made)

    def connect(name: str) -> sqlite3.Connection:
        return Keeping(name)

    monkeypatch.setattr(sqlite3, "connect", connect)
    first = laid_out._first_page.__wrapped__(("a",))
    monkeypatch.undo()
    rows = pa.table({"a": pa.array(range(20_000), pa.int64())})
    monkeypatch.setattr(laid_out, "_first_page", lambda names: first)
    assert read_back(rows) == in_rows(rows)


def test_a_row_of_the_greatest_length_that_fits():
    columns = {f"column_{number}": ["x" * LONGEST_TEXT] * 3 for number in range(LONGEST_ROW // LONGEST_TEXT)}
    rest = LONGEST_ROW - LONGEST_ROW // LONGEST_TEXT * LONGEST_TEXT - 100
    rows = pa.table({**columns, "rest": ["y" * rest, "z", "y" * rest]})
    assert read_back(rows) == in_rows(rows)


def test_a_connection_sees_that_the_columns_of_an_exchanged_database_are_others():
    """If it did not, its statements would read one column for another: they are kept, and SQLite asks only whether
    a number of the database has changed."""
    layouts = [
        pa.table({"a": ["x", "y"], "b": [1, 2]}),
        pa.table({"a": ["xx", "y"], "b": [3, 4]}),
        pa.table({"a": ["x", "y"], "b": [None, 2]}),
        pa.table({"a": ["x", None], "b": [None, 2]}),
        pa.table({"a": ["x", "y"], "b": [1, 2]}),
    ]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as own:
        own.execute("ATTACH ':memory:' AS coming")
        own.execute("CREATE TABLE here (a, b)")
        for rows in layouts:
            own.deserialize(as_database(rows) or b"", name="coming")
            own.execute("INSERT INTO here SELECT a, b FROM coming.rows")
        stored = own.execute("SELECT a, b FROM here").fetchall()
    assert stored == [row for rows in layouts for row in in_rows(rows)]
