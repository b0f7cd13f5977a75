"""Columns of two marks beside amounts without signs: T and J, I and O, W and D. Asked which of them is money in."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from recon.statements.mapping import Mapping
from recon.statements.model import Question
from recon.statements.tables import Table
from recon.statements.words import fit, plain

_KNOWN: Final = (("j", "t"), ("k", "t"), ("követel", "tartozik"), ("i", "o"), ("d", "w"))
"""Marks of money in and of money out: Hungarian jóváírás and terhelés, követel and tartozik; in and out; deposit and
withdrawal. Some mean something else elsewhere (a D is a debit), so that they are asked about."""

_LONGEST: Final = 2
_SIGN: Final = 60
"""So well a header must name a direction for marks that are not known."""


def with_marks(table: Table, mapping: Mapping) -> tuple[Mapping, Question | None] | None:
    """The mapping by which a column of two marks says the direction, and what is asked; None if there is none.

    The mapping may name the mark of money in (``plus_words``) already: then nothing is asked.
    """
    for name in _candidates(table, mapping):
        marks = sorted(set(table.texts(name).to_pylist()))
        first = _money_in(name, marks)
        if first is None or (mapping.plus_words and not {*mapping.plus_words} <= {*marks}):
            continue
        plus = mapping.plus_words or (first,)
        rest = tuple(each for each in marks if each not in plus)
        read = replace(
            mapping,
            columns={**mapping.columns, "sign": (name,)},
            sign="column",
            plus_words=plus,
            minus_words=mapping.minus_words or rest,
        )
        return read, None if mapping.plus_words else _question(name, first, rest[0])
    return None


def _candidates(table: Table, mapping: Mapping) -> list[str]:
    """The direction column, else the column of types and those that mean nothing else."""
    if name := mapping.column("sign"):
        return [name]
    used = {name for role, names in mapping.columns.items() if role != "type_code" for name in names}
    return [name for name in table.header if name not in used]


def _money_in(name: str, marks: list[str]) -> str | None:
    """Which of two marks is likelier money in; None if they are no marks of a direction."""
    if len(marks) != 2 or "" in marks:
        return None
    lower = {mark.casefold(): mark for mark in marks}
    for plus, minus in _KNOWN:
        if lower.keys() == {plus, minus}:
            return lower[plus]
    short = len(lower) == 2 and all(len(mark) <= _LONGEST and mark.isalpha() for mark in marks)
    named = plain(name).split()
    if short and {*named} == {plain(mark) for mark in marks}:  # Z/S over Z and S
        return next(mark for mark in marks if plain(mark) == named[0])
    return marks[0] if short and fit("sign", name) >= _SIGN and not fit("type_code", name) else None


def _question(name: str, plus: str, minus: str) -> Question:
    text = f"Which mark in the column {name!r} is money in? If it says no direction, choose what positive amounts are."
    options = tuple((one, f"{one} is money in, {other} is money out") for one, other in ((plus, minus), (minus, plus)))
    return Question("plus_words", text, options, plus)
