"""The fields a criterion can read, on either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["amount", "date", "text", "currency"]


@dataclass(frozen=True)
class Field:
    """A field of a row. Its kind decides which operators, values and drifts make sense."""

    name: str
    kind: Kind
    label: str
    help: str


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("amount", "amount", "Amount", "Signed from the account owner's view: plus is money in."),
        Field("date", "date", "Date", "The booking date, with its time of day where the file gave one."),
        Field("reference", "text", "Reference", "The reference of the payment or entry."),
        Field("description", "text", "Description", "The free text of the row."),
        Field(
            "currency", "currency", "Currency", "Three letters; rows of different currencies never match by default."
        ),
        Field("counterparty", "text", "Counterparty", "Who paid or was paid."),
    )
}
"""All fields by name, in the order forms show them."""

TEXT_FIELDS = tuple(name for name, field in FIELDS.items() if field.kind == "text")
