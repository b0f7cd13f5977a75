"""CSV and JSON of the shapes people have, read without being told anything."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from recon.rows import ROW_SCHEMA, amount
from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints

BLNK = """ID,Amount,DATE,Description,Currency,Reference,Source
ext_1,152.75,2024-03-01T10:00:00Z,Card payment,USD,INV-001,stripe
ext_2,-87.15,2024-03-02T11:30:00Z,Refund,USD,INV-003,stripe
ext_2,-87.15,2024-03-02T11:30:00Z,Refund,USD,INV-003,stripe
"""


def amounts(reading) -> list[Decimal]:
    lines = reading.lines
    return [
        amount(units, scale)
        for units, scale in zip(lines["units"].to_pylist(), lines["scale"].to_pylist(), strict=True)
    ]


def test_a_blnk_file_needs_no_mapping_in_any_letter_case():
    reading = read(BLNK.encode(), "statement.csv")
    assert not reading.errors
    assert not reading.questions
    assert reading.lines.schema == ROW_SCHEMA
    first = reading.lines.slice(0, 1).to_pylist()[0]
    assert first == {
        "position": 1, "line": 2, "external_id": "ext_1", "units": 15275, "scale": 2, "currency": "USD",
        "booking_date": date(2024, 3, 1), "value_date": None, "booked_at": datetime(2024, 3, 1, 10, tzinfo=UTC),
        "reference": "INV-001", "description": "Card payment", "counterparty": None, "type_code": None,
        "source": "stripe", "destination": None, "parent_transaction": None, "status": None, "amount_text": "152.75",
        "extra": None,
    }  # fmt: skip


def test_two_identical_lines_stay_two_lines():
    assert amounts(read(BLNK.encode(), "s.csv")) == [Decimal("152.75"), Decimal("-87.15"), Decimal("-87.15")]


def test_a_ledger_file_has_the_columns_of_blnk_transactions():
    data = (
        "transaction_id,reference,amount,currency,source,destination,parent_transaction,status,created_at,description\n"
        "txn_1,INV-1,10.00,EUR,@world,bln_1,txn_0,APPLIED,2024-03-01T10:00:00Z,Order 1\n"
        "txn_2,INV-2,20.00,EUR,@world,bln_1,,QUEUED,2024-03-02T10:00:00Z,Order 2\n"
    )
    lines = read(data.encode(), "ledger.csv", Hints(side="ledger")).lines
    assert lines["external_id"].to_pylist() == ["txn_1", "txn_2"]
    assert lines["source"].to_pylist() == ["@world", "@world"]
    assert lines["destination"].to_pylist() == ["bln_1", "bln_1"]
    assert lines["parent_transaction"].to_pylist() == ["txn_0", None]
    assert lines["status"].to_pylist() == ["APPLIED", "QUEUED"]  # which of them count is the ledger's business
    assert lines["booking_date"].to_pylist() == [date(2024, 3, 1), date(2024, 3, 2)]


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        (Hints(), [Decimal("-5.00"), Decimal("7.00")]),  # on a statement credit is money in
        (Hints(side="ledger"), [Decimal("5.00"), Decimal("-7.00")]),  # in the books of an asset account debit is
        (Hints(side="ledger", account_kind="liability"), [Decimal("-5.00"), Decimal("7.00")]),
    ],
)
def test_debit_and_credit_columns_are_signed_from_the_owner_of_the_account(hints, expected):
    data = b"Date,Text,Debit,Credit\n2024-03-01,a,5.00,\n2024-03-02,b,,7.00\n"
    assert amounts(read(data, "s.csv", hints)) == expected


def test_json_keeps_every_digit_and_reads_nested_lists():
    rows = '[{"id": "a", "amount": 0.30, "date": "2024-03-01", "currency": "EUR", "meta": {"colour": 7}}]'
    for text in (
        rows,
        f'{{"data": {{"transactions": {rows}}}}}',
        rows.strip("[]"),
        rows.strip("[]") + "\n" + rows.strip("[]"),
    ):
        reading = read(text.encode(), "statement.json")
        assert reading.format == "json"
        assert set(amounts(reading)) == {Decimal("0.30")}
        assert reading.lines["amount_text"].to_pylist()[0] == "0.30"
        assert json.loads(reading.lines["extra"][0].as_py()) == {"meta.colour": "7"}


def test_the_mapping_that_was_sniffed_reads_the_file_again_after_a_journey_through_json():
    first = read(BLNK.encode(), "s.csv")
    assert first.mapping
    saved = json.loads(json.dumps(first.mapping.to_dict()))
    again = read(BLNK.encode(), "s.csv", Hints(mapping=Mapping.from_dict(saved)))
    assert again.mapping == first.mapping
    assert again.lines.equals(first.lines)


def test_a_mapping_made_by_hand_reads_columns_that_no_header_explains():
    data = b"foo;bar;baz\n01.02.2024;9,99;hello\n"
    mapping = Mapping.from_dict(
        {"columns": {"booking_date": "foo", "amount": "bar", "description": "baz"}, "header_row": 1}
    )
    reading = read(data, "s.csv", Hints(mapping=mapping, currency="EUR"))
    assert amounts(reading) == [Decimal("9.99")]
    assert reading.lines["booking_date"].to_pylist() == [date(2024, 2, 1)]


def test_json_keys_name_the_columns_as_a_header_would():
    reading = read(b'[{"id": "e1", "amount": 1.5, "reference": "txn_001", "currency": "USD"}]', "instant.json")
    line = reading.lines.to_pylist()[0]
    assert (line["external_id"], line["reference"], line["description"]) == ("e1", "txn_001", None)
