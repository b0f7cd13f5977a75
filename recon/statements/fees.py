"""Fees in a column of their own that move the balance as well: then the line is the amount less its fee.

A bank that charges inside a row (``Money Out -100.00, Fee -1.50, Balance …``) takes both at once. Whether a file means
that is proven by its running balance, or said by the account: it reconciles net, and the file has no net amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import amount
from recon.statements.columns import Amounts
from recon.statements.mapping import Mapping
from recon.statements.proof import PROVEN, agreement

Fees = Literal["positive", "negative"]
"""How fees are written: as plain numbers to be taken from the amount, or with their own minus."""

_WIDE: Final = pa.decimal128(38, 0)
_SUMMABLE: Final = pa.decimal128(37, 0)  # of which Arrow makes sums of 38 digits; read numbers have 30 at most
_ZERO: Final = pa.scalar(0, _WIDE)


def may_move_the_balance(mapping: Mapping) -> bool:
    """Whether a mapping leaves open what its column of fees does: with a net amount, nothing is open."""
    if not mapping.column("fee") or mapping.column("net") or mapping.fees:
        return False
    return _is_net_wanted(mapping) if mapping.column("gross") else mapping.amount_column is None


def _is_net_wanted(mapping: Mapping) -> bool:
    """Whether the account reconciles net and the file has gross amounts only; a plain amount may be net already."""
    plain = mapping.column("amount") or mapping.column("debit") or mapping.column("credit")
    return mapping.amount_column == "net" and mapping.column("gross") is not None and not plain


def with_fees(mapping: Mapping, moves: Amounts, fees: Amounts, balances: Amounts | None) -> Mapping:
    """The mapping that says how fees are written, if the running balance or the account's choice makes them count."""
    charged = _numbers(fees)
    if not any(charged):
        return mapping
    if _is_net_wanted(mapping):
        return replace(mapping, fees="negative" if all(each is None or each <= 0 for each in charged) else "positive")
    if balances is None:
        return mapping
    plain, running = _numbers(moves), _numbers(balances)
    shares = {style: agreement(_less(plain, charged, style), running) for style in _STYLES}
    best = max(_STYLES, key=lambda style: shares[style])
    if shares[best] < PROVEN or shares[best] <= agreement(plain, running):
        return mapping
    return replace(mapping, fees=best)


_STYLES: Final[tuple[Fees, ...]] = ("positive", "negative")


def less_fees(read: Amounts, fees: Amounts, *, negative: bool) -> Amounts:
    """Amounts less their fees; a row that has only a fee is a line of that fee. Failures stay those of the amounts."""
    if pc.all(pc.equal(read.scales, fees.scales)).as_py():
        return replace(read, units=_at_one_scale(read.units, fees.units, negative=negative))
    units: list[int | None] = []
    scales: list[int] = []
    columns = (read.units.to_pylist(), read.scales.to_pylist(), fees.units.to_pylist(), fees.scales.to_pylist())
    for amount_units, amount_scale, fee_units, fee_scale in zip(*columns, strict=True):
        scale = amount_scale if fee_units is None else max(amount_scale, fee_scale)
        fee = int(fee_units or 0) * 10 ** (scale - fee_scale if fee_units else 0)
        is_nothing = amount_units is None and not fee
        whole = int(amount_units or 0) * 10 ** (scale - amount_scale)
        units.append(None if is_nothing else whole + fee if negative else whole - fee)
        scales.append(scale)
    return replace(read, units=pa.array(units, _WIDE), scales=pa.array(scales, pa.int16()))


def _at_one_scale(units: pa.Array, fees: pa.Array, *, negative: bool) -> pa.Array:
    """The same for all rows at once."""
    fees = pc.fill_null(fees, _ZERO)
    is_nothing = pc.and_(pc.is_null(units), pc.equal(fees, _ZERO))
    whole, less = (each.cast(_SUMMABLE) for each in (pc.fill_null(units, _ZERO), fees))
    summed = pc.add(whole, less) if negative else pc.subtract(whole, less)
    return pc.if_else(is_nothing, pa.scalar(None, _WIDE), summed.cast(_WIDE))


def _less(moves: Sequence[Decimal | None], fees: Sequence[Decimal | None], style: Fees) -> list[Decimal | None]:
    factor = 1 if style == "negative" else -1
    return [move if not fee else (move or Decimal(0)) + factor * fee for move, fee in zip(moves, fees, strict=True)]


def _numbers(read: Amounts) -> list[Decimal | None]:
    pairs = zip(read.units.to_pylist(), read.scales.to_pylist(), strict=True)
    return [None if units is None else amount(int(units), scale) for units, scale in pairs]
