"""One :61: field of MT940, with the fields that explain it, to a row; and the balances of :60: and :62:."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from recon.statements.collecting import encode_extra
from recon.statements.currencies import stated_code
from recon.statements.model import Balance, BalanceKind
from recon.statements.mt940_details import Details, meaningful, read_details, read_ns
from recon.statements.mt940_fields import Field
from recon.statements.values import folded, plain_units

_BALANCE = re.compile(r"\s*([CDcd])\s*(\d{6})\s*([A-Za-z]{3})?\s*([\d.,]+)\s*$")
_MOVEMENT = re.compile(
    r"\s*(?P<value>\d{6})\s*(?P<entry>\d{4})?\s*(?P<mark>[RE][CD]|[CD])(?P<funds>[A-Z])?\s*"
    r"(?P<amount>[\d.]*[.,]\d*|\d+(?=[NSF]))(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_AFTER_AMOUNT = re.compile(r"\s*(?:[NSF][A-Z0-9]{2}[A-Z0-9 ]|MCI0|//)", re.IGNORECASE | re.ASCII)
"""What may follow an amount: N, S or F and its code (``MCI0`` is one bank's own), or at once the bank's reference."""

_TYPE_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{2}[A-Za-z0-9 ]")
_CUT_AMOUNT = re.compile(r"\d{0,2}[NSFnsf][A-Za-z0-9]{3}")


@dataclass
class Line:
    """One :61: with the fields that explain it, before its currency is known."""

    item: Field
    details: list[str] = field(default_factory=list)
    ns: list[str] = field(default_factory=list)


def row_of(line: Line, currency: str) -> dict[str, Any] | None:
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
            return _complete(joined), " ".join(lines[2:])
    if found is None:
        raise ValueError("it does not have the layout of a statement line")
    return _complete(found), " ".join(lines[1:])


def _complete(found: re.Match[str]) -> re.Match[str]:
    """The parts of a line whose amount ends where its type begins: ``5,X0NTRF`` would be read as 5.00 otherwise."""
    rest = found["rest"].strip()
    if not _AFTER_AMOUNT.match(rest):
        follows = repr(rest[:8]) if rest else "nothing"
        raise ValueError(f"after the amount {found['amount']} comes {follows}, not a type such as NTRF")
    return found


def _references(rest: str) -> tuple[str | None, str | None, str | None]:
    """Type code, customer reference and bank reference: ``NTRF`` + ``reference`` + ``//`` + ``bank's reference``."""
    type_code = None
    if _TYPE_CODE.match(rest) and not rest.upper().startswith("NONREF"):
        type_code, rest = rest[:4].strip(), rest[4:]
    own, _, bank = rest.partition("//")
    return type_code, meaningful(own), meaningful(bank)


def _details(line: Line) -> Details:
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


@lru_cache(maxsize=4096)
def _date(text: str) -> date:
    """YYMMDD; 80–99 are the 1900s, the window of the SWIFT handbook."""
    year = int(text[:2])
    try:
        return date(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[4:6]))
    except ValueError:
        raise ValueError(f"{text} is not a date (YYMMDD)") from None


@lru_cache(maxsize=4096)
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


def balance_of(kind: BalanceKind, text: str, currency: str) -> Balance:
    found = _BALANCE.match(text)
    if not found:
        raise ValueError("another layout")
    own = stated_code(found[3] or "") or currency
    units, scale = _units(found[4], own)
    return Balance(kind, own, _date(found[2]), units if found[1] in "Cc" else -units, scale)
