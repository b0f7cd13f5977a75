"""SWIFT MT940 (customer statement) and MT942 (interim report): tagged lines, many statements per file.

Source: SWIFT User Handbook, Category 9. A statement is :20: reference, :25: account, :28C: number, :60F:/:60M: opening
balance, then :61: lines each with an optional :86: text, and :62F:/:62M: closing balance. M marks a page of a longer
statement; pages that follow one another are put together. MT942 has no balances; :34F: and :90D:/:90C: name its
currency.

Real files differ from the handbook, and are read all the same: ``@@`` for line ends (FinTS), a tag or an amount broken
over two lines, decimal points, funds codes, lower-case marks, missing entry dates or type codes, :86: sent as :25:.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from recon.statements.answers import answered, asking
from recon.statements.collecting import Lines
from recon.statements.csv_encoding import decode, encoding_of
from recon.statements.currencies import UNKNOWN, stated_code
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
from recon.statements.mt940_fields import Field, fields_of
from recon.statements.mt940_lines import Line, balance_of, row_of
from recon.statements.values import currency_of, folded, unreadable

NAME = "mt940"

_DETECT = re.compile(rb"(?:^|[\r\n]|@@|\{4:)[ \t]*:(20|25P?|28C?|60[FM]|61|62[FM]):")
_BALANCE = re.compile(r"\s*([CDcd])\s*(\d{6})\s*([A-Za-z]{3})?\s*([\d.,]+)\s*$")
_CURRENCY_OF = re.compile(r"\d*([A-Z]{3})")
_GERMAN_TEXT = re.compile(r"\d{3}\?\d\d")


@dataclass
class _Draft:
    """A statement being read."""

    line: int
    reference: str | None = None
    account: str | None = None
    number: str | None = None
    currency: str | None = None
    opening: Field | None = None
    closing: Field | None = None
    available: Field | None = None
    lines: list[Line] = field(default_factory=list)
    interim: bool = False
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.lines or self.opening or self.closing)

    @property
    def goes_on(self) -> bool:
        return self.closing is not None and self.closing.tag == "62M"

    def continues(self, earlier: _Draft) -> bool:
        """Is this the next page of `earlier`?"""
        return (
            earlier.goes_on
            and self.opening is not None
            and self.opening.tag == "60M"
            and self.account == earlier.account
            and (self.number or "").split("/")[0] == (earlier.number or "").split("/")[0]
        )


def detects(head: bytes, name: str) -> int:
    """Sure when a tag of a customer statement stands at the start of a line."""
    return 95 if _DETECT.search(head) else 0


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """All statements of the file; lines that cannot be read become row errors."""
    hints = answered(hints)
    encoding = hints.encoding or encoding_of(data)
    text = decode(data, encoding)
    errors: list[RowError] = []
    drafts = _join_pages(_drafts(fields_of(text), errors))
    if not drafts:
        raise StatementError("The file has MT940 tags but no statement line (:61:) and no balance (:60F:, :62F:).")
    statements = tuple(_statement(draft, hints, errors) for draft in drafts)
    return asking(directed(Reading(NAME, encoding, statements, tuple(errors)), hints, by_marks=True), hints)


def _drafts(fields: Iterator[Field], errors: list[RowError]) -> Iterator[_Draft]:
    draft: _Draft | None = None
    for item in fields:
        if item.tag == "25" and _GERMAN_TEXT.match(item.lines[0]):
            item.tag = "86"  # some banks' exports send the text under the account's tag
        if draft is None or _starts_statement(item, draft):
            if draft and not draft.is_empty:
                yield draft
            draft = _Draft(item.line)
        _take(draft, item, errors)
    if draft and not draft.is_empty:
        yield draft


def _starts_statement(item: Field, draft: _Draft) -> bool:
    if item.tag == "20":
        return True
    return draft.closing is not None and item.tag in ("25", "25P", "28", "28C", "60F", "60M")


def _take(draft: _Draft, item: Field, errors: list[RowError]) -> None:
    tag, first = item.tag, item.lines[0].strip()
    if tag == "61":
        draft.lines.append(Line(item))
    elif tag in ("86", "NS"):
        _take_text(draft, item, errors)
    elif tag == "20":
        draft.reference = folded(first)
    elif tag in ("25", "25P"):
        draft.account = draft.account or folded(first)
    elif tag in ("28", "28C"):
        draft.number = folded(first)
    elif tag in ("60F", "60M"):
        _take_balance(draft, "opening", item, errors)
    elif tag in ("62F", "62M"):
        _take_balance(draft, "closing", item, errors)
    elif tag == "64":
        draft.available = draft.available or item
    elif tag in ("34F", "13", "13D", "90D", "90C"):
        draft.interim = True
        found = _CURRENCY_OF.match(first)
        draft.currency = draft.currency or (found[1] if found else None)


def _take_text(draft: _Draft, item: Field, errors: list[RowError]) -> None:
    """An information field belongs to the line before it; outside the lines it speaks of the whole statement."""
    if draft.lines and draft.closing is None:
        (draft.lines[-1].details if item.tag == "86" else draft.lines[-1].ns).extend(item.lines)
    elif draft.closing is None and _GERMAN_TEXT.match(item.lines[0]):
        message = "the details of a statement line stand here, but its :61: is missing"
        errors.append(RowError(item.line, ":61:", None, "a :61: line before this :86:", message, item.raw))
    elif any(line.strip() for line in item.lines):
        draft.left_out.append(LeftOut(item.line, item.raw, "text about the whole statement"))


def _take_balance(draft: _Draft, kind: str, item: Field, errors: list[RowError]) -> None:
    if getattr(draft, kind) is not None:
        message = f"a second {kind} balance in one statement; the first one counts"
        errors.append(RowError(item.line, f":{item.tag}:", item.lines[0], f"one {kind} balance", message, item.raw))
        return
    setattr(draft, kind, item)
    found = _BALANCE.match(item.lines[0])
    draft.currency = stated_code(found[3] or "" if found else "") or draft.currency


def _join_pages(drafts: Iterator[_Draft]) -> list[_Draft]:
    """Statements with their continuation pages (closed with :62M:, reopened with :60M:) put together."""
    whole: list[_Draft] = []
    for draft in drafts:
        if whole and draft.continues(whole[-1]):
            earlier = whole[-1]
            earlier.lines += draft.lines
            earlier.left_out += draft.left_out
            earlier.closing = draft.closing
            earlier.available = draft.available
            earlier.currency = earlier.currency or draft.currency
        else:
            whole.append(draft)
    return whole


def _statement(draft: _Draft, hints: Hints, errors: list[RowError]) -> Statement:
    currency = draft.currency or currency_of(hints)
    balances = _balances(draft, currency, errors)
    rows = Lines(hints.limits.max_rows)
    for line in draft.lines:
        try:
            row = row_of(line, currency)
        except ValueError as problem:
            expected = "date, C or D, amount and reference, for example 2401310131C12,50NTRFNONREF"
            message = f":61: cannot be read: {problem}"
            errors.append(RowError(line.item.line, ":61:", line.item.lines[0], expected, message, line.item.raw))
            continue
        if row is None:
            draft.left_out.append(LeftOut(line.item.line, line.item.raw, "expected, not booked"))
            continue
        rows.add(row)
    _complain_about_gaps(draft, errors)
    return Statement(
        account=draft.account,
        currency=None if currency == UNKNOWN else currency,
        number=draft.number,
        period_start=next((b.date for b in balances if b.kind == "opening"), None),
        period_end=next((b.date for b in balances if b.kind == "closing"), None),
        balances=balances,
        lines=rows.table(),
        left_out=tuple(draft.left_out),
    )


def _complain_about_gaps(draft: _Draft, errors: list[RowError]) -> None:
    """A customer statement must name its account and both balances: without them the file may be cut off."""
    if draft.interim:
        return
    gaps = [
        tag
        for tag, value in ((":25:", draft.account), (":60F:", draft.opening), (":62F:", draft.closing))
        if value is None
    ]
    if gaps:
        message = f"the statement is incomplete, {', '.join(gaps)} missing: the file may be cut off"
        errors.append(RowError(draft.line, gaps[0], None, "account, opening and closing balance", message, None))


def _balances(draft: _Draft, currency: str, errors: list[RowError]) -> tuple[Balance, ...]:
    fields: list[tuple[BalanceKind, Field | None]] = [("opening", draft.opening), ("closing", draft.closing)]
    fields.append(("closing_available", draft.available))
    balances = []
    for kind, item in fields:
        if item is None:
            continue
        try:
            balances.append(balance_of(kind, item.lines[0], currency))
        except ValueError as problem:
            expected = "C or D, date, currency and amount, for example C240131EUR1000,00"
            error = unreadable(item.line, f":{item.tag}:", item.lines[0], f"{expected} ({problem})", item.raw)
            errors.append(error)
    return tuple(balances)
