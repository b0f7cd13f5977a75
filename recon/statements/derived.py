"""Columns that a table lacks but its cells make up: a date in three columns, a date whose year stands above.

Derived columns are appended under names of their own, so that a mapping can name, show and save them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.tables import Table, unique_names
from recon.statements.words import plain

_PARTS: Final = (
    ("year", "jahr", "annee", "ano", "anno", "jaar", "rok", "ar", "年", "년", "год"),
    ("month", "monat", "mois", "mes", "mese", "maand", "mesic", "manad", "月", "월", "месяц"),
    ("day", "tag", "jour", "dia", "giorno", "dag", "den", "日", "일", "день"),
)
"""How columns of years, months and days are called, alone or at the end of a header: ``操作日(年)``."""

_DATEV: Final = ("EXTF", "DTVF")
_DATEV_YEAR: Final = 12
"""Where a DATEV export's first line has the first day of the business year; its dates are of day and month."""


def with_derived_dates(table: Table) -> Table:
    """The table with the dates that several cells make up, if it has such."""
    found = _in_three_columns(table) or _datev(table)
    if not found:
        return table
    name, texts = found
    header = unique_names((*table.header, name), len(table.header) + 1)
    return replace(table, header=header, columns=(*table.columns, texts))


def _in_three_columns(table: Table) -> tuple[str, pa.Array] | None:
    """Neighbouring columns of year, month and day as one of ISO dates."""
    kinds = [_part(name) for name in table.header]
    for place in range(len(kinds) - 2):
        three = kinds[place : place + 3]
        if three in ([0, 1, 2], [2, 1, 0]):
            names = table.header[place : place + 3]
            year, month, day = (names[three.index(part)] for part in range(3))
            texts = [table.texts(year), *(pc.utf8_lpad(table.texts(each), 2, "0") for each in (month, day))]
            joined = pc.binary_join_element_wise(*texts, "-")
            empty = pc.equal(table.texts(year), "")
            return f"{year}, {month}, {day}", pc.if_else(empty, "", joined)
    return None


def _part(name: str) -> int | None:
    words = plain(name).split(" ")
    return next((place for place, known in enumerate(_PARTS) if words[-1] in known), None)


def _datev(table: Table) -> tuple[str, pa.Array] | None:
    """The document dates of a DATEV export (``0501``) with the year that the first line gives."""
    first = next((row.cells for row in table.above if row.cells and row.cells[0] in _DATEV), ())
    name = next((name for name in table.header if plain(name) == "belegdatum"), None)
    starts = first[_DATEV_YEAR] if len(first) > _DATEV_YEAR else ""
    if name is None or not re.fullmatch(r"\d{8}", starts):
        return None
    texts = pc.utf8_lpad(table.texts(name), 4, "0")
    years, months = int(starts[:4]), int(starts[4:6])
    encoded = texts.dictionary_encode()
    dated = [_with_year(text, years, months) for text in encoded.dictionary.to_pylist()]
    return f"{name} with year", pa.array(dated, pa.string()).take(encoded.indices)


def _with_year(text: str, year: int, first_month: int) -> str:
    """``0501`` in a business year that starts in ``first_month``; what has another form stays as it is."""
    if not re.fullmatch(r"\d{4}", text) or text == "0000":
        return "" if text == "0000" else text
    return f"{year + (int(text[2:]) < first_month)}-{text[2:]}-{text[:2]}"
