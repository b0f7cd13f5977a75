"""QIF, the Quicken interchange format: one field per line, a letter in front, records closed by ``^``.

Source: Intuit's description of the format (1997), as Quicken and its followers write it. QIF names no currency, and
its dates have no stated order: it is decided from all dates of the file, or asked.

The only balance is what an account begins with: its first record, whose payee is "Opening Balance" and whose category,
if any, is the account itself in brackets. That is no movement: it is left out of the lines and becomes the opening
balance. Such a payee anywhere else, or with a category of income, is a line like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from recon.statements.answers import answered, asking
from recon.statements.collecting import Lines, encode_extra
from recon.statements.csv_encoding import decode, encoding_of
from recon.statements.currencies import UNKNOWN
from recon.statements.dates import DateOrder, order_votes, parse_date
from recon.statements.direction_marks import directed
from recon.statements.model import Balance, Hints, LeftOut, Question, Reading, RowError, Statement, StatementError
from recon.statements.values import currency_of, either_mark_units, folded, unreadable
from recon.statements.words import OPENING_WORDS, plain

NAME = "qif"

_HEADER = re.compile(r"!\s*(Type|Account|Option|Clear)\s*(?::\s*(.*?))?\s*$", re.IGNORECASE)
_DETECT = re.compile(rb"(?:^|[\r\n])\s*!(Type:|Account|Option:|Clear:)", re.IGNORECASE)
_CASH = {"bank", "cash", "ccard", "oth a", "oth l"}
_EXTRA = {"N": "number", "L": "category", "C": "cleared", "A": "address"}
_OWN_ACCOUNT = re.compile(r"\[(.*)\]")
_SPLITS = {"S": "category", "E": "memo", "$": "amount", "%": "percent"}

Section = Literal["cash", "account", "investments", "lists"]


@dataclass
class _Record:
    """One record: its fields by letter (of several, the first), its splits, and where it starts."""

    line: int
    fields: dict[str, str] = field(default_factory=dict)
    splits: list[dict[str, str]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    is_closed: bool = False
    is_withdrawal: bool = False

    def take(self, text: str) -> None:
        self.raw.append(text)
        letter, value = text[0].upper(), text[1:].strip()
        if letter in _SPLITS:
            if letter == "S" or not self.splits:
                self.splits.append({})
            self.splits[-1][_SPLITS[letter]] = value
        elif letter == "A" and "A" in self.fields:
            self.fields["A"] += ", " + value
        else:
            self.fields.setdefault(letter, value)


@dataclass
class _Account:
    """One account's records."""

    name: str | None
    records: list[_Record] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def detects(head: bytes, name: str) -> int:
    """Sure for a QIF header line; a file only named .qif is tried, to say what is wrong with it."""
    if _DETECT.search(head):
        return 97
    return 50 if name.lower().endswith(".qif") else 0


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """One statement per account; records that cannot be read become row errors."""
    hints = answered(hints)
    encoding = hints.encoding or encoding_of(data)
    accounts = list(_accounts(decode(data, encoding).lstrip("\ufeff")))
    if not accounts:
        raise StatementError.at("The QIF file has no transactions.", expected="a header like !Type:Bank and records")
    _tell_withdrawals([record for account in accounts for record in account.records])
    order, question = _date_order(accounts, hints)
    errors: list[RowError] = []
    statements = tuple(_statement(account, order, hints, errors) for account in accounts)
    questions = (question,) if question else ()
    return asking(directed(Reading(NAME, encoding, statements, tuple(errors), questions=questions), hints), hints)


def _tell_withdrawals(records: list[_Record]) -> None:
    """Mark withdrawals where each record says in N which way it goes and no amount has a sign."""
    said = {record.fields.get("N", "").casefold() for record in records}
    signed = any("-" in (record.fields.get("T") or record.fields.get("U") or "") for record in records)
    for record in records if said == {"withdrawal", "deposit"} and not signed else ():
        record.is_withdrawal = record.fields["N"].casefold() == "withdrawal"


def _accounts(text: str) -> Iterator[_Account]:
    """The accounts with their records; lists of categories, classes and memorised payees are skipped."""
    account: _Account | None = None
    name: str | None = None
    for section, record in _records(text):
        if section == "account":
            name = record.fields.get("N")
            if account:
                yield account
            account = None
        elif section == "investments":
            account = account or _Account(name)
            reason = "investment transaction, no movement of cash by itself"
            account.left_out.append(LeftOut(record.line, "\n".join(record.raw), reason))
        elif section == "cash":
            account = account or _Account(name)
            account.records.append(record)
    if account:
        yield account


def _records(text: str) -> Iterator[tuple[Section, _Record]]:
    section: Section = "lists"
    record: _Record | None = None
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        stripped = line.strip()
        header = _HEADER.fullmatch(stripped)
        if header or stripped == "^":
            if record:
                record.is_closed = True
                yield section, record
            record = None
            section = _section(header) or section if header else section
        elif stripped:
            record = record or _Record(number)
            record.take(stripped)
    if record:
        yield section, record


def _section(header: re.Match[str]) -> Section | None:
    """What follows a header line; None for an option, which opens no section."""
    kind, value = header[1].lower(), (header[2] or "").lower()
    if kind in ("option", "clear"):
        return None
    if kind == "account":
        return "account"
    return "cash" if value in _CASH else "investments" if value.startswith("inv") else "lists"


def _date_order(accounts: list[_Account], hints: Hints) -> tuple[DateOrder, Question | None]:
    """The order of day and month, from all dates together; asked when they leave it open."""
    if hints.date_order:
        return hints.date_order, None
    texts = [_date_text(record) for account in accounts for record in account.records if "D" in record.fields]
    day_first, month_first, either = order_votes(texts)
    if day_first > month_first:
        return "dmy", None
    if month_first or not either:
        return "mdy", None
    question = Question(
        "date_order",
        f"Is {texts[0]} written day first or month first?",
        (("mdy", "month first, as in the United States"), ("dmy", "day first")),
        "mdy",
    )
    return "mdy", question


def _date_text(record: _Record) -> str:
    """``6/24' 4`` and ``6/24'2004`` are Quicken's way to write years from 2000 on."""
    text = record.fields.get("D", "")
    before, apostrophe, year = text.partition("'")
    plain = before.replace(" ", "") if "/" in before else before
    if not apostrophe:
        return plain
    return f"{plain}/{2000 + int(year)}" if year.strip().isdecimal() and int(year) < 100 else f"{plain}/{year.strip()}"


def _statement(account: _Account, order: DateOrder, hints: Hints, errors: list[RowError]) -> Statement:
    currency = currency_of(hints)
    lines = Lines(hints.limits.max_rows)
    left_out = list(account.left_out)
    balances: list[Balance] = []
    for place, record in enumerate(account.records):
        raw = "\n".join(record.raw)
        try:
            row = _row(record, order, currency)
            if place == 0 and _is_opening(record, account):
                balances.append(Balance("opening", currency, row["booking_date"], row["units"], row["scale"]))
                left_out.append(LeftOut(record.line, raw, "opening balance"))
            else:
                lines.add(row)
        except ValueError as problem:
            column, found, expected = problem.args
            errors.append(unreadable(record.line, column, found, expected, raw))
            continue
        if not record.is_closed and "T" not in record.fields:
            errors.append(unreadable(record.line, "record", raw, "a closing ^: the file may be cut off", raw))
    return Statement(
        account=account.name or (_own_account(account.records[0]) if balances else None),
        currency=None if currency == UNKNOWN else currency,
        number=None,
        period_start=None,
        period_end=None,
        balances=tuple(balances),
        lines=lines.table(),
        left_out=tuple(left_out),
    )


def _is_opening(record: _Record, account: _Account) -> bool:
    """Whether an account's first record is what it begins with: by its payee, booked against nothing but itself."""
    own = _own_account(record)
    against_itself = own is not None and (account.name is None or plain(own) == plain(account.name))
    return plain(record.fields.get("P", "")) in OPENING_WORDS and (against_itself or not record.fields.get("L"))


def _own_account(record: _Record) -> str | None:
    """The account in brackets that a record is booked against."""
    found = _OWN_ACCOUNT.fullmatch(record.fields.get("L", ""))
    return found[1].strip() or None if found else None


def _row(record: _Record, order: DateOrder, currency: str) -> dict[str, Any]:
    """The row of a record. Raises ValueError(column, found, expected)."""
    fields = record.fields
    text = fields.get("T") or fields.get("U") or ""
    try:
        units, scale = either_mark_units(text, currency)
    except ValueError as problem:
        raise ValueError("T", text, str(problem)) from None
    day = _date_text(record)
    try:
        booked = parse_date(day, order).day
    except ValueError as problem:
        raise ValueError("D", fields.get("D", ""), str(problem)) from None
    extra: dict[str, Any] = {key: fields[letter] for letter, key in _EXTRA.items() if fields.get(letter)}
    if record.splits:
        extra["details"] = record.splits
    return {
        "line": record.line,
        "units": -units if record.is_withdrawal else units,
        "scale": scale,
        "currency": currency,
        "booking_date": booked,
        "reference": fields.get("N") or None,
        "description": folded(fields.get("M")) or folded(fields.get("P")),
        "counterparty": folded(fields.get("P")),
        "amount_text": text,
        "extra": encode_extra(extra) if extra else None,
    }
