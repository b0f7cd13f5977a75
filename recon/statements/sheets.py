"""Files of several sheets: one table is read, and the rows of the others are told, so that none is lost in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from recon.statements.cells import Row
from recon.statements.header import header_of
from recon.statements.mapping import Mapping
from recon.statements.model import LeftOut, Reading

Sheet = tuple[str, list[Row]]
_TOLD: Final = 10_000
"""Rows of other sheets that are listed one by one."""


def chosen(sheets: Sequence[Sheet], partial: Mapping) -> tuple[list[Row], list[Sheet]]:
    """The rows of the first sheet with a header of known words, else of the first with anything; and other tables."""
    headed = [sheet for sheet in sheets if header_of(sheet[1], partial)]
    first = (headed or sheets)[0]
    return first[1], [sheet for sheet in headed if sheet is not first]


def telling(reading: Reading, others: Iterable[Sheet], partial: Mapping) -> Reading:
    """The reading that names the rows below the headers of other sheets as left out."""
    return with_left_out(reading, chain.from_iterable(_below_header(*sheet, partial) for sheet in others))


def with_left_out(reading: Reading, more_rows: Iterable[LeftOut]) -> Reading:
    """The reading with rows that stand elsewhere in its file among those left out."""
    rows = islice(more_rows, _TOLD)
    first, *more = reading.statements
    left_out = (*first.left_out, *rows)
    return replace(reading, statements=(replace(first, left_out=left_out), *more))


def _below_header(name: str, rows: list[Row], partial: Mapping) -> Iterator[LeftOut]:
    header = header_of(rows, partial)
    for row in rows:
        if header and row.line > header.line and not row.blank:
            yield LeftOut(row.line, row.raw, f"on another sheet ({name})")


def on_lines_of_their_own(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of markup that stand on one physical line are counted instead: what is below a header has a higher line."""
    last = 0
    for row in rows:
        last = max(row.line, last + 1)
        yield replace(row, line=last)
