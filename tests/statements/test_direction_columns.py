"""Which column says which way money goes: one whose header says so, or one of marks, which is asked about."""

from __future__ import annotations

import io
import json

import pytest
from openpyxl import Workbook

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Reading

LEDGER = ["id", "amount", "date", "description", "currency"]
MARKS = [
    ("A", "C"), ("D", "C"), ("S", "H"), ("D", "K"), ("+", "-"), ("CR", "DR"), ("Debit", "Credit"), ("B", "D"),
]  # fmt: skip


def as_csv(rows: list[list[str]]) -> tuple[bytes, str]:
    return "\n".join(",".join(row) for row in rows).encode(), "ledger.csv"


def as_json(rows: list[list[str]]) -> tuple[bytes, str]:
    return json.dumps([dict(zip(rows[0], row, strict=True)) for row in rows[1:]]).encode(), "ledger.json"


def as_xlsx(rows: list[list[str]]) -> tuple[bytes, str]:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue(), "ledger.xlsx"


def with_column(name: str, marks: tuple[str, str]) -> list[list[str]]:
    """Four entries without a sign; the last column alternates between two marks."""
    rows = [[f"e{n}", f"{n}.50", f"2024-03-0{n}", f"Order {n}", "EUR", marks[n % 2]] for n in range(1, 5)]
    return [[*LEDGER, name], *rows]


def read_ledger(file: tuple[bytes, str]) -> Reading:
    return read(*file, Hints(side="ledger"))


def mapping_of(reading: Reading) -> Mapping:
    assert reading.mapping is not None
    return reading.mapping


def units(reading: Reading) -> list[int]:
    return reading.lines["units"].to_pylist()


@pytest.mark.parametrize("written", [as_csv, as_json, as_xlsx])
@pytest.mark.parametrize("marks", MARKS)
def test_references_that_look_like_marks_do_not_turn_amounts_round(marks, written):
    reading = read_ledger(written(with_column("reference", marks)))
    assert units(reading) == [150, 250, 350, 450]
    shown = [None if mark == "-" else mark for mark in marks]
    assert reading.lines["reference"].to_pylist() == [shown[1], shown[0]] * 2
    assert (reading.errors, mapping_of(reading).column("sign"), mapping_of(reading).sign) == ((), None, "as_given")


@pytest.mark.parametrize(
    "name", ["description 2", "payee", "Account type", "Card type", "Customer type", "category", "status", "order id"]
)
def test_a_header_that_means_something_else_is_no_direction(name):
    reading = read_ledger(as_csv(with_column(name, ("D", "C"))))
    assert units(reading) == [150, 250, 350, 450]
    assert mapping_of(reading).sign == "as_given"


@pytest.mark.parametrize("name", ["Direction", "D/C", "Debit/Credit", "Type", "Type (Dr/Cr)", "Tran type"])
def test_a_header_that_says_direction_decides_without_a_question(name):
    """In the books of an asset account a credit is money out."""
    reading = read_ledger(as_csv(with_column(name, ("D", "C"))))
    assert units(reading) == [-150, 250, -350, 450]
    assert (reading.questions, mapping_of(reading).column("sign")) == ((), name)


@pytest.mark.parametrize(("name", "marks"), [("Flag", ("D", "C")), ("xyz", ("A", "B")), ("Type", ("A", "B"))])
def test_marks_alone_are_taken_for_a_direction_and_asked_about(name, marks):
    reading = read_ledger(as_csv(with_column(name, marks)))
    [question] = reading.questions
    assert (question.about, question.suggested) == ("sign", "column")
    assert repr(name) in question.text
    assert (mapping_of(reading).sign, mapping_of(reading).column("sign")) == ("column", name)


@pytest.mark.parametrize(
    ("answer", "expected"), [("column", [-150, 250, -350, 450]), ("as_given", [150, 250, 350, 450])]
)
def test_the_answer_is_kept_in_the_mapping(answer, expected):
    data, name = as_csv(with_column("Flag", ("D", "C")))
    used = mapping_of(read_ledger((data, name)))
    again = read(data, name, Hints(side="ledger", mapping=used.from_dict({**used.to_dict(), "sign": answer})))
    assert (units(again), again.questions) == (expected, ())


def test_a_mark_that_is_none_makes_an_unknown_column_no_direction():
    rows = with_column("Flag", ("D", "C"))
    rows[1][-1] = "Z"
    assert units(read(*as_csv(rows), Hints(side="ledger"))) == [150, 250, 350, 450]


def test_a_running_balance_proves_what_marks_mean():
    rows = with_column("Flag", ("D", "C"))
    for row, balance in zip(rows, ("balance", "101.50", "99.00", "102.50", "98.00"), strict=True):
        row.append(balance)
    reading = read(*as_csv(rows), Hints())
    assert (units(reading), reading.questions) == ([150, -250, 350, -450], ())


def test_a_type_of_debit_and_credit_under_another_header_is_asked_about_but_decides_nothing():
    reading = read_ledger(as_csv(with_column("category", ("Debit", "Credit"))))
    assert units(reading) == [150, 250, 350, 450]
    [question] = reading.questions
    assert (question.about, question.suggested) == ("sign", "as_given")
    assert "'category' (Credit, Debit)" in question.text


@pytest.mark.parametrize("word", ["charge", "purchase", "refund", "payment"])
def test_words_that_mean_the_other_direction_to_a_shop_are_asked_about(word):
    rows = "".join(f"2024-01-{day},A,{day}.00,{word}\n" for day in (13, 14, 15))
    [question] = [
        each for each in read(f"Date,Text,Amount,Type\n{rows}".encode(), "a.csv").questions if each.about == "sign"
    ]
    assert word in question.text
    with_fees = f"Date,Text,Amount,Type,Fee\n{rows.replace(word, word + ',0.30')}"
    assert [each.about for each in read(with_fees.encode(), "a.csv", Hints(currency="EUR")).questions] == ["sign"]


@pytest.mark.parametrize("name", ["DR/CR", "Debit/Credit", "Direction"])
def test_a_mark_that_no_direction_is_known_by_is_an_error_of_its_row(name):
    rows = [["id", "date", "amount", "currency", name], ["1", "2026-01-30", "10.00", "EUR", "DR"],
            ["2", "2026-01-31", "20.00", "EUR", "CR"], ["3", "2026-01-31", "30.00", "EUR", "XX"]]  # fmt: skip
    found = read(*as_csv(rows), Hints())
    assert [(error.line, error.column, error.found) for error in found.errors] == [(4, name, "XX")]
    assert found.statements[0].lines["units"].to_pylist() == [-1000, 2000]


def test_marks_that_most_signs_contradict_are_asked_about():
    rows = "2026-01-02,A,DEBIT,10.00\n2026-01-03,B,CREDIT,20.00\n2026-01-04,C,DEBIT,{}\n"
    asked = [
        [each.suggested for each in read(f"Date,Text,Type,Amount\n{rows.format(last)}".encode(), "a.csv").questions
         if each.about == "sign" and "'Type' (CREDIT, DEBIT)" in each.text]
        for last in ("-5.00", "-5.00\n2026-01-05,D,DEBIT,-6.00\n2026-01-06,E,DEBIT,-7.00")
    ]  # fmt: skip
    assert asked == [["as_given"], []]  # the second has one charge given back, beside three of money out


@pytest.mark.parametrize(
    ("charge", "payment", "asked"),
    [("25.00", "-100.00", ["inverted"]), ("-25.00", "100.00", [])],  # as the issuer sees it, as the holder does
)
def test_a_short_card_statement_is_asked_about_where_its_charges_may_be_plus(charge, payment, asked):
    rows = f"2026-01-13,STORE,ANN,{charge}\n2026-01-14,PAYMENT THANK YOU,ANN,{payment}\n"
    reading = read(f"Date,Description,Card Member,Amount\n{rows}".encode(), "card.csv")
    assert [each.suggested for each in reading.questions if each.about == "sign"] == asked
    assert reading.lines["units"].to_pylist() == [-2500, 10_000]
