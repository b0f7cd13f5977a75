"""Statements inside .zip and .gz: unpacked in memory, bounded, and never written anywhere by a member's name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from recon.statements.model import Limits, StatementError

PACKED = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")
"""How zip files (also empty ones, and spreadsheets) and gzip files begin."""

_SPREADSHEET_PARTS = ("[Content_Types].xml", "mimetype", "xl/workbook.xml")
_MAX_MEMBERS = 1000
_MAX_GROWTH = 250
"""Real statements shrink to a fiftieth at most; what grows more than this was made to."""
_SMALL = 16 * 1024 * 1024
"""Up to this size growth does not matter."""
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Member:
    """One file of an archive, unpacked."""

    name: str
    data: bytes


def members(data: bytes, name: str, limits: Limits) -> list[Member] | None:
    """The files of an archive; None if the data is none (spreadsheets are no archives here).

    Raises StatementError for a damaged, encrypted, nested or empty archive, for unpacked data beyond the limit, and
    for member names that point outside the archive.
    """
    if data.startswith(b"\x1f\x8b"):
        inner = PurePosixPath(name).name.removesuffix(".gz") or "file"
        return [_plain(Member(inner, _gunzipped(data, limits)))]
    if not data.startswith(PACKED):
        return None
    try:
        with ZipFile(BytesIO(data)) as archive:
            listed = archive.infolist()
            if any(info.filename in _SPREADSHEET_PARTS for info in listed):
                return None
            return list(_unzipped(archive, listed, len(data), limits))
    except (BadZipFile, EOFError, zlib.error, NotImplementedError, OSError, ValueError, UnicodeDecodeError) as problem:
        raise StatementError(f"The zip file is damaged or of an unknown kind: {problem}") from None


def _gunzipped(data: bytes, limits: Limits) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
            pieces: list[bytes] = []
            size = 0
            while piece := stream.read(_CHUNK):
                size += len(piece)
                _refuse_growth(size, len(data), limits)
                pieces.append(piece)
            return b"".join(pieces)
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise StatementError(f"The gzip file is damaged: {problem}") from None


def _unzipped(archive: ZipFile, listed: list[ZipInfo], packed: int, limits: Limits) -> Iterator[Member]:
    if len(listed) > _MAX_MEMBERS:
        raise StatementError(f"The zip file has {len(listed):,} files, more than the limit of {_MAX_MEMBERS:,}.")
    wanted = [info for info in listed if not info.is_dir() and not _is_litter(info.filename)]
    if not wanted:
        raise StatementError("The zip file has no file in it.")
    _refuse_growth(sum(info.file_size for info in wanted), packed, limits)
    size = 0
    for info in wanted:
        _refuse_path(info.filename)
        if info.flag_bits & 1:
            raise StatementError(f"The file {info.filename} in the zip file is encrypted.")
        pieces: list[bytes] = []
        with archive.open(info) as stream:
            while piece := stream.read(_CHUNK):
                size += len(piece)
                _refuse_growth(size, packed, limits)
                pieces.append(piece)
        yield _plain(Member(info.filename, b"".join(pieces)))


def _plain(member: Member) -> Member:
    if member.data.startswith(PACKED[2]) or (
        member.data.startswith(PACKED[0]) and b"[Content_Types]" not in member.data
    ):
        raise StatementError(f"The file {member.name} is an archive inside an archive, which is not unpacked.")
    return member


def _refuse_growth(size: int, packed: int, limits: Limits) -> None:
    if size > limits.max_unpacked:
        raise StatementError(f"Unpacked, the file has more than the limit of {limits.max_unpacked:,} bytes.")
    if size > _SMALL and size > packed * _MAX_GROWTH:
        raise StatementError(f"Unpacked, the file grows more than {_MAX_GROWTH} times, which no statement does.")


def _refuse_path(name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0] or "\0" in name:
        raise StatementError(f"The zip file has a file named {name!r}, which points outside of it.")


def _is_litter(name: str) -> bool:
    """What operating systems put beside the files."""
    path = PurePosixPath(name)
    return path.parts[0] == "__MACOSX" or path.name in (".DS_Store", "Thumbs.db", "desktop.ini")
