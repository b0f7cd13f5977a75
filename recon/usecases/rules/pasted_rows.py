"""One row pasted into the trial of a pair: from a spreadsheet, a file or the API, each cell put where it belongs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable

from recon.rows import amount
from recon.statements.dates import looks_like_date, order_votes, parse_date
from recon.statements.numbers import decimal_votes, looks_like_amount, parse_amount
from rules.criteria.fields import TEXT_FIELDS

MAX_PASTED = 5_000


def pasted_row(text: str) -> dict[str, str]:
    """The fields of the row as the form shows them; what cannot be told apart is left for the person to fill in.

    JSON is taken by its keys. Otherwise cells stand between tabs, semicolons, commas or wide gaps: the first that is
    a date, a currency, an amount (one with decimals before a whole number) is taken for it; of the others a word with
    digits is the reference, the longest the description, the next the counterparty.
    """
    text = text.strip()[:MAX_PASTED]
    if text.startswith("{"):
        return _of_json(text)
    cells = _cells(text)
    row: dict[str, str] = {}
    _take(cells, row, "date", looks_like_date, _day)
    _take(cells, row, "currency", lambda cell: bool(re.fullmatch("[A-Z]{3}", cell)), str)
    for accepts in (_has_decimals, looks_like_amount):
        if "amount" not in row:
            _take(cells, row, "amount", accepts, _number)
    _take(cells, row, "reference", lambda cell: bool(re.fullmatch(r"(?=\S*\d)\S+", cell)), str)
    for name in ("description", "counterparty"):
        if cells:
            row[name] = cells.pop(cells.index(max(cells, key=len)))
    return row


def _of_json(text: str) -> dict[str, str]:
    try:
        body = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return {"description": text}
    names = ("amount", "currency", "date", *TEXT_FIELDS)
    return {name: str(body[name]) for name in names if isinstance(body.get(name), str)}


def _cells(text: str) -> list[str]:
    if "\t" in text:
        cells = text.split("\t")
    elif ";" in text or "," in text:
        cells = next(csv.reader([text.replace("\n", " ")], delimiter=";" if ";" in text else ","))
    else:
        cells = re.split(r"\s{2,}", text)
    return [cell.strip() for cell in cells if cell.strip()]


def _take(
    cells: list[str], row: dict[str, str], name: str, accepts: Callable[[str], bool], read: Callable[[str], str]
) -> None:
    found = next((cell for cell in cells if accepts(cell)), None)
    if found is not None:
        cells.remove(found)
        row[name] = read(found)


def _has_decimals(cell: str) -> bool:
    return looks_like_amount(cell) and bool(re.search(r"[.,]\d{1,2}\D*$", cell))


def _number(cell: str) -> str:
    point, comma, _ = decimal_votes([cell])
    read = parse_amount(cell, "," if comma > point else ".")
    return f"{amount(read.units, read.scale):f}"


def _day(cell: str) -> str:
    day_first, month_first, _ = order_votes([cell])
    return parse_date(cell, "mdy" if month_first > day_first else "dmy").day.isoformat()
