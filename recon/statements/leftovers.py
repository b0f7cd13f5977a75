"""Rows that are no booked lines: totals, balances, pending or failed payments, notes. Each is kept with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, partial
from statistics import median_high
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.columns import PLACEHOLDERS
from recon.statements.dates import looks_like_date
from recon.statements.mapping import Mapping, Role
from recon.statements.model import Hints
from recon.statements.tables import Table
from recon.statements.traits import values_of
from recon.statements.values import bare_number
from recon.statements.words import (
    BALANCE_PHRASES,
    CLOSING_WORDS,
    OPENING_WORDS,
    PENDING_WORDS,
    TOTAL_WORDS,
    VOID_WORDS,
    plain,
)

_BALANCE_TEXTS: Final = pa.array(
    sorted({case(each) for each in BALANCE_PHRASES for case in (str.lower, str.upper, str.title, str.capitalize)})
)
_ENDS: Final = 5
"""Opening and closing balances that look like lines stand among the first or last rows of a file."""


@dataclass
class Verdicts:
    """Rows left out with their reason, and rows that want something a line must have: (column, what is expected)."""

    reasons: dict[int, str] = field(default_factory=dict)
    wanting: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __or__(self, other: Verdicts) -> Verdicts:
        return Verdicts({**other.reasons, **self.reasons}, {**other.wanting, **self.wanting})

    def __contains__(self, row: object) -> bool:
        return row in self.reasons

    def __iter__(self) -> Iterator[int]:
        return iter(self.reasons)


def left_out_by_rule(table: Table, mapping: Mapping, hints: Hints) -> Verdicts:
    """Rows that their own words exclude: by the mapping, as pending, failed, neutral, a repeated header, a balance."""
    reasons: dict[int, str] = {}
    for name, values in mapping.leave_out.items():
        if name in table.places:
            reasons |= dict.fromkeys(_rows_with(table.texts(name), set(values)), f"{name} is one that is left out")
    if (status := mapping.column("status")) and hints.side == "statement":
        for words, reason in ((PENDING_WORDS, "pending"), (VOID_WORDS, "not executed")):
            reasons |= dict.fromkeys(_rows_with(table.texts(status), words, plainly=True), reason)
    for name in filter(None, (mapping.column("booking_date"), mapping.column("value_date"))):
        reasons |= dict.fromkeys(_rows_with(table.texts(name), PENDING_WORDS, plainly=True), "pending")
    if (sign := mapping.column("sign")) and mapping.sign == "column":
        rows = _rows_with(table.texts(sign), set(mapping.neutral_words))
        reasons |= dict.fromkeys(rows, "neither money in nor out")
    reasons |= _repeated_headers(table, mapping)
    reasons |= _of_other_accounts(table, mapping, hints)
    ends = {*range(min(_ENDS, table.rows)), *range(max(table.rows - _ENDS, 0), table.rows)}
    for row in ends | _called_balances(table, mapping):
        if row not in reasons and (named := _balance_or_total(table, mapping, row)):
            reasons[row] = named
    for row in [row for row in reasons if reasons[row] == "total" and _is_named_total(table, mapping, row)]:
        if not _adds_up(table, mapping, row, set(reasons)):
            del reasons[row]
    return Verdicts(reasons)


def _of_other_accounts(table: Table, mapping: Mapping, hints: Hints) -> dict[int, str]:
    """Rows of other accounts, if the table names the account that is meant in some rows, and one in each."""
    name = mapping.column("account")
    if not name or not hints.account or hints.side == "ledger" or not table.rows:
        return {}
    texts = table.texts(name)
    named = pc.unique(texts).to_pylist()
    others = {text for text in named if bare_number(text) != bare_number(hints.account)}
    if "" in named or len(others) == len(named):
        return {}
    return dict.fromkeys(_rows_with(texts, others), OF_OTHERS)


OF_OTHERS: Final = "of another account"
NEITHER: Final = "no line: it has neither a date nor an amount"


def left_out_for_want(
    table: Table, mapping: Mapping, units: pa.Array, days: pa.Array, settled: set[int], dateless: set[int]
) -> Verdicts:
    """Rows without an amount or a date: left out if they are plainly notes or totals, else wanting.

    ``dateless`` rows have something in the place of the date that is none: without an amount they are no lines.
    """
    verdicts = Verdicts()
    usual = cache(partial(_usual_filling, table))  # hardly ever asked for
    dated = mapping.column("booking_date") or mapping.column("value_date")
    no_dates = not dated or days.null_count == len(days)
    amount_column = next(
        (each for role in ("amount", "gross", "net", "debit", "credit") if (each := mapping.column(role))), ""
    )
    for row in pc.indices_nonzero(pc.is_null(units)).to_pylist():
        if row in settled:
            continue
        if amount_column and table.texts(amount_column)[row].as_py() in PLACEHOLDERS:
            verdicts.reasons.setdefault(row, "no line: it says that it has no amount")
        elif row in dateless or (not no_dates and not days[row].is_valid):
            verdicts.reasons.setdefault(row, _kind_of(table.cells(row)) or NEITHER)
        else:
            _judge(table, row, usual(), verdicts, (amount_column, "an amount"))
    if not no_dates:
        for row in pc.indices_nonzero(pc.is_null(days)).to_pylist():
            if row not in settled | dateless and row not in verdicts and row not in verdicts.wanting:
                _judge(table, row, usual(), verdicts, (dated or "", "a date"))
    return verdicts


_OPENINGS: Final = tuple(f"{each} " for each in OPENING_WORDS if " " in each)
_CLOSINGS: Final = tuple(f"{each} " for each in CLOSING_WORDS)


def balance_word(cells: tuple[str, ...]) -> str | None:
    """Which balance a row or a line above the header states, by one of its cells."""
    for cell in cells:
        words = plain(cell) if cell and len(cell) < 80 else ""
        short = words.rstrip("0123456789 ")
        if short in OPENING_WORDS or words.startswith(_OPENINGS):
            return "opening"
        if short in CLOSING_WORDS or short.startswith(_CLOSINGS):
            return "closing"
    return None


def _judge(table: Table, row: int, usual: int, verdicts: Verdicts, want: tuple[str, str]) -> None:
    cells = table.cells(row)
    filled = sum(1 for cell in cells if cell)
    if kind := _kind_of(cells):
        verdicts.reasons[row] = kind
    elif filled <= max(1, usual // 2):
        verdicts.reasons[row] = f"no line: it has no {want[1].removeprefix('an ').removeprefix('a ')}"
    else:
        verdicts.wanting[row] = want


def _kind_of(cells: tuple[str, ...]) -> str | None:
    """What a row that is no line is by its words: a balance or a total."""
    if kind := balance_word(cells):
        return f"{kind} balance"
    words = [plain(cell) for cell in cells if cell]
    if any(not cell.strip("* ") for cell in cells if cell):  # how accounting systems mark sums
        return "total"
    return "total" if any(word in TOTAL_WORDS or word.split(" ")[0] in TOTAL_WORDS for word in words) else None


def _usual_filling(table: Table) -> int:
    """How many cells a row of this table usually has filled."""
    sample = [sum(1 for cell in table.cells(row) if cell) for row in range(min(table.rows, 200))]
    return median_high([each for each in sample if each > 1] or sample or [0])


def _balance_or_total(table: Table, mapping: Mapping, row: int) -> str | None:
    """Whether a row with a date and an amount is in truth a balance or a total, by its text cells."""
    names = [*mapping.columns.get("description", ()), *mapping.columns.get("counterparty", ())]
    names += [name for name in table.header if name not in names and mapping.column("balance") != name]
    cells = table.cells(row)
    words = [plain(cell) for cell in cells if cell and len(cell) < 60]
    if (day := mapping.column("booking_date")) and not looks_like_date(table.texts(day)[row].as_py()):
        words = [_OF_A_DAY.sub("", word) for word in words]
    if any(word in OPENING_WORDS for word in words):
        return "opening balance"
    if any(word in CLOSING_WORDS for word in words):
        return "closing balance"
    return "total" if any(word in TOTAL_WORDS for word in words) else None


_OF_A_DAY: Final = re.compile(r"(?: [^\W\d]{1,4})?(?: \d{1,4}){3}$")
"""What follows the name of a balance in a row without a date of its own: ``Saldo finale al 28/02/2026``."""


def _called_balances(table: Table, mapping: Mapping) -> set[int]:
    """Rows anywhere, also where a page ends, whose description is nothing but a balance's name of several words."""
    name = mapping.column("description")
    if not name:
        return set()
    return set(pc.indices_nonzero(pc.is_in(table.texts(name), value_set=_BALANCE_TEXTS)).to_pylist())


def _is_named_total(table: Table, mapping: Mapping, row: int) -> bool:
    """A dated row that is called just "Total", as a petrol company is."""
    day = mapping.column("booking_date")
    is_dated = bool(day) and looks_like_date(table.texts(day or "")[row].as_py())
    return is_dated and any(cell.casefold() == "total" for cell in table.cells(row))


def _adds_up(table: Table, mapping: Mapping, row: int, no_lines: set[int]) -> bool:
    """Whether the amounts of a row are sums of the other rows: all of them, what is in, or what is out."""
    roles: tuple[Role, ...] = ("amount", "gross", "net", "debit", "credit")
    for role in roles:
        name = mapping.column(role)
        values = values_of(table.texts(name).to_pylist()) if name else ()
        mine = values[row] if values else None
        if not mine:
            continue
        others = [value for place, value in enumerate(values) if value and place not in no_lines]
        ways = (others, [each for each in others if each > 0], [each for each in others if each < 0])
        return any(abs(sum(way, Decimal(0))) == abs(mine) for way in ways)
    return True


def _repeated_headers(table: Table, mapping: Mapping) -> dict[int, str]:
    """A header that is printed again on every page."""
    name = mapping.column("booking_date") or mapping.column("amount")
    if not table.header_line or not name:
        return {}
    rows = pc.indices_nonzero(pc.equal(table.texts(name), name)).to_pylist()
    return dict.fromkeys(rows, "the header again")


def _rows_with(texts: pa.Array, values: set[str] | frozenset[str], *, plainly: bool = False) -> list[int]:
    """Rows whose text is one of the values (compared as plain words if ``plainly``)."""
    encoded = texts.dictionary_encode()
    places = [
        place
        for place, text in enumerate(encoded.dictionary.to_pylist())
        if text and (plain(text) if plainly else text) in values
    ]
    if not places:
        return []
    found: list[int] = pc.indices_nonzero(
        pc.is_in(encoded.indices, value_set=pa.array(places, encoded.indices.type))
    ).to_pylist()
    return found
