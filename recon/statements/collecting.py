"""Rows of a statement put together piece by piece: every so many rows become Arrow, so that memory stays small."""

from __future__ import annotations

from json import JSONEncoder
from typing import Any

import pyarrow as pa

from recon.rows import ROW_SCHEMA
from recon.statements.model import StatementError, lines_table

_PIECE = 20_000

encode_extra = JSONEncoder(ensure_ascii=False).encode
"""A line's extra as the JSON text the row keeps."""


class Lines:
    """The lines of one statement in file order; positions count from 1."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._pieces: list[pa.Table] = []
        self._rows: list[dict[str, Any]] = []
        self._count = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take a row of ``ROW_SCHEMA`` without its position; raises StatementError beyond the limit of rows."""
        self._count += 1
        if self._count > self._max_rows:
            raise StatementError(f"A statement in the file has more than {self._max_rows:,} lines.")
        row["position"] = self._count
        self._rows.append(row)
        if len(self._rows) >= _PIECE:
            self._flush()

    def add_table(self, rows: pa.Table) -> None:
        """Take rows that are a table already: ``ROW_SCHEMA`` without the position."""
        self._flush()
        first = self._count + 1
        self._count += rows.num_rows
        if self._count > self._max_rows:
            raise StatementError(f"A statement in the file has more than {self._max_rows:,} lines.")
        positions = pa.array(range(first, self._count + 1), pa.int64())
        self._pieces.append(rows.add_column(0, ROW_SCHEMA.field("position"), positions))

    def __len__(self) -> int:
        return self._count

    def table(self) -> pa.Table:
        """All lines so far."""
        self._flush()
        return pa.concat_tables(self._pieces) if self._pieces else lines_table([])

    def _flush(self) -> None:
        if self._rows:
            self._pieces.append(lines_table(self._rows))
            self._rows = []
