"""OFX and QFX: with and without header, end tags, and good manners."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from recon.statements import read
from recon.statements.model import Hints, StatementError

SGML = """OFXHEADER:100
DATA:OFXSGML

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR
<BANKACCTFROM><BANKID>1<ACCTID>DE02</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20260101<DTEND>20260131
{}
</BANKTRANLIST>
<LEDGERBAL><BALAMT>12,50<DTASOF>20260131</LEDGERBAL>
</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
TRANSACTION = "<STMTTRN><TRNTYPE>{}<DTPOSTED>{}<TRNAMT>{}<FITID>F1<NAME>Anna & Co<MEMO>Invoice 7</STMTTRN>"


def rows(*transactions: str, hints: Hints | None = None) -> list[dict]:
    return read(SGML.format("\n".join(transactions)).encode(), "a.ofx", hints).statements[0].lines.to_pylist()


@pytest.mark.parametrize(
    ("text", "units", "scale"),
    [
        ("-12.50", -1250, 2),
        ("+12.5", 1250, 2),
        ("-12,50", -1250, 2),  # a decimal comma
        ("1.234,56", 123456, 2),
        ("1,234.56", 123456, 2),
        ("-00000000001500.0000", -150000, 2),
        ("0.12345", 12345, 5),  # more decimals than the currency has are kept
        ("R$ 5.326,43", 532643, 2),
    ],
)
def test_amounts_are_read_with_either_decimal_mark(text, units, scale):
    [row] = rows(TRANSACTION.format("OTHER", "20260105", text))
    assert (row["units"], row["scale"], row["amount_text"]) == (units, scale, text)


@pytest.mark.parametrize(
    ("text", "day", "instant"),
    [
        ("20260105", date(2026, 1, 5), None),
        ("20260105000000", date(2026, 1, 5), None),
        ("20260105120000", date(2026, 1, 5), None),  # noon sharp is how banks write "no time"
        ("20260105233000[-5:EST]", date(2026, 1, 5), datetime(2026, 1, 6, 4, 30, tzinfo=UTC)),
        ("20260105233000.123[+5.5:IST]", date(2026, 1, 5), datetime(2026, 1, 5, 18, 0, tzinfo=UTC)),
    ],
)
def test_the_day_stays_as_written_and_the_time_becomes_utc(text, day, instant):
    [row] = rows(TRANSACTION.format("OTHER", text, "1.00"))
    assert (row["booking_date"], row["booked_at"]) == (day, instant)


def test_what_a_transaction_says_lands_in_the_row():
    [row] = rows(TRANSACTION.format("CREDIT", "20260105", "1.00"))
    assert (row["external_id"], row["counterparty"], row["description"]) == ("F1", "Anna & Co", "Invoice 7")


def test_end_tags_may_be_missing_everywhere():
    body = TRANSACTION.format("OTHER", "20260105", "1.00").replace("</STMTTRN>", "")
    assert [row["units"] for row in rows(body, body, body)] == [100, 100, 100]


def test_the_ledger_balance_closes_the_statement():
    [statement] = read(SGML.format("").encode(), "a.ofx").statements
    assert [(each.kind, each.units, each.date) for each in statement.balances] == [
        ("closing", 1250, date(2026, 1, 31))
    ]
    assert (statement.account, statement.currency, statement.balance_check()) == ("DE02", "EUR", "unknown")


def test_pending_transactions_are_left_out_visibly():
    pending = TRANSACTION.format("DEBIT", "20260105", "-1.00").replace("STMTTRN>", "STMTTRNP>")
    [statement] = read(SGML.format(pending).encode(), "a.ofx").statements
    assert statement.lines.num_rows == 0
    assert statement.left_out[0].reason == "pending, not booked yet"


@pytest.mark.parametrize(
    ("amount", "day", "column"),
    [
        ("12.3.4", "20260105", "TRNAMT"),
        ("", "20260105", "TRNAMT"),
        ("1,234", "20260105", "TRNAMT"),  # a thousand or one and a bit: not guessed
        ("1.00", "20261305", "DTPOSTED"),
        ("1.00", "", "DTPOSTED"),
    ],
)
def test_a_transaction_that_cannot_be_read_is_a_row_error(amount, day, column):
    good = TRANSACTION.format("OTHER", "20260105", "2.00")
    reading = read(SGML.format(TRANSACTION.format("OTHER", day, amount) + "\n" + good).encode(), "a.ofx")
    assert reading.statements[0].lines["units"].to_pylist() == [200]
    [error] = reading.errors
    assert (error.column, error.line) == (column, 7)


def test_a_card_that_writes_charges_as_positive_numbers_is_asked_about_and_turned_round_on_request():
    charge = TRANSACTION.format("DEBIT", "20260105", "9.00")
    [question] = read(SGML.format(charge).encode(), "a.ofx").questions
    assert question.about == "sign"
    assert [row["units"] for row in rows(charge, hints=Hints(sign="inverted"))] == [-900]


def test_the_original_currency_is_kept():
    foreign = TRANSACTION.format("DEBIT", "20260105", "-9.00").replace(
        "</STMTTRN>", "<ORIGCURRENCY><CURRATE>1.1<CURSYM>USD</ORIGCURRENCY></STMTTRN>"
    )
    [row] = rows(foreign)
    assert row["currency"] == "EUR"
    assert json.loads(row["extra"]) == {"original_currency": "USD", "rate": "1.1"}


def test_a_file_that_breaks_off_keeps_what_came_before():
    text = SGML.format(TRANSACTION.format("OTHER", "20260105", "1.00"))
    reading = read(text[: text.index("</BANKTRANLIST>")].encode(), "a.ofx")
    assert reading.statements[0].lines.num_rows == 1
    assert "cut off" in reading.errors[0].message


def test_entities_are_characters_only_and_declarations_do_nothing():
    bomb = '<!DOCTYPE OFX [<!ENTITY a "' + "b" * 1000 + '">]>'
    text = bomb + SGML.format(TRANSACTION.format("OTHER", "20260105", "1.00").replace("& Co", "&a;&amp;"))
    [row] = read(text.encode(), "a.ofx").statements[0].lines.to_pylist()
    assert row["counterparty"] == "Anna &a;&"


def test_a_banks_own_error_message_is_passed_on():
    text = "<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>15500<MESSAGE>Wrong password</STATUS></SONRS></OFX>"
    with pytest.raises(StatementError, match="Wrong password"):
        read(text.encode(), "a.ofx")


BARE = "<OFX>{}<BANKTRANLIST><DTSTART>20260101{}</BANKTRANLIST>{}</OFX>"


def test_a_list_of_transactions_without_its_statement_is_one():
    first = BARE.format("", TRANSACTION.format("DEBIT", "20260307", "-10.50"), "")
    reading = read(first.encode(), "a.ofx", Hints(currency="BRL"))
    assert not reading.errors
    assert [(row["units"], row["currency"]) for row in reading.lines.to_pylist()] == [(-1050, "BRL")]
    around = BARE.format(
        "<CURDEF>USD<BANKACCTFROM><ACCTID>77</BANKACCTFROM>",
        TRANSACTION.format("DEBIT", "20260307", "-10.50"),
        "<LEDGERBAL><BALAMT>5.00<DTASOF>20260331</LEDGERBAL>"
        "<BANKACCTFROM><ACCTID>78</BANKACCTFROM><BANKTRANLIST>"
        + TRANSACTION.format("DEBIT", "20260308", "-2.00")
        + "</BANKTRANLIST><CCSTMTRS><CURDEF>EUR<BANKTRANLIST>"
        + TRANSACTION.format("DEBIT", "20260309", "-3.00")
        + "</BANKTRANLIST></CCSTMTRS>",
    )
    reading = read(around.encode(), "a.ofx")
    assert not reading.errors
    assert [(each.account, each.currency, each.lines.num_rows) for each in reading.statements] == [
        ("77", "USD", 1), ("78", None, 1), (None, "EUR", 1),
    ]  # fmt: skip
    assert [str(balance.amount) for balance in reading.statements[0].balances] == ["5.00"]


def test_a_list_that_ends_too_soon_is_told():
    cut = BARE.format("", TRANSACTION.format("DEBIT", "20260307", "-10.50"), "").split("</BANKTRANLIST>")[0]
    [error] = read(cut.encode(), "a.ofx", Hints(currency="EUR")).errors
    assert "cut off" in error.message


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("A &amp;amp; B", "A & B"),  # escaped twice
        ("A &amp; B", "A & B"),
        ("Caf&amp;#233;", "Café"),
        ("M&parking &notary", "M&parking &notary"),  # no names of characters
        ("AT&T; Co", "AT&T; Co"),
    ],
)
def test_names_of_characters_are_read_also_if_escaped_twice(name, read_as):
    text = TRANSACTION.format("OTHER", "20260105", "1.00").replace("Anna & Co", name)
    assert [row["counterparty"] for row in rows(text)] == [read_as]
