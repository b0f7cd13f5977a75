"""Bytes of a text table to text: what the file declares, then UTF-8, then the script it makes most sense in."""

from __future__ import annotations

import codecs
import unicodedata
from itertools import islice
from typing import Final

from charset_normalizer import from_bytes

from recon.statements.model import RowError, StatementError
from recon.statements.words import ANY_HEADER_WORD, plain

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES: Final = (
    "cp1252", "gb18030", "cp932", "euc_kr", "big5", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255",
    "cp1256", "cp1257", "cp850", "cp852", "mac_roman", "iso8859_1",
)  # fmt: skip
"""Encodings in which banks write, the likelier first among equals."""

_SAMPLE_BYTES: Final = 64 * 1024
UTF8: Final = ("utf-8", "utf-8-sig")
_BEGINNINGS: Final = bytes(range(0xC2, 0xF5))
"""The bytes with which a character of several begins in UTF-8."""

_RIGHT: Final = 4
_TOLD: Final = 100

_NEVER: Final = frozenset({"Co", "Cn"})
"""Characters for private use and those that are none: bytes that read as such are in another encoding."""

_TELLING_BYTES: Final = 6
"""With fewer bytes than these beyond ASCII, and no header word among them, western European is the best bet
(unless it makes no sense at all: Wp³ywy is a Polish word)."""


def decode(data: bytes, encoding: str) -> str:
    """The text. Raises StatementError, naming the line, when the bytes are no text in the encoding.

    In what is UTF-8 but for a few bytes (one is cut off at the end of a field) these become replacement characters;
    `bytes_that_are_none` tells them.
    """
    try:
        return data.decode(encoding)
    except LookupError:
        raise StatementError.at(
            f"The encoding {encoding!r} is not known.", found=encoding, expected="an encoding like utf-8 or cp1252"
        ) from None
    except UnicodeDecodeError as error:
        if encoding in UTF8 and _is_nearly_utf8(data):
            return data.decode(encoding, errors="replace")
        line = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.start + 4].hex(" ")
        message = f"The file is not {encoding}: line {line} has bytes ({found}) that are no character in it."
        raise StatementError.at(message, line=line, found=found, expected=f"text in {encoding}") from None


def encoding_of(data: bytes) -> str:
    """What the bytes are: their mark, else UTF-16 by its zeros, else UTF-8 if nearly all are, else the best guess."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    if sixteen := _utf16_without_mark(data):
        return sixteen
    if data.isascii():
        return "ascii"
    return "utf-8" if _is_utf8(data) or _is_nearly_utf8(data) else _guess(data)


def bytes_that_are_none(data: bytes, encoding: str | None) -> tuple[RowError, ...]:
    """A warning about each line with bytes that were replaced; the first hundred, as one broken field may be many."""
    if encoding not in UTF8 or _is_utf8(data):
        return ()
    numbered = enumerate(data.splitlines(), start=1)
    wrong = ((line, raw) for line, raw in numbered if not _is_utf8(raw))
    return tuple(_replaced(line, raw) for line, raw in islice(wrong, _TOLD))


def _replaced(line: int, raw: bytes) -> RowError:
    """The warning about the first such byte of a line."""
    shown = raw.decode(errors="replace")
    place = shown.index("\ufffd")
    found = shown[max(place - 12, 0) : place + 12].strip()
    message = (
        f"Line {line}: a byte in {found!r} is no character in UTF-8, in which the rest of the file is."
        " It is read as \ufffd: see what is meant there."
    )
    return RowError(line, None, found, "text in UTF-8", message)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_nearly_utf8(data: bytes) -> bool:
    """Whether at least four, and four times as many, characters of several bytes are right as are wrong.

    Text in another encoding has hardly a pair that is right by chance.
    """
    begun = len(data) - len(data.translate(None, _BEGINNINGS))
    wrong = data.decode(errors="replace").count("\ufffd") - data.count("\ufffd".encode())
    return begun - wrong >= _RIGHT * max(wrong, 1)


def is_text(head: bytes) -> bool:
    """Whether a file's beginning is text at all: no control bytes beyond tab, line ends and form feed."""
    if any(head.startswith(mark) for mark, _ in _MARKS) or _utf16_without_mark(head):
        return True
    return not any(each in head for each in map(bytes, zip(range(9), strict=True))) and b"\x0e" not in head


def _utf16_without_mark(data: bytes) -> str | None:
    sample = data[:4096]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    for name, zeros, letters in (("utf-16-le", sample[1::2], sample[::2]), ("utf-16-be", sample[::2], sample[1::2])):
        if zeros.count(0) > 0.6 * len(zeros) and 0 not in letters:
            return name
    return None


def _guess(data: bytes) -> str:
    """The encoding in which the non-ASCII part reads best: known header words first, then letters over oddities."""
    sample = _telling_part(data)
    scores = {name: score for name in _CANDIDATES if (score := _sense(sample, name)) is not None}
    best = max(scores, key=lambda name: (scores[name], -_CANDIDATES.index(name)))
    few = sum(byte > 127 for byte in sample) < _TELLING_BYTES and scores[best] <= 1  # and no header word is known
    if few and scores.get("cp1252"):
        return "cp1252"
    close = [name for name in scores if scores[name] > scores[best] - 0.02]
    if scores[best] < 0.9 and len(close) > 1:
        found = from_bytes(sample, cp_isolation=close).best()
        return found.encoding if found else best
    return best


def _telling_part(data: bytes) -> bytes:
    lines = [line for line in data[: 1 << 20].splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:_SAMPLE_BYTES]
    return sample[: sample.rfind(b"\n")] if b"\n" in sample[1000:] and len(sample) == _SAMPLE_BYTES else sample


def _sense(sample: bytes, encoding: str) -> float | None:
    """Share of the non-ASCII characters that are plausible, plus one for each header word known; None if not text."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return None
    odd = [each for each in text if not each.isascii()]
    if any(unicodedata.category(each) in _NEVER for each in odd):
        return None
    good = sum(_plausible(before, each, after) for before, each, after in _neighbours(text) if not each.isascii())
    cells = {plain(cell) for line in text.splitlines()[:60] for cell in _cells(line)}
    known = sum(1 for cell in cells if cell in ANY_HEADER_WORD and any(not letter.isascii() for letter in cell))
    accented = sum(1 for line in text.splitlines()[:60] for cell in _cells(line) if _is_accented_word(cell))
    return good / max(len(odd), 1) + min(known + accented, 5)


def _cells(line: str) -> list[str]:
    for delimiter in ",;\t|":
        line = line.replace(delimiter, "\n")
    return [cell.strip(' "') for cell in line.splitlines() if len(cell) < 60]


def _is_accented_word(cell: str) -> bool:
    letters = all(unicodedata.category(each) in {"Ll", "Lu"} for each in cell if not each.isascii())
    return not cell.isascii() and letters and plain(cell).isascii() and plain(cell) in ANY_HEADER_WORD


def _neighbours(text: str) -> list[tuple[str, str, str]]:
    return list(zip(" " + text[:-1], text, text[1:] + " ", strict=True))


def _plausible(before: str, each: str, after: str) -> float:
    """How likely a character is in a bank's text: letters among letters of their own case and script are."""
    kind = unicodedata.category(each)
    if kind in {"Ll", "Lu"}:
        near = [other for other in (before, after) if other.isalpha()]
        foreign = any(other.isascii() for other in near) and _script(each) not in {"LATIN", "MICRO"}
        capital_inside = kind == "Lu" and before.islower()
        return 0.0 if foreign or capital_inside else 1.0
    if kind == "Lo":
        if after.isascii() and after.islower():  # half a Latin word was eaten by a two-byte encoding
            return 0.0
        return 1.0 if _script(each) in {"CJK", "HANGUL", "HIRAGANA", "KATAKANA", "HEBREW", "ARABIC"} else 0.3
    if each in "²³¹" and before.isalpha() and after.isalpha():
        return 0.0
    return 0.8 if each in "€£°§«»–—’“”„…·•º²³·，。（）：、【】－＊￥" else 0.1


def _script(each: str) -> str:
    return unicodedata.name(each, "?").split(" ")[0]
