"""How the columns of a table (CSV, spreadsheet, JSON) become statement lines: plain data, editable and savable.

A mapping may be partial: what is None is sniffed from the file. A reader gives back the full mapping it used, to
be shown, changed, saved as an account's import profile and used again for the next file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

Role = Literal[
    "external_id", "booking_date", "value_date", "time", "time_zone", "amount", "gross", "fee", "net", "debit",
    "credit", "sign", "currency", "balance", "reference", "description", "counterparty", "type_code", "status",
    "account", "source", "destination", "parent_transaction",
]  # fmt: skip
ROLES: Final[tuple[Role, ...]] = get_args(Role)
AMOUNT_ROLES: Final[tuple[Role, ...]] = ("amount", "gross", "fee", "net", "debit", "credit", "balance")
JOINED_ROLES: Final[tuple[Role, ...]] = ("description", "reference", "counterparty")
"""Roles that may take several columns; their texts are joined by a space. Of several columns with another role the
first that is filled counts, row by row: the net amount of a payout that has no gross."""


class MappingError(ValueError):
    """A mapping that cannot be used; the text says which key and what is expected."""


@dataclass(frozen=True)
class Mapping:
    """One layout. ``header_row`` is a 1-based physical line, 0 for no header; columns are named by their header."""

    columns: dict[Role, tuple[str, ...]] = field(default_factory=dict)
    profile: str | None = None  # the shipped layout it came from
    delimiter: str | None = None
    encoding: str | None = None
    header_row: int | None = None
    decimal: Literal[".", ","] | None = None
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    sign: Literal["as_given", "inverted", "column"] | None = None
    debits: Literal["positive", "negative"] | None = None  # how the debit column writes money out
    fees: Literal["positive", "negative", "included"] | None = None  # how fees off the amount are written
    plus_words: tuple[str, ...] = ()  # values of the sign column for money in
    minus_words: tuple[str, ...] = ()
    neutral_words: tuple[str, ...] = ()  # neither in nor out: left out
    leave_out: dict[str, tuple[str, ...]] = field(default_factory=dict)  # column -> values whose rows are left out
    amount_column: Literal["gross", "net"] | None = None
    in_cents: bool | None = None  # amounts are integers of the smallest unit
    currency: str | None = None  # for rows whose file names none

    def column(self, role: Role) -> str | None:
        """The first column with that role."""
        return next(iter(self.columns.get(role, ())), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without what is not set."""
        plain = {key: value for key, value in vars(self).items() if value not in (None, (), {})}
        plain["columns"] = {role: names[0] if len(names) == 1 else list(names) for role, names in self.columns.items()}
        for key in ("plus_words", "minus_words", "neutral_words"):
            if key in plain:
                plain[key] = list(plain[key])
        if "leave_out" in plain:
            plain["leave_out"] = {column: list(values) for column, values in self.leave_out.items()}
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Mapping:
        """The mapping written as plain data. Raises MappingError for unknown keys, roles and values."""
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(plain) - known)
        if unknown:
            raise MappingError(
                f"unknown key {unknown[0]!r} in the mapping; expected one of {', '.join(sorted(known))}"
            )
        _check_kinds(plain)
        values = dict(plain)
        values["columns"] = _columns(plain.get("columns", {}))
        for key in ("plus_words", "minus_words", "neutral_words"):
            values[key] = _texts(plain.get(key, ()), key)
        values["leave_out"] = {str(key): _texts(value, key) for key, value in plain.get("leave_out", {}).items()}
        for key, allowed in _CHOICES.items():
            if values.get(key) not in (None, *allowed):
                raise MappingError(f"{key} is {values[key]!r}; expected one of {', '.join(allowed)}")
        return cls(**values)

    def filled_from(self, other: Mapping) -> Mapping:
        """This mapping with what it leaves open taken from another. Columns named here win as a whole role."""
        taken = {
            each.name: getattr(other, each.name)
            for each in fields(self)
            if each.name != "columns" and getattr(self, each.name) in (None, (), {})
        }
        return replace(self, columns={**other.columns, **self.columns}, **taken)


_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "decimal": (".", ","),
    "date_order": ("dmy", "mdy", "ymd"),
    "sign": ("as_given", "inverted", "column"),
    "debits": ("positive", "negative"),
    "fees": ("positive", "negative", "included"),
    "amount_column": ("gross", "net"),
}


_KINDS: Final[dict[str, tuple[type, str]]] = {
    "profile": (str, "a text"),
    "delimiter": (str, "one character"),
    "encoding": (str, "the name of an encoding"),
    "header_row": (int, "a line number, 0 for no header"),
    "in_cents": (bool, "true or false"),
    "currency": (str, "three capital letters such as EUR"),
    "leave_out": (dict, "an object of column and values"),
}


def _check_kinds(plain: dict[str, Any]) -> None:
    """Raise MappingError for a value that is of another kind than its key wants."""
    for key, (kind, expected) in _KINDS.items():
        value = plain.get(key)
        fits = value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool)))
        if fits and isinstance(value, str) and key == "delimiter":
            fits = len(value) == 1 and value not in '\r\n"'
        if fits and isinstance(value, str) and key == "currency":
            fits = len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()
        if fits and isinstance(value, int) and key == "header_row":
            fits = value >= 0
        if not fits:
            raise MappingError(f"{key} is {value!r}; expected {expected}")


def _columns(plain: object) -> dict[Role, tuple[str, ...]]:
    if not isinstance(plain, dict):
        raise MappingError("columns must be an object of role and column name")
    columns: dict[Role, tuple[str, ...]] = {}
    for role, names in plain.items():
        if role not in ROLES:
            raise MappingError(f"unknown column role {role!r}; expected one of {', '.join(ROLES)}")
        columns[role] = _texts(names, role)
    return columns


def _texts(value: object, key: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise MappingError(f"{key} must be a text or a list of texts, not {value!r}")
