"""Readings compared with independently found values: does a directory of real files read as its EXPECTED.csv says?

EXPECTED.csv has one row per file: ``file, format, malformed, transactions, credits_sum, debits_sum, net, first_date,
last_date, entry_dates, currency, opening, closing``; several values are parted by ``|``. Of CSV files and spreadsheets
count and net are compared, of the other formats every figure.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from recon.statements.inspection import inspect_file

TABLES = ("csv", "xlsx")
REASONS = Path(__file__).with_name("disagreements.toml")


@dataclass(frozen=True)
class Outcome:
    """One file: what differs (figure, read, expected), and the first message if something could not be read."""

    file: str
    format: str
    malformed: str
    differences: tuple[tuple[str, str, str], ...]
    message: str | None

    @property
    def agrees(self) -> bool:
        """Whether every figure compared is as expected."""
        return not self.differences


def outcomes(directory: Path) -> Iterator[Outcome]:
    """Read every file that EXPECTED.csv names, and compare."""
    with (directory / "EXPECTED.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found, _ = inspect_file(directory / row["file"], row["file"])
            messages = [error["message"] for error in found["errors"]]
            differences = tuple(_differences(found["statements"], row))
            yield Outcome(row["file"], row["format"], row["malformed"], differences, next(iter(messages), None))


def _differences(entries: list[dict[str, Any]], row: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    into = sum((Decimal(entry["credits"]) for entry in entries), Decimal(0))
    out = sum((Decimal(entry["debits"]) for entry in entries), Decimal(0))
    yield from _differs("count", sum(entry["lines"] for entry in entries), int(row["transactions"] or 0))
    if row["format"] in TABLES:
        yield from _differs("net", into - out, _number(row["net"]))
        return
    yield from _differs("credits", into, _number(row["credits_sum"]))
    yield from _differs("debits", out, _number(row["debits_sum"]))
    yield from _date_differences(entries, row)
    if row["currency"]:
        read = "|".join(sorted({entry["currency"] for entry in entries if entry["currency"]}))
        yield from _differs("currency", read, row["currency"])
    for figure, place in (("opening", 0), ("closing", -1)):
        expected = [_number(part) for part in row[figure].split("|")] if row[figure] else []
        stated = [_number(entry[figure]) if entry[figure] else None for entry in entries]
        if len(expected) == 1:
            yield from _differs(figure, stated[place] if stated else None, expected[0])
        elif expected:
            yield from _differs(figure, [each for each in stated if each is not None], expected)


def _date_differences(entries: list[dict[str, Any]], row: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """First and last date; value dates and entry dates are both right where a file has both."""
    if not row["first_date"]:
        return
    entry_first, _, entry_last = row["entry_dates"].partition("..")
    for figure, key, choose, others in (
        ("first date", "first", min, entry_first),
        ("last date", "last", max, entry_last),
    ):
        read = [entry[f"{key}_date"] for entry in entries if entry[f"{key}_date"]]
        found = choose(read) if read else None
        if found not in {row[f"{key}_date"], others or None}:
            yield figure, str(found), row[f"{key}_date"]


def _differs(figure: str, found: Any, expected: Any) -> Iterator[tuple[str, str, str]]:
    if found != expected:
        yield figure, _shown(found), _shown(expected)


def _shown(value: Any) -> str:
    return ", ".join(map(_shown, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _number(text: str) -> Decimal | str:
    """The number in a text, with a point or a comma; the text itself if it is none."""
    plain = "".join(each for each in text if each in "0123456789.,-")
    if plain.rfind(",") > plain.rfind("."):
        plain = plain.replace(".", "").replace(",", ".")
    try:
        return Decimal(plain.replace(",", ""))
    except InvalidOperation:
        return text
