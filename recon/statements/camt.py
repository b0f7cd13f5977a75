"""ISO 20022 CAMT: camt.053 (statement), camt.052 (account report) and camt.054 (notification), versions 01 to 10.

Source: ISO 20022 message definitions. Any namespace prefix is read, and none at all. Entries (``camt_entries``) are
read one by one and dropped, so that memory stays bounded. Entries that are pending or announced are left out visibly;
in a camt.054 entries for information are kept, since that is what a notification consists of. Entries without a date
have none, unless the hints want that of a statement of one day for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
from lxml import etree

from recon.statements.answers import answered, asking
from recon.statements.camt_details import Element, Names, at, children, line_of, text_at
from recon.statements.camt_entries import EntryReader
from recon.statements.camt_quick import STAND_IN, Taken, taken
from recon.statements.collecting import Lines
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
from recon.statements.values import currency_of, iso_date, plain_units, unreadable, zone_of

NAME = "camt"

_MESSAGES = {"BkToCstmrStmt": "Stmt", "BkToCstmrAcctRpt": "Rpt", "BkToCstmrDbtCdtNtfctn": "Ntfctn"}
_BALANCE_KINDS: dict[str, BalanceKind] = {
    "OPBD": "opening",
    "CLBD": "closing",
    "OPAV": "opening_available",
    "CLAV": "closing_available",
    "ITBD": "interim",
}
_NOT_BOOKED = {
    "PDNG": "pending, not booked yet",
    "FUTR": "to be booked in the future",
    "INFO": "for information only, not booked",
}
_RAW_LENGTH = 2000


@dataclass
class _Draft:
    """A statement being read: its element (without the entries read so far) and the lines of those entries."""

    element: Element
    names: Names
    entries: EntryReader
    lines: Lines
    currencies: set[str] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)


def detects(head: bytes, name: str) -> int:
    """Sure for a message of the camt family; likely for any other XML document, so as to refuse it with its name."""
    plain = head.replace(b"\0", b"")  # also UTF-16
    if any(message.encode() in plain for message in _MESSAGES) or b"xsd:camt.05" in plain:
        return 99
    if b"iso:20022" in plain[:4000]:
        return 90
    start = plain.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return 40 if start.startswith((b"<?xml", b"<!DOCTYPE", b"<Document")) else 0


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """All statements, reports and notifications of the file; entries that cannot be read become row errors."""
    hints = answered(hints)
    _refuse_declarations(b"<!DOCTYPE" in data[:65536].replace(b"\0", b""))
    return _read(data, hints, None if hints.encoding else taken(data, zone_of(hints)))


def _read(data: bytes, hints: Hints, quick: Taken | None) -> Reading:
    errors: list[RowError] = []
    drafts: list[_Draft] = []
    parser = etree.iterparse(
        BytesIO((quick.skeleton if quick else data).lstrip()),
        events=("end",),
        tag=[f"{{*}}{local}" for local in (*_MESSAGES.values(), "Ntry")],
        remove_comments=True,
        remove_pis=True,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        encoding=hints.encoding,
    )
    try:
        for _, element in parser:
            _take(element, drafts, hints, errors, quick)
    except etree.XMLSyntaxError as problem:
        if quick:
            return _read(data, hints, None)  # which says where in the whole file the damage is
        reason = " ".join((problem.msg or "").split())  # libxml parts what and where by a line end
        message = f"The file is damaged or cut off at line {problem.lineno}: {reason}"
        errors.append(RowError(problem.lineno, None, None, "well-formed XML", message))
        if not drafts:
            raise StatementError(message, *errors) from None
    if not drafts:
        raise _refusal(parser.root)
    statements = tuple(_statement(draft, hints, errors) for draft in drafts)
    encoding = drafts[0].element.getroottree().docinfo.encoding
    return asking(directed(Reading(NAME, encoding, statements, tuple(errors)), hints, by_marks=True), hints)


def _take(element: Element, drafts: list[_Draft], hints: Hints, errors: list[RowError], quick: Taken | None) -> None:
    """A finished entry, which is read and dropped, or a finished statement."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tag.endswith("Ntry"):
        if (drafts and parent is drafts[-1].element) or _begins(parent, drafts, hints):
            if quick and (stand_in := element.get(STAND_IN)):
                _take_run(quick.run(stand_in), drafts[-1])
            else:
                _take_entry(element, drafts[-1], errors)
            parent.remove(element)
    elif not drafts or element is not drafts[-1].element:
        _begins(element, drafts, hints)


def _begins(element: Element, drafts: list[_Draft], hints: Hints) -> bool:
    """Whether the element is a statement: then it is the one being read from here on."""
    name, parent = etree.QName(element), element.getparent()
    if parent is None or _MESSAGES.get(etree.QName(parent).localname) != name.localname:
        return False
    _refuse_declarations(bool(element.getroottree().docinfo.internalDTD))
    names = Names(name.namespace)
    drafts.append(_Draft(element, names, EntryReader(names, hints), Lines(hints.limits.max_rows)))
    return True


def _take_run(rows: pa.Table, draft: _Draft) -> None:
    draft.currencies.update(pc.unique(rows["currency"]).to_pylist())
    draft.lines.add_table(rows)


def _take_entry(entry: Element, draft: _Draft, errors: list[RowError]) -> None:
    kids = children(entry)
    state = draft.entries.status(kids)
    if state in _NOT_BOOKED and not (state == "INFO" and draft.element.tag == draft.names["Ntfctn"]):
        draft.left_out.append(LeftOut(line_of(entry), _raw(entry), _NOT_BOOKED[state]))
        return
    try:
        rows = draft.entries.rows(kids, entry)
    except ValueError as problem:
        column, found, expected = problem.args
        errors.append(unreadable(line_of(entry), column, found, expected, _raw(entry)))
        return
    for row in rows:
        draft.currencies.add(row["currency"])
        draft.lines.add(row)


def _raw(entry: Element) -> str:
    return etree.tostring(entry, encoding="unicode", with_tail=False)[:_RAW_LENGTH]


def _refuse_declarations(has_them: bool) -> None:
    """A document type can define entities that blow up or read other files; no statement needs one."""
    if has_them:
        raise StatementError("The file has a document type declaration (DOCTYPE), which no bank statement needs.")


def _refusal(root: Element | None) -> StatementError:
    """What to say about XML that holds no statement."""
    if root is None:
        return StatementError("The XML file is empty.")
    name = etree.QName(root)
    message = (name.namespace or "").rpartition(":")[2]
    body = next((etree.QName(child).localname for child in root.iterchildren("*")), None)
    if body in _MESSAGES:
        return StatementError(f"The CAMT file has no statement in it: {_MESSAGES[body]} is missing inside {body}.")
    if message.startswith("camt.05") and body is None:
        return StatementError(f"The CAMT file ({message}) is empty: it has no statement in it.")
    if message.startswith(("pain.", "pacs.", "camt.")):
        kind = "payment order" if message.startswith("pain.001") else "message"
        return StatementError(f"This is a {kind} ({message}), not a bank statement (camt.052, camt.053, camt.054).")
    return StatementError(
        f"This XML file (<{name.localname}>) is not a bank statement (camt.052, camt.053, camt.054)."
    )


def _statement(draft: _Draft, hints: Hints, errors: list[RowError]) -> Statement:
    names, element = draft.names, draft.element
    account = at(element, names, "Acct", "Id")
    balances = _balances(draft, hints, errors)
    currencies = draft.currencies | {balance.currency for balance in balances}
    own = stated_code(text_at(element, names, "Acct", "Ccy") or "")
    only = currencies.pop() if len(currencies) == 1 else None if currencies else own
    period = at(element, names, "FrToDt")
    start = _day(text_at(period, names, "FrDtTm") or text_at(period, names, "FrDt"))
    end = _day(text_at(period, names, "ToDtTm") or text_at(period, names, "ToDt"))
    lines = draft.lines.table()
    if hints.undated_by_statement and lines["booking_date"].null_count and (day := _only_day(start, end, balances)):
        start, end, lines = start or day, end or day, _dated(lines, day)
    return Statement(
        account=text_at(account, names, "IBAN") or text_at(account, names, "Othr", "Id"),
        currency=None if only == UNKNOWN else only,
        number=text_at(element, names, "ElctrncSeqNb") or text_at(element, names, "Id"),
        period_start=start,
        period_end=end,
        balances=balances,
        lines=lines,
        left_out=tuple(draft.left_out),
    )


def _only_day(start: date | None, end: date | None, balances: tuple[Balance, ...]) -> date | None:
    """The one day that a statement covers, by its period or by its opening and closing balances; None if several."""
    if start or end:
        return start if start == end else None
    outer = [balance for balance in balances if balance.kind in ("opening", "closing")]
    days = {balance.date for balance in outer}
    return days.pop() if len(days) == 1 and len({balance.kind for balance in outer}) > 1 else None


def _dated(lines: pa.Table, day: date) -> pa.Table:
    """The lines with a booking date for those that have no date at all."""
    place = lines.schema.get_field_index("booking_date")
    dates = pc.coalesce(lines["booking_date"], lines["value_date"], pa.scalar(day, pa.date32()))
    return lines.set_column(place, lines.schema.field(place), dates)


def _day(text: str | None) -> date | None:
    try:
        return iso_date(text) if text else None
    except ValueError:
        return None


def _balances(draft: _Draft, hints: Hints, errors: list[RowError]) -> tuple[Balance, ...]:
    """The stated balances; the previous closing balance (PRCD) opens a statement that has no opening one."""
    found: list[Balance] = []
    previous: list[Balance] = []
    for element in draft.element.iterchildren(draft.names["Bal"]):
        code = text_at(element, draft.names, "Tp", "CdOrPrtry", "Cd") or text_at(element, draft.names, "Tp", "Cd")
        if code not in _BALANCE_KINDS and code != "PRCD":
            continue
        try:
            balance = _balance(element, _BALANCE_KINDS.get(code, "opening"), draft.names, hints)
        except ValueError as problem:
            column, text, expected = problem.args
            errors.append(unreadable(line_of(element), column, text, expected, _raw(element)))
            continue
        (previous if code == "PRCD" else found).append(balance)
    opened = {balance.currency for balance in found if balance.kind == "opening"}
    return tuple([balance for balance in previous if balance.currency not in opened] + found)


def _balance(element: Element, kind: BalanceKind, names: Names, hints: Hints) -> Balance:
    amount = at(element, names, "Amt")
    text = (amount.text or "").strip() if amount is not None else ""
    currency = (stated_code(amount.get("Ccy") or "") if amount is not None else None) or currency_of(hints)
    try:
        units, scale = plain_units(text, currency)
    except ValueError as problem:
        raise ValueError("Bal/Amt", text, str(problem)) from None
    # Some banks leave the direction out of balances; the standard's amounts are never negative.
    sign = -1 if text_at(element, names, "CdtDbtInd") == "DBIT" else 1
    day = _day(text_at(element, names, "Dt", "Dt") or text_at(element, names, "Dt", "DtTm"))
    return Balance(kind, currency, day, sign * units, scale)
