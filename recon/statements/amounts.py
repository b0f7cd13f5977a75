"""The signed amount of every row, at its currency's scale, from the columns and the sign rule of a mapping."""

from __future__ import annotations

from collections.abc import Mapping as PlainMapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import MAX_UNITS, amount
from recon.statements.columns import Amounts, amounts_of, mapped, or_null
from recon.statements.currencies import UNKNOWN, currency_code, exponent
from recon.statements.directions import amount_column
from recon.statements.fees import less_fees, may_move_the_balance, with_fees
from recon.statements.mapping import Mapping, Role
from recon.statements.model import Hints
from recon.statements.numbers import NumberError, fitted
from recon.statements.smallest_unit import places_by_writer
from recon.statements.tables import Table

ONE_OF_BOTH: Final = "an amount in only one of the two columns"
_TAKEN: Final = ("positive", "negative")
_ZERO: Final = pa.scalar(0, pa.decimal128(38, 0))


_ELEVEN_DIGITS: Final = pa.scalar(10**11, pa.decimal128(38, 0))
"""Below this Arrow writes decimals without an exponent."""


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
    read, texts = signed_amounts(table, mapping, hints, failures)
    gross = None
    if mapping.fees in _TAKEN and (name := mapping.column("fee")):
        fees = _read(table.texts(name), mapping, hints)
        failures.add(name, table.texts(name), fees.failures)
        gross, read = read, less_fees(read, fees, negative=mapping.fees == "negative")
        texts = pc.if_else(pc.equal(texts, ""), table.texts(name), texts)
    codes = _codes(currencies, read.symbols, mapping.currency or hints.currency)
    read = _in_cents(read, table, mapping, codes)
    units, scales, failed = _fitted(read, codes)
    failures.add(amount_column(mapping) or mapping.column("debit") or mapping.column("credit") or "", texts, failed)
    beside = _beside(table, mapping, hints, codes)
    if gross and "gross" not in beside:
        beside["gross"] = _decimal_texts(_in_cents(gross, table, mapping, codes))
    return RowAmounts(units, scales, codes, or_null(texts), beside)


def signed_amounts(table: Table, mapping: Mapping, hints: Hints, failures: FailureList) -> tuple[Amounts, pa.Array]:
    """The amounts as the mapping signs them, before fees, and the texts they were read from."""
    if mapping.column("debit") or mapping.column("credit"):
        return _apart(table, mapping, hints, failures)
    return _single(table, mapping, hints, failures)


def with_proven_fees(table: Table, mapping: Mapping, hints: Hints) -> Mapping:
    """The mapping that takes fees from the amounts, if the file's running balance says so, or the account's choice."""
    if not may_move_the_balance(mapping):
        return mapping
    moves, _ = signed_amounts(table, mapping, hints, _Unnoted())
    fees = _read(table.texts(mapping.column("fee") or ""), mapping, hints)
    name = mapping.column("balance")
    return with_fees(mapping, moves, fees, _read(table.texts(name), mapping, hints) if name else None)


class _Unnoted:
    """Failures of a first look, which the reading itself will find again."""

    def add(self, column: str, texts: pa.Array, failed: dict[int, str]) -> None:
        """Note nothing."""


def _single(table: Table, mapping: Mapping, hints: Hints, failures: FailureList) -> tuple[Amounts, pa.Array]:
    name = amount_column(mapping) or ""
    texts = table.first_filled(_amount_columns(mapping, name))
    read = _read(texts, mapping, hints)
    failures.add(name, texts, read.failures)
    if mapping.sign == "column":
        factor = _factors(table, mapping, failures, texts)
        contrary = pc.and_(pc.less(read.units, _ZERO), pc.greater(factor, 0))
        said = "an amount without a minus, since its row is said to be money in"
        failures.add(name, texts, dict.fromkeys(pc.indices_nonzero(contrary).to_pylist(), said))
        units = pc.if_else(pc.less(factor, 0), pc.negate(pc.abs(read.units)), read.units)
        return Amounts(_flipped(units) if _debit_is_in(hints) else units, read.scales, read.symbols), texts
    return Amounts(
        _flipped(read.units) if mapping.sign == "inverted" else read.units, read.scales, read.symbols
    ), texts


def _amount_columns(mapping: Mapping, first: str) -> tuple[str, ...]:
    """The columns of the amount that is reconciled; a row without a gross amount (a fee, a payout) has its net."""
    names = next((names for names in mapping.columns.values() if names[:1] == (first,)), (first,))
    return names + mapping.columns.get("net", ()) if first == mapping.column("gross") else names


def _in_cents(read: Amounts, table: Table, mapping: Mapping, codes: pa.Array) -> Amounts:
    """Whole numbers of the smallest unit get the places of their row's currency."""
    if not mapping.in_cents:
        return read
    return replace(read, scales=pc.add(read.scales, _exponents(codes, places_by_writer(table))).cast(pa.int16()))


def _exponents(codes: pa.Array, by_writer: PlainMapping[str, int] = MappingProxyType({})) -> pa.Array:
    """Decimal places of every row's currency."""
    places, indices = mapped(codes, lambda _place, code: by_writer.get(code, exponent(code)))
    return pa.array(places, pa.int16()).take(indices)


def _read(texts: pa.Array, mapping: Mapping, hints: Hints) -> Amounts:
    """The numbers of a column; in cents they are whole, and become their currency's when that is known."""
    if not mapping.in_cents:
        return amounts_of(texts, mapping.decimal or ".", places=exponent(mapping.currency or hints.currency))
    read = amounts_of(texts, mapping.decimal or ".", places=0)
    parted = pc.indices_nonzero(pc.greater(read.scales, 0)).to_pylist()
    return replace(read, failures={**dict.fromkeys(parted, _OF_THE_SMALLEST), **read.failures})


_OF_THE_SMALLEST: Final = "a whole number of the smallest unit, as amounts in cents are"


def _factors(table: Table, mapping: Mapping, failures: FailureList, amounts: pa.Array) -> pa.Array:
    """+1 or -1 per row by the direction column; 0 for neutral rows, which are left out, and where no amount is."""
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
    failures.add(name, table.texts(name), {row: expected for row in rows if amounts[row].as_py()})
    return pa.array(factors, pa.int8()).take(indices)


def _apart(table: Table, mapping: Mapping, hints: Hints, failures: FailureList) -> tuple[Amounts, pa.Array]:
    """Out and in from two columns (or only one of them); a row with both is refused."""
    sides = []
    roles: tuple[Role, ...] = ("debit", "credit")
    for role in roles:
        name = mapping.column(role)
        texts = table.first_filled(mapping.columns[role]) if name else pa.array([""] * table.rows, pa.string())
        read = _read(texts, mapping, hints)
        if name:
            failures.add(name, texts, read.failures)
        sides.append((read, texts))
    (debit, debit_texts), (credit, credit_texts) = sides
    if mapping.sign == "inverted":  # what is owed: money in lowers it
        credit = replace(credit, units=_flipped(credit.units))
    out = debit.units if mapping.debits == "negative" else _flipped(debit.units)
    is_out, is_in = (pc.fill_null(pc.not_equal(side.units, _ZERO), fill_value=False) for side in (debit, credit))
    both = pc.indices_nonzero(pc.and_(is_out, is_in)).to_pylist()
    failures.add(mapping.column("debit") or "", debit_texts, dict.fromkeys(both, ONE_OF_BOTH))
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
    at_scale = pc.equal(read.scales, _exponents(codes))
    small = pc.less_equal(pc.abs(read.units), pa.scalar(MAX_UNITS, pa.decimal128(38, 0)))
    rest = pc.invert(pc.fill_null(pc.and_(at_scale, small), fill_value=True))
    rows = pc.indices_nonzero(rest).to_pylist()
    if not rows:
        return read.units.cast(pa.int64()), read.scales, {}
    failed: dict[int, str] = {}
    fits: list[tuple[int | None, int | None]] = []
    columns = (column.filter(rest).to_pylist() for column in (read.units, read.scales, codes))
    for row, units, scale, code in zip(rows, *columns, strict=True):
        try:
            fits.append(fitted(int(units), scale, code))
        except NumberError as error:
            failed[row] = str(error)
            fits.append((None, None))
    kept = pc.if_else(rest, pa.scalar(None, read.units.type), read.units).cast(pa.int64())
    units = pc.replace_with_mask(kept, rest, pa.array([units for units, _ in fits], pa.int64()))
    scales = pc.replace_with_mask(read.scales, rest, pa.array([scale for _, scale in fits], pa.int16()))
    return units, scales, failed


def _beside(table: Table, mapping: Mapping, hints: Hints, codes: pa.Array) -> dict[Role, pa.Array]:
    """Gross, fee, net and balance of each row as plain decimals; null where empty or unreadable."""
    roles: tuple[Role, ...] = ("gross", "fee", "net", "balance")
    beside: dict[Role, pa.Array] = {}
    for role in roles:
        name = mapping.column(role)
        if name:
            beside[role] = _decimal_texts(_in_cents(_read(table.texts(name), mapping, hints), table, mapping, codes))
    return beside


def _decimal_texts(read: Amounts) -> pa.Array:
    """Plain decimals with a point: all at once where the scale is the same throughout."""
    scales = pc.unique(read.scales.drop_null()).to_pylist()
    if len(scales) == 1 and pc.all(pc.less(pc.abs(read.units), _ELEVEN_DIGITS)).as_py():
        scaled = pa.decimal128(38, scales[0])
        units = pa.Array.from_buffers(scaled, len(read.units), read.units.buffers(), offset=read.units.offset)
        return units.cast(pa.string())
    pairs = zip(read.units.to_pylist(), read.scales.to_pylist(), strict=True)
    return pa.array(
        [None if units is None else f"{amount(int(units), scale):f}" for units, scale in pairs], pa.string()
    )
