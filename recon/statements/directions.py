"""Which way money goes in each row: signs, a column of words, or columns for out and in; asked when nothing says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, Literal

from recon.statements.columns import amounts_of
from recon.statements.direction_columns import with_marks
from recon.statements.mapping import Mapping, Role
from recon.statements.model import Hints, Question
from recon.statements.numbers import NumberError, parse_amount
from recon.statements.proof import PROVEN, agreement
from recon.statements.tables import UNNAMED, Table
from recon.statements.traits import values_of
from recon.statements.words import (
    CARD_HEADERS,
    CARD_WORDS,
    MINUS_WORDS,
    NEUTRAL_WORDS,
    PLUS_WORDS,
    REPAYMENT_WORDS,
    SHOP_WORDS,
    fit,
    plain,
)

Sign = Literal["as_given", "inverted"]
_SAMPLE = 2_000
_FEW: Final = 2
"""As many rows without a minus prove too little: nothing says which way the first of them goes."""
_PAIRS: Final = (
    {"d", "c"}, {"dr", "cr"}, {"db", "cr"}, {"d", "k"}, {"s", "h"}, {"d", "h"}, {"+", "-"},
)  # fmt: skip
"""Short marks that belong together; an A beside a C is of two languages, or no mark at all."""

_BLNK = {"id", "amount", "date", "currency", "reference"}


def with_directions(table: Table, mapping: Mapping, hints: Hints) -> tuple[Mapping, Question | None]:
    """The mapping with its sign rule, and the question that remains, if any."""
    sample = table.head(_SAMPLE)
    if mapping.column("debit") or mapping.column("credit"):
        return _apart(sample, mapping)
    if not mapping.minus_words and mapping.sign in {None, "column"} and (marked := _by_marks(sample, mapping, hints)):
        return marked
    if mapping.sign:
        return (_with_words(sample, mapping) if mapping.sign == "column" else mapping), None
    if hints.sign:
        return _signed(mapping, hints.sign), None
    signs = _signs(sample, mapping)
    words = _words(sample, mapping)
    if any(words) and not any(sign < 0 for sign in signs):
        return _with_words(sample, mapping), _doubted(sample, mapping, words)
    proven = _proven_by_balance(sample, mapping)
    if proven and not is_card(table, mapping) and (any(sign < 0 for sign in signs) or len(signs) > _FEW):
        return _signed(mapping, proven), _question("inverted") if proven == "inverted" else None
    if (words and _opposed(signs, words)) or _charges_are_plus(sample, mapping, signs):
        return _signed(mapping, "inverted"), _question("inverted")
    unsigned = any(signs) and not any(sign < 0 for sign in signs) and not _marked(sample, mapping)
    mostly_plus = is_card(table, mapping) and signs.count(1) >= signs.count(-1)
    unsure = unsigned or (mostly_plus and not proven and _repayments(sample, mapping, signs) != {1})
    asked = unsure and hints.side == "statement" and not {name.casefold() for name in table.header} >= _BLNK
    suggested: Sign = "inverted" if asked and is_card(table, mapping) else "as_given"
    hinting = _hinting(sample, mapping) if unsigned else None
    if words and not asked and not proven and _contradicted(signs, words):
        hinting = replace(_meant_as_direction(sample, mapping.column("sign") or ""), suggested="as_given")
    return _signed(mapping, suggested), hinting or (_question(suggested) if asked else None)


def _by_marks(table: Table, mapping: Mapping, hints: Hints) -> tuple[Mapping, Question | None] | None:
    """What a column of two marks says where amounts have no signs; a balance that agrees answers which is which."""
    words = _words(table, mapping)
    if hints.sign or hints.side == "ledger" or (words and all(words)):  # both are known words
        return None
    if any(sign < 0 for sign in _signs(table, mapping)) or not (marked := with_marks(table, mapping)):
        return None
    read, question = marked
    turned = replace(read, plus_words=read.minus_words, minus_words=read.plus_words)
    for way in (read, turned) if question else ():
        marks = table.texts(way.column("sign") or "").to_pylist()
        if _agrees_with_balance(table, way, [1 if mark in way.plus_words else -1 for mark in marks]):
            return way, None
    return read, question


def _signed(mapping: Mapping, sign: Sign) -> Mapping:
    """The mapping whose amounts carry their own sign: a column of directions is then one of plain texts."""
    columns: dict[Role, tuple[str, ...]] = {**mapping.columns}
    columns.pop("sign", None)
    return replace(mapping, columns=columns, sign=sign)


def _doubted(table: Table, mapping: Mapping, words: list[int]) -> Question | None:
    """What to ask about a column that was taken for directions by its marks more than by its header."""
    name = mapping.column("sign") or ""
    kind = fit("type_code", name)
    if fit("sign", name) and not kind:
        return None
    if _of_a_shop(table, name):
        return None if _agrees_with_balance(table, mapping, words) else _meant_as_direction(table, name)
    short = _short_marks(table, name)
    both = {1, -1} <= {*words}
    if _belong_together(short) and (kind or (both and (not short or UNNAMED.fullmatch(name)))):
        return None
    if _agrees_with_balance(table, mapping, words):
        return None
    return _meant_as_direction(table, name)


def _of_a_shop(table: Table, name: str) -> bool:
    """Whether all that says a direction are words which mean the other one to the shop: a charge is its money in."""
    telling = {text.casefold() for text in table.texts(name).to_pylist()} & (PLUS_WORDS | MINUS_WORDS)
    return telling <= SHOP_WORDS


def _meant_as_direction(table: Table, name: str) -> Question:
    return Question(
        "sign",
        f"Does the column {name!r} ({_some(table, name)}) say which way money goes?",
        (
            ("column", "yes, it marks money in and money out"),
            ("as_given", "no, plus is money in"),
            ("inverted", "no, plus is money out, as on card statements"),
        ),
        "column",
    )


def _short_marks(table: Table, name: str) -> set[str]:
    """The texts of a column that are so short that they may be anything: A, C, +, DR."""
    texts = {text.casefold() for text in table.texts(name).to_pylist()}
    return {text for text in texts if 0 < len(text) <= 2 and text.isascii()}


def _belong_together(short: set[str]) -> bool:
    return not short or any(short <= pair for pair in _PAIRS)


def _some(table: Table, name: str) -> str:
    return ", ".join(sorted({text for text in table.texts(name).to_pylist() if text})[:4])


def _hinting(table: Table, mapping: Mapping) -> Question | None:
    """What to ask about amounts without signs beside a column of a type, whose header does not mean a direction."""
    name = mapping.column("type_code")
    if not name or mapping.column("sign"):
        return None
    texts = {text.casefold() for text in table.texts(name).to_pylist() if text}
    if not (texts <= PLUS_WORDS | MINUS_WORDS and texts & PLUS_WORDS and texts & MINUS_WORDS):
        return None
    if not _belong_together(_short_marks(table, name)):
        return None
    more = f"If the column {name!r} ({_some(table, name)}) says it, choose that as the direction column."
    asked = _question("as_given")
    return replace(asked, text=f"{asked.text} {more}")


def _agrees_with_balance(table: Table, mapping: Mapping, words: list[int]) -> bool:
    name, amount = mapping.column("balance"), amount_column(mapping)
    if not name or not amount:
        return False
    balances, amounts = (values_of(table.texts(each).to_pylist()) for each in (name, amount))
    moves = [None if value is None else value * word for value, word in zip(amounts, words, strict=True)]
    return agreement(moves, balances) >= PROVEN


def _proven_by_balance(table: Table, mapping: Mapping) -> Sign | None:
    """How the running balance takes the amounts, if there is one and it agrees."""
    name, amount = mapping.column("balance"), amount_column(mapping)
    if not name or not amount:
        return None
    balances, amounts = (values_of(table.texts(each).to_pylist()) for each in (name, amount))
    if agreement(amounts, balances) >= PROVEN:
        return "as_given"
    if agreement(amounts, balances, before=True) >= PROVEN and any(value and value < 0 for value in amounts):
        return "as_given"  # a balance before each row, or the opposite sign in the other order: as the signs say
    return "inverted" if agreement(_negated(amounts), balances) >= PROVEN else None


def _negated(values: Sequence[Decimal | None]) -> list[Decimal | None]:
    return [None if value is None else -value for value in values]


def _question(suggested: Sign) -> Question:
    return Question(
        "sign",
        "Are positive amounts money in or money out?",
        (("as_given", "plus is money in"), ("inverted", "plus is money out, as on card statements")),
        suggested,
    )


def _apart(table: Table, mapping: Mapping) -> tuple[Mapping, Question | None]:
    """Columns for out and in: the out column may carry its own minus. Without a header, out is the busier one."""
    debit, credit = mapping.column("debit"), mapping.column("credit")
    question = None
    if debit and credit and table.header_line is None:
        out, into = _values(table, debit, mapping), _values(table, credit, mapping)
        swapped = (_negative(into) and not _negative(out)) or (not _negative(out) and _count(into) > _count(out))
        if swapped and not mapping.debits:
            debit, credit = credit, debit
            mapping = replace(mapping, columns={**mapping.columns, "debit": (debit,), "credit": (credit,)})
        if not mapping.debits and not _negative(out) and not _negative(into):
            if proven := _out_by_balance(table, mapping, debit, credit):
                debit, credit = proven
                columns = {**mapping.columns, "debit": (debit,), "credit": (credit,)}
                return replace(mapping, columns=columns, debits="positive", sign="as_given"), None
            question = Question(
                "columns.debit", "Which column is money out?", ((debit, debit), (credit, credit)), debit
            )
    negative = bool(debit) and _negative(_values(table, debit or "", mapping))
    style = mapping.debits or ("negative" if negative else "positive")
    if credit and not negative and not mapping.sign and _negative(_values(table, credit, mapping)):
        return replace(mapping, debits=style, sign="inverted"), question or _CREDITS_ARE_NEGATIVE
    return replace(mapping, debits=style, sign=mapping.sign or "as_given"), question


_CREDITS_ARE_NEGATIVE: Final = Question(
    "sign",
    "The column of money in has only negative amounts. Are they money in all the same?",
    (("inverted", "yes, they lower what is owed, as on card statements"), ("as_given", "no, they are money out")),
    "inverted",
)


def _out_by_balance(table: Table, mapping: Mapping, first: str, second: str) -> tuple[str, str] | None:
    """Which of two columns is money out and which is money in, by the running balance; None if it does not say."""
    name = mapping.column("balance")
    if not name:
        return None
    balances = values_of(table.texts(name).to_pylist())
    out, into = (values_of(table.texts(each).to_pylist()) for each in (first, second))
    moves = [(more or Decimal(0)) - (less or Decimal(0)) for less, more in zip(out, into, strict=True)]
    if agreement(moves, balances) >= PROVEN:
        return first, second
    return (second, first) if agreement(_negated(moves), balances) >= PROVEN else None


def _values(table: Table, name: str, mapping: Mapping) -> list[int]:
    units = amounts_of(table.texts(name), mapping.decimal or ".").units.to_pylist()
    return [int(each) for each in units if each]


def _negative(values: list[int]) -> bool:
    return bool(values) and all(value < 0 for value in values)


def _count(values: list[int]) -> int:
    return len(values)


def _signs(table: Table, mapping: Mapping) -> list[int]:
    """Per row the sign of its amount: -1, 0, 1; 0 also where there is none."""
    name = amount_column(mapping)
    if name is None:
        return []
    units = amounts_of(table.texts(name), mapping.decimal or ".").units.to_pylist()
    return [0 if not each else (1 if each > 0 else -1) for each in units]


def amount_column(mapping: Mapping) -> str | None:
    """The one signed column that is reconciled: the amount, else gross or net as the mapping says."""
    if mapping.amount_column and mapping.column(mapping.amount_column):
        return mapping.column(mapping.amount_column)
    return mapping.column("amount") or mapping.column("gross") or mapping.column("net")


def _marked(table: Table, mapping: Mapping) -> bool:
    """Whether amounts carry plus signs or CR marks: then plus was meant as plus."""
    texts = table.texts(amount_column(mapping) or "").to_pylist()
    for text in texts:
        try:
            if text and parse_amount(text, mapping.decimal or ".").marked:
                return True
        except NumberError:
            continue
    return False


def _words(table: Table, mapping: Mapping) -> list[int]:
    """Per row what the direction column says: 1 in, -1 out, 0 neither or unknown."""
    name = mapping.column("sign")
    if name is None:
        return []
    words = [text.casefold() for text in table.texts(name).to_pylist()]
    if mapping.column("fee") or mapping.column("net"):  # a processor's report for a shop
        words = ["" if word in SHOP_WORDS else word for word in words]
    return [1 if word in PLUS_WORDS else -1 if word in MINUS_WORDS else 0 for word in words]


def _opposed(signs: list[int], words: list[int]) -> bool:
    """Every row says the opposite of its sign, in both directions: a card statement with charges as plus."""
    pairs = {(sign, word) for sign, word in zip(signs, words, strict=True) if sign and word}
    return pairs == {(1, -1), (-1, 1)}


def _contradicted(signs: list[int], words: list[int]) -> bool:
    """Most rows that are said to be money out have no minus, though others have: neither tells which way they go."""
    out = [sign for sign, word in zip(signs, words, strict=True) if sign and word < 0]
    return out.count(1) >= max(out.count(-1), 1)


def _charges_are_plus(table: Table, mapping: Mapping, signs: list[int]) -> bool:
    """Most amounts are plus and every payment to the issuer is minus: a card statement seen from the issuer."""
    if signs.count(-1) == 0 or signs.count(1) <= 2 * signs.count(-1):
        return False
    return _repayments(table, mapping, signs) == {-1}


def _repayments(table: Table, mapping: Mapping, signs: list[int]) -> set[int]:
    """The signs of rows whose texts name a payment to the issuer of a card."""
    names = [*mapping.columns.get("description", ()), *mapping.columns.get("counterparty", ())]
    texts = [" ".join(cells) for cells in zip(*(table.texts(name).to_pylist() for name in names), strict=True)]
    if not texts:
        return set()
    return {
        sign for sign, text in zip(signs, texts, strict=True) if any(word in plain(text) for word in REPAYMENT_WORDS)
    }


_SHOPS: Final = ("customer", "merchant account", "disbursement", "payout", "settlement amount")
"""Words of headers of what a processor reports to a shop."""


def is_card(table: Table, mapping: Mapping) -> bool:
    """Whether the header is that of a card's holder (a merchant's export has customers, or fees and what is left)."""
    words = [plain(name) for name in table.header]
    if any(theirs in word for word in words for theirs in _SHOPS) or (mapping.column("fee") and mapping.column("net")):
        return False
    return any(word in CARD_HEADERS or any(card in word for card in CARD_WORDS) for word in words)


def _with_words(table: Table, mapping: Mapping) -> Mapping:
    name = mapping.column("sign")
    found = sorted(set(table.texts(name).to_pylist())) if name else []
    return replace(
        mapping,
        sign="column",
        plus_words=mapping.plus_words or tuple(each for each in found if each.casefold() in PLUS_WORDS),
        minus_words=mapping.minus_words or tuple(each for each in found if each.casefold() in MINUS_WORDS),
        neutral_words=mapping.neutral_words or tuple(each for each in found if each.casefold() in NEUTRAL_WORDS),
    )
