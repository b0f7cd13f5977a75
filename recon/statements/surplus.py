"""Rows of a delimited file with more cells than its header: something in them was parted that belongs together.

An amount like 2,000.00 without quotes becomes a 2 and a 000.00 in the next column, and would be read as two.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.directions import amount_column
from recon.statements.mapping import Mapping
from recon.statements.spaced import SPACES
from recon.statements.tables import UNNAMED, Table

_SOME: Final = 2
"""One row in so many may have a cell too many by mistake; if more have one, the header is what lacks a name."""

_BEGINS: Final = re.compile(r"[^\d]*\d{1,3}")
_GOES_ON: Final = re.compile(r"\d{3}(\D.*)?")


def surplus_cells(table: Table, mapping: Mapping) -> tuple[str, pa.Array, dict[int, str]] | None:
    """The first column without a name behind those of the header, its texts, and by row what was expected there
    instead; None if no row has too much."""
    if table.header_line is None:
        return _parted_without_header(table, mapping)
    beyond = [name for name in table.header[table.named :] if UNNAMED.fullmatch(name)]
    if mapping.delimiter in (None, SPACES) or not beyond:
        return None
    filled = (pc.not_equal(table.texts(name), "") for name in beyond)
    rows = pc.indices_nonzero(reduce(pc.or_, filled)).to_pylist()
    if _SOME * len(rows) > table.rows:
        rows = [row for row in rows if _is_parted(table.cells(row), _places_of_amounts(table, mapping))]
    expected = f"nothing behind the last column; {_quoted(mapping)}"
    return beyond[0], table.texts(beyond[0]), dict.fromkeys(rows, expected)


def _parted_without_header(table: Table, mapping: Mapping) -> tuple[str, pa.Array, dict[int, str]] | None:
    """The same where no header says how many columns there are: what goes on in a column that nothing is read from,
    and that is empty in most rows."""
    used = {name for names in mapping.columns.values() for name in names}
    for place in _places_of_amounts(table, mapping):
        name = table.header[place + 1]
        rows = pc.indices_nonzero(pc.not_equal(table.texts(name), "")).to_pylist()
        if name in used or mapping.delimiter in (None, SPACES) or _SOME * len(rows) > table.rows:
            continue
        if parted := [row for row in rows if _is_parted(table.cells(row), [place])]:
            return name, table.texts(name), dict.fromkeys(parted, f"nothing behind the amount; {_quoted(mapping)}")
    return None


def _quoted(mapping: Mapping) -> str:
    return f"a “{mapping.delimiter}” inside a cell needs quotation marks around it"


def _places_of_amounts(table: Table, mapping: Mapping) -> list[int]:
    names = {amount_column(mapping), mapping.column("debit"), mapping.column("credit")}
    return [place for place, name in enumerate(table.header[:-1]) if name in names]


def _is_parted(cells: tuple[str, ...], places: list[int]) -> bool:
    return any(_BEGINS.fullmatch(cells[place]) and _GOES_ON.fullmatch(cells[place + 1]) for place in places)
