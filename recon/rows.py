"""The row: one vocabulary and one Arrow shape for statement lines and ledger entries.

Readers produce it, the database stores it, the engine matches it. Amounts are integer *units* with a *scale*
(decimal places), signed from the account owner's view: plus is money in. 12.34 is ``units=1234, scale=2``.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

MAX_UNITS = 10**18 - 1
"""Amounts have at most 18 digits of units; what does not fit is refused, never rounded."""

MAX_SCALE = 9

_TOO_LARGE = 2**63

ROW_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),  # 1-based place of the row in its file
        pa.field("line", pa.int64()),  # 1-based physical line (or sheet row, or entry) it was read from
        pa.field("external_id", pa.string()),  # the file's own id; banks repeat them, so never assumed unique
        pa.field("units", pa.int64(), nullable=False),
        pa.field("scale", pa.int16(), nullable=False),
        pa.field("currency", pa.string(), nullable=False),  # ISO 4217 shape: three capital letters
        pa.field("booking_date", pa.date32()),  # what `date` in a rule means
        pa.field("value_date", pa.date32()),
        pa.field("booked_at", pa.timestamp("us", tz="UTC")),  # only if the file gave a time of day
        pa.field("reference", pa.string()),
        pa.field("description", pa.string()),
        pa.field("counterparty", pa.string()),
        pa.field("type_code", pa.string()),
        pa.field("source", pa.string()),
        pa.field("destination", pa.string()),  # ledger side only
        pa.field("parent_transaction", pa.string()),  # ledger side only
        pa.field("status", pa.string()),  # ledger side only
        pa.field("amount_text", pa.string()),  # the amount as the file had it
        pa.field("extra", pa.string()),  # JSON object: gross, fee, original amount, cheque number, details …; or null
    ]
)


def amount(units: int, scale: int) -> Decimal:
    """The exact decimal of integer units: ``amount(1234, 2) == Decimal("12.34")``."""
    return Decimal(units).scaleb(-scale)


def for_exact_sums(units: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same numbers, of which no sum is too large for their type: as they are if 64 bits hold whatever so many add
    up to, else as decimals of 38 digits, which a million amounts of 18 digits fit and which take much longer."""
    reach = pc.min_max(units).as_py()
    largest = max(abs(reach["min"] or 0), abs(reach["max"] or 0))
    return units if largest * len(units) < _TOO_LARGE else units.cast(pa.decimal128(38, 0))
