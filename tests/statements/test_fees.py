"""Fees beside the amount: taken from it where the running balance, or the account, says so."""

from __future__ import annotations

import json

import pytest

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints

APART = """Posting Date,Description,Money In,Money Out,Fee,Balance
2024-05-02,Salary,1000.00,,,1500.00
2024-05-03,Cash from a machine,,-200.00,-10.50,1289.50
2024-05-04,Card,,-20.00,,1269.50
2024-05-05,Cash from a machine,,-100.00,-10.50,1159.00
2024-05-31,Monthly fee,,,-7.50,1151.50
"""
SIGNED = """Completed Date;Description;Amount;Fee;Currency;Balance
2024-05-05;Exchange;-100,00;1,00;EUR;{after}
2024-05-04;Card;-20,00;0,00;EUR;879,00
2024-05-03;Exchange;-100,00;1,00;EUR;{before}
2024-05-02;Top-up;1000,00;0,00;EUR;1000,00
"""


def units(text, hints=None):
    reading = read(text.encode(), "file.csv", hints)
    assert not reading.errors
    return reading.lines["units"].to_pylist(), reading.statements[0].balance_check()


def fees(text):
    mapping = read(text.encode(), "file.csv").mapping
    return mapping and mapping.fees


def test_fees_that_move_the_balance_belong_to_their_row_and_a_fee_alone_is_a_line():
    assert units(APART) == ([100000, -21050, -2000, -11050, -750], "ok")
    reading = read(APART.encode(), "file.csv")
    assert fees(APART) == "negative"
    second, last = (json.loads(reading.lines["extra"][row].as_py()) for row in (1, 4))
    assert (second["gross"], second["fee"]) == ("-200.00", "-10.50")
    assert last["fee"] == "-7.50"
    assert reading.lines["amount_text"].to_pylist()[1:] == ["-200.00", "-20.00", "-100.00", "-7.50"]


def test_fees_written_as_plus_are_taken_off():
    text = SIGNED.format(after="778,00", before="899,00")
    assert units(text) == ([-10100, -2000, -10100, 100000], "ok")
    assert fees(text) == "positive"


def test_fees_that_are_in_the_amount_already_stay_information():
    text = SIGNED.format(after="780,00", before="900,00").replace("879,00", "880,00")
    assert units(text) == ([-10000, -2000, -10000, 100000], "ok")
    assert fees(text) is None


@pytest.mark.parametrize(
    ("hints", "lines"),
    [
        (Hints(), [-10000, 5000]),  # nothing says that fees count
        (Hints(amount_column="gross"), [-10000, 5000]),
        (Hints(amount_column="net"), [-10000, 5000]),  # the amount may be net already
        (Hints(mapping=Mapping(fees="positive")), [-10100, 4850]),
        (Hints(mapping=Mapping(fees="negative")), [-9900, 5150]),
    ],
)
def test_without_a_balance_the_account_or_a_person_says_whether_fees_count(hints, lines):
    assert units("Date,Text,Amount,Fee\n2024-05-31,A,-100.00,1.00\n2024-05-30,B,50.00,1.50\n", hints)[0] == lines


def test_a_fee_of_more_places_than_its_amount_is_taken_exactly():
    text = "Date,Text,Amount,Fee\n2024-05-31,A,-100.00,1.005\n2024-05-30,B,,2\n2024-05-29,C,7.00,\n"
    lines = read(text.encode(), "file.csv", Hints(mapping=Mapping(fees="positive"))).lines
    assert list(zip(lines["units"].to_pylist(), lines["scale"].to_pylist(), strict=True)) == [
        (-101005, 3), (-200, 2), (700, 2),
    ]  # fmt: skip


def test_net_is_gross_less_fees_where_the_file_has_only_these():
    text = "Date,Text,Gross,Fee\n2024-05-31,A,-100.00,1.00\n2024-05-30,B,50.00,1.50\n"
    assert units(text, Hints(amount_column="net"))[0] == [-10100, 4850]
    assert units(text, Hints())[0] == [-10000, 5000]


def test_a_person_can_say_that_fees_are_no_matter_against_the_balance():
    charged = APART[: APART.index("2024-05-31")]
    found, check = units(charged, Hints(mapping=Mapping(fees="included")))
    assert (found, check) == ([100000, -20000, -2000, -10000], "unknown")


def test_a_fee_that_cannot_be_read_is_a_row_error_where_fees_count():
    reading = read(APART.replace("-7.50,", "seven,").encode(), "file.csv")
    [error] = reading.errors
    assert (error.line, error.column, error.found) == (6, "Fee", "seven")
