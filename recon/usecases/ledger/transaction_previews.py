"""What would become of transactions that are sent with `dry_run`: nothing is stored, no reference is used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recon.models import LedgerEntry
from recon.usecases.ledger.transactions import TransactionRefused, already_used, entry_values


@dataclass(frozen=True)
class Preview:
    """`values` are the columns the entry would have, None if it cannot be read; `refused` says why it would not be."""

    reference: str
    values: dict[str, Any] | None
    refused: TransactionRefused | None


def preview_transactions(items: Sequence[Any]) -> list[Preview]:
    """In the order given; of two with one reference the second would be refused."""
    previews = [_read(given) for given in items]
    wanted = [preview.reference for preview in previews if preview.values]
    used = set(LedgerEntry.objects.filter(api_reference__in=wanted).values_list("api_reference", flat=True))
    told = []
    for preview in previews:
        if preview.values and preview.reference in used:
            preview = Preview(preview.reference, preview.values, already_used(preview.reference))
        elif preview.values:
            used.add(preview.reference)
        told.append(preview)
    return told


def _read(given: Any) -> Preview:
    try:
        values = entry_values(given)
    except TransactionRefused as refused:
        reference = given.get("reference") if isinstance(given, Mapping) else ""
        return Preview(str(reference or ""), None, refused)
    return Preview(values["reference"], values, None)
