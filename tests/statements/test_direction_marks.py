"""Amounts without signs beside a column of two marks: a person says which is money in, unless a balance does."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints


def table(header, out, into):
    return (
        f"Dátum,Összeg,Deviza,{header},Közlemény\n"
        f"2026-05-13,1250,HUF,{out},bolt\n2026-05-14,350000,HUF,{into},fizetés\n2026-05-15,2250,HUF,{out},bolt\n"
    )


def read_text(text, mapping=None):
    reading = read(text.encode(), "file.csv", Hints(mapping=mapping))
    assert not reading.errors
    units = [line["units"] // 10 ** line["scale"] for line in reading.lines.to_pylist()]
    return units, reading


OUT_IN_OUT = [-1250, 350000, -2250]


@pytest.mark.parametrize(
    ("header", "out", "into"),
    [("T/J", "T", "J"), ("Típus", "Tartozik", "Követel"), ("Type", "O", "I"), ("Type", "W", "D"), ("Z/S", "S", "Z")],
)
def test_marks_are_asked_about_with_the_answer_that_fits(header, out, into):
    units, reading = read_text(table(header, out, into))
    assert units == OUT_IN_OUT
    [question] = reading.questions
    assert (question.about, question.suggested) == ("plus_words", into)
    assert {value for value, _label in question.options} == {out, into}


def test_either_answer_settles_it():
    text = table("W/D", "W", "D")
    assert read_text(text, Mapping(plus_words=("D",)))[0] == OUT_IN_OUT
    units, reading = read_text(text, Mapping(plus_words=("W",)))
    assert units == [1250, -350000, 2250]
    assert not reading.questions
    units, reading = read_text(text, Mapping(sign="inverted"))
    assert units == [-1250, -350000, -2250]
    assert not reading.questions


def test_what_a_form_carries_on_without_an_answer_is_asked_again():
    _units, reading = read_text(table("T/J", "T", "J"))
    carried = Mapping(columns=reading.mapping.columns, sign="column")
    assert [question.about for question in read_text(table("T/J", "T", "J"), carried)[1].questions] == ["plus_words"]


def test_a_balance_says_which_mark_is_money_in():
    text = (
        "Date,Amount,Type,Text,Balance\n"
        "2026-05-13,10.00,W,a,90.00\n2026-05-14,50.00,D,b,140.00\n2026-05-15,20.00,W,c,120.00\n"
    )
    for given in (text, text.replace(",W,", ",_,").replace(",D,", ",W,").replace(",_,", ",D,")):
        reading = read(given.encode(), "file.csv", Hints(currency="EUR"))
        assert [line["units"] for line in reading.lines.to_pylist()] == [-1000, 5000, -2000]
        assert not reading.questions


@pytest.mark.parametrize(
    "text",
    [
        table("Type", "A", "B"),  # two types of something
        table("T/J", "T", ""),
        table("T/J", "T", "J").replace("13,1250", "13,-1250"),
    ],
)
def test_what_is_no_column_of_marks_is_asked_as_ever(text):
    assert "plus_words" not in {question.about for question in read_text(text)[1].questions}
