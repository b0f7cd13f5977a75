"""What people upload by mistake: each is refused, or its row is named, with a message that says what to do."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.model import Hints, Limits, StatementError

HEADER = "id,amount,date,description,currency,reference,source\n"


def csv(*rows: str) -> bytes:
    return (HEADER + "".join(f"{row}\n" for row in rows)).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "The file is empty."),
        (b"\n\n  \n", "The file has no content."),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", "This is a binary file of no known kind."),
        (b"just some words\nand some more\n", "no table"),  # no delimiter anywhere
        (b"entry1,entry2,entry3\nentry4,entry5,entry6\n", "No column of amounts was found."),  # no header, no amounts
        (b"id,date,description\n1,2025-01-31,Coffee\n", "No column of amounts was found."),  # missing amount column
        (b'{"status": "error"', "The file is no valid JSON: line 1"),
        (b"[]", "no list of objects"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused_in_one_sentence(data, says):
    with pytest.raises(StatementError, match=says) as refusal:
        read(data, "upload.csv")
    assert "\n" not in str(refusal.value)
    assert refusal.value.errors[0].expected


@pytest.mark.parametrize(
    ("row", "column", "found", "expected"),
    [
        ('1,"12,3.4",2025-01-31,x,EUR,r,s', "amount", "12,3.4", "thousands in groups of three"),
        ("1,12.34,31.02.2025,x,EUR,r,s", "date", "31.02.2025", "a day that exists"),
        (f"1,{'9' * 40},2025-01-31,x,EUR,r,s", "amount", "9" * 40, "at most 18 digits"),
        ("1,1234567890123456789.00,2025-01-31,x,EUR,r,s", "amount", "1234567890123456789.00", "at most 18 digits"),
        ("1,12.34,2025-01-31,x,EURO4,r,s", "currency", "EURO4", "a currency code of three letters"),
        ("1,twelve,2025-01-31,x,EUR,r,s", "amount", "twelve", "an amount like"),
        ("1,,2025-01-31,x,EUR,r,s", "amount", "", "an amount"),
        ("1,12.34,,x,EUR,r,s", "date", "", "a date"),
        ("1,1e3,2025-01-31,x,EUR,r,s", "amount", "1e3", "an amount like"),
        ("1,NaN,2025-01-31,x,EUR,r,s", "amount", "NaN", "an amount like"),
    ],
)
def test_a_row_that_cannot_be_read_names_line_column_found_and_expected(row, column, found, expected):
    reading = read(csv("0,1.00,2025-01-30,good,EUR,r,s", row, "2,2.00,2025-02-28,good,EUR,r,s"), "upload.csv")
    (error,) = reading.errors
    assert (error.line, error.column, error.found) == (3, column, found)
    assert expected in error.expected
    assert error.message.startswith(f"Line 3, column {column}: ")
    assert "x" in (error.raw or "")
    assert reading.lines["external_id"].to_pylist() == ["0", "2"]


def test_a_wrong_encoding_is_refused_with_the_line():
    data = csv("1,12.34,2025-01-31,Café,EUR,r,s").decode().encode("cp1252")
    with pytest.raises(StatementError, match="The file is not utf-8: line 2 has bytes"):
        read(data, "upload.csv", Hints(encoding="utf-8"))
    assert read(data, "upload.csv").encoding == "cp1252"


def test_one_endless_line_is_refused_without_being_taken_apart():
    data = HEADER.encode() + b"x" * (3 << 20)
    with pytest.raises(StatementError, match="Line 2 is longer than 1,048,576 bytes"):
        read(data, "upload.csv")


def test_an_endless_line_in_a_file_is_refused_from_its_path(tmp_path):
    path = tmp_path / "bomb.csv"
    path.write_bytes(b"a,b" * (1 << 20))
    with pytest.raises(StatementError, match="Line 1 is longer"):
        read(path, path.name)


@pytest.mark.parametrize(
    ("limits", "says"),
    [(Limits(max_bytes=100), "more than the limit of 100"), (Limits(max_rows=2), "3 rows, more than the limit of 2")],
)
def test_a_file_over_a_limit_is_refused(limits, says):
    data = csv(*[f"{n},12.34,2025-01-31,x,EUR,r,s" for n in range(3)])
    with pytest.raises(StatementError, match=says):
        read(data, "upload.csv", Hints(limits=limits))


def test_a_file_of_bad_rows_only_lists_as_many_as_the_limit_and_counts_the_rest():
    data = csv(*[f"{n},oops,2025-01-31,x,EUR,r,s" for n in range(10)], "11,1.00,2025-01-31,x,EUR,r,s")
    mapping = read(csv("11,1.00,2025-01-31,x,EUR,r,s"), "x.csv").mapping
    errors = read(data, "upload.csv", Hints(limits=Limits(max_errors=4), mapping=mapping)).errors
    assert len(errors) == 5
    assert errors[-1].message == "And 6 more rows cannot be read."


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"%PDF-1.7\n\xe2\xe3", "march.pdf", "This is a PDF"),
        (b"!TRNS\tTRNSID\tDATE\tAMOUNT\n!SPL\tSPLID\n", "books.iif", "IIF file of QuickBooks"),
    ],
)
def test_files_that_are_known_not_to_be_statements_say_what_to_send_instead(data, name, said):
    with pytest.raises(StatementError, match=said) as refused:
        read(data, name)
    assert "CSV" in str(refused.value)
