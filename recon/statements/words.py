"""The vocabulary of ``words.toml``, and the plain form in which words are compared."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from recon.statements.mapping import ROLES, Role

_WORDS: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SIGNS: Final = {"-": "minus", "+": "plus"}  # headers of columns for money out and in: [-], [+]
_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})


@lru_cache(maxsize=50_000)  # it is asked of cells too, of which there is no end
def plain(text: str) -> str:
    """Lower case words without accents or punctuation, single-spaced: ``RunningBalance`` is running balance."""
    folded = unicodedata.normalize("NFKD", _HUMP.sub(" ", text)).casefold().translate(_LETTERS)
    bare = "".join(each for each in folded if unicodedata.category(each) != "Mn")
    spaced = "".join(each if each.isalnum() else " " for each in unicodedata.normalize("NFC", bare))
    return " ".join(spaced.split()) or _SIGNS.get(text.strip("[]() "), "")


def _header_words() -> dict[Role, dict[str, int]]:
    """Per role: word -> rank, 0 the most preferred; the best rank over all languages counts."""
    ranked: dict[Role, dict[str, int]] = {role: {} for role in ROLES}
    for language in _WORDS["headers"].values():
        for role in ROLES:
            for rank, word in enumerate(language.get(role, ())):
                known = ranked[role].get(plain(word), rank)
                ranked[role][plain(word)] = min(rank, known)
    return ranked


HEADER_WORDS: Final = _header_words()
ANY_HEADER_WORD: Final = frozenset(word for words in HEADER_WORDS.values() for word in words)
PLUS_WORDS: Final = frozenset(map(str.casefold, _WORDS["signs"]["plus"]))
MINUS_WORDS: Final = frozenset(map(str.casefold, _WORDS["signs"]["minus"]))
SHOP_WORDS: Final = frozenset(map(str.casefold, _WORDS["signs"]["shop"]))
NEUTRAL_WORDS: Final = frozenset(map(str.casefold, _WORDS["signs"]["neutral"]))
BOOKED_WORDS: Final = frozenset(map(plain, _WORDS["rows"]["booked"]))
PENDING_WORDS: Final = frozenset(map(plain, _WORDS["rows"]["pending"]))
VOID_WORDS: Final = frozenset(map(plain, _WORDS["rows"]["void"]))
TOTAL_WORDS: Final = frozenset(map(plain, _WORDS["rows"]["total"]))
OPENING_WORDS: Final = frozenset(map(plain, _WORDS["rows"]["opening"]))
CLOSING_WORDS: Final = frozenset(map(plain, _WORDS["rows"]["closing"]))
BALANCE_PHRASES: Final = tuple(
    each for key in ("opening", "closing") for each in _WORDS["rows"][key] if " " in each and len(each) > len("b f wd")
)
"""Names of balances that are more than one word, as files write them."""
REPAYMENT_WORDS: Final = tuple(map(plain, _WORDS["rows"]["repayment"]))
CARD_WORDS: Final = tuple(map(plain, _WORDS["rows"]["card"]))
CARD_HEADERS: Final = frozenset(map(plain, _WORDS["rows"]["card_alone"]))
FOREIGN_WORDS: Final = frozenset(map(plain, _WORDS["foreign"]["words"]))
PREAMBLE_WORDS: Final = {key: frozenset(map(plain, words)) for key, words in _WORDS["preamble"].items()}
MONTHS: Final = {
    unicodedata.normalize("NFC", name).casefold(): number
    for number, names in enumerate(_WORDS["months"]["names"], start=1)
    for name in names
}


def fit(role: Role, header: str) -> int:
    """How well a header names a role: 0 not at all, about 100 exactly, about 50 as part of a longer header."""
    words = plain(header)
    core = plain(re.sub(r"[(\[（].*?[)\]）]", " ", header))
    ranked = HEADER_WORDS[role]
    joined = words if words.isascii() else words.replace(" ", "")  # 记账金额(支出) is the word 记账金额支出
    for exact, base in ((words, 100), (joined, 100), (core, 95)):
        if exact in ranked:
            return base - min(ranked[exact], 30)
    return max((_part(word, rank, words) for word, rank in ranked.items()), default=0)


def _part(word: str, rank: int, words: str) -> int:
    spaced = word.isascii()  # Chinese and Japanese write headers without spaces
    if len(word) < 2 + spaced or (f" {word} " not in f" {words} " if spaced else word not in words):
        return 0
    return 30 + round(25 * len(word) / len(words)) - min(rank, 20) // 2
