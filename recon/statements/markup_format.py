"""Tables written as markup and named .xls by many banks: HTML pages, and Excel's XML of 2003 (SpreadsheetML).

Source of the latter: Microsoft, "XML Spreadsheet Reference" (2003): Workbook > Worksheet > Table > Row > Cell > Data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from lxml import etree

from recon.statements.cells import Row, cell_text
from recon.statements.csv_encoding import decode, encoding_of
from recon.statements.csv_format import read_rows
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Reading, StatementError
from recon.statements.sheets import chosen, on_lines_of_their_own, telling

NAME: Final = "markup"
_SPREADSHEET: Final = "{urn:schemas-microsoft-com:office:spreadsheet}"
_HTML: Final = re.compile(rb"\s*(?:<!doctype html|<html|<table|<head|<meta|<style|<div|<body)", re.IGNORECASE)
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{2,40})", re.IGNORECASE)
_DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
_MIDNIGHT: Final = re.compile(r"T00:00:00(?:\.0+)?$")
_MAX_BYTES: Final = 64 * 1024 * 1024
"""A page is held in memory as a tree many times its size."""
_MAX_SPAN: Final = 200


def detects(head: bytes, name: str) -> int:
    """Sure for Excel's namespace or for a page that has a table."""
    plain = head.replace(b"\0", b"")
    if _SPREADSHEET.encode()[1:-1] in plain and b"Workbook" in plain:
        return 95
    start = plain.lstrip(b"\xef\xbb\xbf\xff\xfe")
    is_page = _HTML.match(start) or (start.lstrip().startswith(b"<?xml") and b"<html" in plain.lower())
    if not is_page:
        return 0
    return 85 if b"<table" in plain.lower() or b"<tr" in plain.lower() else 45


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """The table with known header words, of a workbook's sheets or of a page's tables together."""
    if len(data) > _MAX_BYTES:
        message = f"The page has {len(data):,} bytes, more than the limit of {_MAX_BYTES:,} for tables in markup."
        raise StatementError.at(message, found=f"{len(data):,} bytes", expected=f"at most {_MAX_BYTES:,} bytes")
    partial = hints.mapping or Mapping()
    is_workbook = b"schemas-microsoft-com:office:spreadsheet" in data[:65536].replace(b"\0", b"")
    sheets = list(_sheets(data)) if is_workbook else [list(_page_rows(data, hints))]
    filled = [(str(number), list(on_lines_of_their_own(rows))) for number, rows in enumerate(sheets, start=1) if rows]
    if not filled:
        raise StatementError("The file has no table with anything in it.")
    rows, others = chosen(filled, partial)
    return telling(read_rows(NAME, rows, partial, hints), others, partial)


def _sheets(data: bytes) -> Iterator[list[Row]]:
    """The rows of every worksheet; a row may skip cells (ss:Index), and dates at midnight lose their time."""
    if b"<!DOCTYPE" in data[:65536].replace(b"\0", b"") or b"<!ENTITY" in data[:65536].replace(b"\0", b""):
        raise StatementError("The file has a document type declaration (DOCTYPE), which no spreadsheet needs.")
    rows: list[Row] = []
    try:
        walk = etree.iterparse(
            BytesIO(data.lstrip()),
            events=("end",),
            tag=[_SPREADSHEET + "Row", _SPREADSHEET + "Worksheet"],
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
        )
        for _, element in walk:
            if element.tag == _SPREADSHEET + "Worksheet":
                yield rows
                rows = []
            elif not (row := Row(element.sourceline or 0, tuple(_cells(element)))).blank:
                rows.append(row)
            element.clear(keep_tail=True)
    except etree.XMLSyntaxError as problem:
        reason = " ".join((problem.msg or "").split())  # libxml parts what and where by a line end
        message = f"The spreadsheet is damaged or cut off at line {problem.lineno}: {reason}"
        raise StatementError.at(message, line=problem.lineno, expected="well-formed XML") from None


def _cells(row: etree._Element) -> Iterator[str]:
    place = 1
    for cell in row.iterchildren(_SPREADSHEET + "Cell"):
        index = cell.get(_SPREADSHEET + "Index", "")
        skipped = int(index) - place if index.isdecimal() and len(index) < 5 else 0
        yield from [""] * max(min(skipped, _MAX_SPAN), 0)
        place += max(skipped, 0) + 1
        value = next(cell.iterchildren(_SPREADSHEET + "Data"), None)
        yield _MIDNIGHT.sub("", cell_text("".join(map(str, value.itertext())))) if value is not None else ""


def _page_rows(data: bytes, hints: Hints) -> Iterator[Row]:
    """The rows of the innermost tables, in the order of the page."""
    declared = _CHARSET.search(data[:65536])
    encoding = hints.encoding or (encoding_of(data) if not declared else _known(declared[1].decode(), data))
    text = _DECLARATION.sub("", decode(data, encoding).lstrip("\ufeff"))
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    page = etree.fromstring(text, parser) if text.strip() else None
    if page is None:
        return
    for row in page.iter("tr"):
        if any(True for _ in row.iter("table")):  # a table that lays out others
            continue
        found = Row(row.sourceline or 0, tuple(_page_cells(row)))  # type: ignore[arg-type]
        if not found.blank:
            yield found


def _known(name: str, data: bytes) -> str:
    try:
        data[:1000].decode(name, errors="ignore")
    except LookupError:
        return encoding_of(data)
    return name


def _page_cells(row: etree._Element) -> Iterator[str]:
    for cell in row.iterchildren("td", "th"):
        span = cell.get("colspan", "1")
        yield cell_text(" ".join("".join(map(str, cell.itertext())).split()))
        yield from [""] * (min(int(span), _MAX_SPAN) - 1 if span.isdecimal() and len(span) < 5 else 0)
