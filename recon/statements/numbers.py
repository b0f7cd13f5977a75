"""Amounts as banks write them, read exactly: digits to integer units and a scale, never through a float.

Understood: ``1.234,56``, ``1,234.56``, ``1'234.56``, ``1 234,56``, ``12,34,567.00``, ``(85.00)``, ``- $12.01``,
``1,234.56-``, ``1234,56 S``, ``12.34CR``, ``EUR 5``, ``.23``, and the same with typographic minus signs and spaces.
Whether point or comma is the decimal mark is decided for a whole column, not for one value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from recon.rows import MAX_SCALE, MAX_UNITS
from recon.statements.currencies import currency_code, exponent

Decimals = Literal[".", ","]

_MINUS: Final = dict.fromkeys(map(ord, "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d"), "-")
_ARABIC_MARKS: Final = {0x66B: ".", 0x66C: ","}  # which are never the other way round
_SPACES: Final = re.compile(r"[\s\u00a0\u2007\u202f\u200b-\u200f\u2060\u202a-\u202e\u2066-\u2069]+")
_DIGITS: Final = re.compile(r"\d(?:[\d.,'’` ]*\d)?[.,]?|[.,]\d+")
_GROUPED: Final = re.compile(r"\d{1,3}(?:(?P<mark>[.,'’` ])\d{3})(?:(?P=mark)\d{3})*|\d{1,3}(?:,\d{2})+,\d{3}")
_MINUS_MARKS: Final = frozenset({"DR", "DB", "D", "S", "SOLL", "DT", "DEBIT", "AF"})
_PLUS_MARKS: Final = frozenset({"CR", "C", "H", "HABEN", "CT", "CREDIT", "BIJ"})


@dataclass(frozen=True)
class Amount:
    """A number as written: signed digits without a decimal mark, and how many of them stand after it.

    ``currency`` is the code or symbol written beside it, if any. ``marked`` says that it carried its own direction
    (a sign, brackets, CR or DR), as opposed to a bare number.
    """

    units: int
    scale: int
    currency: str | None = None
    marked: bool = False


class NumberError(ValueError):
    """A text that is no amount in the given style; the text of the error says what was expected."""


def parse_amount(text: str, decimal: Decimals) -> Amount:
    """Read one amount. Raises NumberError; nothing is rounded, guessed or replaced by zero."""
    plain = clean(text)
    digits = _DIGITS.search(plain)
    if digits is None:
        raise NumberError(f"an amount like 1234{decimal}56")
    if digits.group()[-1] in ".," and plain[digits.end() :].startswith("-"):  # 5.- is a price, and not minus five
        raise NumberError(f"an amount like 1234{decimal}56")
    sign, marked, currency = _surroundings(plain[: digits.start()], plain[digits.end() :], decimal)
    units, scale = _number(digits.group(), decimal)
    return Amount(sign * units, scale, currency, marked)


def clean(text: str) -> str:
    """One kind of minus, space and digit; outer space and quoting (``'1``) taken away."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_MINUS)).translate(_MINUS)
        text = "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text)
        text = text.translate(_ARABIC_MARKS)
    return _SPACES.sub(" ", text).strip().lstrip("'").strip()


def fitted(units: int, scale: int, currency: str | None) -> tuple[int, int]:
    """The same number at its currency's scale, or at more places if it has more; past 18 digits a NumberError."""
    places = exponent(currency)
    while scale > places and units % 10 == 0:
        units, scale = units // 10, scale - 1
    if scale < places:
        units, scale = units * 10 ** (places - scale), places
    if scale > MAX_SCALE:
        raise NumberError(f"at most {MAX_SCALE} decimal places")
    if abs(units) > MAX_UNITS:
        raise NumberError("an amount of at most 18 digits")
    return units, scale


def decimal_votes(texts: Iterable[str]) -> tuple[int, int, int]:
    """How many values can only be read with a decimal point, only with a comma, and how many with either."""
    point = comma = either = 0
    for text in texts:
        if text.isascii() and "." not in text and "," not in text:
            continue  # says nothing, and most files from programs have many such
        digits = _DIGITS.search(clean(text))
        verdict = _verdict(digits.group()) if digits else None
        point += verdict == "."
        comma += verdict == ","
        either += verdict == "?"
    return point, comma, either


def looks_like_amount(text: str) -> bool:
    """Whether a text is an amount in one of the two styles."""
    return any(_readable(text, decimal) for decimal in (".", ","))


def _readable(text: str, decimal: Decimals) -> bool:
    try:
        parse_amount(text, decimal)
    except NumberError:
        return False
    return True


def _verdict(digits: str) -> str | None:
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return "." if digits.rindex(".") > digits.rindex(",") else ","
    if not points and not commas:
        return None
    mark, other = (".", ",") if points else (",", ".")
    if points + commas > 1:
        return other
    before, after = digits.split(mark)
    grouped = len(after) == 3 and 1 <= len(before) <= 3 and not before.startswith("0")
    return "?" if grouped else mark


def _number(digits: str, decimal: Decimals) -> tuple[int, int]:
    whole, mark, fraction = digits.rpartition(decimal) if decimal in digits else (digits, "", "")
    if mark and not fraction.isdecimal() and fraction:
        raise NumberError(f"a number with {decimal!r} before its decimal places only")
    if whole and not whole.isdecimal() and not (_GROUPED.fullmatch(whole) and decimal not in whole):
        raise NumberError(f"a number like 1234{decimal}56, its thousands in groups of three")
    joined = re.sub(r"\D", "", whole) + fraction
    if len(joined.lstrip("0")) > 30:
        raise NumberError("an amount of at most 18 digits")
    return int(joined or "0"), len(fraction)


def _surroundings(before: str, after: str, decimal: Decimals) -> tuple[int, bool, str | None]:
    """Direction and currency, from what stands around the digits; anything not understood is refused."""
    minus, marked, currency = False, False, None
    left, right = before.strip(), after.strip()
    if left.startswith("(") and right.endswith(")"):
        minus, marked, left, right = True, True, left[1:], right[:-1]
    elif left.endswith("(") and right.endswith(")") and "-" not in left:  # $(85.00)
        minus, marked, left, right = True, True, left[:-1], right[:-1]
    elif left.startswith("-(") and right.endswith(")"):
        minus, marked, left, right = True, True, left[2:], right[:-1]
    for word in re.findall(r"[+-]|[^\s+-]+", f"{left} {right}"):
        upper = word.upper().strip(".")
        if word in "+-" or upper in _MINUS_MARKS or upper in _PLUS_MARKS:
            if marked and word != "+":
                raise NumberError("one sign only")
            minus, marked = word == "-" or upper in _MINUS_MARKS, True
        elif currency is None and currency_code(word):
            currency = word
        else:
            raise NumberError(f"an amount like 1234{decimal}56")
    return (-1 if minus else 1), marked, currency
