"""Rows known beforehand, written in a drawn dialect: exactly these must come out, or a question must be asked."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recon.statements import read

pytestmark = pytest.mark.random

DAYS = st.dates(date(2021, 1, 1), date(2029, 12, 31))
TEXTS = st.text(st.sampled_from("abcXYZ äöüéß 0123 .,;|/'\"-"), min_size=1, max_size=24).map(
    lambda text: f"Text {text}x"
)
ROWS = st.lists(st.tuples(DAYS, st.integers(-(10**9), 10**9).filter(bool), TEXTS), min_size=3, max_size=12)
HEADERS = {
    "one": ("Date", "Description", "Amount"),
    "apart": ("Buchungstag", "Verwendungszweck", "Soll", "Haben"),
    "marked": ("Fecha", "Concepto", "Importe", "Debe/Haber"),
}


@st.composite
def dialects(draw):
    """How a bank may write a table."""
    decimal = draw(st.sampled_from(".,"))
    return {
        "delimiter": draw(st.sampled_from([";", "\t", "|"] + ([","] if decimal == "." else []))),
        "decimal": decimal,
        "thousands": draw(st.sampled_from(["", "'", "." if decimal == "," else ","])),
        "date": draw(st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d/%m/%y", "%d %b %Y"])),
        "layout": draw(st.sampled_from(sorted(HEADERS))),
        "minus": draw(st.sampled_from(["-{}", "{}-", "({})", "- {}"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])),
        "above": draw(st.sampled_from([[], [["Account", "DE02120300000000202051"], []]])),
        "line_end": draw(st.sampled_from(["\n", "\r\n"])),
    }


def written(rows, dialect) -> bytes:
    target = io.StringIO(newline="")
    out = csv.writer(
        target, delimiter=dialect["delimiter"], quoting=dialect["quoting"], lineterminator=dialect["line_end"]
    )
    out.writerows([*dialect["above"], HEADERS[dialect["layout"]]])
    for day, units, text in rows:
        out.writerow([day.strftime(dialect["date"]), text, *_amounts(units, dialect)])
    return target.getvalue().encode(dialect["encoding"])


def _amounts(units: int, dialect) -> list[str]:
    plain = f"{abs(units) // 100:,}".replace(",", dialect["thousands"]) + f"{dialect['decimal']}{abs(units) % 100:02d}"
    if dialect["layout"] == "one":
        return [dialect["minus"].format(plain) if units < 0 else plain]
    if dialect["layout"] == "apart":
        return [plain, ""] if units < 0 else ["", plain]
    return [plain, "Debe" if units < 0 else "Haber"]


@given(ROWS, dialects())
def test_known_rows_come_out_as_they_went_in_or_a_question_is_asked(rows, dialect):
    assume({units > 0 for _, units, _ in rows} == {True, False})
    reading = read(written(rows, dialect), "file.csv")
    assert not reading.errors
    asked = {question.about for question in reading.questions} - {"currency"}
    if "date_order" not in asked:
        assert reading.lines["booking_date"].to_pylist() == [day for day, _, _ in rows]
    assert asked <= {"date_order"}
    assert reading.lines["units"].to_pylist() == [units for _, units, _ in rows]
    assert reading.lines["description"].to_pylist() == [text.strip() for _, _, text in rows]
