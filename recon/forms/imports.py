"""The column mapping as a form: what a reader found out, every part of it open to change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from recon.models import Side
from recon.statements.mapping import JOINED_ROLES, ROLES, Mapping, Role
from recon.statements.model import Reading

ROLE_WORDS: dict[Role, str] = {
    "booking_date": "Booking date",
    "amount": "Amount",
    "currency": "Currency",
    "reference": "Reference",
    "description": "Description",
    "counterparty": "Counterparty",
    "external_id": "Id",
    "debit": "Money out (debit)",
    "credit": "Money in (credit)",
    "gross": "Gross amount",
    "fee": "Fee",
    "net": "Net amount",
    "sign": "Direction (debit or credit)",
    "value_date": "Value date",
    "time": "Time of day",
    "time_zone": "Time zone",
    "balance": "Running balance",
    "type_code": "Type code",
    "status": "Status",
    "account": "Account number",
    "source": "Source",
    "destination": "Destination",
    "parent_transaction": "Parent transaction",
}
MAIN_ROLES: tuple[Role, ...] = (
    "booking_date", "amount", "currency", "reference", "description", "counterparty", "external_id",
)  # fmt: skip
LEDGER_ROLES: tuple[Role, ...] = ("destination", "parent_transaction")
LAYOUT_KEYS = ("delimiter", "encoding", "header_row")
"""Another of these makes another table of the file: what its columns mean is then found out anew."""

ENCODINGS = (
    "utf-8", "utf-8-sig", "utf-16", "cp1252", "iso-8859-1", "iso-8859-15", "cp1250", "cp1251", "cp1253", "cp1254",
    "cp437", "cp850", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr",
)  # fmt: skip
"""What a person may choose; the one that was found out is offered as well."""

SETTINGS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "delimiter": (
        "Columns are parted by",
        ((",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar"), (" ", "spaces")),
    ),
    "decimal": ("Numbers are written", ((".", "1,234.56"), (",", "1.234,56"))),
    "date_order": (
        "Dates are written",
        (("dmy", "day month year"), ("mdy", "month day year"), ("ymd", "year month day")),
    ),
    "sign": (
        "Positive amounts are",
        (("as_given", "money in"), ("inverted", "money out"), ("column", "told by the direction column")),
    ),
    "debits": ("The debit column holds", (("positive", "positive numbers"), ("negative", "negative numbers"))),
    "fees": (
        "Fees in a column of their own",
        (
            ("included", "are in the amount already, or no matter"),
            ("positive", "come off the amount, written as plus"),
            ("negative", "come off the amount, written as minus"),
        ),
    ),
    "amount_column": ("The amount to match is", (("gross", "gross"), ("net", "net"))),
    "in_cents": ("Amounts are in", (("no", "whole units: 12.34"), ("yes", "cents: 1234"))),
}  # fmt: skip


@dataclass(frozen=True)
class RoleField:
    """One role of the mapping with the columns that have it: one select per slot."""

    role: Role
    label: str
    slots: tuple[str, ...]
    is_main: bool


@dataclass(frozen=True)
class SettingField:
    """One way the file is written."""

    key: str
    label: str
    value: str
    options: tuple[tuple[str, str], ...]


BOOK_WORDS: dict[Role, str] = {"debit": "Debit (money in)", "credit": "Credit (money out)"}
"""In the books of an asset account: what a bank writes as credit is a debit there."""


def role_fields(columns: dict[Role, tuple[str, ...]], side: Side, *, debit_is_in: bool = False) -> list[RoleField]:
    """A field per role; texts may be joined of several columns and have one more slot than columns."""
    fields = []
    for role, label in (ROLE_WORDS | (BOOK_WORDS if debit_is_in else {})).items():
        if side == Side.STATEMENT and role in LEDGER_ROLES:
            continue
        names = columns.get(role, ())
        slots = (*names, "") if role in JOINED_ROLES or not names else names
        fields.append(RoleField(role, label, slots, role in MAIN_ROLES or bool(names)))
    return fields


def setting_fields(settings: dict[str, Any]) -> list[SettingField]:
    """How the file is written, as far as a reader can be told."""
    in_cents = settings.get("in_cents")
    shown = {**settings, "in_cents": "" if in_cents is None else "yes" if in_cents else "no"}
    return [SettingField(key, label, str(shown.get(key) or ""), options) for key, (label, options) in SETTINGS.items()]


def encodings(found: str) -> list[str]:
    """The encodings to choose from, the present one first."""
    return list(dict.fromkeys([found, *ENCODINGS])) if found else list(ENCODINGS)


def carried(reading: Reading) -> str:
    """The mapping a preview used, as the form carries it on. What the file left open stays open until answered."""
    return "" if reading.mapping is None else json.dumps(without_the_open(reading, reading.mapping))


OPEN_KEYS: Final = {"columns.debit": ("debits",), "plus_words": ("plus_words", "minus_words")}
"""Which keys of a mapping are only suggested while a question is open, where it is not the one it is about."""


def without_the_open(reading: Reading, mapping: Mapping) -> dict[str, Any]:
    """The mapping a preview used, as plain data, but for what was only suggested: a form that showed that as chosen
    would answer by itself."""
    plain = mapping.to_dict()
    for question in reading.questions:
        for key in OPEN_KEYS.get(question.about, (question.about,)):
            plain.pop(key, None)
    return plain


def posted_mapping(data: QueryDict) -> dict[str, Any] | None:
    """The mapping somebody chose on the page; None before there was one to choose from."""
    try:
        base = json.loads(data.get("mapping") or "null")
    except json.JSONDecodeError:
        return None
    if not isinstance(base, dict):
        return None
    chosen = {key: value for key, value in base.items() if key != "columns"}
    for key in (*SETTINGS, "encoding", "currency"):
        if key in data:
            chosen[key] = data.get(key) or None
    if chosen.get("currency"):
        chosen["currency"] = str(chosen["currency"]).strip().upper()
    if "in_cents" in data:
        chosen["in_cents"] = {"yes": True, "no": False}.get(data.get("in_cents", ""))
    header_row = data.get("header_row", "")
    if header_row.isdecimal():
        chosen["header_row"] = int(header_row)
    columns = {role: names for role in ROLES if (names := [each for each in data.getlist(f"column_{role}") if each])}
    answer_questions(data, chosen, columns)
    layout_changed = any(chosen.get(key) != base.get(key) for key in LAYOUT_KEYS)
    wanted = {**chosen, "columns": {} if layout_changed else columns}
    return {key: value for key, value in wanted.items() if value is not None}


def answer_questions(data: QueryDict, chosen: dict[str, Any], columns: dict[Role, list[str]]) -> None:
    """Put the answers where the mapping has them."""
    for key in data:
        about, value = key.removeprefix("answer_"), data.get(key, "")
        if about == key or not value:
            continue
        if about == "columns.debit":
            both = [*columns.get("debit", []), *columns.get("credit", [])]
            columns["debit"], columns["credit"] = [value], [name for name in both if name != value]
            chosen["debits"] = "positive"
        elif about == "plus_words":
            chosen[about] = [value]
        elif about == "in_cents":
            chosen[about] = value == "true"
        else:
            chosen[about] = value.strip().upper() if about == "currency" else value
