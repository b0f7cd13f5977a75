"""Whole words inside texts, found by numbers.

A token is hashed to 64 bits, and a token that the other side does not have is dropped before anything is joined. Two
tokens that share a number cost a comparison, never a match: the criterion is asked of every pair that is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recon.engine.pairs import Flags, Ints, Rows

Numbers = npt.NDArray[np.uint64]
_AT_ONCE = 8_192
"""Texts that are cut at once: their letters stay in the processor's cache."""
_HASHED = 128
"""Bytes of a token that count; of a longer one only these."""
_WORD = 8
_ODD = np.uint64(0x9E3779B97F4A7C15)
_LOW_BYTES = np.array([(1 << 8 * size) - 1 for size in range(_WORD + 1)], np.uint64)
_BITS = range(10, 26)
"""Of the buckets that numbers are counted in."""


@dataclass(frozen=True)
class Tokens:
    """``text`` counts texts from 0 and ascends; ``size`` is how many tokens each text has, also those not listed."""

    text: Rows
    number: Numbers
    size: Ints


@dataclass(frozen=True)
class LookedUp:
    """The token by which each of some texts is looked up, and about how many texts of the other side have it."""

    text: Rows
    number: Numbers
    count: Ints


def shared_tokens(texts: tuple[pa.ChunkedArray, pa.ChunkedArray]) -> tuple[Tokens, Tokens]:
    """The tokens of two columns of texts that the other has too, and few others.

    A text is tokens joined by single spaces, none is null or empty.
    """
    shorter = int(texts[1].nbytes < texts[0].nbytes)
    few = _tokens(texts[shorter])
    bits = buckets_for(8 * len(few.number))
    many = _tokens(texts[1 - shorter], _Known(few.number, bits))
    few = _only(few, _Known(many.number, bits).has(few.number))
    return (few, many) if shorter == 0 else (many, few)


def rarest(tokens: Tokens, others: Tokens) -> LookedUp:
    """Of the texts all of whose tokens others may have, the token that fewest of the others have.

    A text with a token that no other has stands in none of them.
    """
    whole = np.bincount(tokens.text, minlength=len(tokens.size)) == tokens.size
    tokens = _only(tokens, whole[tokens.text])
    if not len(tokens.text):
        return LookedUp(tokens.text, tokens.number, np.zeros(0, np.int64))
    count = counted(tokens.number, others.number)
    starts = np.flatnonzero(np.diff(tokens.text, prepend=-1))
    best = np.minimum.reduceat(count << 32 | np.arange(len(count)), starts) & 0xFFFF_FFFF
    return LookedUp(tokens.text[best], tokens.number[best], count[best])


def counted(numbers: Numbers, others: Numbers) -> Ints:
    """For each number about how many of the others are the same, never fewer."""
    bits = buckets_for(2 * len(others))
    return np.bincount(bucket_of(others, bits), minlength=1 << bits)[bucket_of(numbers, bits)]


class _Known:
    """Which numbers there may be."""

    def __init__(self, numbers: Numbers, bits: int) -> None:
        self._bits = bits
        self._seen = np.zeros(1 << bits, np.bool_)
        self._seen[bucket_of(numbers, bits)] = True

    def has(self, numbers: Numbers) -> Flags:
        return self._seen[bucket_of(numbers, self._bits)]


def buckets_for(numbers: int) -> int:
    """How many bits number the buckets in which so many numbers are looked for."""
    return min(max(numbers.bit_length(), _BITS.start), _BITS.stop - 1)


def bucket_of(numbers: Numbers, bits: int) -> Ints:
    """The bucket of each number."""
    return (numbers >> np.uint64(64 - bits)).view(np.int64)


def _only(tokens: Tokens, which: Flags) -> Tokens:
    return Tokens(tokens.text[which], tokens.number[which], tokens.size)


def _tokens(texts: pa.ChunkedArray, known: _Known | None = None) -> Tokens:
    """All tokens, or those that may be known."""
    slices = [part for chunk in texts.chunks for part in _slices(chunk)]
    firsts = accumulate((len(part) for part in slices), initial=0)
    cut: Sequence[Tokens] = [_cut(part, known) for part in slices]
    return Tokens(
        np.concatenate(
            [np.zeros(0, np.int32), *(first + each.text for first, each in zip(firsts, cut, strict=False))]
        ),
        np.concatenate([np.zeros(0, np.uint64), *(each.number for each in cut)]),
        np.concatenate([np.zeros(0, np.int64), *(each.size for each in cut)]),
    )


def _slices(texts: pa.StringArray) -> Iterator[pa.StringArray]:
    for start in range(0, len(texts), _AT_ONCE):
        yield texts.slice(start, _AT_ONCE)


def _cut(texts: pa.StringArray, known: _Known | None) -> Tokens:
    _, offsets, letters = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    letter = np.zeros(bounds[-1] - bounds[0] + _WORD, np.uint8)  # the last token too is read by whole words
    letter[:-_WORD] = np.frombuffer(letters, np.uint8)[bounds[0] : bounds[-1]]
    space = letter[:-_WORD] == ord(" ")
    begins = np.zeros(len(space), np.bool_)
    begins[1:] = space[:-1]
    begins[bounds[:-1] - bounds[0]] = True
    start = np.flatnonzero(begins)
    goes_on = space[start - 1]  # is not the first of its text
    goes_on[0] = False
    length = np.diff(start, append=len(space))
    length[:-1] -= goes_on[1:]
    text = np.cumsum(~goes_on, dtype=np.int32) - 1
    size = np.bincount(text)
    number = _hashed(letter, start, length)
    return _only(Tokens(text, number, size), known.has(number)) if known else Tokens(text, number, size)


def _hashed(letter: npt.NDArray[np.uint8], start: Ints, length: Ints) -> Numbers:
    """A number for each token, from eight bytes at a time."""
    words: Numbers = np.ndarray(len(letter) - _WORD, "<u8", letter, strides=(1,))
    number = (words[start] & _LOW_BYTES[np.minimum(length, _WORD)]) * _ODD
    for at in range(_WORD, min(int(length.max(initial=0)), _HASHED), _WORD):
        longer = np.flatnonzero(length > at)
        word = words[start[longer] + at] & _LOW_BYTES[np.minimum(length[longer] - at, _WORD)]
        number[longer] = (number[longer] ^ number[longer] >> np.uint64(29)) + word
        number[longer] *= _ODD
    return number ^ number >> np.uint64(32)
