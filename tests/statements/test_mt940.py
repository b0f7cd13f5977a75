"""MT940 and MT942 as the handbook says, and as banks really send them."""

from __future__ import annotations

import json
from datetime import date

import pytest

from recon.statements import read
from recon.statements.model import Hints, StatementError

HEAD = ":20:REF\n:25:DE0212030000\n:28C:1/1\n:60F:C260101EUR100,00\n"
TAIL = ":62F:C260131EUR100,00\n-\n"


def lines_of(*body: str, hints: Hints | None = None) -> list[dict]:
    reading = read((HEAD + "\n".join(body) + "\n" + TAIL).encode(), "a.sta", hints)
    return reading.statements[0].lines.to_pylist()


@pytest.mark.parametrize(
    ("line", "units"),
    [
        (":61:2601050105C12,34NTRFX", 1234),  # credit
        (":61:2601050105D12,34NTRFX", -1234),  # debit
        (":61:2601050105RC12,34NTRFX", -1234),  # reversal of a credit takes the money out again
        (":61:2601050105RD12,34NTRFX", 1234),  # reversal of a debit gives it back
        (":61:2601050105CR12,34NTRFX", 1234),  # C with the funds code R, not a reversal
        (":61:2601050105RCR12,34NTRFX", -1234),  # RC with the funds code R
        (":61:2601050105dr12,34ntrfx", -1234),  # lower case
        (":61:2601050105C12,NTRFX", 1200),  # no decimals
        (":61:2601050105C,05NTRFX", 5),  # no whole part
        (":61:2601050105C2,8NTRFX", 280),  # one decimal
        (":61:2601050105C000000000300.00NTRFX", 30000),  # a point, leading zeros
        (":61:260105C12,34NTRFX", 1234),  # no entry date
        (":61:2601050105C12,34//BANKREF", 1234),  # no type code
        (":61:2601050105CR1\n2,34NTRFX", 1234),  # the amount broken over two lines
        (":61:2601050105CR12\n,34NTRFX", 1234),
    ],
)
def test_the_sign_and_amount_of_a_line(line, units):
    [row] = lines_of(line)
    assert (row["units"], row["scale"], row["currency"]) == (units, 2, "EUR")


@pytest.mark.parametrize(
    ("line", "booked", "valued"),
    [
        (":61:2601050106C1,00NTRFX", date(2026, 1, 6), date(2026, 1, 5)),
        (":61:260105C1,00NTRFX", date(2026, 1, 5), date(2026, 1, 5)),  # no entry date: the value date
        (":61:2512310102C1,00NTRFX", date(2026, 1, 2), date(2025, 12, 31)),  # booked in the next year
        (":61:2601021230C1,00NTRFX", date(2025, 12, 30), date(2026, 1, 2)),  # booked in the year before
        (":61:9912311231C1,00NTRFX", date(1999, 12, 31), date(1999, 12, 31)),
    ],
)
def test_the_entry_date_is_the_booking_date_in_the_year_nearest_to_the_value_date(line, booked, valued):
    [row] = lines_of(line)
    assert (row["booking_date"], row["value_date"]) == (booked, valued)


def test_german_subfields_give_counterparty_purpose_and_references():
    text = (
        ":86:166?00GUTSCHRIFT?20EREF+E2E-77?21SVWZ+Rechnung RE-2026-01234?22 vom Mai?30BYLADEM1001?31DE99?32Anna GmbH"
    )
    [row] = lines_of(":61:2601050105C1,00NTRFNONREF//B1", text)
    assert (row["reference"], row["counterparty"], row["external_id"]) == ("E2E-77", "Anna GmbH", "B1")
    assert row["description"] == "Rechnung RE-2026-01234 vom Mai"
    assert json.loads(row["extra"])["counterparty_account"] == "DE99"


def test_code_words_between_slashes_give_the_same():
    text = ":86:/TRTP/SEPA OVERBOEKING/IBAN/NL1/BIC/RABONL2U/NAME/J. Jansen/REMI/Factuur 123/EREF/E2E-5"
    [row] = lines_of(":61:2601050105D1,00N586EREF", text)
    assert (row["reference"], row["counterparty"], row["description"]) == ("E2E-5", "J. Jansen", "Factuur 123")


def test_a_full_line_of_free_text_goes_on_in_the_next_without_a_space():
    first = "x" * 60 + " Re12"
    [row] = lines_of(":61:2601050105D1,00NTRFX", ":86:" + first, "345 end", "done")
    assert row["description"] == first + "345 end done"


def test_continuation_pages_become_one_statement():
    page = ":20:R\n:25:A\n:28C:7/{}\n:60{}:C260101EUR{}\n:61:260105C1,00NTRFX\n:62{}:C260105EUR{}\n-\n"
    data = page.format(1, "F", "0,00", "M", "1,00") + page.format(2, "M", "1,00", "F", "2,00")
    [statement] = read(data.encode(), "pages.sta").statements
    assert statement.lines.num_rows == 2
    assert statement.balance_check() == "ok"


def test_two_accounts_in_one_file_are_two_statements():
    data = HEAD + TAIL + HEAD.replace("DE0212030000", "OTHER") + TAIL
    assert [each.account for each in read(data.encode(), "two.sta").statements] == ["DE0212030000", "OTHER"]


def test_expected_lines_of_an_interim_report_are_left_out_visibly():
    data = ":20:R\n:25:A\n:28C:1/1\n:34F:EUR0,\n:61:260105EC5,00NTRFX\n:61:260105D1,00NTRFX\n:90D:1EUR1,00\n-\n"
    [statement] = read(data.encode(), "interim.sta").statements
    assert (statement.lines.num_rows, statement.currency) == (1, "EUR")
    assert [each.reason for each in statement.left_out] == ["expected, not booked"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (":61:2602300105C1,00NTRFX", "260230 is not a date"),
        (":61:2601050230C1,00NTRFX", "0230 is not a date"),
        (":61:2601050105X1,00NTRFX", "layout of a statement line"),
        (":61:2601050105C1.234NTRFX", "a point where a comma belongs"),
        (":61:2601050105C99999999999999999999,00NTRFX", "18 digits"),
        (":61:2601050105C,NTRFX", "not a number"),
        (":61:2601050105C5,X0NTRFB", "after the amount 5, comes 'X0NTRFB', not a type"),
        (":61:2601050105C5,0XNTRFB", "after the amount 5,0 comes 'XNTRFB'"),
        (":61:2601050105C1,234,56NTRFB", "after the amount 1,234 comes ',56NTRFB'"),
        (":61:2601050105C5,-3NTRFB", "comes '-3NTRFB'"),
        (":61:2601050105C5,\u0663NTRFB", "comes '\u0663NTRFB'"),  # a digit, but none of this format
        (":61:2601050105C5,0", "after the amount 5,0 comes nothing"),  # it may have been cut off
        (":61:2601050105C5\n,X0NTRFB", "after the amount 5, comes 'X0NTRFB'"),
    ],
)
def test_a_line_that_cannot_be_read_is_a_row_error_and_never_a_zero(line, says):
    reading = read((HEAD + line + "\n:61:2601050105C2,00NTRFGOOD\n" + TAIL).encode(), "a.sta")
    assert [row["units"] for row in reading.statements[0].lines.to_pylist()] == [200]
    [error] = reading.errors
    assert says in error.message
    assert (error.line, error.column, error.found) == (5, ":61:", line.removeprefix(":61:").split("\n")[0])
    assert "NTRF" in error.expected
    assert error.raw == line


def test_a_statement_that_is_cut_off_says_so():
    reading = read((HEAD + ":61:2601050105C2,00NTRFX\n").encode(), "cut.sta")
    assert reading.statements[0].lines.num_rows == 1
    assert ":62F: missing" in reading.errors[0].message


def test_tags_without_any_statement_are_refused():
    with pytest.raises(StatementError, match="no statement line"):
        read(b":20:STARTUMS\n", "empty.sta")
