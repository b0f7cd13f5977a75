"""Balances that a table states: above its header, in rows of their own, or as a running balance beside each line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import amount
from recon.statements.cells import Row
from recon.statements.columns import amounts_of
from recon.statements.currencies import exponent
from recon.statements.dates import DateError, parse_date
from recon.statements.leftovers import Verdicts, balance_word
from recon.statements.mapping import Mapping
from recon.statements.model import Balance, BalanceKind, Reading
from recon.statements.numbers import NumberError, fitted, parse_amount
from recon.statements.proof import PROVEN, agreement, newest_first, share_of_steps
from recon.statements.tables import Table
from recon.statements.words import ANY_HEADER_WORD, PREAMBLE_WORDS, fit, plain

_SAMPLE: Final = 2_000
_IBAN = re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?")


@dataclass(frozen=True)
class Facts:
    """What the lines above the header say about the whole statement."""

    account: str | None = None
    start: date | None = None
    end: date | None = None


def balances_of(
    table: Table, mapping: Mapping, lines: pa.Table, currency: str | None, verdicts: Verdicts
) -> tuple[tuple[Balance, ...], Facts]:
    """The balances of a table in one currency (none are derived when its lines have several), and its other facts."""
    facts = _facts(table.above, mapping)
    if currency is None:
        return (), facts
    stated = _stated(table, mapping, currency, verdicts)
    running = _running(table, mapping, lines, currency)
    if running and {balance.kind for balance in stated} != {"opening", "closing"}:
        return tuple(running), facts  # one source for both ends: a balance above the header may be of another day
    return tuple(stated), facts


def running_balance_disagrees(reading: Reading) -> bool:
    """Whether a column of running balances is there, whole and in one currency, and does not follow the amounts.

    Then it proves nothing, and most likely a column, a sign or a fee is read wrongly. Looks at the first lines only.
    """
    mapping = reading.mapping
    if mapping is None or not mapping.column("balance") or mapping.amount_column == "gross":
        return False
    [statement] = reading.statements
    lines = statement.lines.slice(0, _SAMPLE)
    if statement.balance_check() != "unknown" or len(pc.unique(lines["currency"])) != 1:
        return False
    said = [json.loads(extra or "{}").get("balance") for extra in lines["extra"].to_pylist()]
    pairs = zip(lines["units"].to_pylist(), lines["scale"].to_pylist(), strict=True)
    return (
        len(said) > 1 and all(said) and agreement([amount(*pair) for pair in pairs], list(map(Decimal, said))) < PROVEN
    )


def _stated(table: Table, mapping: Mapping, currency: str, verdicts: Verdicts) -> list[Balance]:
    """Balances named in words, above the header or in rows that were left out as balances."""
    below = [table.cells(row) for row, reason in sorted(verdicts.reasons.items()) if reason.endswith(" balance")]
    found: dict[BalanceKind, Balance] = {}
    for cells in [*(row.cells for row in table.above), *below]:
        kind = cast("BalanceKind | None", balance_word(cells))
        balance = _balance_in(cells, kind, mapping, currency) if kind else None
        again = cells in below and kind == "closing" and not _is_available(cells)  # pages close as well
        if balance and (balance.kind not in found or again):
            found[balance.kind] = balance
    for kind, column in _balance_columns(table):
        if kind not in found and (balance := _balance_in((column,), kind, mapping, currency)):
            found[kind] = balance
    return list(found.values())


def _is_available(cells: tuple[str, ...]) -> bool:
    """Whether a balance is what may be spent, which stands behind the one of the books."""
    return any(plain(cell).startswith("dispo") for cell in cells)


def _balance_columns(table: Table) -> Iterator[tuple[BalanceKind, str]]:
    """Columns named after a balance that have one cell filled in all the table: Beginning Balance, Ending Balance."""
    for name in table.header:
        if kind := cast("BalanceKind | None", balance_word((name,))):
            texts = table.texts(name)
            filled = texts.filter(pc.not_equal(texts, ""))
            if len(filled) == 1 < table.rows:
                yield kind, filled[0].as_py()


def _balance_in(cells: tuple[str, ...], kind: BalanceKind, mapping: Mapping, currency: str) -> Balance | None:
    """The last amount of a row, signed by a word right of it, and the date the row names."""
    decimal = mapping.decimal or "."
    day = next((found for cell in cells if (found := _date_in(cell, mapping))), None)
    for place in range(len(cells) - 1, -1, -1):
        for style in (decimal, "." if decimal == "," else ","):
            text = f"{cells[place]} {_direction_after(cells, place)}".strip()
            try:
                read = parse_amount(text, style)
                units, scale = fitted(read.units, read.scale, currency)
            except NumberError:
                continue
            if any(each in ",." for each in cells[place]):
                return Balance(kind, currency, day, units, scale)
    return None


def _direction_after(cells: tuple[str, ...], place: int) -> str:
    following = cells[place + 1] if place + 1 < len(cells) else ""
    return following if following in {"S", "H", "CR", "DR"} else ""


def _running(table: Table, mapping: Mapping, lines: pa.Table, currency: str) -> list[Balance]:
    """Opening and closing from a running balance, when most steps from row to row agree with the amounts."""
    name = mapping.column("balance")
    if name is None or lines.num_rows == 0:
        return []
    more = exponent(currency) if mapping.in_cents else 0
    read = amounts_of(table.texts(name), mapping.decimal or ".", places=exponent(currency) - more)
    at = pc.index_in(lines["line"].combine_chunks(), value_set=table.lines)
    units, scales = read.units.take(at), read.scales.take(at)
    if units.null_count:
        return []
    scale = _only_scale(scales, more, lines)
    ends = _ends_at_one_scale(units, scale, lines) if scale is not None else _ends(units, scales, more, lines)
    if ends is None:
        return []
    opening, closing, first, last = ends
    days = lines["booking_date"]
    return [
        _balance("opening", currency, days[first].as_py(), opening),
        _balance("closing", currency, days[last].as_py(), closing),
    ]


Ends = tuple[Decimal, Decimal, int, int]
"""What a running balance opens and closes with, and at which lines."""


def _only_scale(scales: pa.Array, more: int, lines: pa.Table) -> int | None:
    """The one scale of all balances and amounts; None if there are several."""
    found = {*(each + more for each in pc.unique(scales).to_pylist()), *pc.unique(lines["scale"]).to_pylist()}
    return found.pop() if len(found) == 1 else None


def _ends_at_one_scale(units: pa.Array, scale: int, lines: pa.Table) -> Ends | None:
    """The ends if most steps agree, computed for all rows at once."""
    try:
        balances, moves = units.cast(pa.int64()), lines["units"].combine_chunks()
        oldest, newest = (share_of_steps(moves, balances, newest_first=each) for each in (False, True))
    except pa.ArrowInvalid:  # more digits than any amount has
        return None
    if len(balances) > 1 and max(oldest, newest) < PROVEN:
        return None
    first, last = (len(balances) - 1, 0) if newest > oldest else (0, len(balances) - 1)
    before = amount(balances[first].as_py(), scale) - amount(moves[first].as_py(), scale)
    return before, amount(balances[last].as_py(), scale), first, last


def _ends(units: pa.Array, scales: pa.Array, more: int, lines: pa.Table) -> Ends | None:
    """The same where rows have different scales."""
    pairs = zip(units.to_pylist(), scales.to_pylist(), strict=True)
    balances = [amount(int(unit), scale + more) for unit, scale in pairs]
    moves = [amount(*pair) for pair in zip(lines["units"].to_pylist(), lines["scale"].to_pylist(), strict=True)]
    if len(moves) > 1 and agreement(moves, balances) < PROVEN:
        return None
    first, last = (len(moves) - 1, 0) if newest_first(moves, balances) else (0, len(moves) - 1)
    return balances[first] - moves[first], balances[last], first, last


def _balance(kind: BalanceKind, currency: str, day: date | None, value: Decimal) -> Balance:
    sign, digits, exponent = value.as_tuple()
    units = int("".join(map(str, digits))) * (-1 if sign else 1)
    units, scale = fitted(units, max(-int(exponent), 0), currency)
    return Balance(kind, currency, day, units, scale)


def account_named(cells: Sequence[str]) -> str | None:
    """The account that a line outside the table names: ``Account,12345``, or an IBAN behind any word."""
    for place, cell in enumerate(cells):
        value = next((each for each in cells[place + 1 :] if each), "")
        if _is_header(value):
            continue
        if value and (plain(cell) in PREAMBLE_WORDS["account"] or _IBAN.fullmatch(value)):
            return value
    return None


def _is_header(text: str) -> bool:
    """Whether a text is the head of a column of accounts, no account itself."""
    return (plain(text) in ANY_HEADER_WORD or fit("account", text) > 0) and not any(each.isdigit() for each in text)


def _facts(above: tuple[Row, ...], mapping: Mapping) -> Facts:
    account = start = end = None
    for row in above:
        account = account or account_named(row.cells)
        for place, cell in enumerate(row.cells):
            words = plain(cell)
            value = next((each for each in row.cells[place + 1 :] if each), "")
            if words in PREAMBLE_WORDS["start"]:
                start = start or _date_in(value, mapping)
            if words in PREAMBLE_WORDS["end"]:
                end = end or _date_in(value, mapping)
            if span := re.fullmatch(r"(\S+) ?(?:-|–|bis|to|au|al|至) ?(\S+)", cell):
                first, last = (_date_in(part, mapping) for part in span.groups())
                start, end = start or (first if last else None), end or (last if first else None)
    return Facts(account, start, end)


def _date_in(text: str, mapping: Mapping) -> date | None:
    """The date a short text is, or ends with (``Kontostand vom 30.06.2023:``)."""
    for part in (text, (text.rstrip(": ").split(" ") or [""])[-1]):
        try:
            return parse_date(part, mapping.date_order or "dmy").day
        except DateError:
            continue
    return None
