"""Kinds of tables that are easily misread: each test is one kind, whatever bank it comes from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from recon.statements import read
from recon.statements.dates import parse_date
from recon.statements.model import Hints


def reading_of(text):
    return read(text.encode(), "file.csv")


def amounts(reading):
    return [units / 100 for units in reading.lines["units"].to_pylist()]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31/01/2566", date(2023, 1, 31)),  # Buddhist, Thailand
        ("25660131", date(2023, 1, 31)),
        ("112/01/31", date(2023, 1, 31)),  # Minguo, Taiwan
        ("令和5年1月31日", date(2023, 1, 31)),
        ("令和元年5月1日", date(2019, 5, 1)),
        ("H31.4.30", date(2019, 4, 30)),
        ("٢٠٢٣/٠١/٣١", date(2023, 1, 31)),
        ("31/01/2023 as of 30/01/2023", date(2023, 1, 31)),
    ],
)
def test_years_of_other_calendars_become_common_ones(text, day):
    assert parse_date(text, "dmy").day == day


def test_a_decimal_comma_is_no_delimiter_where_rows_fill_different_columns():
    rows = "01 Jan 2021\tA\t\t0,01\n15 Apr 2021\tB\t98,45\t\n02 Jan 2021\tC\t3,96\t\n"
    reading = reading_of(f"Buchungstag\tVerwendungszweck\tSoll\tHaben\n{rows}")
    assert reading.mapping.delimiter == "\t"
    assert amounts(reading) == [0.01, -98.45, -3.96]


def test_a_quotation_mark_that_the_end_of_the_file_closes_takes_no_rows_with_it():
    reading = reading_of('Date,Text,Amount\n2024-01-13,"A\nB",-5.00\n2024-01-14,"open,7.00\n2024-01-15,C,8.00\n')
    assert amounts(reading) == [-5.0, 7.0, 8.0]
    assert reading.lines["description"].to_pylist() == ["A B", "open", "C"]


def test_a_date_in_three_columns_is_one_date():
    reading = reading_of("Year,Month,Day,Text,Amount\n2023,1,5,A,-5.00\n2023,12,31,B,7.00\n")
    assert reading.lines["booking_date"].to_pylist() == [date(2023, 1, 5), date(2023, 12, 31)]
    assert reading.mapping.column("booking_date") == "Year, Month, Day"


def test_a_mapping_with_a_joined_date_reads_the_next_file():
    text = "Year,Month,Day,Text,Amount\n2023,1,5,A,-5.00\n2023,12,31,B,7.00\n"
    from_first = reading_of(text).mapping
    again = read(text.encode(), "next.csv", Hints(mapping=from_first))
    assert again.lines["booking_date"].to_pylist() == [date(2023, 1, 5), date(2023, 12, 31)]


def test_dates_of_a_datev_export_get_the_year_of_its_business_year():
    fields = ['"EXTF"', "700", "21", '"Buchungsstapel"', "13", *[""] * 7, "20230701"]
    reading = reading_of(
        ";".join(fields)
        + "\nUmsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;Konto;Belegdatum;Buchungstext\n"
        + '119,00;"H";1200;0507;A\n59,50;"S";1200;1701;B\n'
    )
    assert reading.lines["booking_date"].to_pylist() == [date(2023, 7, 5), date(2024, 1, 17)]


def test_one_step_of_a_balance_does_not_prove_where_unsigned_amounts_go():
    reading = reading_of("Date,Text,Amount,Balance\n2023-01-05,A,100.00,900.00\n2023-01-25,B,250.00,1150.00\n")
    assert [question.about for question in reading.questions] == ["sign", "currency"]


def test_a_credit_column_of_negative_amounts_is_asked_about():
    reading = reading_of("Date,Text,Debit,Credit\n2023-01-05,A,100.00,\n2023-01-25,B,,-250.00\n")
    assert amounts(reading) == [-100.0, 250.0]
    assert "sign" in [question.about for question in reading.questions]


def test_a_card_whose_charges_are_mostly_plus_is_asked_about():
    rows = "".join(f"2023-01-0{day},Shop,Purchase,10.00\n" for day in range(1, 5))
    reading = reading_of(f"Date,Merchant,Type,Amount\n{rows}2023-01-09,Bank,Payment,-40.00\n")
    asked = {question.about: question.suggested for question in reading.questions}
    assert asked["sign"] == "inverted"


def test_the_currency_in_the_amounts_header_goes_before_a_column_of_paid_currencies():
    reading = reading_of("Date,Text,Amount (UAH),Currency\n2023-01-05,A,-369.00,USD\n2023-01-06,B,20.00,UAH\n")
    assert set(reading.lines["currency"].to_pylist()) == {"UAH"}


def test_what_is_booked_in_the_accounts_currency_goes_before_what_was_paid():
    reading = reading_of("Date,Text,Transaction amount,Billing amount\n2023-01-05,A,-12.50,-98.00\n")
    assert amounts(reading) == [-98.0]


def test_a_dated_row_called_total_is_a_line_unless_it_is_the_sum():
    text = "Date,Description,Amount\n2023-01-03,TOTAL,-45.00\n2023-01-04,Salary,1000.00\n2023-01-05,Shop,-5.00\n"
    assert amounts(reading_of(text)) == [-45.0, 1000.0, -5.0]
    summed = text + "2023-01-31,TOTAL,950.00\n"
    assert amounts(reading_of(summed)) == [-45.0, 1000.0, -5.0]


def test_sums_below_both_columns_are_no_line_and_no_error():
    reading = reading_of("Date,Text,Debit,Credit\n2023-01-05,A,100.00,\n2023-01-25,B,,250.00\n,,100.00,250.00\n")
    assert amounts(reading) == [-100.0, 250.0]
    assert not reading.errors
    assert [each.reason for each in reading.statements[0].left_out] == ["total"]


def test_a_dated_row_with_both_amounts_stays_an_error():
    reading = reading_of("Date,Text,Debit,Credit\n2023-01-05,A,100.00,\n2023-01-25,B,5.00,250.00\n")
    assert [error.line for error in reading.errors] == [3]


def test_balances_between_pages_are_no_lines():
    rows = "".join(f"2023-01-{day:02},Shop,-1.00\n" for day in range(1, 11))
    page = "2023-01-11,Balance carried forward,90.00\n2023-01-11,BALANCE BROUGHT FORWARD,90.00\n"
    reading = reading_of(f"Date,Description,Amount\n2023-01-01,Opening balance,100.00\n{rows}{page}{rows}")
    assert reading.lines.num_rows == 20
    assert {balance.amount for balance in reading.statements[0].balances} == {Decimal(100), Decimal(90)}


def test_text_below_a_column_of_directions_is_no_error():
    reading = reading_of("Date,Text,Amount,Debit/Credit\n2023-01-05,A,1.00,DR\n2023-01-06,B,2.00,CR\nLegal notes\n")
    assert not reading.errors


def test_rows_without_a_date_before_and_after_a_table_without_a_header_are_no_lines():
    reading = reading_of("Account,123,,\n03Jan2023,SHOP,-45.00,955.00\n25Jan2023,PAY,9000.00,9955.00\nEnd,,,\n")
    assert amounts(reading) == [-45.0, 9000.0]
    assert len(reading.statements[0].left_out) == 2


def test_rows_of_one_month_suggest_which_number_is_the_month():
    reading = reading_of("Date,Text,Amount\n02/01/2023,A,-1.00\n05/01/2023,B,2.00\n07/01/2023,C,3.00\n")
    asked = {question.about: question.suggested for question in reading.questions}
    assert asked["date_order"] == "dmy"


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        ("Account,Date,Text,Amount\n111,2026-01-02,A,-1.00\n222,2026-01-03,B,5.00\n", ("111", "222")),
        ("Account,Date,Text,Amount\n111,2026-01-02,A,-1.00\n111,2026-01-03,B,5.00\n", ()),
        ("Account,111\nDate,Text,Amount\n2026-01-02,A,-1.00\n\nAccount,222\nDate,Text,Amount\n2026-01-02,B,5.00\n",
         ("111", "222")),
    ],
)  # fmt: skip
def test_rows_of_several_accounts_in_one_table_are_told(text, accounts):
    [statement] = read(text.encode(), "a.csv").statements
    assert statement.accounts == accounts
    assert statement.account in ({"111", None} if accounts else {"111"})
    assert statement.lines.num_rows == 2


@pytest.mark.parametrize(
    ("own", "rows", "side"),
    [
        ("11-1", [1], "statement"),
        ("222", [2], "statement"),
        ("333", [1, 2], "statement"),  # none of them
        ("111", [1, 2], "ledger"),  # there the column is one of the books' own accounts
    ],
)
def test_of_several_accounts_in_a_column_only_the_own_rows_count(own, rows, side):
    text = b"Account,Date,Text,Amount\n111,2026-01-02,A,-1.00\n222,2026-01-03,B,5.00\n"
    [statement] = read(text, "a.csv", Hints(account=own, side=side, currency="EUR")).statements
    assert [line - 1 for line in statement.lines["line"].to_pylist()] == rows
    assert [each.reason for each in statement.left_out] == ["of another account"] * (2 - len(rows))
    assert statement.accounts == (("111", "222") if len(rows) == 2 else ())


@pytest.mark.parametrize(
    ("header", "first", "units"),
    [
        ("Amount (cents)", "-1050", -1050),
        ("amount_cents", "-1050", -1050),
        ("Amount in minor units", "-1050", -1050),
        ("Amount", "-1050", -105_000),
        ("Amount (cents)", "-10.50", -1050),  # the header is wrong: cents have no decimals
        ("Accents", "-1050", -105_000),
    ],
)
def test_a_header_that_says_cents_is_believed_of_whole_numbers(header, first, units):
    reading = read(f"Date,Text,{header},Currency\n2026-01-02,A,{first},EUR\n2026-01-03,B,500,EUR\n".encode(), "a.csv")
    assert reading.lines["units"][0].as_py() == units
