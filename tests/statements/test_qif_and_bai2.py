"""QIF decides the order of its dates from the whole file; BAI2 signs by type code."""

from __future__ import annotations

import json
from datetime import date

import pytest

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, StatementError


def qif(*days: str) -> bytes:
    return ("!Type:Bank\n" + "".join(f"D{day}\nT-1,000.50\nPAnna\nMRent\nN77\n^\n" for day in days)).encode()


@pytest.mark.parametrize(
    ("days", "first"),
    [
        (("05/01/2026", "25/01/2026"), date(2026, 1, 5)),  # the second can only be day first
        (("05/01/2026", "01/25/2026"), date(2026, 5, 1)),  # the second can only be month first
        (("2026-01-05",), date(2026, 1, 5)),
        (("1/25'26",), date(2026, 1, 25)),  # Quicken's apostrophe
        (("1/ 5'2026", "1/25'2026"), date(2026, 1, 5)),
        (("8/25/93",), date(1993, 8, 25)),
    ],
)
def test_the_order_of_day_and_month_is_decided_by_the_whole_file(days, first):
    reading = read(qif(*days), "a.qif", Hints(currency="USD"))
    row = reading.statements[0].lines.to_pylist()[0]
    assert row["booking_date"] == first
    assert (row["units"], row["currency"], row["reference"]) == (-100050, "USD", "77")
    assert (row["counterparty"], row["description"]) == ("Anna", "Rent")
    assert reading.questions == ()


def test_an_undecidable_order_is_asked_and_the_answer_used():
    order, currency = read(qif("05/01/2026"), "a.qif").questions
    assert (order.about, order.suggested, currency.about) == ("date_order", "mdy", "currency")
    for hints in (
        Hints(date_order="dmy", currency="EUR"),
        Hints(mapping=Mapping(date_order="dmy", currency="EUR")),  # how a page sends the answers
    ):
        answered = read(qif("05/01/2026"), "a.qif", hints)
        [row] = answered.statements[0].lines.to_pylist()
        assert (row["booking_date"], row["currency"]) == (date(2026, 1, 5), "EUR")
        assert answered.questions == ()
        assert answered.mapping == hints.mapping


def test_a_layout_of_tables_answers_nothing_about_other_files():
    layout = Mapping(columns={"amount": ("Betrag",)}, sign="inverted", currency="EUR")
    reading = read(qif("25/01/2026"), "a.qif", Hints(mapping=layout, currency="USD"))
    [row] = reading.statements[0].lines.to_pylist()
    assert (row["units"], row["currency"]) == (-100050, "USD")


def test_accounts_splits_and_investments():
    text = (
        "!Account\nNSavings\nTBank\n^\n!Type:Bank\nD1/25/26\nT5.00\nSFood\n$3.00\nSRent\n$2.00\n^\n"
        "!Account\nNBroker\nTInvst\n^\n!Type:Invst\nD1/25/26\nNBuy\nT5.00\n^\n!Type:Cat\nNFood\nE\n^\n"
    )
    savings, broker = read(text.encode(), "a.qif").statements
    assert (savings.account, broker.account) == ("Savings", "Broker")
    [row] = savings.lines.to_pylist()
    parts = [{"category": "Food", "amount": "3.00"}, {"category": "Rent", "amount": "2.00"}]
    assert json.loads(row["extra"])["details"] == parts
    assert broker.lines.num_rows == 0
    assert "investment" in broker.left_out[0].reason


@pytest.mark.parametrize(
    ("head", "payee", "category"),
    [
        ("", "Opening Balance", "[Savings]"),  # as Quicken writes it
        ("", "OPENING BALANCE", ""),
        ("!Account\nNSavings\nTBank\n^\n", "Opening Balance", "[Savings]"),
        ("", "Anfangssaldo", "[Savings]"),
    ],
)
def test_the_balance_an_account_begins_with_is_no_movement(head, payee, category):
    text = f"{head}!Type:Bank\nD1/1'26\nT4,706.57\nP{payee}\nL{category}\n^\nD1/25/26\nT-5.00\nPAnna\n^\n"
    [statement] = read(text.encode(), "a.qif", Hints(currency="USD")).statements
    assert statement.lines["units"].to_pylist() == [-500]
    [opening] = statement.balances
    assert (opening.kind, opening.currency, opening.date, opening.units) == (
        "opening",
        "USD",
        date(2026, 1, 1),
        470657,
    )
    assert [row.reason for row in statement.left_out] == ["opening balance"]
    assert statement.account == ("Savings" if head or category else None)
    assert statement.balance_check() == "unknown"  # QIF states no closing balance


@pytest.mark.parametrize(
    "records",
    [
        "D1/1/26\nT-5.00\nPAnna\n^\nD1/25/26\nT7.00\nPOpening Balance\nL[Savings]\n^\n",  # not the first record
        "D1/1/26\nT7.00\nPStarting Balance\nLIncome:Available\n^\nD1/25/26\nT-5.00\n^\n",  # income, says its category
        "!Account\nNSavings\n^\n!Type:Bank\nD1/1/26\nT7.00\nPOpening Balance\nL[Other]\n^\nD1/25/26\nT-5.00\n^\n",
    ],
)
def test_a_record_that_only_sounds_like_an_opening_balance_stays_a_line(records):
    [statement] = read(f"!Type:Bank\n{records}".encode(), "a.qif").statements
    assert sorted(statement.lines["units"].to_pylist()) == [-500, 700]
    assert statement.balances == ()


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ("D1/25/26\nTabc\n^\n", "T"),
        ("D1/25/26\nPnobody\n^\n", "T"),
        ("D30/30/26\nT1.00\n^\n", "D"),
        ("T1.00\n^\n", "D"),
    ],
)
def test_a_qif_record_that_cannot_be_read_is_a_row_error(record, column):
    reading = read(f"!Type:Bank\n{record}D1/25/26\nT2.00\n^\n".encode(), "a.qif")
    assert reading.statements[0].lines["units"].to_pylist() == [200]
    [error] = reading.errors
    assert (error.line, error.column) == (2, column)


BAI2 = """01,BANK,CUST,260131,0713,1,,,2/
02,CUST,BANK,1,260130,2340,{currency},2/
03,77777777,,010,100000,,,015,{closing},,/
{body}
49,1,3/
98,1,1,5/
99,1,1,7/
"""


def bai2(*body: str, currency: str = "USD", closing: str = "100000") -> bytes:
    return BAI2.format(body="\n".join(body), currency=currency, closing=closing).encode()


def test_type_codes_give_the_direction_and_texts_keep_their_slashes():
    body = ("16,165,150000,V,260202,0900,B1,C1,ACH 12/31 credit", "88,second line", "16,475,5000,,B2,,CHECK/")
    [statement] = read(bai2(*body, closing="245000"), "a.bai").statements
    credit, debit = statement.lines.to_pylist()
    assert (credit["units"], credit["reference"], credit["external_id"]) == (150000, "C1", "B1")
    assert credit["description"] == "ACH 12/31 credit second line"
    assert (credit["booking_date"], credit["value_date"]) == (date(2026, 1, 30), date(2026, 2, 2))
    assert (debit["units"], debit["description"]) == (-5000, "CHECK")
    assert statement.balance_check() == "ok"


def test_funds_distributed_over_days_are_skipped_by_their_own_count():
    [row] = read(bai2("16,165,300,D,2,0,100,1,200,B1,C1,TEXT"), "a.bai").statements[0].lines.to_pylist()
    assert (row["external_id"], row["reference"], row["description"]) == ("B1", "C1", "TEXT")


def test_implied_decimals_follow_the_currency():
    [statement] = read(bai2("16,165,300,,,,x", currency="JPY"), "a.bai").statements
    assert (statement.lines["units"][0].as_py(), statement.lines["scale"][0].as_py()) == (300, 0)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("16,165,12.50,,,,x", "without a decimal mark"),
        ("16,190500000,100,,,,x", "a code from 100 to 399"),
        ("17,165,1,,,,x", "a record code"),
    ],
)
def test_a_bai2_record_that_cannot_be_read_is_a_row_error(record, says):
    reading = read(bai2(record, "16,165,200,,,,good"), "a.bai")
    assert reading.statements[0].lines["units"].to_pylist() == [200]
    assert says in reading.errors[0].message


def test_debits_in_the_books_of_an_asset_account_are_money_in():
    data = bai2("16,475,5000,,,,x")
    ledger = Hints(side="ledger", account_kind="asset")
    assert read(data, "a.bai", ledger).statements[0].lines["units"].to_pylist() == [5000]
    assert (
        read(data, "a.bai", Hints(side="ledger", account_kind="liability")).statements[0].lines["units"][0].as_py() < 0
    )


def test_a_file_without_accounts_is_refused():
    with pytest.raises(StatementError, match="no account"):
        read(b"01,A,B,260131,0713,1,,,2/\n99,0,0,2/\n", "a.bai")


def test_amounts_without_signs_go_the_way_that_each_record_says():
    """A British exporter writes N as Withdrawal or Deposit, and every amount as plus."""
    text = "!Type:CCard\nD23/08/2026\nPShop\nT39.00\nNWithdrawal\n^\nD30/08/2026\nPThank you\nT51.00\nNDeposit\n^\n"
    units = [row["units"] for row in read(text.encode(), "a.qif", Hints(currency="GBP")).lines.to_pylist()]
    assert units == [-3900, 5100]
    signed = read(text.replace("T39", "T-39").encode(), "a.qif", Hints(currency="GBP"))
    assert [row["units"] for row in signed.lines.to_pylist()] == [-3900, 5100]
