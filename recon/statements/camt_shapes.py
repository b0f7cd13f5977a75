"""The shape of a CAMT entry: its tags, without the texts between them; and where in a plain shape each text stands.

A shape is plain when it has at most one transaction and nothing that needs a look at values: no reversal, no amount in
another currency, nothing twice that is needed once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from recon.statements.camt_details import REFERENCES, ROLES
from recon.statements.currencies import exponent

TRANSACTION: Final = "NtryDtls/TxDtls/"
DATES: Final = ("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm")
REMITTANCE: Final = (f"{TRANSACTION}RmtInf/Ustrd", f"{TRANSACTION}RmtInf/Strd/AddtlRmtInf")
"""Paths that may come several times: their texts are joined."""

_NEEDED: Final = (
    "Amt", "CdtDbtInd", "Sts", "Sts/Cd", *DATES, "AcctSvcrRef", "NtryRef", "AddtlNtryInf",
    "BkTxCd/Domn/Cd", "BkTxCd/Domn/Fmly/Cd", "BkTxCd/Domn/Fmly/SubFmlyCd", "BkTxCd/Prtry/Cd",
    *(f"{TRANSACTION}Refs/{name}" for name in REFERENCES), f"{TRANSACTION}AddtlTxInf", *REMITTANCE,
    f"{TRANSACTION}RmtInf/Strd/CdtrRefInf/Ref", f"{TRANSACTION}RmtInf/Strd/CdtrRefInf/CdtrRef",
    *(
        TRANSACTION + place
        for name, account, agent, ultimate in ROLES.values()
        for place in (
            f"RltdPties/{name}/Nm", f"RltdPties/{name}/Pty/Nm",
            f"RltdPties/{ultimate}/Nm", f"RltdPties/{ultimate}/Pty/Nm",
            f"RltdPties/{account}/Id/IBAN", f"RltdPties/{account}/Id/Othr/Id",
            f"RltdAgts/{agent}/FinInstnId/BICFI", f"RltdAgts/{agent}/FinInstnId/BIC",
        )
    ),
)  # fmt: skip
"""The paths whose texts make a row."""

_TEXTS: Final = frozenset(_NEEDED) - {"Sts"}
"""Those of them that hold a text and no elements in any version."""

_STEMS: Final = frozenset("/".join(path.split("/")[:depth]) for path in _NEEDED for depth in range(1, 9)) - set(
    REMITTANCE
)
_CURRENCY: Final = re.compile(r"\sCcy=[\"']([A-Z]{3})[\"']")
_TAG: Final = re.compile(
    r"/[A-Z_][\w.:-]*[ \t\r\n]*"
    r"|[A-Z_][\w.:-]*(?:[ \t\r\n]+[A-Z_][\w.-]*=(?:\"[^\"'<&=]*\"|'[^\"'<&=]*'))?[ \t\r\n]*/?",
    re.ASCII | re.IGNORECASE,
)
"""A well-formed tag with at most one attribute, between its brackets; one that is written otherwise is not plain."""

_INSTRUCTED: Final = tuple(f"{TRANSACTION}AmtDtls/{kind}/Amt" for kind in ("InstdAmt", "TxAmt", "CntrValAmt"))


@dataclass(frozen=True)
class Shape:
    """Where in an entry's texts everything stands. ``paths`` names what ``pick`` takes out, in this order."""

    currency: str
    amount: int
    indicator: int
    status: int | None
    dates: tuple[int, ...]
    paths: tuple[str, ...]
    pick: Callable[[Sequence[str]], tuple[str, ...]]
    has_transaction: bool


@dataclass
class _Walk:
    """The elements of a shape: how often each path comes, where its text stands, and amounts' currencies."""

    counts: Counter[str]
    places: dict[str, list[int]]
    currencies: dict[str, str]


def shape_of(tags: Sequence[str]) -> Shape | None:
    """The shape of the tags of an entry, if it is plain."""
    walk = _walked(tags)
    if walk is None or any(walk.counts[stem] > 1 for stem in _STEMS):
        return None
    if walk.places.keys() & {"BookgDt", "ValDt"} or _parents(walk) & _TEXTS:  # a date, or a text, written otherwise
        return None
    currency = walk.currencies.get("Amt", "")
    if exponent(currency) != 2 or not currency or not {"Amt", "CdtDbtInd"} <= walk.places.keys():
        return None
    if "RvslInd" in walk.counts or ("NtryDtls/Btch" in walk.counts and TRANSACTION[:-1] not in walk.counts):
        return None
    instructed = next((walk.currencies.get(path, "") for path in _INSTRUCTED if path in walk.places), currency)
    if instructed != currency or any(len({"Dt", "DtTm"} & _below(walk, stem)) > 1 for stem in ("BookgDt", "ValDt")):
        return None
    paths = [(place, path) for path in _NEEDED for place in walk.places.get(path, ())]
    paths.sort()
    status = walk.places.get("Sts/Cd") or walk.places.get("Sts")
    return Shape(
        currency=currency,
        amount=walk.places["Amt"][0],
        indicator=walk.places["CdtDbtInd"][0],
        status=status[0] if status else None,
        dates=tuple(place for place, path in paths if path in DATES),
        paths=tuple(path for _, path in paths),
        pick=itemgetter(*(place for place, _ in paths)),
        has_transaction=TRANSACTION[:-1] in walk.counts,
    )


def _parents(walk: _Walk) -> set[str]:
    return {path.rpartition("/")[0] for path in walk.counts}


def _below(walk: _Walk, stem: str) -> set[str]:
    return {path.removeprefix(f"{stem}/") for path in walk.counts if path.startswith(f"{stem}/")}


def _walked(tags: Sequence[str]) -> _Walk | None:
    """The elements that the tags (without brackets) open and close; None if not in order, or of several namespaces."""
    walk = _Walk(Counter(), {}, {})
    prefix = tags[0].partition("Ntry")[0]
    stack: list[str] = []
    for place, tag in enumerate(tags):
        if not _TAG.fullmatch(tag):
            return None
        tag = tag.rstrip()
        if tag.startswith("/"):
            if not stack or stack.pop() != tag[1:]:
                return None
            continue
        name = tag.split()[0].rstrip("/") if tag else ""
        local = name.removeprefix(prefix)
        if not local.isalnum() or not name.startswith(prefix) or "xmlns" in tag or (place and not stack):
            return None
        stack.append(name)
        path = "/".join(each.removeprefix(prefix) for each in stack[1:])
        walk.counts[path] += 1
        if found := _CURRENCY.search(tag):
            walk.currencies[path] = found[1]
        if tag.endswith("/"):
            stack.pop()
        elif place + 1 < len(tags) and tags[place + 1].startswith("/"):
            walk.places.setdefault(path, []).append(place)
    return None if stack else walk
