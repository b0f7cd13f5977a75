"""Large CAMT files: plain entries of one shape are read as columns, all at once; the rest as ever, element by element.

A bank writes most entries with the same elements in the same order. An entry's tags are its *shape*; where a shape is
plain (one transaction, no reversal, no amount in another currency) its texts are picked by their place. In the file
that is parsed, each run of such entries is replaced by one stand-in. What comes out is what ``camt_entries`` makes of
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from recon.rows import ROW_SCHEMA
from recon.statements.camt_columns import columns_of
from recon.statements.camt_shapes import Shape, shape_of
from recon.statements.values import iso_date, iso_instant

WORTHWHILE: Final = 256 * 1024
STAND_IN: Final = "read-as-columns"
"""The attribute of a stand-in; its value is ``first,count`` of the rows it stands for."""

_UTF8: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<\?xml(?:(?!encoding)[^>])*(?:encoding=[\"'](?i:utf-8|us-ascii)[\"'][^>]*)?\?>"
)
_OPENING: Final = re.compile(rb"<((?:[\w.-]+:)?Ntry)[\s>]")
_AMOUNT: Final = re.compile(r"\s*\d{1,13}(?:\.\d{1,2})?\s*")
_CONTROLS: Final = bytes(each for each in range(32) if each not in b"\t\n\r")
_NOT_XML: Final = ("\ufffe".encode(), "\uffff".encode())
"""What no text of a well-formed file holds: the careful reader refuses it."""

_MOST_SHAPES: Final = 500
_DAY_ONLY: Final = len("2026-01-31")

Moment = tuple[date | None, datetime | None]


@dataclass
class _Group:
    """The entries of one shape and direction: their texts, and which of all entries they are."""

    shape: Shape
    indicator: str
    rows: list[tuple[str, ...]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


@dataclass
class Taken:
    """A file without its plain entries, and these as rows of ``ROW_SCHEMA`` (all but their position)."""

    skeleton: bytes
    rows: pa.Table

    def run(self, stand_in: str) -> pa.Table:
        """The rows that a stand-in stands for."""
        first, count = map(int, stand_in.split(","))
        return self.rows.slice(first, count)


def taken(data: bytes, zone: ZoneInfo) -> Taken | None:
    """Take the plain entries out of a large file in UTF-8; None when it is small or has anything uncommon."""
    if len(data) < WORTHWHILE or not _UTF8.match(data) or b"<!" in data or STAND_IN.encode() in data:
        return None
    found = _OPENING.search(data)
    if not found or _has_no_xml_text(data):
        return None
    try:
        return _Taking(data, found[1], zone).result()
    except (UnicodeDecodeError, _Unclosed):  # the careful reader says where and what
        return None


def _has_no_xml_text(data: bytes) -> bool:
    """Whether the bytes hold a character that no XML text may; looked for in passes of C, not by an expression."""
    if b"]]>" in data or len(data.translate(None, _CONTROLS)) != len(data):
        return True
    return not data.isascii() and any(each in data for each in _NOT_XML)


class _Unclosed(Exception):  # noqa: N818 - a signal between two functions, not an error
    """An entry has no end."""


class _Taking:
    """One walk through a file."""

    def __init__(self, data: bytes, name: bytes, zone: ZoneInfo) -> None:
        self._data = data
        self._name = name
        self._zone = zone
        self._shapes: dict[str, Shape | None] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._moments: dict[str, Moment] = {"": (None, None)}
        self._count = 0

    def result(self) -> Taken | None:
        skeleton = b"".join(self._pieces())
        if not self._count:
            return None
        tables = [self._table(group) for group in self._groups.values()]
        whole = pa.concat_tables(tables).sort_by("number").drop_columns("number")
        return Taken(skeleton, whole)

    def _pieces(self) -> Iterator[bytes]:
        """The file with a stand-in for each run of plain entries; line ends are kept, so that places stay right."""
        data, opening, closing = self._data, b"<" + self._name, b"</" + self._name + b">"
        kept = line_from = 0  # up to where the file is copied, and up to where lines are counted
        run_from = first = 0
        line = 1
        end = 0
        start = self._next(opening, 0)
        while start >= 0:
            line += data.count(b"\n", line_from, start)
            line_from = start
            if self._count > first and data[end:start].strip():
                yield from self._stood_in(data[kept:run_from], first, run_from, end)
                kept, first = end, self._count
            if self._count == first:
                run_from = start
            end = data.find(closing, start) + len(closing)
            if end < start:
                raise _Unclosed
            if not self._take(data[start:end].decode(), line) and self._count > first:
                yield from self._stood_in(data[kept:run_from], first, run_from, start)
                kept, first = start, self._count
            start = self._next(opening, end)
        if self._count > first:
            yield from self._stood_in(data[kept:run_from], first, run_from, end)
            kept = end
        yield data[kept:]

    def _next(self, opening: bytes, place: int) -> int:
        """Where the next entry begins; other elements may begin with the same letters."""
        start = self._data.find(opening, place)
        while start >= 0 and self._data[start + len(opening) : start + len(opening) + 1] not in b"> \t\r\n":
            start = self._data.find(opening, start + 1)
        return start

    def _stood_in(self, before: bytes, first: int, start: int, end: int) -> tuple[bytes, bytes, bytes]:
        stand_in = b'<%s %s="%d,%d"/>' % (self._name, STAND_IN.encode(), first, self._count - first)
        return before, stand_in, b"\n" * self._data.count(b"\n", start, end)

    def _take(self, entry: str, line: int) -> bool:
        """Whether the entry is plain; then it is noted."""
        if "&" in entry or entry.count("<") != entry.count(">"):  # a reference, or a bracket that ends no tag
            return False
        parts = entry.replace(">", "<").split("<")
        tags = parts[1::2]
        key = "<".join(tags)
        shape = self._shapes.get(key)
        if shape is None:
            if key in self._shapes or len(self._shapes) > _MOST_SHAPES:
                return False
            shape = self._shapes[key] = shape_of(tags)
            if shape is None:
                return False
        texts = parts[2::2]
        indicator = texts[shape.indicator]
        if indicator not in ("CRDT", "DBIT") or not _AMOUNT.fullmatch(texts[shape.amount]):
            return False
        if shape.status is not None and texts[shape.status] != "BOOK":
            return False
        for place in shape.dates:
            if texts[place] not in self._moments and not self._is_date(texts[place]):
                return False
        group = self._groups.get((key, indicator))
        if group is None:
            group = self._groups[(key, indicator)] = _Group(shape, indicator)
        group.rows.append(shape.pick(texts))
        group.numbers.append(self._count)
        group.lines.append(line)
        self._count += 1
        return True

    def _is_date(self, text: str) -> bool:
        plain = text.strip()
        try:
            instant = iso_instant(plain, self._zone) if len(plain) > _DAY_ONLY else None
            self._moments[text] = (iso_date(plain), instant) if plain else (None, None)
        except ValueError:
            return False
        return True

    def _table(self, group: _Group) -> pa.Table:
        columns = columns_of(group.shape, group.indicator, group.rows, self._moments)
        columns["line"] = pa.array(group.lines, pa.int64())
        count = len(group.rows)
        wanted = [each for each in ROW_SCHEMA if each.name != "position"]
        arrays = [columns.get(each.name, pa.nulls(count, each.type)).cast(each.type) for each in wanted]
        schema = pa.schema([*wanted, pa.field("number", pa.int64())])
        return pa.table([*arrays, pa.array(group.numbers, pa.int64())], schema=schema)
