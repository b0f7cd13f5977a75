"""Which way the money went, where the fixed formats leave that to the account: in books, or by choice."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from recon.statements.model import Hints, Reading, Statement


def directed(reading: Reading, hints: Hints, *, by_marks: bool = False) -> Reading:
    """The reading seen from the account owner's side.

    A bank's debit is money out. In the books of an asset account it is money in, so a ledger file that marks its lines
    as debit and credit (``by_marks``) is turned round; ``hints.sign`` turns any file round that a person says is.
    """
    from_books = by_marks and hints.side == "ledger" and hints.account_kind == "asset"
    if from_books == (hints.sign == "inverted"):
        return reading
    return replace(reading, statements=tuple(map(_turned, reading.statements)))


def _turned(statement: Statement) -> Statement:
    place = statement.lines.schema.get_field_index("units")
    turned = pc.negate(statement.lines["units"])
    return replace(
        statement,
        lines=statement.lines.set_column(place, statement.lines.schema.field(place), turned),
        balances=tuple(replace(balance, units=-balance.units) for balance in statement.balances),
    )
