"""Spreadsheets: XLSX, XLS, XLSB and ODS, read by python-calamine, which gives values and never runs a formula."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any, Final

from python_calamine import CalamineError, CalamineWorkbook

from recon.statements.cells import Row, cell_text
from recon.statements.counted_dates import DAY_ZERO, DAY_ZERO_1904
from recon.statements.csv_format import read_rows
from recon.statements.inexact import inexact, text_columns
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Reading, RowError, StatementError
from recon.statements.ole import runs_in_circles
from recon.statements.sheets import chosen, telling

NAME: Final = "xlsx"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = b"PK\x03\x04"
_NAMES: Final = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_PARTS: Final = (b"[Content_Types].xml", b"xl/", b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", b"_rels/")


def detects(head: bytes, name: str) -> int:
    """An OLE file, or a zip whose first parts are those of a workbook. Text named .xls is for the CSV reader."""
    if head.startswith(_OLE):
        return 90
    if not head.startswith(_ZIP):
        return 0
    if any(part in head[:4096] for part in _PARTS):
        return 90
    return 60 if name.lower().endswith(_NAMES) else 0


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """The sheet that holds the table: the first with a header of known words, else the first with anything."""
    _refuse_bombs(data, hints.limits.max_unpacked)
    if data.startswith(_OLE) and runs_in_circles(data):
        raise StatementError("The spreadsheet cannot be opened: it is damaged.")
    sheets = _sheets(data)
    filled = [(each, rows) for each, rows in sheets if rows]
    if not filled:
        raise StatementError("The spreadsheet is empty.")
    partial = hints.mapping or Mapping()
    rows, others = chosen(filled, partial)
    reading = read_rows(NAME, rows, partial, hints, DAY_ZERO_1904 if _counts_from_1904(data) else DAY_ZERO)
    return replace(telling(reading, others, partial), warnings=(*reading.warnings, *_inexact(rows, reading)))


def _counts_from_1904(data: bytes) -> bool:
    """Whether the workbook says so; only the XML ones can be asked."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive, archive.open("xl/workbook.xml") as workbook:
            return _OF_1904.search(workbook.read(_MOST_OF_WORKBOOK)) is not None
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError, zlib.error):
        return False


_OF_1904: Final = re.compile(rb"date1904\s*=\s*[\"'](?:1|true)[\"']")
_MOST_OF_WORKBOOK: Final = 1 << 20


class Inexact(str):
    """A number of more digits than a spreadsheet keeps."""

    __slots__ = ()


def _inexact(rows: Iterable[Row], reading: Reading) -> Iterator[RowError]:
    """Numbers in columns of texts whose last digits the spreadsheet itself has lost."""
    meant = text_columns(reading.mapping)
    named = [(place, name) for place, name in enumerate(reading.header) if name in meant]
    below = (reading.mapping.header_row if reading.mapping else 0) or 0
    for row in rows:
        for place, name in named if row.line > below else ():
            found = row.cells[place] if place < len(row.cells) else ""
            if isinstance(found, Inexact):
                yield inexact(row.line, name, found)


def _sheets(data: bytes) -> list[tuple[str, list[Row]]]:
    """The rows of every sheet. A damaged file may make calamine panic, which is not even an Exception in Python."""
    try:
        workbook = CalamineWorkbook.from_filelike(BytesIO(data))
        return [(each, list(_rows(workbook, each))) for each in workbook.sheet_names]
    except (CalamineError, ValueError, OverflowError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StatementError(f"The spreadsheet cannot be opened: {reason}.") from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise StatementError("The spreadsheet cannot be opened: it is damaged.") from None
        raise


def _rows(workbook: CalamineWorkbook, sheet: str) -> Iterator[Row]:
    for line, cells in enumerate(workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False), start=1):
        row = Row(line, tuple(map(_text, cells)))
        if not row.blank:
            yield row


def _text(value: Any) -> str:
    """A cell as it would be written in a text file.

    Numbers have at most 15 digits, as spreadsheets show them; three decimals get a fourth, so that a column that is
    otherwise written 1.234,56 cannot take the point for a thousands mark.
    """
    if isinstance(value, str):
        return cell_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return _number(value)
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) else ""


def _number(value: float) -> str:
    text = f"{value:.15g}"
    if abs(value) >= _BEYOND_DIGITS:
        return Inexact(f"{value:f}".rstrip("0").rstrip("."))
    if "e" in text:
        text = f"{value:f}".rstrip("0").rstrip(".")
    return text + "0" if text[-4:-3] == "." else text


_BEYOND_DIGITS: Final = 10**15


def _refuse_bombs(data: bytes, limit: int) -> None:
    """Refuse a workbook that unpacks to more than the limit, by what its directory says, before unpacking it."""
    if not data.startswith(_ZIP):
        return
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except zipfile.BadZipFile as error:
        raise StatementError(f"The spreadsheet cannot be opened: {error}.") from None
    if size > limit:
        message = f"The spreadsheet unpacks to {size:,} bytes, more than the limit of {limit:,}."
        raise StatementError.at(message, found=f"{size:,} bytes", expected=f"at most {limit:,} bytes")
