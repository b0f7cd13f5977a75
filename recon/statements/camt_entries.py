"""One CAMT entry (Ntry) to one row, or to one row per transaction of a batch that adds up.

``CdtDbtInd`` is the direction on the account, also of a reversal (RvslInd). A batch entry keeps its transactions as
details of its one line, or becomes one line each (hint ``split_batches``) when they add up to it.
Source: ISO 20022 message definitions camt.052/053/054.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from recon.statements.camt_details import (
    Children,
    Element,
    Names,
    at,
    below,
    children,
    line_of,
    meaningful,
    original_amount,
    other_party,
    references,
    remittance,
    text_of,
)
from recon.statements.collecting import encode_extra
from recon.statements.currencies import stated_code
from recon.statements.model import Hints
from recon.statements.values import currency_of, folded, iso_date, iso_instant, plain_units, zone_of

_DAY_ONLY = len("2026-01-31")
_DETAILS_KEPT = 10_000
"""How many transactions of one batch entry are kept as its details."""

Row = dict[str, Any]


class EntryReader:
    """Reads the entries of one statement."""

    def __init__(self, names: Names, hints: Hints) -> None:
        self._names = names
        self._zone = zone_of(hints)
        self._currency = currency_of(hints)
        self._split = hints.split_batches

    def status(self, kids: Children) -> str | None:
        """BOOK, PDNG, INFO or FUTR; version 08 and later put the code one level deeper."""
        element = kids.get(self._names["Sts"])
        if element is None:
            return None
        return folded(element.text) or text_of(children(element), self._names["Cd"])

    def rows(self, kids: Children, entry: Element) -> list[Row]:
        """The rows of an entry, given with its children. Raises ValueError(column, found, expected)."""
        base = self._booking(kids, entry)
        parts = self._transactions(kids, entry)
        if self._split and len(parts) > 1:
            split = self._split_rows(base, parts)
            if split:
                return split
        return [self._whole_row(kids, base, parts)]

    def _transactions(self, kids: Children, entry: Element) -> list[Element]:
        """The transactions of an entry, through all its NtryDtls."""
        names = self._names
        if names["NtryDtls"] not in kids:
            return []
        return [
            part for details in entry.iterchildren(names["NtryDtls"]) for part in details.iterchildren(names["TxDtls"])
        ]

    def _booking(self, kids: Children, entry: Element) -> Row:
        """What the entry itself says: amount, direction, dates, references, code."""
        names = self._names
        units, scale, currency, text = self._amount(kids.get(names["Amt"]), "Amt")
        indicator = text_of(kids, names["CdtDbtInd"])
        if indicator not in ("CRDT", "DBIT"):
            raise ValueError("CdtDbtInd", indicator or "", "CRDT or DBIT")
        booked, booked_at = self._date(kids.get(names["BookgDt"]), "BookgDt")
        valued, _ = self._date(kids.get(names["ValDt"]), "ValDt")
        reversal = (text_of(kids, names["RvslInd"]) or "").lower() in ("true", "1")
        return {
            "line": line_of(entry),
            "external_id": text_of(kids, names["AcctSvcrRef"]) or text_of(kids, names["NtryRef"]),
            "units": units if indicator == "CRDT" else -units,
            "scale": scale,
            "currency": currency,
            "booking_date": booked or valued,
            "value_date": valued,
            "booked_at": booked_at,
            "type_code": self._code(children(kids.get(names["BkTxCd"]))),
            "amount_text": f"{text} {indicator}",
            "extra": {"reversal": "true"} if reversal else {},
        }

    def _amount(self, element: Element | None, column: str) -> tuple[int, int, str, str]:
        """Units (never negative: the direction is said apart), scale, currency, and the text."""
        text = (element.text or "").strip() if element is not None else ""
        currency = (stated_code(element.get("Ccy") or "") if element is not None else None) or self._currency
        try:
            units, scale = plain_units(text, currency)
        except ValueError as problem:
            raise ValueError(column, text, str(problem)) from None
        if units < 0:
            raise ValueError(column, text, "an amount without a sign, its direction in CdtDbtInd")
        return units, scale, currency, text

    def _date(self, element: Element | None, column: str) -> tuple[date | None, datetime | None]:
        """Day and instant of a Dt or DtTm, whichever it holds."""
        if element is None:
            return None, None
        inner = element[0].text if len(element) else element.text
        text = (inner or "").strip()
        if not text:
            return None, None
        try:
            return iso_date(text), iso_instant(text, self._zone) if len(text) > _DAY_ONLY else None
        except ValueError:
            raise ValueError(column, text, "a date like 2026-01-31") from None

    def _code(self, kids: Children) -> str | None:
        """The bank transaction code: ``PMNT-RCDT-ESCT``, or the bank's own."""
        names = self._names
        domain = below(kids, names["Domn"])
        family = below(domain, names["Fmly"])
        parts = (text_of(domain, names["Cd"]), text_of(family, names["Cd"]), text_of(family, names["SubFmlyCd"]))
        return "-".join(part for part in parts if part) or text_of(below(kids, names["Prtry"]), names["Cd"])

    def _whole_row(self, kids: Children, base: Row, parts: list[Element]) -> Row:
        note = text_of(kids, self._names["AddtlNtryInf"])
        if len(parts) != 1:
            return self._batch_row(kids, base, parts, note)
        row = self._described(base, children(parts[0]))
        if note and row["description"] is None:
            row["description"] = note
        elif note and row["description"] != note:
            row["extra"]["entry_information"] = note
        return _finished(row)

    def _batch_row(self, kids: Children, base: Row, parts: list[Element], note: str | None) -> Row:
        names = self._names
        batch = below(kids, names["NtryDtls"], names["Btch"])
        about = {
            "payment_batch": text_of(batch, names["PmtInfId"]),
            "transactions": text_of(batch, names["NbOfTxs"]),
        }
        base["extra"].update({key: value for key, value in about.items() if value})
        if parts:
            base["extra"]["details"] = list(self._brief(base, parts[:_DETAILS_KEPT]))
        reference = about["payment_batch"] or meaningful(base["external_id"])
        return _finished({**base, "reference": reference, "description": note})

    def _described(self, base: Row, kids: Children) -> Row:
        """The row of an entry, or of a part of it, with what one transaction's details say."""
        names = self._names
        refs = references(kids, names)
        name, party = other_party(kids, names, base["units"] >= 0)
        free, structured = remittance(kids, names)
        extra: dict[str, Any] = {**base["extra"], **refs, **party}
        if structured:
            extra["creditor_reference"] = structured
        extra.update(original_amount(kids, names, base["currency"]))
        best = refs.get("end_to_end_id") or structured or refs.get("instruction_id") or refs.get("payment_batch")
        return {
            **base,
            "reference": best or refs.get("transaction_id") or meaningful(base["external_id"]),
            "description": free or text_of(kids, names["AddtlTxInf"]) or structured,
            "counterparty": name,
            "extra": extra,
        }

    def _brief(self, base: Row, parts: list[Element]) -> Iterator[dict[str, str]]:
        """A batch's transactions in short, for the line's details."""
        for part in parts:
            kids = children(part)
            row = self._described({**base, "extra": {}}, kids)
            amount = self._own_amount(part, kids)
            brief = {
                "amount": (amount.text or "").strip() if amount is not None else None,
                "currency": amount.get("Ccy") if amount is not None else None,
                "direction": text_of(kids, self._names["CdtDbtInd"]),
                "reference": row["reference"] if row["reference"] != base["external_id"] else None,
                "counterparty": row["counterparty"],
                "description": row["description"],
            }
            yield {key: value for key, value in brief.items() if value}

    def _own_amount(self, part: Element, kids: Children) -> Element | None:
        """A transaction's amount on the account: Amt since version 04, AmtDtls/TxAmt before."""
        own = kids.get(self._names["Amt"])
        return own if own is not None else at(part, self._names, "AmtDtls", "TxAmt", "Amt")

    def _split_rows(self, base: Row, parts: list[Element]) -> list[Row]:
        """One row per transaction; none if one has no amount in the entry's currency or they do not add up."""
        rows = []
        for number, part in enumerate(parts, start=1):
            kids = children(part)
            try:
                units, scale, currency, text = self._amount(self._own_amount(part, kids), "TxDtls/Amt")
            except ValueError:
                return []
            indicator = text_of(kids, self._names["CdtDbtInd"]) or base["amount_text"][-4:]
            own = {
                **base,
                "units": units if indicator == "CRDT" else -units,
                "scale": scale,
                "currency": currency,
                "amount_text": f"{text} {indicator}",
                "extra": {**base["extra"], "entry": base["external_id"] or "", "part": f"{number} of {len(parts)}"},
            }
            rows.append(self._described(own, kids))
        return [_finished(row) for row in rows] if _adds_up(base, rows) else []


def _finished(row: Row) -> Row:
    row["extra"] = encode_extra(row["extra"]) if row["extra"] else None
    return row


def _adds_up(base: Row, rows: list[Row]) -> bool:
    if any(row["currency"] != base["currency"] for row in rows):
        return False
    scale = max(base["scale"], *(row["scale"] for row in rows))
    total = sum(row["units"] * 10 ** (scale - row["scale"]) for row in rows)
    return bool(total == base["units"] * 10 ** (scale - base["scale"]))
