"""A row that could not be read, put right by a person and read again, by the same readers."""

from __future__ import annotations

from collections.abc import Mapping as Plain
from dataclasses import replace
from typing import Final

import pyarrow as pa

from recon.statements.convert import converted
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, RowError, Statement
from recon.statements.tables import UNNAMED, Table

PLAIN: Final = Mapping(
    columns={
        "booking_date": ("date",),
        "amount": ("amount",),
        "currency": ("currency",),
        "reference": ("reference",),
        "description": ("description",),
    },
    decimal=".",
    date_order="ymd",
    sign="as_given",
)
"""How a row is typed in for a file that is no table: ``2026-03-31``, ``-1234.56`` (minus is money out), ``EUR``."""


def reread(cells: Plain[str, str], mapping: Mapping, hints: Hints, line: int | None = None) -> Statement | RowError:
    """The one line that the cells of a row (text by column) are under a full mapping, or what is wrong with them.

    A row that would be left out, as a total or as pending, is an error here: somebody wants it to be a line.
    """
    columns = tuple(pa.array([text.strip()], pa.string()) for text in cells.values())
    named = len([name for name in cells if not UNNAMED.fullmatch(name)])
    table = Table(tuple(cells), columns, pa.array([line or 1], pa.int64()), header_line=0, named=named)
    wanted = [name for names in mapping.columns.values() for name in names]
    if strange := [name for name in wanted if name not in cells]:
        return RowError(line, strange[0], None, "a value", f"The row has no column {strange[0]!r}.")
    # What stands above the table's rows, and rules that need its other rows, say nothing about one row.
    statement, errors = converted(table, replace(mapping, leave_out={}), hints)
    if errors:
        return errors[0]
    if not statement.lines.num_rows:
        reason = statement.left_out[0].reason if statement.left_out else "it holds no amount"
        message = f"This row would be left out: {reason}."
        return RowError(line, None, table.raw(0), "a date and an amount", message, table.raw(0))
    return replace(statement, balances=(), left_out=())
