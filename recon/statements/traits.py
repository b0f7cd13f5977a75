"""What a column of texts looks like, whatever its header says: shares of dates, amounts, directions, currencies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import pyarrow as pa

from recon.statements.columns import without_placeholders
from recon.statements.currencies import currency_code, stated_code
from recon.statements.dates import DateError, looks_like_date, parse_time
from recon.statements.numbers import Decimals, NumberError, decimal_votes, looks_like_amount, parse_amount
from recon.statements.words import (
    BOOKED_WORDS,
    MINUS_WORDS,
    NEUTRAL_WORDS,
    PENDING_WORDS,
    PLUS_WORDS,
    VOID_WORDS,
    plain,
)

_SAMPLE: Final = 200
_MOST_DIGITS: Final = 15
_LONGEST_STATE: Final = 60
_NONZERO: Final = re.compile(r"[1-9]")
_DECIMALS: Final = re.compile(r"[.,]\d{1,2}\D*$")


@dataclass(frozen=True)
class Traits:
    """Shares are of the filled cells of a sample; ``filled`` is the share of cells that are."""

    name: str
    filled: float
    distinct: int
    amounts: float
    decimals: float  # of those that are not zero: written with one or two decimal places, or with a currency sign
    dates: float
    times: float
    directions: float  # words like debit, credit, S, H
    currencies: float
    known_currencies: float  # codes of ISO 4217, not just any three letters
    states: float  # words like booked, pending, failed
    nonzero: tuple[bool, ...]  # per sampled row: an amount is there and is not zero
    values: tuple[Decimal | None, ...]  # per sampled row, in the style that most cells of the column have

    @property
    def empty(self) -> bool:
        """No cell is filled: the header alone must decide."""
        return not self.filled


def traits_of(name: str, column: pa.Array) -> Traits:
    """Look at the first rows of a column."""
    texts: list[str] = without_placeholders(column.slice(0, _SAMPLE)).to_pylist()
    filled = [text for text in texts if text]
    return Traits(
        name=name,
        filled=len(filled) / max(len(texts), 1),
        distinct=len(set(filled)),
        amounts=_share(filled, _is_amount),
        decimals=_share(
            [text for text in filled if _NONZERO.search(text)],
            lambda text: bool(_DECIMALS.search(text)) or sum(decimal_votes([text])) > 0,
        ),
        dates=_share(filled, looks_like_date),
        times=_share(filled, _is_time),
        directions=_share(filled, is_direction),
        currencies=_share(filled, lambda text: stated_code(text) is not None),
        known_currencies=_share(filled, lambda text: len(text) == 3 and currency_code(text) is not None),
        states=_share(filled, is_state),
        nonzero=tuple(bool(text) and any(each in "123456789" for each in text) for text in texts),
        values=values_of(texts),
    )


def values_of(texts: Sequence[str]) -> tuple[Decimal | None, ...]:
    """The numbers of a column, read for comparing them only; None where a cell has none."""
    point, comma, _ = decimal_votes(texts)
    return tuple(_value(text, "," if comma > point else ".") for text in texts)


def _value(text: str, decimal: Decimals) -> Decimal | None:
    try:
        read = parse_amount(text, decimal)
    except NumberError:
        return None
    return Decimal(read.units).scaleb(-read.scale)


def is_direction(text: str) -> bool:
    """Whether a text says in, out or neither."""
    word = text.casefold()
    return word in PLUS_WORDS or word in MINUS_WORDS or word in NEUTRAL_WORDS


def is_state(text: str) -> bool:
    """Whether a text says that a row is booked, pending or failed."""
    word = plain(text) if len(text) < _LONGEST_STATE else ""
    return word in BOOKED_WORDS or word in PENDING_WORDS or word in VOID_WORDS


def _is_amount(text: str) -> bool:
    """A number that money could be: one of more digits than are stored is an account or an id."""
    return 0 < sum(1 for each in text if each.isdigit()) <= _MOST_DIGITS and looks_like_amount(text)


def _share(filled: Sequence[str], holds: Callable[[str], bool]) -> float:
    distinct = set(filled)
    true = {text for text in distinct if holds(text)}
    return sum(1 for text in filled if text in true) / max(len(filled), 1)


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except DateError:
        return False
    return True
