"""Ten payments to practise on, as in the documentation of Blnk's reconciliation."""

from __future__ import annotations

from typing import Final

_LEDGER: Final = ("152.75", "329.40", "87.15", "413.60", "276.89", "199.99", "540.25", "135.70", "92.80", "480.55")
_STATEMENT: Final = ("152.75", "328.80", "90.00", "417.00", "278.00", "250.00", "545.00", "150.00", "92.80", "399.99")
_HEADER: Final = "id,amount,date,description,currency,reference,source"

WITHIN_ONE_PERCENT: Final = """{
  "name": "Within 1% with the same reference",
  "description": "The amount may be up to one percent off; the reference must be the same.",
  "criteria": [
    {"field": "amount", "operator": "equals", "allowable_drift": 0.01},
    {"field": "reference", "operator": "equals"}
  ]
}"""
"""Settles 001, 002, 004, 005, 007 and 009."""

EXACT: Final = """{
  "name": "Exact amount with the same reference",
  "description": "The amount to the cent, and the same reference.",
  "criteria": [
    {"field": "amount", "operator": "equals"},
    {"field": "reference", "operator": "equals"}
  ]
}"""
"""Settles 001 and 009."""


def ledger_csv() -> bytes:
    """What the books say: txn_001 … txn_010."""
    return _csv("txn", "wallet", _LEDGER)


def statement_csv() -> bytes:
    """What the processor says about the same ten references: ext_001 … ext_010."""
    return _csv("ext", "processor", _STATEMENT)


def _csv(prefix: str, source: str, amounts: tuple[str, ...]) -> bytes:
    rows = [
        f"{prefix}_{n:03},{amount},2026-03-{n:02},Payment {n},USD,ref_{n:03},{source}"
        for n, amount in enumerate(amounts, start=1)
    ]
    return "\n".join([_HEADER, *rows, ""]).encode()
