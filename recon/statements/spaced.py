"""Tables whose columns stand below each other, parted by spaces: lists printed as text, tables copied from a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from recon.statements.cells import Row, delimiter_of, typed_cell
from recon.statements.model import StatementError

SPACES: Final = " "
"""How a mapping calls it."""

_CELL: Final = re.compile(r"\S+(?: \S+)*")
_FEWEST_CELLS: Final = 3
_FEWEST_LINES: Final = 2
_FEWEST_TYPED: Final = 2
_MOST: Final = 0.6

Cells = list[tuple[int, str]]  # where a cell starts, and its text


def is_spaced(text: str) -> bool:
    """Whether most lines are such rows, with a date and an amount each, and no delimiter explains them as well."""
    lines = [line for line in text.splitlines()[:_LOOKED_AT] if line.strip()]
    wide = [cells for line in lines if "\t" not in line and len(cells := _cells(line)) >= _FEWEST_CELLS]
    typed = [cells for cells in wide if sum(1 for _, cell in cells if typed_cell(cell)) >= _FEWEST_TYPED]
    if len(typed) < _FEWEST_LINES or len(wide) < _MOST * len(lines):
        return False
    delimiter = delimiter_of(text)
    return delimiter is None or not _parts_most(delimiter, lines)


def _parts_most(delimiter: str, lines: Sequence[str]) -> bool:
    """Whether a delimiter parts most lines into as many cells; between digits it is a mark of numbers or times."""
    mark = re.escape(delimiter)
    apart = re.compile(rf"(?<!\d){mark}|{mark}(?!\d)")
    counts = Counter(len(apart.findall(line)) for line in lines)
    return any(count >= _FEWEST_CELLS - 1 and many >= _MOST * len(lines) for count, many in counts.items())


_LOOKED_AT: Final = 300


def spaced_rows(text: str) -> list[Row]:
    """Every line as a row. Columns are where all wide lines leave the same places free; else cells by their order.

    Raises StatementError when there are no columns.
    """
    lines = [_cells(line) for line in text.splitlines()]
    wide = [cells for cells in lines if len(cells) >= _FEWEST_CELLS]
    if len(wide) < _FEWEST_LINES:
        raise StatementError.at(
            "No columns parted by spaces were found.", line=1, expected="two spaces between columns"
        )
    starts = _columns(wide)
    placed = len(starts) >= max(map(len, wide))
    return [Row(number, _row(cells, starts if placed else ())) for number, cells in enumerate(lines, start=1)]


def _cells(line: str) -> Cells:
    return [(found.start(), found.group()) for found in _CELL.finditer(line.expandtabs())]


def _columns(wide: Sequence[Cells]) -> list[int]:
    """Where columns start: after places that are free in every wide line."""
    ends = max(start + len(text) for cells in wide for start, text in cells)
    edges = [0] * (ends + 1)
    for cells in wide:
        for start, text in cells:
            edges[start] += 1
            edges[start + len(text)] -= 1
    taken = [count > 0 for count in accumulate(edges)]
    return [place for place, here in enumerate(taken) if here and not (place and taken[place - 1])]


def _row(cells: Cells, starts: Sequence[int]) -> tuple[str, ...]:
    """The cells of a line in their columns; a line of one or two cells is a note, and stays as it is."""
    if not starts or len(cells) < _FEWEST_CELLS:
        return tuple(text for _, text in cells)
    row = [""] * len(starts)
    for start, text in cells:
        place = max(place for place, begin in enumerate(starts) if begin <= start)
        row[place] = f"{row[place]} {text}".strip()
    return tuple(row)
