"""Every file a bank or a processor sends, as statements: ``read(data, name, hints)``.

Plain Python: no Django here. One module per format; a format is a module with ``NAME``, ``detects`` and ``read``,
listed once in ``FORMATS``. To add one, write the module, name it there, and put a sample with its expected reading
under ``tests/data/statements``.
"""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from recon.statements import (
    archives,
    bai2,
    camt,
    csv_format,
    json_format,
    markup_format,
    mt940,
    ofx,
    plain_rows,
    qif,
    xlsx_format,
)
from recon.statements.csv_encoding import bytes_that_are_none
from recon.statements.model import Hints, Reading, StatementError

HEAD_BYTES: Final = 64 * 1024
"""How much of a file detection may look at."""


class Format(Protocol):
    """What a format module offers."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """What the format is called in readings and messages."""
        ...

    def detects(self, head: bytes, name: str) -> int:
        """How sure it is that the file is of this format: 0 not at all, 100 certain by its content."""
        ...

    def read(self, data: bytes, name: str, hints: Hints) -> Reading:
        """The whole file; raises StatementError when all of it must be refused."""
        ...


FORMATS: Final[tuple[Format, ...]] = (camt, mt940, ofx, qif, bai2, xlsx_format, markup_format, json_format, csv_format)


def read(data: bytes | Path, name: str, hints: Hints | None = None) -> Reading:
    """Read a file of any known format. The content decides which, then the name.

    ``data`` is the file's bytes or its path. Raises StatementError, with one clear sentence, for a file that is empty,
    too large, or of no known format; single rows that cannot be read come back as ``Reading.errors``.
    """
    hints = hints or Hints()
    if isinstance(data, bytes):
        return _read(data, name, hints)
    size = data.stat().st_size
    _refuse_size(size, hints)
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        head = view[:HEAD_BYTES]
        # Before a line of gigabytes is copied into memory.
        if not head.startswith(archives.PACKED) and detected(head, name) is csv_format:
            csv_format.refuse_long_lines(view, hints.limits.max_line_length)
        return _read(view[:], name, hints)


def detected(head: bytes, name: str) -> Format:
    """The format that is most sure of a file's beginning. Raises StatementError when none is."""
    if head.lstrip().startswith(b"%PDF"):
        raise StatementError.at(
            "This is a PDF, which is made to be looked at. Download the statement as CSV, CAMT, MT940, OFX or a"
            " spreadsheet.",
            found="%PDF",
            expected="a statement file",
        )
    surest = max(FORMATS, key=lambda each: each.detects(head, name))
    if not surest.detects(head, name):
        raise StatementError.at(
            "This is a binary file of no known kind.", found=repr(head[:16]), expected="a statement file"
        )
    return surest


def _read(data: bytes, name: str, hints: Hints) -> Reading:
    _refuse_size(len(data), hints)
    if hints.every_row and (plain := plain_rows.read(data, hints)):
        return plain
    packed = archives.members(data, name, hints.limits)
    if packed is None:
        return _read_one(data, name, hints)
    return _together([_read_member(member, hints) for member in packed])


def _read_one(data: bytes, name: str, hints: Hints) -> Reading:
    reading = detected(data[:HEAD_BYTES], name).read(data, name, hints)
    broken = bytes_that_are_none(data, reading.encoding)
    return replace(reading, warnings=(*broken, *reading.warnings)) if broken else reading


def _read_member(member: archives.Member, hints: Hints) -> Reading | StatementError:
    """A file of an archive; what it is refused for, if it is."""
    try:
        _refuse_size(len(member.data), hints)
        reading = _read_one(member.data, member.name, hints)
    except StatementError as refusal:
        errors = [replace(each, message=f"{member.name}: {each.message}") for each in refusal.errors]
        return StatementError(f"{member.name}: {refusal}", *errors)
    named = tuple(replace(each, message=f"{member.name}: {each.message}") for each in reading.errors)
    return replace(reading, errors=named)


def _together(found: list[Reading | StatementError]) -> Reading:
    """The files of an archive as one reading; a file that is no statement is an error beside those that are."""
    readings = [each for each in found if isinstance(each, Reading)]
    refusals = [each for each in found if isinstance(each, StatementError)]
    if not readings:
        raise refusals[0]
    first = readings[0]
    if len(found) == 1:
        return first
    return Reading(
        format=", ".join(dict.fromkeys(each.format for each in readings)),
        encoding=first.encoding,
        statements=tuple(statement for each in readings for statement in each.statements),
        errors=tuple(error for reading in readings for error in reading.errors)
        + tuple(error for refusal in refusals for error in refusal.errors),
        questions=tuple(question for each in readings for question in each.questions),
        warnings=tuple(warning for each in readings for warning in each.warnings),
    )


def _refuse_size(size: int, hints: Hints) -> None:
    if not size:
        raise StatementError("The file is empty.")
    limit = hints.limits.max_bytes
    if size > limit:
        message = f"The file has {size:,} bytes, more than the limit of {limit:,}."
        raise StatementError.at(message, found=f"{size:,} bytes", expected=f"at most {limit:,} bytes")
