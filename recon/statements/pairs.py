"""Tables with two amounts a row, each with a column of its currency: paid and settled, presented and billed.

Which of them is the account's, no word says for sure. Its own currency does, if one pair is in it throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import pyarrow.compute as pc

from recon.statements.currencies import currency_code, stated_code
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, RowError
from recon.statements.roles import is_foreign, kinship
from recon.statements.tables import Table
from recon.statements.traits import values_of
from recon.statements.words import fit, plain

_SAMPLE: Final = 2_000
_REPORTED: Final = {"base", "reporting", "converted", "equivalent", "home", "functional"}
"""Words of headers of what a wallet of several currencies reports in one of them: no amounts of its own."""


class Pair(NamedTuple):
    """A column of amounts and the column of their currencies."""

    amount: str
    currency: str


def with_own_pair(table: Table, mapping: Mapping, partial: Mapping, hints: Hints) -> Mapping:
    """The mapping with the pair that is in the account's own currency throughout, if the one taken is not."""
    taken = _taken(mapping, partial)
    if taken is None or not hints.currency or _codes(table, taken) == {hints.currency}:
        return mapping
    own = [
        pair
        for pair in _others(table, mapping, taken)
        if _codes(table, pair) == {hints.currency}
        and not _is_elsewhere(pair)
        and _same_where_alike(table, taken, pair)
    ]
    if len(own) != 1:
        return mapping
    return replace(mapping, columns={**mapping.columns, "amount": own[0][:1], "currency": own[0][1:]})


def doubted_pair(table: Table, mapping: Mapping, partial: Mapping, hints: Hints) -> Iterator[RowError]:
    """A warning where another pair might be meant as well, and neither headers nor the account's currency say so."""
    taken = _taken(mapping, partial)
    if taken is None or (own := _codes(table, taken)) == {hints.currency}:
        return
    for other in _others(table, mapping, taken):
        theirs = _codes(table, other)
        if table.texts(taken.currency).equals(table.texts(other.currency)):  # rounded, or without its sign
            continue
        if len(own) == 1 < len(theirs) or _is_elsewhere(other):
            continue
        message = (
            f"Each row has two amounts: {taken.amount} with {taken.currency} is read, {other.amount} with"
            f" {other.currency} is not. If that is what the account was booked, choose those columns."
        )
        yield RowError(table.header_line, other.amount, None, "one amount a row", message)


def _is_elsewhere(pair: Pair) -> bool:
    """Whether headers say that a pair is of a purchase abroad, or of a report."""
    return any(map(is_foreign, pair)) or bool(_REPORTED & {*plain(" ".join(pair)).split()})


def _taken(mapping: Mapping, partial: Mapping) -> Pair | None:
    """The pair that was found; None where a person chose, or where there is none."""
    amount, currency = mapping.column("amount"), mapping.column("currency")
    if not amount or not currency or {"amount", "currency"} & partial.columns.keys() or mapping.column("gross"):
        return None
    return Pair(amount, currency)


def _others(table: Table, mapping: Mapping, taken: Pair) -> list[Pair]:
    """Pairs whose headers belong together, filled in every row, with other amounts than the ones that are taken."""
    sample = table.head(_SAMPLE)
    used = {name for names in mapping.columns.values() for name in names}
    free = [name for name in table.header if name not in used]
    codes = [name for name in free if _all_codes(sample, name)]
    numbers = [name for name in free if name not in codes and fit("amount", name)] if codes else []
    own = values_of(sample.texts(taken.amount).to_pylist())
    pairs = []
    for amount in numbers:
        values = values_of(sample.texts(amount).to_pylist())
        kin = [code for code in codes if kinship(amount, code)]
        if kin and None not in values and values != own:
            pairs.append(Pair(amount, max(kin, key=lambda code: kinship(amount, code))))
    return pairs


def _all_codes(table: Table, name: str) -> bool:
    texts = pc.unique(table.texts(name)).to_pylist()
    return bool(texts) and all(len(text) == len("EUR") and currency_code(text) for text in texts)


def _codes(table: Table, pair: Pair) -> set[str | None]:
    return {stated_code(text) for text in pc.unique(table.texts(pair.currency)).to_pylist()}


def _same_where_alike(table: Table, taken: Pair, other: Pair) -> bool:
    """Whether both amounts are the same wherever both currencies are: else one of them is after fees, or of more."""
    sample = table.head(_SAMPLE)
    first, second = (
        zip(sample.texts(pair.currency).to_pylist(), values_of(sample.texts(pair.amount).to_pylist()), strict=True)
        for pair in (taken, other)
    )
    return all(one == two for one, two in zip(first, second, strict=True) if one[0] == two[0])
