"""What a file would become, as pages show it before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
from django.http import QueryDict

from recon.import_form import carried, posted_mapping, role_fields, setting_fields
from recon.models import Account, Side
from recon.rows import amount
from recon.statements.model import Reading, StatementError
from recon.usecases.errors import Refused
from recon.usecases.files import Source
from recon.usecases.import_preview import preview
from recon.usecases.statement_facts import CurrencyFacts

SHOWN_ROWS = 12
SHOWN_ERRORS = 100
SHOWN_LEFT_OUT = 20


@dataclass(frozen=True)
class ShownRow:
    """One row as it would be stored."""

    line: int | None
    date: Any
    amount: Decimal
    currency: str
    reference: str | None
    description: str | None


def preview_context(source: Source, name: str, account: Account | None, side: Side, data: QueryDict) -> dict[str, Any]:
    """The context of ``imports/_import_preview.html``: read with the posted mapping, or as the file itself says."""
    context: dict[str, Any] = {"file_name": name, "side": side.label, "is_statement": side == Side.STATEMENT}
    mapping = posted_mapping(data)
    try:
        found = preview(source, name, account, side, mapping)
    except Refused as refused:
        return context | refusal_context(refused, mapping, data, side)
    reading = found.reading
    return context | {
        "reading": reading,
        "totals": found.totals,
        "announcements": found.announcements,
        "repeats": found.repeats,
        "rows": shown_rows(reading.lines.slice(0, SHOWN_ROWS)),
        "row_count": reading.lines.num_rows,
        "row_errors": reading.errors[:SHOWN_ERRORS],
        "error_count": len(reading.errors),
        "left_out": [each for statement in reading.statements for each in statement.left_out][:SHOWN_LEFT_OUT],
        "facts": [fact for statement in reading.statements for fact in currency_facts(statement)],
        "can_import": not reading.errors and not reading.questions and reading.lines.num_rows > 0,
        "can_import_good_rows": bool(reading.errors) and not reading.questions and reading.lines.num_rows > 0,
        **mapping_context(reading, side),
    }


def refusal_context(refused: Refused, mapping: dict[str, Any] | None, data: QueryDict, side: Side) -> dict[str, Any]:
    """Why the whole file is refused; with its columns where it is a table, so that the mapping can be put right."""
    error = refused.__cause__
    context: dict[str, Any] = {"refusal": refused.message, "row_errors": refused.row_errors[:SHOWN_ERRORS]}
    if not isinstance(error, StatementError) or not error.header:
        return context | {"mapping": data.get("mapping", "")}
    named = {role: tuple(names) for role, names in (mapping or {}).get("columns", {}).items()}
    return context | {
        "mapping": data.get("mapping") or "{}",
        "header": error.header,
        "sample": error.sample[:SHOWN_ROWS],
        "role_fields": role_fields(named, side),
        "setting_fields": setting_fields(mapping or {}),
    }


def mapping_context(reading: Reading, side: Side) -> dict[str, Any]:
    """The mapping that was used, as a form; nothing for formats that have no columns."""
    if reading.mapping is None:
        return {}
    return {
        "mapping": carried(reading),
        "header": reading.header,
        "sample": reading.sample[:SHOWN_ROWS],
        "role_fields": role_fields(reading.mapping.columns, side),
        "setting_fields": setting_fields(reading.mapping.to_dict()),
        "encoding": reading.mapping.encoding or reading.encoding or "",
        "header_row": reading.mapping.header_row,
        "currency": reading.mapping.currency or "",
    }


def shown_rows(lines: pa.Table) -> list[ShownRow]:
    return [
        ShownRow(
            row["line"],
            row["booking_date"],
            amount(row["units"], row["scale"]),
            row["currency"],
            row["reference"],
            row["description"] or row["counterparty"],
        )
        for row in lines.to_pylist()
    ]


def currency_facts(statement: Any) -> list[CurrencyFacts]:
    """What the lines of one statement move per currency, and whether its balances prove it."""
    totals = {total.currency: total for total in statement.totals()}
    return [
        CurrencyFacts(
            check.currency,
            totals[check.currency].lines if check.currency in totals else 0,
            totals[check.currency].credits if check.currency in totals else Decimal(0),
            totals[check.currency].debits if check.currency in totals else Decimal(0),
            check.opening,
            check.closing,
        )
        for check in statement.balance_checks()
    ]
