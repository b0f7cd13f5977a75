"""References that a spreadsheet has cut: it keeps 15 digits of a number, and shows six of a long one (1.23457E+16)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow.compute as pc

from recon.statements.columns import has_letter
from recon.statements.mapping import Mapping, Role
from recon.statements.model import RowError
from recon.statements.tables import Table

_TEXTS: Final[tuple[Role, ...]] = ("external_id", "reference", "description", "counterparty", "parent_transaction")
_SHORTENED: Final = r"^\d[.,]\d+E\+\d\d$"


def shortened(table: Table, mapping: Mapping) -> Iterator[RowError]:
    """Cells of texts that a spreadsheet saved as it showed them."""
    for name in text_columns(mapping) & {*table.header}:
        texts = table.texts(name)
        if not has_letter(texts, "+"):
            continue
        for row in pc.indices_nonzero(pc.match_substring_regex(texts, _SHORTENED)).to_pylist():
            yield inexact(table.lines[row].as_py(), name, texts[row].as_py())


def text_columns(mapping: Mapping | None) -> set[str]:
    """The columns whose numbers are names of something, each digit of which counts."""
    columns = mapping.columns if mapping else {}
    return {name for role in _TEXTS for name in columns.get(role, ())}


def inexact(line: int, column: str, found: str) -> RowError:
    """The warning about one cell."""
    message = (
        f"Line {line}, column {column}: {found} is a number of which a spreadsheet has cut digits; it keeps 15."
        " Make the column one of text where it comes from."
    )
    return RowError(line, column, found, "a number of at most 15 digits, or a cell of text", message)
