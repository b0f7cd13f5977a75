"""Rows that carry on the text of the booking above them; rows made up, shapes of Swiss banks and of OCBC kept."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.continuations import GOES_ON
from recon.statements.leftovers import NEITHER

HEAD = "Date,Text,Detail,Debit,Credit,Balance\n"
BOOKINGS = (
    "18.07.2026,Standing order,,10.00,,90.00\n"
    ",for the rent of July,,,,\n"
    ",flat 12,second floor,,,\n"
    "19.07.2026,Batch,,106.00,,-16.00\n"
    ",To A,53.50,,,\n"
    ",To B,CHF 52,,,\n"
    ",Our ref 4711,,,,\n"
    "20.07.2026,Salary,,,500.00,484.00\n"
)


def read_text(text):
    reading = read(text.encode(), "file.csv")
    assert not reading.errors
    [statement] = reading.statements
    return [line["description"] for line in statement.lines.to_pylist()], statement.left_out


def test_texts_below_a_booking_are_joined_to_it_and_keep_their_place():
    descriptions, left_out = read_text(HEAD + BOOKINGS)
    assert descriptions == [
        "Standing order for the rent of July flat 12 second floor",
        "Batch Our ref 4711",
        "Salary",
    ]
    assert [(each.line, each.reason) for each in left_out] == [
        (3, GOES_ON),
        (4, GOES_ON),
        (6, NEITHER),
        (7, NEITHER),
        (8, GOES_ON),
    ]


@pytest.mark.parametrize(
    "note",
    [
        "\n,All amounts without guarantee,,,,\n",  # behind an empty line
        ",Pending,,,,\n",  # what follows it is not booked
        ",Page 2 of 3,,,,\n",
        "Printed at noon,,,,,\n",  # not below the text
        ",Fee,,,,12\n",  # a number in a column that means something
        ",Bank fee,20,,,\n",
    ],
)
def test_notes_are_told_and_not_joined(note):
    descriptions, left_out = read_text(HEAD + BOOKINGS + note)
    assert descriptions[-1] == "Salary"
    assert left_out[-1].reason.startswith("no line:")


def test_a_text_below_a_row_that_cannot_be_read_is_told():
    reading = read(f"{HEAD}{BOOKINGS}21.07.2026,Odd,,1x,,480.00\n,more of it,,,,\n".encode(), "file.csv")
    assert [error.line for error in reading.errors] == [10]
    assert (reading.statements[0].left_out[-1].line, reading.statements[0].left_out[-1].reason) == (11, NEITHER)


def test_where_the_text_stands_before_the_dates_nothing_is_joined():
    descriptions, left_out = read_text(
        "Text,Date,Amount\nOne,18.07.2026,1.00\nSecond section,,\nTwo,19.07.2026,2.00\nThree,20.07.2026,3.00\n"
    )
    assert descriptions == ["One", "Two", "Three"]
    assert [each.reason for each in left_out] == [NEITHER]
