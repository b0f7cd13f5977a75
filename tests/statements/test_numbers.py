"""Amounts as banks write them."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.rows import amount
from recon.statements.columns import PLACEHOLDERS, amounts_of
from recon.statements.numbers import NumberError, decimal_votes, fitted, parse_amount


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1.234,56", ",", "1234.56"),
        ("1,234.56", ".", "1234.56"),
        ("1'234.56", ".", "1234.56"),  # Switzerland
        ("1’234.56", ".", "1234.56"),  # with the typographic mark
        ("1 234,56", ",", "1234.56"),
        ("1\u202f234,56\u00a0€", ",", "1234.56"),  # France, with narrow and no-break spaces
        ("12,34,567.00", ".", "1234567.00"),  # India
        ("(85.00)", ".", "-85.00"),
        ("($85.00)", ".", "-85.00"),
        ("$(85.00)", ".", "-85.00"),
        ("-$(85.00)", ".", None),
        ("- $12.01", ".", "-12.01"),
        ("-$76.00", ".", "-76.00"),
        ("+$327.49", ".", "327.49"),
        ("$-5.00", ".", "-5.00"),
        ("1,234.56-", ".", "-1234.56"),
        ("\u22125,00", ",", "-5.00"),  # a real minus sign
        ("1234,56 S", ",", "-1234.56"),  # Soll
        ("1234,56 H", ",", "1234.56"),  # Haben
        ("12.34CR", ".", "12.34"),
        ("12.34 Dr.", ".", "-12.34"),
        ("EUR 5", ".", "5"),
        ("5.- CHF", ".", None),  # a price, not an amount of a statement
        ("$.23", ".", "0.23"),
        ("0", ".", "0"),
        ("１２３．４５", ".", "123.45"),  # full-width digits
        ("'12.50", ".", "12.50"),
        ("12,3.4", ".", None),
        ("12,3.4", ",", None),
        ("1.23.4", ".", None),
        ("1,23", ".", None),  # not a group of three: neither 123 nor 1.23
        ("--5", ".", None),
        ("5 -5", ".", None),
        ("1e5", ".", None),
        ("0x10", ".", None),
        ("5%", ".", None),
        ("", ".", None),
        ("-", ".", None),
    ],
)
def test_an_amount_is_read_exactly_or_not_at_all(text, decimal, value):
    if value is None:
        with pytest.raises(NumberError, match=r"\w"):
            parse_amount(text, decimal)
    else:
        read = parse_amount(text, decimal)
        assert amount(read.units, read.scale) == Decimal(value)


@pytest.mark.parametrize(
    ("units", "scale", "currency", "expected"),
    [
        (5, 0, "EUR", (500, 2)),
        (128000000, 3, "CNY", (12800000, 2)),  # 128000.000 has no more than cents
        (1000001, 3, "EUR", (1000001, 3)),  # a tenth of a cent is kept
        (3600000, 2, "JPY", (36000, 0)),
        (1234, 3, "KWD", (1234, 3)),
        (10**18 - 1, 2, "EUR", (10**18 - 1, 2)),
    ],
)
def test_units_come_at_the_scale_of_their_currency(units, scale, currency, expected):
    assert fitted(units, scale, currency) == expected


@pytest.mark.parametrize(("units", "scale"), [(10**18, 2), (10**17, 0), (1, 10)])
def test_more_than_eighteen_digits_or_nine_places_are_refused(units, scale):
    with pytest.raises(NumberError, match="at most"):
        fitted(units, scale, "EUR")


@pytest.mark.parametrize(
    ("texts", "votes"),
    [
        (["1.234,56", "12"], (0, 1, 0)),
        (["1,234.56"], (1, 0, 0)),
        (["1.234", "5.678"], (0, 0, 2)),  # thousands, or thousandths?
        (["1.234.567"], (0, 1, 0)),  # a mark that repeats parts thousands
        (["0.123"], (1, 0, 0)),  # no group begins with zero
        (["1234.567"], (1, 0, 0)),  # a group has at most three digits before it
        (["12", "7"], (0, 0, 0)),
    ],
)
def test_the_decimal_mark_is_voted_for_by_a_whole_column(texts, votes):
    assert decimal_votes(texts) == votes


@given(st.integers(-(10**17), 10**17), st.integers(0, 4), st.sampled_from([",", "."]), st.booleans())
def test_what_is_written_in_a_style_is_read_back(units, scale, decimal, grouped):
    value = amount(units, scale)
    american = f"{value:,.{scale}f}" if grouped else f"{value:.{scale}f}"
    text = american if decimal == "." else american.translate(str.maketrans(".,", ",."))
    read = parse_amount(text, decimal)
    assert amount(read.units, read.scale) == value


_TEXTS = st.text(st.sampled_from("0123456789.,-+ €$()SHCDRe'"), max_size=12)


@given(
    st.lists(st.one_of(_TEXTS, st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str))),
    st.sampled_from([",", "."]),
)
def test_a_column_read_at_once_is_what_its_texts_are_one_by_one(texts, decimal):
    column = amounts_of(pa.array(texts, pa.string()), decimal)
    for row, text in enumerate(texts):
        assert read_of(column, row) == one_by_one(text, decimal)


def read_of(column, row):
    units = column.units[row].as_py()
    value = None if units is None else amount(int(units), column.scales[row].as_py())
    return value, column.symbols.get(row), column.failures.get(row)


def one_by_one(text, decimal):
    try:
        read = parse_amount(text, decimal) if text and text not in PLACEHOLDERS else None
    except NumberError as error:
        return None, None, str(error)
    return (amount(read.units, read.scale), read.currency, None) if read else (None, None, None)
