"""How texts are made comparable.

A *key* is a text case-folded, in Unicode NFKC, with white space folded to single spaces and without characters that
nobody sees (zero-width spaces, soft hyphens, marks of direction: Unicode's category Cf). A *loose* key keeps
letters and digits only, with the leading zeros of every run of digits dropped ("INV-0012" -> "inv12"). A *compact* key
does the same the other way round: separators go first, so that zeros within a number that is printed in groups stay
("RF18 5390 0754" -> "rf1853900754"). *Tokens* are the runs of letters and digits of a key, joined by single spaces.
Texts with nothing left are None.

DuckDB knows neither NFKC nor case folding, so ASCII texts are done in SQL and the rest here; the two agree.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Python's str.split() folds these control characters too; RE2's \s does not know all of them.
_ASCII_SPACE = r"[\x09-\x0d\x1c-\x20]+"
_UNTIDY_SPACE = r"  |[\x09-\x0d\x1c-\x1f]|^ | $"
_SEPARATORS = r"[^\p{L}\p{N}]+"
_UNTIDY_RUN = r"[^\p{L}\p{N} ]"
_SPACE = ord(" ")
_ASCII_TOKENS = np.array([byte if byte < 128 and chr(byte).isalnum() else _SPACE for byte in range(256)], np.uint8)
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_ZEROS_BETWEEN_DIGITS = r"0[^\p{L}\p{N}]+[0-9]|[0-9][^\p{L}\p{N}]+0"


def text_key(text: str | None) -> str | None:
    """The comparable form of one text, or None if nothing is left of it."""
    if text is None:
        return None
    if not text.isascii():
        text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()) or None


def text_tokens(text: str | None) -> str | None:
    """The letters and digits of a text's key, in runs separated by one space, or None."""
    key = text_key(text) or ""
    return " ".join("".join(letter if _is_token_letter(letter) else " " for letter in key).split()) or None


def loose_key(text: str | None) -> str | None:
    """Letters and digits only, leading zeros of each run of digits dropped: ``loose_key("INV-0012") == "inv12"``."""
    tokens = text_tokens(text)
    return None if tokens is None else _LEADING_ZEROS.sub("", tokens).replace(" ", "")


def compact_key(text: str | None) -> str | None:
    """Letters and digits only, then leading zeros dropped: ``compact_key("RF18 5390 0754") == "rf1853900754"``."""
    tokens = text_tokens(text)
    return None if tokens is None else _LEADING_ZEROS.sub("", tokens.replace(" ", ""))


def text_keys(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The keys of a whole column: Arrow kernels for ASCII, `text_key` for each distinct other text."""
    column = pc.cast(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts, pa.string())
    if column.null_count == len(column):
        return column
    plain = pc.string_is_ascii(column)
    keys = pc.ascii_lower(column)
    if not _is_tidy(keys) and pc.any(untidy := pc.match_substring_regex(keys, _UNTIDY_SPACE)).as_py():
        tidied = pc.ascii_trim(pc.replace_substring_regex(keys, _ASCII_SPACE, " "), " ")
        keys = pc.if_else(untidy, tidied, keys)
    if pc.min(pc.binary_length(keys)).as_py() == 0:
        keys = pc.if_else(pc.equal(keys, ""), pa.scalar(None, pa.string()), keys)
    if pc.all(plain).as_py() is not False:
        return keys
    other = pc.invert(plain)
    return pc.replace_with_mask(keys, pc.fill_null(other, False), _unicode_keys(column.filter(other)))


def _is_tidy(texts: pa.StringArray) -> bool:
    """Whether there is no white space to be folded, at a glance over the letters of all texts: an expression on each
    of them takes five times as long. Where it says no there may be none all the same."""
    _, ends, letters = texts.buffers()
    if letters is None:
        return True
    first, last = np.frombuffer(ends, np.int32)[[texts.offset, texts.offset + len(texts)]]
    seen = np.frombuffer(letters, np.uint8)[first:last]
    if not len(seen):
        return True
    is_space = seen == _SPACE
    if seen.min() < _SPACE or (is_space[1:] & is_space[:-1]).any():
        return False
    at_an_end = pc.or_(pc.starts_with(texts, " "), pc.ends_with(texts, " "))
    return not pc.any(at_an_end).as_py()


def _unicode_keys(column: pa.Array) -> pa.Array:
    coded = column.dictionary_encode()
    keys = pa.array([text_key(text) for text in coded.dictionary.to_pylist()], pa.string())
    return keys.take(coded.indices)


def ascii_tokens(keys: pa.StringArray) -> pa.StringArray:
    """The tokens of keys in ASCII as `tokens_sql` makes them, in less time; of other keys nothing sensible."""
    _, offsets, letters = keys.buffers()
    bounds = np.frombuffer(offsets or b"", np.int32)[keys.offset : keys.offset + len(keys) + 1]
    if not len(keys) or bounds[0] == bounds[-1]:
        return pa.nulls(len(keys), pa.string())
    letter = _ASCII_TOKENS[np.frombuffer(letters, np.uint8)[bounds[0] : bounds[-1]]]
    bounds = bounds - bounds[0]
    space = letter == _SPACE
    followed = np.append(space[1:], True)  # by another space, or by nothing
    followed[bounds[1:] - 1] = True
    letter, bounds = _without(np.flatnonzero(space & followed), letter, bounds)
    first = bounds[:-1][bounds[:-1] < bounds[1:]]
    letter, bounds = _without(first[letter[first] == _SPACE], letter, bounds)
    tokens = pa.StringArray.from_buffers(len(keys), pa.py_buffer(bounds), pa.py_buffer(letter))
    empty = bounds[:-1] == bounds[1:]
    return pc.if_else(pa.array(empty), pa.scalar(None, pa.string()), tokens) if empty.any() else tokens


def _without(
    places: npt.NDArray[np.int64], letter: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Letters without those at some places, and where texts begin and end in what is left."""
    if not len(places):
        return letter, bounds
    return np.delete(letter, places), bounds - np.searchsorted(places, bounds).astype(np.int32)


def tokens_sql(key: str) -> str:
    """SQL for the tokens of a key column. Testing first is ten times cheaper than replacing."""
    replaced = f"nullif(trim(regexp_replace({key}, '{_SEPARATORS}', ' ', 'g')), '')"
    return f"CASE WHEN regexp_matches({key}, '{_UNTIDY_RUN}') THEN {replaced} ELSE {key} END"


def loose_tokens_sql(key: str) -> str:
    """SQL for tokens whose digit runs have lost their leading zeros; without its spaces this is the loose key."""
    tokens = tokens_sql(key)
    # RE2 has no look-behind: keep the character before the zeros, and put one in front of the first token.
    dropped = rf"trim(regexp_replace(' ' || ({tokens}), '([^0-9])0+([0-9])', '\1\2', 'g'))"
    return rf"CASE WHEN regexp_matches({key}, '(^|[^0-9])0+[0-9]') THEN {dropped} ELSE {tokens} END"


def compact_sql(tokens: str) -> str:
    """SQL for the compact key of tokens."""
    return rf"trim(regexp_replace(' ' || replace({tokens}, ' ', ''), '([^0-9])0+([0-9])', '\1\2', 'g'))"


def both_loose_sql(key: str, *, tokens: bool = False) -> str:
    """SQL for the loose key of a text and behind a bar its compact key, if that is another one. With ``tokens`` for
    the tokens that they are made of, those of the compact key with all their zeros.

    One column, so that the texts of a group are not tried in all pairs of two. Letters and digits are no bars.
    """
    runs, whole = loose_tokens_sql(key), tokens_sql(key)
    loose, compact = f"replace({runs}, ' ', '')", compact_sql(whole)
    shown = (runs, whole) if tokens else (loose, compact)
    differ = f"regexp_matches({key}, '{_ZEROS_BETWEEN_DIGITS}') AND {loose} <> {compact}"
    return f"CASE WHEN {differ} THEN ({shown[0]}) || '|' || ({shown[1]}) ELSE {shown[0]} END"


def _is_token_letter(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LN"
