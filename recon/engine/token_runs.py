"""Runs of tokens inside texts of which only letters and digits count, found by numbers.

A run is hashed to 64 bits without the spaces inside it, and a run that is no whole text of the other side is dropped
before anything is joined. Two runs that share a number cost a comparison, never a match: the criterion is asked of
every pair that is found. Letters are bytes here: those beyond ASCII have several, and count as so many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recon.engine.pairs import Flags, Ints, Rows
from recon.engine.tokens import Numbers, bucket_of, buckets_for

_AT_ONCE = 8_192
"""Texts that are cut at once."""
_ODD = 0x9E3779B97F4A7C15
_SPACE, _ZERO, _NINE = (ord(sign) for sign in " 09")
_VALUE: Numbers = np.random.default_rng(1).integers(0, 2**64, 256, np.uint64)
"""Of each byte. A run's number is the sum of its bytes' values, each times a power of an odd number."""


Ways = Sequence[tuple[pa.Table, bool]]
"""Tables ``(u, text)`` of tokens joined by single spaces, and whether leading zeros go after the spaces (a compact
key) or are gone already. A unit has a text in several of them, and a group of rows several texts in one."""


@dataclass(frozen=True)
class Found:
    """Runs by their numbers, and the units in whose texts they are."""

    u: Rows
    number: Numbers


@dataclass(frozen=True)
class _Cut:
    """Tokens of some texts, in order. ``total``: the sums of all bytes before a place. ``more``: 1 for tokens whose
    last zero leads the number that the next token goes on with; it counts only where a run ends with it."""

    text: Rows
    begin: Ints
    end: Ints
    more: Ints
    total: Numbers
    power: Numbers
    inverse: Numbers


def wholes(ways: Ways, least: int) -> tuple[Found, int]:
    """Each text of at least so many letters as one run, and the most letters that one has."""
    found, most = [], 0
    for u, cut in _cuts(ways):
        first = np.flatnonzero(np.diff(cut.text, prepend=-1))
        last = np.append(first[1:], len(cut.text)) - 1
        length, number = _runs(cut, first, last)
        kept = length >= least
        found.append(Found(u[cut.text[first[kept]]], number[kept]))
        most = max(most, int(length.max(initial=0)))
    return _together(found), most


def inner_runs(ways: Ways, wanted: Numbers, least: int, most: int) -> Found:
    """The runs of so many letters whose numbers are among those that are wanted, and few others."""
    bits = buckets_for(8 * len(wanted))
    known = np.zeros(1 << bits, np.bool_)
    known[bucket_of(wanted, bits)] = True
    found = []
    for u, cut in _cuts(ways):
        first = last = np.arange(len(cut.text))
        while len(first):
            length, number = _runs(cut, first, last)
            kept = known[bucket_of(number, bits)] & (length >= least) & (length <= most)
            found.append(Found(u[cut.text[first[kept]]], number[kept]))
            longer = (length <= most) & (last + 1 < len(cut.text))  # a run only grows with its tokens
            first, last = first[longer], last[longer] + 1
            same = cut.text[first] == cut.text[last]
            first, last = first[same], last[same]
    return _together(found)


def _together(found: Sequence[Found]) -> Found:
    units, numbers = [each.u for each in found], [each.number for each in found]
    return Found(np.concatenate([np.zeros(0, np.int32), *units]), np.concatenate([np.zeros(0, np.uint64), *numbers]))


def _runs(cut: _Cut, first: Ints, last: Ints) -> tuple[Ints, Numbers]:
    """How many letters the runs from some tokens to others have, and their numbers."""
    begin, end, more = cut.begin[first], cut.end[last], cut.more[last]
    number = cut.total[end] - cut.total[begin] + _VALUE[_ZERO] * more.astype(np.uint64) * cut.power[end]
    number *= cut.inverse[begin]
    number ^= number >> np.uint64(29)
    return end - begin + more, number * np.uint64(_ODD)


def _cuts(ways: Ways) -> Iterator[tuple[Rows, _Cut]]:
    """Some texts at a time, with their units."""
    for table, compact in ways:
        u, at = table["u"].to_numpy(), 0
        for chunk in table["text"].chunks:
            for start in range(0, len(chunk), _AT_ONCE):
                yield u[at + start :], _cut(chunk.slice(start, _AT_ONCE), compact=compact)
            at += len(chunk)


def _cut(texts: pa.StringArray, *, compact: bool) -> _Cut:
    _, offsets, buffer = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    letter = np.frombuffer(buffer, np.uint8)[bounds[0] : bounds[-1]]
    solid = letter != _SPACE
    opens = np.zeros(len(letter), np.bool_)  # a token begins
    opens[1:] = ~solid[:-1]
    opens[bounds[:-1] - bounds[0]] = True
    heads = np.zeros(len(letter), np.bool_)  # a text begins
    heads[bounds[:-1] - bounds[0]] = True
    letter, begin = letter[solid], np.flatnonzero(opens[solid])
    heads = heads[solid]
    end = np.append(begin[1:], len(letter))
    text = np.cumsum(heads[begin], dtype=np.int32) - np.int32(1)
    more = np.zeros(len(begin), np.int64)
    if compact:
        begin, kept = _without_leading_zeros(letter, heads, begin)
        more += ~kept[end - 1]
        place = np.append(0, np.cumsum(kept))
        letter, begin, end = letter[kept], place[begin], place[end]
    powers = _powers(_ODD, len(letter) + 1)
    total = np.append(np.uint64(0), np.cumsum(_VALUE[letter] * powers[:-1], dtype=np.uint64))
    return _Cut(text, begin, end, more, total, powers, _powers(pow(_ODD, -1, 2**64), len(letter) + 1))


def _without_leading_zeros(letter: npt.NDArray[np.uint8], heads: Flags, begin: Ints) -> tuple[Ints, Flags]:
    """Where runs begin that begin with a token, without zeros that lead a number there; and which letters are no such
    zeros wherever a run begins. Numbers go on over the ends of tokens, and keep their last zero if they have no more.
    """
    places = np.arange(len(letter))
    digit = (letter >= _ZERO) & (letter <= _NINE)
    starts = digit & (heads | ~np.append(False, digit[:-1]))
    nonzero = letter != _ZERO
    since = np.maximum.accumulate(np.where(starts, places, -1))
    leading = ~nonzero & (np.maximum.accumulate(np.where(nonzero & digit, places, -1)) < since)
    goes_on = np.append(digit[1:] & ~heads[1:], False)
    # Of a run inside a number, zeros lead that are within the number; a text of zeros to its end has no such run.
    stop = np.append(np.flatnonzero(heads)[1:], len(letter))[np.cumsum(heads) - 1][begin]
    after = np.append(np.minimum.accumulate(np.where(nonzero, places, len(letter))[::-1])[::-1], len(letter))[begin]
    after = np.minimum(after, stop)
    in_text = after < stop
    number_goes_on = np.zeros(len(begin), np.bool_)
    number_goes_on[in_text] = digit[after[in_text]]
    zeros = ~nonzero[begin]
    first = np.where(zeros & in_text & ~number_goes_on, after - 1, np.where(zeros, after, begin))
    return first, ~(leading & goes_on)


def _powers(base: int, count: int) -> Numbers:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)
