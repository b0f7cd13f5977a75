"""The quick way through a program's rows reads exactly what the careful one does, or leaves them to it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.statements import json_format, plain_rows
from recon.statements.model import Hints, Reading

HINTS = Hints(sign="as_given", every_row=True)
ROW = {"id": "a", "amount": 10, "reference": "r", "currency": "USD", "date": "2026-01-31"}


def written(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return texts.map(lambda text: json.dumps(text, ensure_ascii=False))


OTHERS = st.sampled_from(["null", "true", "5", "1.5", "[1]", '{"a": "b"}'])
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,11})?([eE]-?[0-9])?", fullmatch=True)
AMOUNTS = st.from_regex(r" ?[-+]?[0-9]{1,7}([.,][0-9]{1,5})?( EUR)?", fullmatch=True)
DAYS = st.dates(date(1850, 1, 1), date(2600, 1, 1)).map(str) | st.sampled_from(["", "-", "2026-02-30", "01/02/2026"])
TIMES = st.sampled_from(["T00:00:00", "T10:20:30", " 23:59:59.5", "T24:00:00", "T23:59:60", "T10:00:00.123456789"])
ZONES = st.sampled_from(["", "Z", "+02:00", "-11:30", "+99:00"])
TEXTS = st.text(st.sampled_from('ab1 -é💶"\\\n\t\u00a0\u2028'), max_size=4) | st.sampled_from(["total", "n/a"])
CODES = st.sampled_from(["USD", "JPY", "BHD"] * 9 + ["usd", "€", "XXX", "RMB", "", "nothing"])
PLAIN = {
    "amount": NUMBERS,
    "currency": written(CODES),
    "date": written(DAYS),
    **dict.fromkeys(("id", "reference", "description", "source"), written(TEXTS)),
}
ODD = {
    **{key: values | OTHERS for key, values in PLAIN.items()},
    "amount": NUMBERS | written(AMOUNTS | st.sampled_from(["", "-", "(5.00)", "٣"])),
    "date": written(st.tuples(DAYS, TIMES, ZONES).map("".join) | DAYS),
}


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Rows of the same keys, more or less, as JSON."""
    values = draw(st.sampled_from([PLAIN, ODD]))
    keys = ["amount", "currency", *draw(st.sets(st.sampled_from(sorted(values))))]
    always = {key: values[key] for key in keys}
    some = {key: always.pop(key) for key in draw(st.sets(st.sampled_from(keys), max_size=1))}
    rows = draw(st.lists(st.fixed_dictionaries(always, optional=some), min_size=1, max_size=4))
    members = (", ".join(f'"{key}": {value}' for key, value in row.items()) for row in rows)
    return "[" + ", ".join(f"{{{each}}}" for each in members) + "]"


def everything(reading: Reading) -> Any:
    [statement] = reading.statements
    of_file = {name: value for name, value in vars(reading).items() if name != "statements"}
    of_statement = {name: value for name, value in vars(statement).items() if name != "lines"}
    return of_file, of_statement, statement.lines.schema, statement.lines.to_pylist()


@given(bodies())
def test_plain_rows_are_read_as_the_careful_reader_reads_them(body):
    quick = plain_rows.read(body.encode(), HINTS)
    if quick is not None:
        assert everything(quick) == everything(json_format.read(body.encode(), "instant.json", HINTS))


@pytest.mark.parametrize("more", [{}, {"amount": "-1.50"}, {"date": "2026-01-31T10:00:00Z"}, {"currency": "JPY"}])
def test_what_programs_usually_send_is_plain(more):
    assert plain_rows.read(json.dumps([ROW, {**ROW, **more}]).encode(), HINTS) is not None


@pytest.mark.parametrize(
    "more",
    [{"amount": "1,5"}, {"amount": "1.234"}, {"amount": None}, {"date": "1/2/2026"}, {"currency": ""}, {"fee": 1}],
)
def test_what_takes_a_look_at_the_other_rows_or_is_wrong_is_not_plain(more):
    assert plain_rows.read(json.dumps([ROW, {**ROW, **more}]).encode(), HINTS) is None
