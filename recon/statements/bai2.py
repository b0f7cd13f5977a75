"""BAI2, the cash management balance reporting format of North American banks.

Source: BAI "Cash Management Balance Reporting Specifications", version 2. Records: 01 file, 02 group, 03 account with
its balances, 16 transaction, 88 continuation, 49/98/99 trailers. Fields are parted by commas and a record ends with
``/``, except that the text of a 16 runs to the end of its line. Amounts have the currency's decimals implied. Type
codes 100–399 are credits, 400–699 debits. Records that share a line, and spaces around them, are read too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from recon.statements.answers import answered, asking
from recon.statements.collecting import Lines, encode_extra
from recon.statements.csv_encoding import decode, encoding_of
from recon.statements.currencies import exponent, stated_code
from recon.statements.direction_marks import directed
from recon.statements.model import (
    Balance,
    BalanceKind,
    Hints,
    LeftOut,
    Reading,
    RowError,
    Statement,
    StatementError,
)
from recon.statements.numbers import fitted
from recon.statements.values import folded, unreadable

NAME = "bai2"

_DETECT = re.compile(rb"[\xef\xbb\xbf\s]*01,[^,\n]*,[^,\n]*,\d{6},")
_ALIKE = re.compile(rb"\s*\d\d,[^\n]*/\s*(\n|$)")
_RECORD = re.compile(r"\s*(01|02|03|16|49|88|98|99)\s*,")
_NEXT_RECORD = re.compile(r"/\s+(?=(?:01|02|03|16|49|88|98|99),)")
_STATUS: dict[str, BalanceKind] = {
    "010": "opening",
    "015": "closing",
    "040": "opening_available",
    "045": "closing_available",
}
_NOT_FOR_BOOKING = {"2", "4"}
"""Group status: 2 takes an earlier report back, 4 is a test."""
_FUNDS_FIELDS = {"S": 3, "V": 2}
"""How many fields follow a funds type; D is followed by a count and so many pairs."""


@dataclass
class _Record:
    """One record with its continuations put in; ``text`` is what follows a 16's fixed fields."""

    line: int
    code: str
    fields: list[str]
    raw: list[str]


@dataclass
class _Account:
    """An 03 record, the group it stands in, and its transactions."""

    record: _Record
    group: list[str]
    transactions: list[_Record] = field(default_factory=list)


def detects(head: bytes, name: str) -> int:
    """Sure for a file header; a two-digit code and a closing slash look alike enough to say what is missing."""
    if _DETECT.match(head):
        return 96
    if _ALIKE.match(head):
        return 50
    return 60 if name.lower().endswith((".bai", ".bai2")) else 0


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """One statement per account and day; transactions that cannot be read become row errors."""
    hints = answered(hints)
    encoding = hints.encoding or encoding_of(data)
    errors: list[RowError] = []
    records = _records(decode(data, encoding).lstrip("\ufeff"), errors)
    accounts = list(_accounts(records, errors))
    if not accounts:
        raise StatementError.at(
            "The BAI2 file has no account in it (03 record).", expected="records 01, 02, 03, 16 … in this order"
        )
    statements = tuple(_statement(account, hints, errors) for account in accounts)
    return asking(directed(Reading(NAME, encoding, statements, tuple(errors)), hints, by_marks=True), hints)


def _records(text: str, errors: list[RowError]) -> Iterator[_Record]:
    """The records, continuations (88) put to what they continue. A 16's text keeps its commas and slashes."""
    current: _Record | None = None
    for number, line in _record_lines(text):
        found = _RECORD.match(line)
        code = found[1] if found else None
        body = line[found.end() :] if found else line
        if code == "88" and current:
            current.raw.append(line)
            current.fields = _continued(current, body)
        elif code is None and current and current.code == "16":
            current.raw.append(line)  # a text that was broken over the line
            current.fields = _continued(current, body)
        elif code is None:
            errors.append(
                unreadable(number, "record", line.strip(), "a record code: 01, 02, 03, 16, 49, 88, 98 or 99")
            )
        else:
            if current:
                yield current
            current = _Record(number, code, _fields(body), [line])
    if current:
        yield current


def _record_lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines; several records on one line are taken apart."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        for part in _NEXT_RECORD.split(line):
            if part.strip():
                yield number, part.rstrip()


def _fields(body: str) -> list[str]:
    return [part.strip() for part in body.strip().removesuffix("/").split(",")]


def _continued(record: _Record, body: str) -> list[str]:
    """The fields with a continuation: a balance list goes on field by field, a transaction's text as text."""
    if record.code == "16":
        return [*record.fields, body.strip().removesuffix("/").strip()]
    more = _fields(body)
    fields = record.fields[:-1] if record.fields and record.fields[-1] == "" else record.fields
    return [*fields, *more]


def _accounts(records: Iterator[_Record], errors: list[RowError]) -> Iterator[_Account]:
    group: list[str] = []
    account: _Account | None = None
    for record in records:
        if record.code == "02":
            group = record.fields
            if _at(group, 2) in _NOT_FOR_BOOKING:
                raw = "\n".join(record.raw)
                errors.append(
                    unreadable(record.line, "02 group status", _at(group, 2), "1 (update) or 3 (correction)", raw)
                )
        elif record.code == "03":
            if account:
                yield account
            account = _Account(record, group)
        elif record.code == "16" and account:
            account.transactions.append(record)
        elif record.code == "16":
            raw = "\n".join(record.raw)
            errors.append(unreadable(record.line, "16", raw, "an account (03) before its transactions", raw))
    if account:
        yield account


def _statement(account: _Account, hints: Hints, errors: list[RowError]) -> Statement:
    header, group = account.record, account.group
    currency = (
        stated_code(_at(header.fields, 1)) or stated_code(_at(group, 5)) or stated_code(hints.currency or "") or "USD"
    )  # the specification's default currency is the US dollar
    day = _day(_at(group, 3))
    lines = Lines(hints.limits.max_rows)
    left_out: list[LeftOut] = []
    for record in account.transactions:
        raw = "\n".join(record.raw)
        try:
            row = _row(record, currency, day)
        except ValueError as problem:
            column, found, expected = problem.args
            errors.append(unreadable(record.line, column, found, expected, raw))
            continue
        if row is None:
            left_out.append(LeftOut(record.line, raw, "a message, no movement of money"))
        else:
            lines.add(row)
    return Statement(
        account=_at(header.fields, 0) or None,
        currency=currency,
        number=None,
        period_start=day,
        period_end=day,
        balances=tuple(_balances(header, currency, day, errors)),
        lines=lines.table(),
        left_out=tuple(left_out),
    )


def _at(fields: list[str], place: int) -> str:
    return fields[place] if place < len(fields) else ""


def _balances(header: _Record, currency: str, day: date | None, errors: list[RowError]) -> Iterator[Balance]:
    """The 03 record after account and currency: (type code, amount, item count, funds type …) again and again."""
    fields = header.fields
    place = 2
    seen: set[str] = set()
    while place < len(fields):
        code, amount = fields[place], _at(fields, place + 1)
        if code in _STATUS and amount and code not in seen:
            seen.add(code)
            try:
                units, scale = _units(amount, currency)
            except ValueError as problem:
                errors.append(unreadable(header.line, f"03 {code}", amount, str(problem), "\n".join(header.raw)))
            else:
                yield Balance(_STATUS[code], currency, day, units, scale)
        place += 4 + _funds_fields(fields, place + 3)


def _funds_fields(fields: list[str], place: int) -> int:
    """How many fields belong to the funds type at `place`."""
    funds = _at(fields, place).upper()
    if funds == "D":
        count = _at(fields, place + 1)
        return 1 + 2 * min(int(count), len(fields)) if count.isdecimal() else 1
    return _FUNDS_FIELDS.get(funds, 0)


def _units(text: str, currency: str) -> tuple[int, int]:
    """An amount with the currency's decimals implied."""
    if not re.fullmatch(r"[+-]?\d{1,30}", text):
        raise ValueError("digits without a decimal mark, like 12345 for 123.45")
    return fitted(int(text), exponent(currency), currency)


def _row(record: _Record, currency: str, day: date | None) -> dict[str, Any] | None:
    """The row of a 16; None for a code that moves no money. Raises ValueError(column, found, expected)."""
    fields = record.fields
    code, amount = _at(fields, 0), _at(fields, 1)
    if code == "890" or (not amount and code.isdecimal()):
        return None
    sign = _direction(code)
    try:
        units, scale = _units(amount, currency)
    except ValueError as problem:
        raise ValueError("16 amount", amount, str(problem)) from None
    after = 3 + _funds_fields(fields, 2)
    funds = _at(fields, 2).upper()
    valued = _day(_at(fields, 3)) if funds == "V" else None
    bank, customer = _at(fields, after) or None, _at(fields, after + 1) or None
    extra = {"bank_reference": bank, "customer_reference": customer, "funds_type": funds}
    kept = {key: value for key, value in extra.items() if value}
    return {
        "line": record.line,
        "external_id": bank,
        "units": sign * units,
        "scale": scale,
        "currency": currency,
        "booking_date": day,
        "value_date": valued,
        "reference": customer or bank,
        "description": folded(_text(fields[after + 2 :])),
        "type_code": code,
        "amount_text": amount,
        "extra": encode_extra(kept) if kept else None,
    }


def _text(parts: list[str]) -> str:
    """The text after a 16's fixed fields: its commas were no separators; a continuation starts a word."""
    return " ".join(part for part in parts if part)


def _direction(code: str) -> int:
    """100–399 and the custom 920–959 are credits, 400–699 and 960–999 debits."""
    number = int(code) if code.isdecimal() and len(code) == 3 else 0
    if 100 <= number <= 399 or 920 <= number <= 959:
        return 1
    if 400 <= number <= 699 or 960 <= number <= 999:
        return -1
    raise ValueError("16 type code", code, "a code from 100 to 399 (credit) or 400 to 699 (debit)")


def _day(text: str) -> date | None:
    """YYMMDD (two-digit years as POSIX reads them); None when it is no date."""
    if not re.fullmatch(r"\d{6}", text):
        return None
    year = int(text[:2])
    try:
        return date(year + (1900 if year >= 69 else 2000), int(text[2:4]), int(text[4:]))
    except ValueError:
        return None
