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
from datetime import date
from typing import Any

from recon.statements.answers import answered, asking
from recon.statements.collecting import Lines, encode_extra
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
from recon.statements.mt940_details import Details, meaningful, read_details, read_ns
from recon.statements.values import currency_of, folded, plain_units, unreadable

NAME = "mt940"

_DETECT = re.compile(rb"(?:^|[\r\n]|@@|\{4:)[ \t]*:(20|25P?|28C?|60[FM]|61|62[FM]):")
_TAG = re.compile(r"[ \t]*:(\d{2,3}[A-Z]?|NS):(.*)", re.DOTALL)
_TAG_START = re.compile(r":\d?")
_TAG_END = re.compile(r"\d{1,2}[A-Z]?:")
_ENVELOPE = re.compile(r"^.*\{4:")
_BALANCE = re.compile(r"\s*([CDcd])\s*(\d{6})\s*([A-Za-z]{3})?\s*([\d.,]+)\s*$")
_MOVEMENT = re.compile(
    r"\s*(?P<value>\d{6})\s*(?P<entry>\d{4})?\s*(?P<mark>[RE][CD]|[CD])(?P<funds>[A-Z])?\s*"
    r"(?P<amount>[\d.]*[.,]\d*|\d+(?=[NSF]))(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_TYPE_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{2}[A-Za-z0-9 ]")
_CUT_AMOUNT = re.compile(r"\d{0,2}[NSFnsf][A-Za-z0-9]{3}")
_CURRENCY_OF = re.compile(r"\d*([A-Z]{3})")
_GERMAN_TEXT = re.compile(r"\d{3}\?\d\d")


@dataclass
class _Field:
    """One tagged field: its tag, its lines, and the physical line it starts on."""

    line: int
    tag: str
    lines: list[str]

    @property
    def raw(self) -> str:
        return f":{self.tag}:" + "\n".join(self.lines)


@dataclass
class _Line:
    """One :61: with the fields that explain it, before its currency is known."""

    item: _Field
    details: list[str] = field(default_factory=list)
    ns: list[str] = field(default_factory=list)


@dataclass
class _Draft:
    """A statement being read."""

    line: int
    reference: str | None = None
    account: str | None = None
    number: str | None = None
    currency: str | None = None
    opening: _Field | None = None
    closing: _Field | None = None
    available: _Field | None = None
    lines: list[_Line] = field(default_factory=list)
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
    drafts = _join_pages(_drafts(_fields(text), errors))
    if not drafts:
        raise StatementError("The file has MT940 tags but no statement line (:61:) and no balance (:60F:, :62F:).")
    statements = tuple(_statement(draft, hints, errors) for draft in drafts)
    return asking(directed(Reading(NAME, encoding, statements, tuple(errors)), hints, by_marks=True), hints)


def _fields(text: str) -> Iterator[_Field]:
    """The tagged fields in file order; what stands before the first tag or after a message's end is envelope."""
    if "@@:" in text:
        text = text.replace("@@", "\n")
    current: _Field | None = None
    for number, line in _whole_lines(text):
        found = _TAG.match(line)
        if found:
            if current:
                yield current
            current = _Field(number, found[1], [found[2]])
        elif line.rstrip() == "-" or line.startswith(("-}", "-XXX")):
            if current:
                yield current
            current = None
        elif current:
            current.lines.append(line)
    if current:
        yield current


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines, with SWIFT's envelope cut off and tags that a line break has torn apart put together again."""
    torn: tuple[int, str] | None = None
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if torn:
            if _TAG_END.match(line):
                yield torn[0], torn[1] + line
                torn = None
                continue
            yield torn
            torn = None
        if line.startswith(("{", "$", "-}")) and "{4:" in line:
            line = _ENVELOPE.sub("", line)
            yield number, "-"
        if _TAG_START.fullmatch(line):
            torn = number, line
        else:
            yield number, line
    if torn:
        yield torn


def _drafts(fields: Iterator[_Field], errors: list[RowError]) -> Iterator[_Draft]:
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


def _starts_statement(item: _Field, draft: _Draft) -> bool:
    if item.tag == "20":
        return True
    return draft.closing is not None and item.tag in ("25", "25P", "28", "28C", "60F", "60M")


def _take(draft: _Draft, item: _Field, errors: list[RowError]) -> None:
    tag, first = item.tag, item.lines[0].strip()
    if tag == "61":
        draft.lines.append(_Line(item))
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


def _take_text(draft: _Draft, item: _Field, errors: list[RowError]) -> None:
    """An information field belongs to the line before it; outside the lines it speaks of the whole statement."""
    if draft.lines and draft.closing is None:
        (draft.lines[-1].details if item.tag == "86" else draft.lines[-1].ns).extend(item.lines)
    elif draft.closing is None and _GERMAN_TEXT.match(item.lines[0]):
        message = "the details of a statement line stand here, but its :61: is missing"
        errors.append(RowError(item.line, ":61:", None, "a :61: line before this :86:", message, item.raw))
    elif any(line.strip() for line in item.lines):
        draft.left_out.append(LeftOut(item.line, item.raw, "text about the whole statement"))


def _take_balance(draft: _Draft, kind: str, item: _Field, errors: list[RowError]) -> None:
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
            row = _row(line, currency)
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
    fields: list[tuple[BalanceKind, _Field | None]] = [("opening", draft.opening), ("closing", draft.closing)]
    fields.append(("closing_available", draft.available))
    balances = []
    for kind, item in fields:
        if item is None:
            continue
        try:
            balances.append(_balance(kind, item.lines[0], currency))
        except ValueError as problem:
            expected = "C or D, date, currency and amount, for example C240131EUR1000,00"
            error = unreadable(item.line, f":{item.tag}:", item.lines[0], f"{expected} ({problem})", item.raw)
            errors.append(error)
    return tuple(balances)


def _balance(kind: BalanceKind, text: str, currency: str) -> Balance:
    found = _BALANCE.match(text)
    if not found:
        raise ValueError("another layout")
    own = stated_code(found[3] or "") or currency
    units, scale = _units(found[4], own)
    return Balance(kind, own, _date(found[2]), units if found[1] in "Cc" else -units, scale)


def _row(line: _Line, currency: str) -> dict[str, Any] | None:
    """The row of a :61: field; None for an expected (not booked) line; ValueError says what is wrong."""
    found, supplementary = _movement(line.item.lines)
    mark = found["mark"].upper()
    if mark[0] == "E":
        return None
    value_date = _date(found["value"])
    units, scale = _units(found["amount"], currency)
    details = _details(line)
    type_code, own_reference, bank_reference = _references(found["rest"])
    if mark in ("RC", "RD"):
        details.extra["reversal"] = "true"
    for key, text in (("customer_reference", own_reference), ("supplementary", supplementary)):
        details.note(key, text)
    return {
        "line": line.item.line,
        "external_id": bank_reference,
        "units": units if mark in ("C", "RD") else -units,
        "scale": scale,
        "currency": currency,
        "booking_date": _entry_date(found["entry"], value_date),
        "value_date": value_date,
        "reference": details.extra.get("end_to_end_id") or details.extra.get("customer_reference") or bank_reference,
        "description": details.text or folded(supplementary),
        "counterparty": details.name,
        "type_code": type_code,
        "amount_text": found["mark"] + (found["funds"] or "") + found["amount"],
        "extra": encode_extra(details.extra) if details.extra else None,
    }


def _movement(lines: list[str]) -> tuple[re.Match[str], str]:
    """The parts of the first line and the supplementary text after it; an amount cut in two is put together."""
    found = _MOVEMENT.match(lines[0])
    cut = found is not None and not found["rest"].strip() and len(lines) > 1 and _CUT_AMOUNT.match(lines[1])
    if (found is None or cut) and len(lines) > 1:
        joined = _MOVEMENT.match(lines[0].rstrip() + lines[1])
        if joined:
            return joined, " ".join(lines[2:])
    if found is None:
        raise ValueError("it does not have the layout of a statement line")
    return found, " ".join(lines[1:])


def _references(rest: str) -> tuple[str | None, str | None, str | None]:
    """Type code, customer reference and bank reference: ``NTRF`` + ``reference`` + ``//`` + ``bank's reference``."""
    type_code = None
    if _TYPE_CODE.match(rest) and not rest.upper().startswith("NONREF"):
        type_code, rest = rest[:4].strip(), rest[4:]
    own, _, bank = rest.partition("//")
    return type_code, meaningful(own), meaningful(bank)


def _details(line: _Line) -> Details:
    details = read_details(line.details) if line.details else Details()
    if line.ns:
        more = read_ns(line.ns)
        details.text = details.text or more.text
        details.name = details.name or more.name
        details.extra = {**more.extra, **details.extra}
    return details


def _units(text: str, currency: str) -> tuple[int, int]:
    """``1234,56``; also ``1234,`` and ``,02``, and a decimal point where at most two decimals follow it."""
    if re.fullmatch(r"\d{1,3}(\.\d{3})+,\d*", text):
        text = text.replace(".", "")
    if "," not in text and re.search(r"\.\d{3,}$", text):
        raise ValueError(f"the amount {text} has a point where a comma belongs")
    try:
        return plain_units(text.replace(",", "."), currency)
    except ValueError as problem:
        raise ValueError(f"the amount {text} is not {problem}") from None


def _date(text: str) -> date:
    """YYMMDD; 80–99 are the 1900s, the window of the SWIFT handbook."""
    year = int(text[:2])
    try:
        return date(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[4:6]))
    except ValueError:
        raise ValueError(f"{text} is not a date (YYMMDD)") from None


def _entry_date(text: str | None, value_date: date) -> date:
    """The booking date: MMDD in the year that lies nearest to the value date; without one, the value date."""
    if not text or text == "0000":
        return value_date
    candidates = []
    for year in (value_date.year - 1, value_date.year, value_date.year + 1):
        try:
            candidates.append(date(year, int(text[:2]), int(text[2:])))
        except ValueError:
            continue
    if not candidates:
        raise ValueError(f"{text} is not a date (MMDD)")
    return min(candidates, key=lambda day: abs(day - value_date))
