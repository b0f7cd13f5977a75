"""The signed amount of every row, at its currency's scale, from the columns and the sign rule of a mapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import amount
from recon.statements.columns import Amounts, amounts_of, mapped, or_null
from recon.statements.currencies import UNKNOWN, currency_code
from recon.statements.directions import amount_column
from recon.statements.mapping import Mapping, Role
from recon.statements.model import Hints
from recon.statements.numbers import Decimals, NumberError, fitted
from recon.statements.tables import Table


class FailureList(Protocol):
    """Where cells that could not be read are noted."""

    def add(self, column: str, texts: pa.Array, failed: dict[int, str]) -> None:
        """Note failures of one column by row."""
        ...


@dataclass(frozen=True)
class RowAmounts:
    """Per row: units (null where there is no amount), scale, currency, the text it was read from."""

    units: pa.Array
    scales: pa.Array
    currencies: pa.Array
    texts: pa.Array
    extra: dict[Role, pa.Array] = field(default_factory=dict)  # gross, fee, net and balance as plain decimal texts


def row_amounts(
    table: Table, mapping: Mapping, hints: Hints, currencies: pa.Array, failures: FailureList
) -> RowAmounts:
    """Read and sign the amounts of a table. Plus is money in, from the account owner's view."""
    decimal: Decimals = mapping.decimal or "."
    if mapping.column("debit") or mapping.column("credit"):
        read, texts = _apart(table, mapping, hints, decimal, failures)
    else:
        read, texts = _single(table, mapping, hints, decimal, failures)
    codes = _codes(currencies, read.symbols, mapping.currency or hints.currency)
    units, scales, failed = _fitted(read, codes)
    failures.add(amount_column(mapping) or mapping.column("debit") or mapping.column("credit") or "", texts, failed)
    return RowAmounts(units, scales, codes, or_null(texts), _beside(table, mapping, decimal))


def _single(
    table: Table, mapping: Mapping, hints: Hints, decimal: Decimals, failures: FailureList
) -> tuple[Amounts, pa.Array]:
    name = amount_column(mapping) or ""
    texts = table.texts(name)
    read = amounts_of(texts, decimal, in_cents=bool(mapping.in_cents))
    failures.add(name, texts, read.failures)
    if mapping.sign == "column":
        factor = _factors(table, mapping, failures)
        units = pc.if_else(pc.less(factor, 0), pc.negate(pc.abs(read.units)), pc.abs(read.units))
        return Amounts(_flipped(units) if _debit_is_in(hints) else units, read.scales, read.symbols), texts
    return Amounts(
        _flipped(read.units) if mapping.sign == "inverted" else read.units, read.scales, read.symbols
    ), texts


def _factors(table: Table, mapping: Mapping, failures: FailureList) -> pa.Array:
    """+1 or -1 per row by the direction column; 0 for neutral rows, which are left out."""
    name = mapping.column("sign") or ""
    words = {each.casefold(): 1 for each in mapping.plus_words}
    words |= {each.casefold(): -1 for each in mapping.minus_words}
    words |= {each.casefold(): 0 for each in mapping.neutral_words}
    bad: set[int] = set()

    def factor(place: int, text: str) -> int:
        if text.casefold() not in words:
            bad.add(place)
        return words.get(text.casefold(), 0)

    factors, indices = mapped(table.texts(name), factor)
    expected = " or ".join([*mapping.plus_words[:2], *mapping.minus_words[:2]]) or "a direction"
    rows = (
        pc.indices_nonzero(pc.is_in(indices, value_set=pa.array(sorted(bad), indices.type))).to_pylist() if bad else []
    )
    failures.add(name, table.texts(name), dict.fromkeys(rows, expected))
    return pa.array(factors, pa.int8()).take(indices)


def _apart(
    table: Table, mapping: Mapping, hints: Hints, decimal: Decimals, failures: FailureList
) -> tuple[Amounts, pa.Array]:
    """Out and in from two columns (or only one of them); a row with both is refused."""
    sides = []
    for role in ("debit", "credit"):
        name = mapping.column(role)
        texts = table.texts(name) if name else pa.array([""] * table.rows, pa.string())
        read = amounts_of(texts, decimal, in_cents=bool(mapping.in_cents))
        if name:
            failures.add(name, texts, read.failures)
        sides.append((read, texts))
    (debit, debit_texts), (credit, credit_texts) = sides
    out = debit.units if mapping.debits == "negative" else _flipped(debit.units)
    zero = pa.scalar(0, pa.decimal128(38, 0))
    is_out, is_in = (pc.fill_null(pc.not_equal(side.units, zero), fill_value=False) for side in (debit, credit))
    both = pc.indices_nonzero(pc.and_(is_out, is_in)).to_pylist()
    failures.add(
        mapping.column("debit") or "", debit_texts, dict.fromkeys(both, "an amount in only one of the two columns")
    )
    take_out = pc.or_(is_out, pc.and_(pc.is_null(credit.units), pc.invert(is_in)))
    units = pc.if_else(take_out, out, credit.units)
    scales = pc.if_else(take_out, debit.scales, credit.scales)
    if _debit_is_in(hints):
        units = _flipped(units)
    return Amounts(units, scales, {**debit.symbols, **credit.symbols}), pc.if_else(take_out, debit_texts, credit_texts)


def _debit_is_in(hints: Hints) -> bool:
    """In the books of an asset account debit is money in; on a statement, and for a liability account, credit is."""
    return hints.side == "ledger" and hints.account_kind == "asset"


def _flipped(units: pa.Array) -> pa.Array:
    return pc.negate(units)


def _codes(stated: pa.Array, symbols: dict[int, str], fallback: str | None) -> pa.Array:
    """The row's own code, else the symbol beside its amount, else the file's or the account's currency."""
    if symbols:
        beside: list[str | None] = [None] * len(stated)
        for row, symbol in symbols.items():
            beside[row] = currency_code(symbol, fallback)
        stated = pc.coalesce(stated, pa.array(beside, pa.string()))
    return pc.fill_null(stated, fallback or UNKNOWN)


def _fitted(read: Amounts, codes: pa.Array) -> tuple[pa.Array, pa.Array, dict[int, str]]:
    """Units at the currency's scale (more where the text has more places), and the rows that do not fit 18 digits."""
    units: list[int | None] = []
    scales: list[int | None] = []
    failed: dict[int, str] = {}
    columns = zip(read.units.to_pylist(), read.scales.to_pylist(), codes.to_pylist(), strict=True)
    for row, (number, places, code) in enumerate(columns):
        unit = scale = None
        if number is not None:
            try:
                unit, scale = fitted(int(number), places, code)
            except NumberError as error:
                failed[row] = str(error)
        units.append(unit)
        scales.append(scale)
    return pa.array(units, pa.int64()), pa.array(scales, pa.int16()), failed


def _beside(table: Table, mapping: Mapping, decimal: Decimals) -> dict[Role, pa.Array]:
    """Gross, fee, net and balance of each row as plain decimals; null where empty or unreadable."""
    roles: tuple[Role, ...] = ("gross", "fee", "net", "balance")
    beside: dict[Role, pa.Array] = {}
    for role in roles:
        name = mapping.column(role)
        if name:
            read = amounts_of(table.texts(name), decimal, in_cents=bool(mapping.in_cents))
            pairs = zip(read.units.to_pylist(), read.scales.to_pylist(), strict=True)
            texts = [None if units is None else f"{amount(int(units), scale):f}" for units, scale in pairs]
            beside[role] = pa.array(texts, pa.string())
    return beside
