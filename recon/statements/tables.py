"""A table of texts: a header, one Arrow column per header, and what stood above it.

CSV, spreadsheets and JSON all become this before anything is given a meaning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.cells import Row
from recon.statements.columns import without_placeholders
from recon.statements.dates import looks_like_date


@dataclass(frozen=True)
class Table:
    """``columns[i]`` are the texts under ``header[i]`` (never null, outer space taken away); ``lines`` their lines."""

    header: tuple[str, ...]
    columns: tuple[pa.Array, ...]
    lines: pa.Array  # int64, the 1-based physical line of each row
    above: tuple[Row, ...] = ()  # what stood before the header or the first row
    header_line: int | None = None  # None: nothing names the columns; 0: the format itself does (JSON's keys)
    unlike: tuple[Row, ...] = ()  # without a header: first and last rows of another width, which are no lines
    named: int = 0  # how many cells the header has; the columns behind them have invented names

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lines)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each column stands."""
        return {name: place for place, name in enumerate(self.header)}

    def texts(self, name: str) -> pa.Array:
        """The column of that name; KeyError if there is none."""
        return self.columns[self.places[name]]

    def first_filled(self, names: Sequence[str]) -> pa.Array:
        """Per row the text of the first of some columns that has one; empty where none has."""
        texts = self.texts(names[0])
        for name in names[1:]:
            texts = without_placeholders(texts)
            texts = pc.if_else(pc.equal(texts, ""), self.texts(name), texts)
        return texts

    def cells(self, row: int) -> tuple[str, ...]:
        """One row, by its place from 0."""
        return tuple(column[row].as_py() for column in self.columns)

    def raw(self, row: int) -> str:
        """One row as a text for messages."""
        return "; ".join(cell for cell in self.cells(row) if cell)

    def head(self, rows: int) -> Table:
        """The first rows only."""
        return Table(
            self.header,
            tuple(column.slice(0, rows) for column in self.columns),
            self.lines.slice(0, rows),
            self.above,
            self.header_line,
            self.unlike,
            self.named,
        )

    def without_notes(self) -> Table:
        """The rows that have more than half as many cells filled as the fullest; all if the table is narrow."""
        if len(self.columns) <= _NARROW or not self.rows:
            return self
        filled = reduce(pc.add, (pc.not_equal(column, "").cast(pa.int32()) for column in self.columns))
        several = pc.greater(pc.multiply(filled, 2), pc.max(filled))
        if pc.sum(several).as_py() < _FEWEST:  # one full row does not say how full rows are
            several = pc.greater(filled, 1)
        if pc.all(several).as_py() or not pc.any(several).as_py():
            return self
        columns = tuple(column.filter(several) for column in self.columns)
        return replace(self, columns=columns, lines=self.lines.filter(several))


UNNAMED: Final = re.compile(r"column \d+")
"""The invented name of a column without a header."""

_NARROW: Final = 2
_FEWEST: Final = 2


def table_of(rows: Sequence[Row], header: Row | None) -> Table:
    """Rows after their header, or all rows under invented names when there is none. Blank rows are dropped."""
    body = [row for row in rows if not row.blank and (header is None or row.line > header.line)]
    unlike = [] if header else _unlike(body)
    body = [row for row in body if row not in unlike] if unlike else body
    width = max((len(row.cells) for row in body), default=0)
    names = unique_names(header.cells if header else (), max(width, len(header.cells) if header else 0))
    columns = tuple(
        pa.array([row.cells[place] if place < len(row.cells) else "" for row in body], pa.string())
        for place in range(len(names))
    )
    above = tuple(row for row in rows if header and row.line < header.line and not row.blank)
    lines = pa.array([row.line for row in body], pa.int64())
    return Table(
        names,
        columns,
        lines,
        above,
        header.line if header else None,
        tuple(unlike),
        len(header.cells) if header else 0,
    )


def _unlike(rows: Sequence[Row]) -> list[Row]:
    """The first and last rows without a header that are no lines: an account, a balance.

    They have no date where most rows have one, or another number of cells than most.
    """
    dated = Counter(place for row in rows for place, cell in enumerate(row.cells) if cell and looks_like_date(cell))
    place, dates = max(dated.items(), key=lambda each: (each[1], -each[0]), default=(0, 0))
    lines = [number for number, row in enumerate(rows) if _has_date(row, place)]
    outside: list[Row] = []
    if dates >= _FEWEST and 3 * dates >= len(rows) and 3 * dates >= 2 * (lines[-1] - lines[0] + 1):
        outside = [*rows[: lines[0]], *rows[lines[-1] + 1 :]]
        rows = rows[lines[0] : lines[-1] + 1]
    (usual, count), (filled, _) = (_commonest(width(row) for row in rows) for width in (_width, _filled_width))
    if count < _FEWEST:
        return outside
    odd = [row for row in (rows[0], rows[-1]) if _width(row) != usual]
    if odd[-1:] == [rows[-1]] and _filled_width(rows[-1]) == filled:  # it only lacks a delimiter at its end
        odd.pop()
    return [*outside, *odd]


def _width(row: Row) -> int:
    return len(row.cells)


def _filled_width(row: Row) -> int:
    return max((place for place, cell in enumerate(row.cells, start=1) if cell), default=0)


def _commonest(values: Iterable[int]) -> tuple[int, int]:
    """A value and how often it comes."""
    return max(Counter(values).items(), key=lambda each: each[1], default=(0, 0))


def _has_date(row: Row, place: int) -> bool:
    return place < len(row.cells) and looks_like_date(row.cells[place])


def unique_names(header: Sequence[str], width: int) -> tuple[str, ...]:
    """Header texts that name one column each: empty ones are numbered, repeated ones get a counter."""
    names: list[str] = []
    for place in range(width):
        text = header[place] if place < len(header) else ""
        name = text or f"column {place + 1}"
        counter = 2
        while name in names:
            name = f"{text or 'column'} ({counter})"
            counter += 1
        names.append(name)
    return tuple(names)
