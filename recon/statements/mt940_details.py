"""What stands in an MT940 information field (:86:): purpose, counterparty and the references hidden in it.

SWIFT leaves the field free (6 lines of 65 characters); three conventions are in use and all are read here:
the German "Multibank" subfields (``166?00GUTSCHRIFT?20EREF+…?32NAME``, also with ``>``, ``~`` or another separator),
the Dutch and SWIFT code words (``/EREF/…/NAME/…/REMI/…``), and plain text. Also the German ``:NS:`` field.
Sources: SWIFT User Handbook, Category 9, field 86; Deutsche Kreditwirtschaft, DFÜ-Abkommen, Anlage 3, chapter 8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from recon.statements.values import folded

_FULL_LINE = 65
"""A line this long was cut in the middle of a word; a shorter one ended by itself."""
_FULL_SUBFIELD = 27

_NOTHING = {"NONREF", "NOREF", "NOTPROVIDED", "NOT PROVIDED", "EREF", "KREF", "MREF", "MARF", "PREF", "EF", "?"}

_SUBFIELDS = re.compile(r"\s*(\d{3}|(?=\?))\s*([^\w\s])(?=\d\d)")  # a few banks leave the code away
_SEPA_WORD = re.compile(r"\b(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|PREF)\+ ?")
_SLASH_WORD = re.compile(
    r"/(TRTP|EREF|KREF|PREF|IREF|MARF|CSID|BENM|ORDP|NAME|ADDR|IBAN|BIC|CNTP|REMI|USTD|STRD|PURP|RTRN|SVCL|"
    r"ULTD|ULTB|ULTC|ISDT|OCMT|CHGS|OGB|ID|CREF|INST)(?=/)/"
)
_REMITTANCE_KIND = re.compile(r"^(?:USTD|STRD)/+(?:CUR/+)?")
_NS_LINE = re.compile(r"(\d\d)(.*)")
_MEANING = {  # code word -> name in the line's extra
    "EREF": "end_to_end_id",
    "KREF": "customer_reference",
    "PREF": "payment_batch",
    "MREF": "mandate",
    "MARF": "mandate",
    "CRED": "creditor_id",
    "CSID": "creditor_id",
    "DEBT": "debtor_id",
    "OAMT": "original_amount",
    "COAM": "charges",
    "OCMT": "original_amount",
    "CHGS": "charges",
    "RTRN": "return_reason",
    "PURP": "purpose_code",
    "TRTP": "booking_text",
    "ISDT": "sent_on",
    "IBAN": "counterparty_account",
    "BIC": "counterparty_bank",
    "ABWA": "ultimate_counterparty",
    "ABWE": "ultimate_counterparty",
    "ULTD": "ultimate_counterparty",
    "ULTB": "ultimate_counterparty",
    "ULTC": "ultimate_counterparty",
}


@dataclass
class Details:
    """Purpose text, counterparty's name, and the named references of one information field."""

    text: str | None = None
    name: str | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def note(self, key: str, value: str | None) -> None:
        value = meaningful(value)
        if value:
            self.extra.setdefault(key, value)


def meaningful(text: str | None) -> str | None:
    """The text, unless it is one of the words banks write for "nothing here"."""
    plain = folded(text)
    return None if plain is None or plain.upper() in _NOTHING else plain


def unwrap(lines: list[str]) -> str:
    """Lines joined to one text: a full line continues in the next without a space."""
    parts: list[str] = []
    for line in lines:
        parts.append(line)
        if len(line) < _FULL_LINE:
            parts.append(" ")
    return "".join(parts).strip()


def read_details(lines: list[str]) -> Details:
    """The details in the lines of an :86: field, whichever convention they follow."""
    structured = _SUBFIELDS.match("".join(lines[:2]))
    if structured:
        return _from_subfields("".join(lines), structured[1], structured[2])
    text = unwrap(lines)
    if _SLASH_WORD.search(text):
        return _from_slash_words(text)
    return Details(text=folded(text))


def read_ns(lines: list[str]) -> Details:
    """The details of a German :NS: field: one two-digit code per line (01–14 purpose, 15–16 name, 17 booking text)."""
    details = Details()
    purpose: list[str] = []
    names: list[str] = []
    for line in lines:
        found = _NS_LINE.match(line)
        if not found:
            purpose.append(line)
        elif 1 <= int(found[1]) <= 14:
            purpose.append(found[2])
        elif found[1] in ("15", "16"):
            names.append(found[2])
        elif found[1] == "17":
            details.note("booking_text", found[2])
    details.text = folded(" ".join(purpose))
    details.name = folded(" ".join(names))
    return details


def _from_subfields(text: str, code: str, separator: str) -> Details:
    details = Details()
    details.note("transaction_code", code)
    pieces = re.split(re.escape(separator) + r"(\d\d)", text)[1:]
    purpose: list[str] = []
    names: list[str] = []
    for number, value in zip(map(int, pieces[::2]), pieces[1::2], strict=False):
        if 20 <= number <= 29 or 60 <= number <= 63:
            purpose.append(value if len(value) >= _FULL_SUBFIELD else value + " ")
        elif number in (32, 33):
            names.append(value)
        elif number in _SUBFIELD_NAMES:
            details.note(_SUBFIELD_NAMES[number], value)
    details.name = folded("".join(n if len(n) >= _FULL_SUBFIELD else n + " " for n in names))
    _read_sepa_words(details, "".join(purpose))
    if details.text is None:
        details.text = details.extra.get("booking_text")
    return details


_SUBFIELD_NAMES = {
    0: "booking_text",
    10: "journal",
    30: "counterparty_bank",
    31: "counterparty_account",
    34: "return_code",
    38: "counterparty_account",
}


def _read_sepa_words(details: Details, purpose: str) -> None:
    """``EREF+…KREF+…SVWZ+…`` to named references and the purpose proper."""
    pieces = _SEPA_WORD.split(purpose)
    text = [pieces[0]]
    for word, value in zip(pieces[1::2], pieces[2::2], strict=True):
        if word == "SVWZ":
            text.append(value)
        else:
            details.note(_MEANING[word], value)
    details.text = folded(" ".join(text))


def _from_slash_words(text: str) -> Details:
    details = Details()
    pieces = _SLASH_WORD.split(text)
    remittance = [pieces[0]]
    for word, raw in zip(pieces[1::2], pieces[2::2], strict=True):
        value = _REMITTANCE_KIND.sub("", raw.strip("/ "))
        if word == "NAME" and value:
            details.name = details.name or folded(value)
        elif word == "CNTP":
            _read_counterparty(details, raw)
        elif word in ("REMI", "USTD", "STRD"):
            remittance.append(value)
        elif word in _MEANING:
            details.note(_MEANING[word], value)
    details.text = folded(" ".join(remittance)) or folded(text)
    return details


def _read_counterparty(details: Details, value: str) -> None:
    """``/CNTP/account/bank/name/city/``."""
    account, bank, name = ([*value.split("/"), "", "", ""])[:3]
    details.note("counterparty_account", account)
    details.note("counterparty_bank", bank)
    details.name = details.name or folded(name)
