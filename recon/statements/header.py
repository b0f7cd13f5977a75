"""Which row of a table is its header, if any."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from recon.statements.cells import Row
from recon.statements.dates import looks_like_date
from recon.statements.mapping import ROLES, Mapping
from recon.statements.numbers import looks_like_amount
from recon.statements.words import ANY_HEADER_WORD, fit, plain

_ROWS_LOOKED_AT: Final = 120


def header_of(rows: Sequence[Row], mapping: Mapping | None = None) -> Row | None:
    """The header row: where the mapping says, else the row with most known words, else a row of words above data."""
    if mapping and mapping.header_row == 0:
        return None
    named = [row for row in rows if mapping and row.line == mapping.header_row]
    if mapping and mapping.columns:
        wanted = {name for names in mapping.columns.values() for name in names}
        named += [row for row in rows[:_ROWS_LOOKED_AT] if wanted <= set(row.cells)]
        best = max(named, key=lambda row: len(wanted & set(row.cells)), default=None)
        if best and (mapping.header_row is None or wanted & set(best.cells)):
            return best
    elif named:
        return named[0]
    return _with_known_words(rows[:_ROWS_LOOKED_AT]) or _words_above_data(rows[:_ROWS_LOOKED_AT])


def _with_known_words(rows: Sequence[Row]) -> Row | None:
    candidates = [row for row in rows if _filled(row) >= 2 and not any(map(is_typed, row.cells))]
    scored = [(_exact(row), row) for row in candidates]
    score, best = max(scored, key=lambda each: (each[0], -each[1].line), default=(0, None))
    if score >= 2 or (score == 1 and best and _filled(best) == 2):
        return best
    scored = [(_exact(row) + _partly(row), row) for row in candidates[:20]]
    score, best = max(scored, key=lambda each: (each[0], -each[1].line), default=(0, None))
    return best if score >= 2 else None


def _words_above_data(rows: Sequence[Row]) -> Row | None:
    """A row of words right above rows that have dates and amounts, in a language not known."""
    filled = [row for row in rows if not row.blank]
    for row, below in pairwise(filled):
        wide = _filled(row) >= max(3, _filled(below) - 2)
        if wide and not any(any(each.isdigit() for each in cell) for cell in row.cells):
            return row if sum(map(is_typed, below.cells)) >= 2 else None
        if any(map(is_typed, row.cells)):
            return None
    return None


def is_typed(cell: str) -> bool:
    """Whether a cell is a value rather than a word: a date or an amount."""
    return any(each.isdigit() for each in cell) and (looks_like_amount(cell) or looks_like_date(cell))


def _filled(row: Row) -> int:
    return sum(1 for cell in row.cells if cell)


def _exact(row: Row) -> int:
    return sum(1 for cell in row.cells if cell and len(cell) < 80 and plain(cell) in ANY_HEADER_WORD)


def _partly(row: Row) -> int:
    return sum(
        1
        for cell in row.cells
        if cell
        and len(cell) < 80
        and plain(cell) not in ANY_HEADER_WORD
        and any(fit(role, cell) >= 35 for role in ROLES)
    )
