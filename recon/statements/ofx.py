"""OFX 1 (SGML) and 2 (XML), and Quicken's QFX: bank, card and investment cash statements.

Source: OFX 2.3 specification, chapters 3 (formats) and 11 (statements). The tags are read one after the other without
a schema, because real files leave out headers and end tags, write ``&`` bare, and add tags of their own; no entity is
ever expanded beyond HTML's characters. OFX states a closing balance (LEDGERBAL) and never an opening one.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

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
    Question,
    Reading,
    RowError,
    Statement,
    StatementError,
)
from recon.statements.values import currency_of, either_mark_units, folded, unreadable, utc, zone_of

NAME = "ofx"

_DETECT = re.compile(rb"<OFX>|<OFX\s|OFXHEADER|DATA:OFXSGML", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9._]*)\s*/?>")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]+\d*);")
_WHEN = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ]?(?:(\d\d):?(\d\d):?(\d\d)?(?:\.\d*)?)?\s*"
    r"(?:\[\s*([+-]?\d+(?:\.\d+)?)(?::[^\]]*)?\])?"
)
_STATEMENTS = ("STMTRS", "CCSTMTRS", "INVSTMTRS")
_ACCOUNTS = ("BANKACCTFROM", "CCACCTFROM", "INVACCTFROM")
_TRANSACTIONS = ("STMTTRN", "STMTTRNP")
_AGGREGATES = frozenset(
    {
        *_STATEMENTS,
        *_TRANSACTIONS,
        *_ACCOUNTS,
        *("BANKTRANLIST", "BANKTRANLISTP", "INVTRANLIST"),
        *("BANKACCTTO", "CCACCTTO", "CURRENCY", "ORIGCURRENCY", "PAYEE", "LEDGERBAL", "AVAILBAL", "BAL", "INVBAL"),
        *("STATUS", "INVPOSLIST", "SECLIST"),
    }
)
_INVESTMENTS = re.compile(
    r"(BUY|SELL)(DEBT|MF|OPT|OTHER|STOCK)|CLOSUREOPT|INCOME|INVEXPENSE|JRNLFUND|JRNLSEC|MARGININTEREST|REINVEST|"
    r"RETOFCAP|SPLIT|TRANSFER"
)
_EXTRA = {
    "CHECKNUM": "cheque",
    "SIC": "merchant_category",
    "SRVRTID": "server_id",
    "CORRECTFITID": "corrects",
    "CORRECTACTION": "correction",
}


@dataclass
class _Frame:
    """An open aggregate: its leaves and the aggregates already closed inside it."""

    tag: str
    line: int
    leaves: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    transactions: list[_Frame] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    implied: bool = False  # a statement of which the file has only the list of transactions


def detects(head: bytes, name: str) -> int:
    """Sure for an OFX header or root element; a named .ofx or .qfx with any tag is taken at its word."""
    plain = head.replace(b"\0", b"")
    if _DETECT.search(plain):
        return 98
    return 60 if name.lower().endswith((".ofx", ".qfx")) and b"<" in plain else 0


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """All statements of the file; transactions that cannot be read become row errors."""
    hints = answered(hints)
    encoding = hints.encoding or _encoding(data)
    text = decode(data, encoding)
    errors: list[RowError] = []
    messages: list[str] = []
    frames = list(_statement_frames(text, messages, errors))
    if not frames:
        said = f" It says: {messages[0]}" if messages else ""
        raise StatementError(f"The OFX file has no account statement in it.{said}")
    statements = tuple(_statement(frame, hints, errors) for frame in frames)
    reading = Reading(NAME, encoding, statements, tuple(errors), questions=_questions(frames, hints))
    return asking(directed(reading, hints), hints)


def _encoding(data: bytes) -> str:
    """UTF-8 if the bytes are; else what the header's CHARSET names; else a guess."""
    found = encoding_of(data)
    if found in ("ascii", "utf-8", "utf-8-sig") or found.startswith("utf-"):
        return found
    charset = re.search(rb"CHARSET:\s*([\w-]+)", data[:2000], re.IGNORECASE)
    named = {b"1252": "cp1252", b"ISO-8859-1": "cp1252", b"8859-1": "cp1252"}.get(
        charset[1].upper() if charset else b""
    )
    return named or found


def _statement_frames(text: str, messages: list[str], errors: list[RowError]) -> Iterator[_Frame]:
    """The statements of the file, each with its transactions, whatever end tags are missing."""
    outside = _Frame("", 1)  # what stands in no statement
    stack = [outside]
    for line, closes, tag, value in _tags(text):
        if closes:
            yield from _close(stack, tag)
        elif tag in _AGGREGATES:
            again = tag in (*_STATEMENTS, "BANKTRANLIST") or (stack[-1].implied and tag in _ACCOUNTS)
            if again and any(each.implied for each in stack):
                yield from _close(stack, "STMTRS")
            if tag == "BANKTRANLIST" and not any(each.tag in _STATEMENTS for each in stack):
                stack.append(_Frame("STMTRS", line, {**outside.leaves}, {**outside.parts}, implied=True))
                outside.leaves.clear()
                outside.parts.clear()
            if tag in _STATEMENTS or (tag in _TRANSACTIONS and any(each.tag == tag for each in stack)):
                yield from _close(stack, tag)  # its end tag is missing
            stack.append(_Frame(tag, line))
        elif value:
            stack[-1].leaves.setdefault(tag, value)
            if tag == "MESSAGE" and value.upper() not in ("SUCCESS", "OK"):
                messages.append(value)
        elif _INVESTMENTS.fullmatch(tag):
            owner = next((each for each in stack if each.tag in _STATEMENTS), stack[0])
            owner.left_out.append(LeftOut(line, f"<{tag}>", "investment transaction, no movement of cash by itself"))
    if any(each.tag in _STATEMENTS for each in stack):
        if not stack[-1].implied:
            line = text.count("\n") + 1
            message = "the file ends inside a statement: it may be cut off"
            errors.append(RowError(line, None, None, "the end of the statement", message))
        yield from _close(stack, stack[1].tag)


def _tags(text: str) -> Iterator[tuple[int, bool, str, str]]:
    """(line, is an end tag, name, the text after it) of every tag."""
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    text = _CDATA.sub(lambda found: html.escape(found[1]), text)
    line, counted = 1, 0
    found = _TAG.search(text)
    while found:
        following = _TAG.search(text, found.end())
        line += text.count("\n", counted, found.start())
        counted = found.start()
        raw = text[found.end() : following.start() if following else len(text)]
        value = folded(_unescaped(_unescaped(raw))) or ""  # what a bank's other systems escaped before
        yield line, found[1] == "/", found[2].upper(), value
        found = following


def _unescaped(text: str) -> str:
    """Characters for their names, which end in a semicolon: a bare & begins no name (``M&parking`` is no ``¶``)."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def _close(stack: list[_Frame], tag: str) -> Iterator[_Frame]:
    """Close the innermost `tag` and all that is open inside it; finished statements come out."""
    if not any(each.tag == tag for each in stack):
        return
    while stack:
        frame = stack.pop()
        if frame.tag in _STATEMENTS:
            yield frame
        elif frame.tag in _TRANSACTIONS:
            owner = next((each for each in reversed(stack) if each.tag in _STATEMENTS), None)
            if owner:
                owner.transactions.append(frame)
        elif stack:
            stack[-1].parts.setdefault(frame.tag, frame.leaves)
        if frame.tag == tag:
            return


def _statement(frame: _Frame, hints: Hints, errors: list[RowError]) -> Statement:
    currency = stated_code(frame.leaves.get("CURDEF", "")) or currency_of(hints)
    lines = Lines(hints.limits.max_rows)
    left_out = list(frame.left_out)
    for each in frame.transactions:
        if each.tag == "STMTTRNP":
            left_out.append(LeftOut(each.line, _raw(each), "pending, not booked yet"))
            continue
        try:
            lines.add(_row(each, currency, zone_of(hints)))
        except ValueError as problem:
            column, found, expected = problem.args
            errors.append(unreadable(each.line, column, found, expected, _raw(each)))
    account = next((frame.parts[tag] for tag in _ACCOUNTS if tag in frame.parts), {})
    listed = frame.parts.get("BANKTRANLIST") or frame.parts.get("INVTRANLIST") or {}
    return Statement(
        account=account.get("ACCTID"),
        currency=None if currency == UNKNOWN else currency,
        number=None,
        period_start=_day(listed.get("DTSTART")),
        period_end=_day(listed.get("DTEND")),
        balances=tuple(_balances(frame, currency, errors)),
        lines=lines.table(),
        left_out=tuple(left_out),
    )


def _raw(frame: _Frame) -> str:
    return "\n".join(f"<{tag}>{value}" for tag, value in frame.leaves.items())


def _balances(frame: _Frame, currency: str, errors: list[RowError]) -> Iterator[Balance]:
    kinds: tuple[tuple[str, BalanceKind], ...] = (("LEDGERBAL", "closing"), ("AVAILBAL", "closing_available"))
    for tag, kind in kinds:
        leaves = frame.parts.get(tag, {})
        text = leaves.get("BALAMT")
        if not text:
            continue
        try:
            units, scale = either_mark_units(text, currency)
        except ValueError as problem:
            errors.append(unreadable(frame.line, f"{tag}/BALAMT", text, str(problem)))
            continue
        yield Balance(kind, currency, _day(leaves.get("DTASOF")), units, scale)


def _row(frame: _Frame, currency: str, zone: ZoneInfo) -> dict[str, Any]:
    """The row of a transaction. Raises ValueError(column, found, expected)."""
    leaves = frame.leaves
    currency = stated_code(frame.parts.get("CURRENCY", {}).get("CURSYM", "")) or currency
    text = leaves.get("TRNAMT", "")
    try:
        units, scale = either_mark_units(text, currency)
    except ValueError as problem:
        raise ValueError("TRNAMT", text, str(problem)) from None
    day, booked_at = _when("DTPOSTED", leaves.get("DTPOSTED") or leaves.get("DTUSER", ""), zone)
    valued = _day(leaves.get("DTAVAIL"))
    name = leaves.get("NAME") or frame.parts.get("PAYEE", {}).get("NAME")
    number = next((leaves[tag] for tag in ("REFNUM", "CHECKNUM") if leaves.get(tag, "").strip("0")), None)
    return {
        "line": frame.line,
        "external_id": leaves.get("FITID"),
        "units": units,
        "scale": scale,
        "currency": currency,
        "booking_date": day,
        "value_date": valued,
        "booked_at": booked_at,
        "reference": number or leaves.get("FITID"),
        "description": leaves.get("MEMO") or leaves.get("NAME") or leaves.get("EXTDNAME"),
        "counterparty": name,
        "type_code": leaves.get("TRNTYPE"),
        "amount_text": text,
        "extra": _extra(frame),
    }


def _extra(frame: _Frame) -> str | None:
    extra = {key: frame.leaves[tag] for tag, key in _EXTRA.items() if frame.leaves.get(tag)}
    original = frame.parts.get("ORIGCURRENCY", {})
    to = frame.parts.get("BANKACCTTO") or frame.parts.get("CCACCTTO") or {}
    more = {
        "original_currency": original.get("CURSYM"),
        "rate": original.get("CURRATE"),
        "counterparty_account": to.get("ACCTID"),
    }
    extra |= {key: value for key, value in more.items() if value}
    return encode_extra(extra) if extra else None


def _when(column: str, text: str, zone: ZoneInfo) -> tuple[date, datetime | None]:
    """Day as written, and the UTC instant; midnight and noon sharp are what banks write for "no time"."""
    found = _WHEN.match(text.strip())
    try:
        if not found:
            raise ValueError
        day = date(int(found[1]), int(found[2]), int(found[3]))
        clock = found[4], found[5], found[6] or "00"
        if found[4] is None or clock in (("00", "00", "00"), ("12", "00", "00")):
            return day, None
        own = timezone(timedelta(hours=float(found[7]))) if found[7] else zone
        at = datetime(day.year, day.month, day.day, int(clock[0]), int(clock[1]), int(clock[2]), tzinfo=own)
    except ValueError:
        raise ValueError(column, text, "a date like 20260131 or 20260131235959[-5:EST]") from None
    return day, utc(at, zone)


def _day(text: str | None) -> date | None:
    try:
        return _when("", text, ZoneInfo("UTC"))[0] if text else None
    except ValueError:
        return None


def _questions(frames: list[_Frame], hints: Hints) -> tuple[Question, ...]:
    """Some cards write charges as positive numbers: if every amount contradicts its type, a person decides."""
    agree = contradict = 0
    for each in (each for frame in frames for each in frame.transactions):
        kind, minus = each.leaves.get("TRNTYPE", "").upper(), each.leaves.get("TRNAMT", "").strip().startswith("-")
        if kind in ("DEBIT", "CREDIT"):
            agree += (kind == "DEBIT") == minus
            contradict += (kind == "DEBIT") != minus
    if agree or not contradict or hints.sign:
        return ()
    text = "Every debit in this file is a positive number and every credit a negative one. Which way did the money go?"
    options = (("as_given", "A positive number is money in"), ("inverted", "A positive number is money out"))
    return (Question("sign", text, options, "as_given"),)
