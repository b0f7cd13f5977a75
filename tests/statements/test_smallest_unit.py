"""Whole numbers in JSON: cents where their writer is known, else asked; never a hundredfold amount in silence."""

from __future__ import annotations

import json

import pytest

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints

STRIPE = {"id": "ch_1", "object": "charge", "currency": "usd", "created": 1735776000, "description": "Order 1"}


def read_json(*rows, **hints):
    return read(json.dumps({"data": rows}).encode(), "a.json", Hints(**hints))


def units(reading):
    return [(each["units"], each["scale"], each["currency"]) for each in reading.lines.to_pylist()]


@pytest.mark.parametrize(
    "row",
    [
        {**STRIPE, "amount": 1050},
        {"id": "a", "created_at": "2026-03-01T10:00:00Z", "amount_money": {"amount": 1050, "currency": "USD"}},
        {"pspReference": "8", "creationDate": "2026-03-01", "amount": {"value": 1050, "currency": "USD"}},
        {"id": "PM1", "charge_date": "2026-03-01", "amount": 1050, "amount_refunded": 0, "currency": "USD"},
        {"date": "2026-03-01", "amount_minor": 1050, "currency": "USD"},
        {"date": "2026-03-01", "amountInMinorUnits": 1050, "currency": "USD"},
    ],
)
def test_who_is_known_to_write_cents_is_read_so_without_a_question(row):
    reading = read_json(row, row)
    assert units(reading) == [(1050, 2, "USD")] * 2
    assert "in_cents" not in [each.about for each in reading.questions]


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("id,object,amount,currency,created", "ch_1,charge,1050,usd,1735776000", 1050),
        ("id,created_at,amount_money.amount,amount_money.currency", "a,2026-03-01,1050,USD", 1050),
        ("id,entity,amount,currency,created_at", "pay_1,payment,1050,INR,2026-03-01", 105_000),  # of the dashboard
    ],
)
def test_json_that_a_program_wrote_as_a_table_counts_cents_still(header, row, expected):
    reading = read(f"{header}\n{row}\n{row}\n".encode(), "a.csv", Hints())
    assert reading.lines["units"].to_pylist() == [expected] * 2


@pytest.mark.parametrize(
    ("writer", "amount", "currency", "expected"),
    [
        (STRIPE, 500, "jpy", (500, 0, "JPY")),
        (STRIPE, 1500, "kwd", (1500, 3, "KWD")),
        (STRIPE, 500, "isk", (5, 0, "ISK")),  # two places by Stripe, none by ISO
        (STRIPE, 500, "ugx", (5, 0, "UGX")),
        (STRIPE, 500, "mga", (50_000, 2, "MGA")),  # none by Stripe, two by ISO
    ],
)
def test_currencies_have_the_places_that_their_writer_counts(writer, amount, currency, expected):
    assert units(read_json({**writer, "amount": amount, "currency": currency})) == [expected]


@pytest.mark.parametrize(("currency", "expected"), [("IDR", (500_00, 2)), ("CLP", (5, 0)), ("EUR", (500, 2))])
def test_adyen_counts_some_currencies_in_its_own_way(currency, expected):
    row = {"pspReference": "8", "creationDate": "2026-03-01", "amount": {"value": 500, "currency": currency}}
    assert units(read_json(row)) == [(*expected, currency)]


@pytest.mark.parametrize(
    ("row", "suggested"),
    [
        ({"date": "2026-03-01", "amount": 1050, "currency": "EUR"}, "false"),
        ({"date": "2026-03-01", "amount": {"value": 1050, "currency": "EUR"}}, "true"),
        ({"date": "1735776000", "amount": 1050, "currency": "EUR"}, "true"),
    ],
)
def test_whole_numbers_of_unknown_origin_are_asked_about(row, suggested):
    reading = read_json(row, row)
    [question] = [each for each in reading.questions if each.about == "in_cents"]
    assert question.suggested == suggested
    assert "1050" in question.text
    assert units(reading) == [(1050 if suggested == "true" else 105_000, 2, "EUR")] * 2


@pytest.mark.parametrize(
    "rows",
    [
        [{"date": "2026-03-01", "amount": 1050, "currency": "EUR"}, {"date": "2026-03-02", "amount": 10.5}],
        [{"date": "2026-03-01", "amount": "1050.00", "currency": "EUR"}],
        [{"date": "2026-03-01", "amount": 1050, "currency": "JPY"}],
        [{"id": "1", "reference": "r", "date": "2026-03-01", "amount": 1050, "currency": "EUR"}],  # Blnk's own
    ],
)
def test_nothing_is_asked_where_it_is_plain(rows):
    assert "in_cents" not in [each.about for each in read_json(*rows, currency="EUR").questions]


def test_an_answer_is_kept_and_decimals_among_cents_are_errors():
    rows = [{"date": "2026-03-01", "amount": 1050, "currency": "EUR"}, {"date": "2026-03-02", "amount": 10.5}]
    whole = read_json(rows[0], mapping=Mapping(in_cents=False))
    assert units(whole) == [(105_000, 2, "EUR")]
    assert "in_cents" not in [each.about for each in whole.questions]
    [error] = read_json(*rows, mapping=Mapping(in_cents=True), currency="EUR").errors
    assert (error.line, error.found) == (2, "10.5")
    assert "whole number of the smallest unit" in error.message


def test_one_record_is_a_row_though_it_holds_a_list():
    charge = {**STRIPE, "amount": 1050, "fee_details": [{"amount": 59, "currency": "usd"}] * 3}
    assert units(read(json.dumps(charge).encode(), "a.json", Hints())) == [(1050, 2, "USD")]


def test_booked_rows_are_read_and_rows_of_other_lists_are_told():
    row = {"bookingDate": "2026-03-01", "transactionAmount": {"amount": "-5.00", "currency": "EUR"}}
    both = {"transactions": {"pending": [row] * 3, "booked": [row]}, "links": [{"rel": "next", "href": "/2"}] * 9}
    [statement] = read(json.dumps(both).encode(), "a.json", Hints()).statements
    assert statement.lines.num_rows == 1
    assert [each.reason for each in statement.left_out] == ["in another list (transactions.pending)"] * 3


def test_what_a_record_is_called_says_no_direction():
    reading = read_json({**STRIPE, "amount": 1050}, {**STRIPE, "amount": 2000})
    assert [each["units"] for each in reading.lines.to_pylist()] == [1050, 2000]
