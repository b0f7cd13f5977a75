"""The transaction details (TxDtls) of a CAMT entry: references, the other party, the remittance text.

Source: ISO 20022 message definitions camt.052/053/054, versions 01 to 10. Version 08 put the parties one level deeper
(``Dbtr/Pty/Nm`` for ``Dbtr/Nm``) and renamed BIC to BICFI; both are read.

Elements are looked up in dictionaries of an element's children: a file has millions of them, and asking for each by
path costs several times as much.
"""

from __future__ import annotations

from typing import TypeAlias, cast

from lxml import etree

from recon.statements.values import folded

Element: TypeAlias = "etree._Element"
Children: TypeAlias = "dict[str, Element]"

NOTHING = {"NOTPROVIDED", "NOT PROVIDED", "NONREF"}
REFERENCES = {  # element of Refs -> name in the line's extra
    "EndToEndId": "end_to_end_id",
    "InstrId": "instruction_id",
    "TxId": "transaction_id",
    "MndtId": "mandate",
    "ChqNb": "cheque",
    "PmtInfId": "payment_batch",
    "AcctSvcrRef": "bank_reference",
    "UETR": "uetr",
}
_NONE: Children = {}
ROLES = {  # money in? -> the other party's name, account, bank, and whom it acts for
    True: ("Dbtr", "DbtrAcct", "DbtrAgt", "UltmtDbtr"),
    False: ("Cdtr", "CdtrAcct", "CdtrAgt", "UltmtCdtr"),
}


class Names(dict[str, str]):
    """The tags of one namespace: ``names["Ntry"]`` is ``{urn:…}Ntry``; each is put together once."""

    def __init__(self, namespace: str | None) -> None:
        super().__init__()
        self._prefix = f"{{{namespace}}}" if namespace else ""
        self.reference_keys = {self._prefix + name: key for name, key in REFERENCES.items()}

    def __missing__(self, name: str) -> str:
        tag = self[name] = self._prefix + name
        return tag


def children(element: Element | None) -> Children:
    """The children of an element by tag; of several with one tag, the last."""
    return {child.tag: child for child in element} if element is not None else _NONE


def line_of(element: Element) -> int | None:
    """The physical line an element starts on."""
    return cast("int | None", element.sourceline)  # the stubs leave its type open


def below(kids: Children, *tags: str) -> Children:
    """The children of what stands at a path of tags below."""
    for tag in tags:
        element = kids.get(tag)
        if element is None:
            return _NONE
        kids = {child.tag: child for child in element}
    return kids


def text_of(kids: Children, tag: str) -> str | None:
    """The text of the child with this tag, white space folded; None when there is none."""
    element = kids.get(tag)
    return None if element is None else folded(element.text)


def at(element: Element | None, names: Names, *path: str) -> Element | None:
    """The first element at a path of names below `element`."""
    for step in path:
        if element is None:
            return None
        element = next(element.iterchildren(names[step]), None)
    return element


def text_at(element: Element | None, names: Names, *path: str) -> str | None:
    """The text at a path of names, white space folded; None when there is none."""
    found = at(element, names, *path)
    return None if found is None else folded(found.text)


def meaningful(text: str | None) -> str | None:
    """The text, unless it is a bank's word for "not provided"."""
    return None if text is None or text.upper() in NOTHING else text


def references(kids: Children, names: Names) -> dict[str, str]:
    """The named references of a transaction."""
    refs = kids.get(names["Refs"])
    found: dict[str, str] = {}
    if refs is None:
        return found
    for child in refs:
        key = names.reference_keys.get(child.tag)
        if key:
            value = meaningful(folded(child.text))
            if value:
                found[key] = value
    return found


def other_party(kids: Children, names: Names, is_credit: bool) -> tuple[str | None, dict[str, str]]:
    """The name, and account and bank, of the other side: the debtor of money in, the creditor of money out."""
    role, role_account, role_agent, ultimate = ROLES[is_credit]
    found: dict[str, str | None] = {}
    name = None
    parties = kids.get(names["RltdPties"])
    if parties is not None:
        inside = {child.tag: child for child in parties}
        name = _party_name(inside.get(names[role]), names)
        if names[ultimate] in inside:
            found["ultimate_counterparty"] = _party_name(inside[names[ultimate]], names)
        account = below(inside, names[role_account], names["Id"])
        if account:
            number = text_of(account, names["IBAN"])
            found["counterparty_account"] = number or text_of(below(account, names["Othr"]), names["Id"])
    agents = kids.get(names["RltdAgts"])
    if agents is not None:
        agent = below({child.tag: child for child in agents}, names[role_agent], names["FinInstnId"])
        found["counterparty_bank"] = text_of(agent, names["BICFI"]) or text_of(agent, names["BIC"])
    return name, {key: value for key, value in found.items() if value}


def _party_name(party: Element | None, names: Names) -> str | None:
    if party is None:
        return None
    kids = children(party)
    return text_of(kids, names["Nm"]) or text_of(below(kids, names["Pty"]), names["Nm"])


def remittance(kids: Children, names: Names) -> tuple[str | None, str | None]:
    """The free remittance text and the creditor's structured reference (RF, QR, OCR, …)."""
    information = kids.get(names["RmtInf"])
    if information is None:
        return None, None
    free: list[str | None] = []
    structured: dict[str | None, None] = {}
    for part in information:
        if part.tag == names["Ustrd"]:
            free.append(folded(part.text))
        elif part.tag == names["Strd"]:
            reference = children(at(part, names, "CdtrRefInf"))
            structured[text_of(reference, names["Ref"]) or text_of(reference, names["CdtrRef"])] = None
            free.extend(folded(line.text) for line in part.iterchildren(names["AddtlRmtInf"]))
    return _joined(free), _joined(list(structured))


def _joined(parts: list[str | None]) -> str | None:
    return " ".join(part for part in parts if part) or None


def original_amount(kids: Children, names: Names, currency: str) -> dict[str, str]:
    """What was instructed, if it was in another currency than `currency`: amount, currency and rate."""
    amounts = children(kids.get(names["AmtDtls"]))
    for kind in ("InstdAmt", "TxAmt", "CntrValAmt"):
        parts = below(amounts, names[kind])
        instructed = parts.get(names["Amt"])
        if instructed is not None and instructed.text:
            other = instructed.get("Ccy") or ""
            if other == currency:
                return {}
            rate = text_of(below(parts, names["CcyXchg"]), names["XchgRate"])
            found = {"original_amount": instructed.text.strip(), "original_currency": other, "rate": rate}
            return {key: value for key, value in found.items() if value}
    return {}
