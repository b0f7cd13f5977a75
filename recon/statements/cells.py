"""Text to rows of cells, forgivingly: delimiters, quoting faults, spreadsheet wrappers. No meaning is given yet."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from recon.statements.model import StatementError

DELIMITERS: Final = (",", ";", "\t", "|", "^", "~", ":")
_RARELY: Final = 0.2  # a colon parts columns: notes have colons, too
_FORMULA_TEXT: Final = re.compile(r'="(?P<text>[^"]*)"')
_NAMED_DELIMITER: Final = re.compile(r'"?sep=(?P<delimiter>.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One row: the physical line it starts on (1-based) and its cells, outer space taken away."""

    line: int
    cells: tuple[str, ...]

    @property
    def blank(self) -> bool:
        """Whether no cell has any text."""
        return not any(self.cells)

    @property
    def raw(self) -> str:
        """The row as one text, for messages."""
        return "; ".join(cell for cell in self.cells if cell)


def rows_of(text: str, delimiter: str, max_cell: int) -> Iterator[Row]:
    """Every row of a text. A quotation mark that is never closed makes the rest be read without quoting.

    Raises StatementError for a cell of more than ``max_cell`` characters.
    """
    try:
        yield from _quoted_rows(text, delimiter, max_cell)
    except _OpenQuote as stop:
        rest = "\n".join(text.splitlines()[stop.line - 1 :])
        for row in _unquoted_rows(rest, delimiter):
            yield Row(row.line + stop.line - 1, row.cells)


def cell_text(cell: str) -> str:
    """A cell without outer space and without the wrapper that keeps spreadsheets from reformatting (``="0123"``)."""
    cell = cell.strip()
    if cell.startswith("=") and (found := _FORMULA_TEXT.fullmatch(cell)):
        return found["text"].strip()
    return cell


def delimiter_of(text: str) -> str | None:
    """The delimiter under which the text falls into the most regular table; None when there is no table."""
    if named := _NAMED_DELIMITER.match(text):
        return named["delimiter"]
    scores = {each: _regularity(text, each) * (_RARELY if each == ":" else 1) for each in DELIMITERS}
    best = max(DELIMITERS, key=lambda each: scores[each])
    return best if scores[best] > 0 else None


def typed_cell(cell: str) -> bool:
    """Whether a cell looks like a number, a date or a code rather than a text; quickly, for finding delimiters."""
    return bool(cell) and _TYPED.fullmatch(cell) is not None


class _OpenQuote(Exception):  # noqa: N818 - a signal between two functions, not an error
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def _quoted_rows(text: str, delimiter: str, max_cell: int) -> Iterator[Row]:
    csv.field_size_limit(max_cell)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    line = 1
    last: Row | None = None
    try:
        for cells in reader:
            if last:
                yield last
            if reader.line_num - line > _MOST_LINES_OF_A_ROW:
                raise _OpenQuote(line)
            last = Row(line, tuple(map(cell_text, cells)))
            line = reader.line_num + 1
    except csv.Error:
        if last:
            yield last
        if len(text.splitlines()) - line < 1:
            message = f"Line {line} has a cell of more than {max_cell:,} characters."
            raise StatementError.at(message, line=line, expected=f"cells of at most {max_cell:,} characters") from None
        raise _OpenQuote(line) from None
    if last and line - last.line > 1 and "\n".join(text.splitlines()[last.line - 1 :]).count('"') % 2:
        raise _OpenQuote(last.line)  # the end of the file closed it
    if last:
        yield last


_MOST_LINES_OF_A_ROW: Final = 200
"""A quoted cell over more physical lines than this is a quotation mark that somebody forgot to close."""


def _unquoted_rows(text: str, delimiter: str) -> Iterator[Row]:
    for line, content in enumerate(text.splitlines(), start=1):
        yield Row(line, tuple(cell_text(cell.strip().strip('"')) for cell in content.split(delimiter)))


def _regularity(text: str, delimiter: str) -> float:
    """How regular the rows are: the share of rows with the commonest width, more for typed cells, 0 for no table."""
    rows = [row for row in islice(_some_rows(text, delimiter), _SAMPLE_ROWS) if not row.blank]
    typed = sum(1 for row in rows for cell in row.cells if typed_cell(cell))
    # Exports differ in trailing delimiters, and rows in which of their last columns are filled.
    shapes = max(_shape(map(_width, rows)), _shape(len(row.cells) for row in rows))
    return shapes * (1 + min(typed / len(rows), 4)) if shapes else 0


def _shape(widths: Iterable[int]) -> float:
    """The share of the commonest width of several columns, more for wide rows."""
    counted = Counter(widths)
    tables = {width: count for width, count in counted.items() if width > 1}
    width, count = max(tables.items(), key=lambda each: (each[1] * min(each[0], 6), each[0]), default=(0, 0))
    return count / max(counted.total(), 1) * math.sqrt(min(width, 8))


_SAMPLE_ROWS: Final = 300
_TYPED: Final = re.compile(
    r"[-+(]?[$£€¥]?\s?\d[\d.,' ]*\)?-?(?: ?[A-Z]{3})?|[-+]?[.,]\d+|[A-Z]{3}"
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].{4,20})?|\d{1,2}[-/. ][^\W\d]{3,4}\.?[-/. ]\d{2,4}"
)


def _some_rows(text: str, delimiter: str) -> Iterator[Row]:
    try:
        yield from _quoted_rows(text, delimiter, 1 << 20)
    except (_OpenQuote, StatementError):
        yield from _unquoted_rows(text, delimiter)


def _width(row: Row) -> int:
    """Cells up to the last that has text."""
    return max((place for place, cell in enumerate(row.cells, start=1) if cell), default=0)
