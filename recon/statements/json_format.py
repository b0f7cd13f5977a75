"""JSON: a list of objects, an object that holds one, or one object per line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from recon.statements.cells import Row
from recon.statements.csv_encoding import decode, encoding_of, is_text
from recon.statements.csv_format import read_table
from recon.statements.mapping import Mapping, Role
from recon.statements.model import Hints, LeftOut, Reading, StatementError
from recon.statements.sheets import with_left_out
from recon.statements.tables import table_of

NAME: Final = "json"
_MOST_NESTED: Final = 8

EXTERNAL: Final[dict[str, Role]] = {
    "id": "external_id",
    "amount": "amount",
    "reference": "reference",
    "currency": "currency",
    "description": "description",
    "date": "booking_date",
    "source": "source",
}
"""The keys of an external transaction in Blnk's API. Rows that have no others need not be looked through for roles."""


def detects(head: bytes, name: str) -> int:
    """JSON begins with a bracket, and a named .json is taken at its word."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not is_text(head) or start not in (b"[", b"{"):
        return 5 if name.lower().endswith((".json", ".jsonl", ".ndjson")) and is_text(head) else 0
    return 80


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """Every object is a row, its keys are the columns; numbers are read as text, so that no digit is lost."""
    encoding = hints.encoding or encoding_of(data)
    text = decode(data, encoding)
    lists = _lists_of_objects(text)
    objects = lists[0][1]
    if not objects:
        raise StatementError("The file has no transactions: no list of objects was found in it.")
    flat = [_flat(each) for each in objects]
    if _ESCAPED.search(text):
        _refuse_what_is_no_text(flat)
    keys = tuple(dict.fromkeys(key for each in flat for key in each))
    rows = [Row(place, _cells(each, keys)) for place, each in enumerate(flat, start=1)]
    if hints.every_row:
        _refuse_blank(rows)
    table = table_of(rows, Row(0, keys))
    partial = hints.mapping or Mapping(columns=_own_words(keys))
    if partial.decimal is None and any(
        type(cell) is Number and "." in cell for each in flat for cell in each.values()
    ):
        partial = replace(partial, decimal=".")  # JSON's numbers know no other mark
    reading = read_table(NAME, table, partial, hints)
    return replace(with_left_out(reading, _in_other_lists(lists[1:], keys)), encoding=encoding)


class Number(str):
    """A number as it is written, digit by digit, but without an exponent."""

    __slots__ = ()


def number_of(text: str) -> str:
    """A number with a point or an exponent, as its cell has it."""
    value = Decimal(text) if "e" in text or "E" in text else None
    if value is None or not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
        return Number(text)
    return Number(f"{value:f}")


_MOST_DIGITS: Final = 40
"""Exponents beyond it stay, and are refused as what they are."""

_ESCAPED: Final = re.compile(r"\\u(0000|[dD][89a-fA-F])")
"""Escapes that may stand for something no database holds."""


def _refuse_what_is_no_text(flat: list[dict[str, str]]) -> None:
    """Refuse NUL characters and halves of surrogate pairs, which JSON can name and no database holds."""
    for place, each in enumerate(flat, start=1):
        for key, cell in each.items():
            if "\x00" in key + cell or not _is_whole(key + cell):
                raise StatementError.at(
                    f"Row {place}, {key!a}: the text holds a NUL character or half of one.",
                    line=place,
                    column=ascii(key),
                    found=ascii(cell)[:80],
                    expected="characters that can be stored",
                )


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_blank(rows: list[Row]) -> None:
    for row in rows:
        if row.blank:
            message = f"Line {row.line}: it is empty, expected a row with an amount."
            raise StatementError.at(message, line=row.line, expected="a row with an amount")


def _cells(flat: dict[str, str], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(flat.values()) if tuple(flat) == keys else tuple(flat.get(key, "") for key in keys)


def _own_words(keys: tuple[str, ...]) -> dict[Role, tuple[str, ...]]:
    plain = "amount" in keys and EXTERNAL.keys() >= set(keys)
    return {EXTERNAL[key]: (key,) for key in keys} if plain else {}


def _lists_of_objects(text: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """The list that is read, and then the others, each with its name; of lines of objects there is one."""
    try:
        whole = _loads(text)
    except RecursionError:
        raise StatementError("The JSON is nested more deeply than any statement is.") from None
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].rstrip().endswith("}"):
            raise _refusal(error, error.lineno) from None
        numbered = enumerate(text.splitlines(), start=1)
        return [("", [_parsed_line(line, number) for number, line in numbered if line.strip()])]
    return [(name, list(_objects(found))) for name, found in _lists_in(whole)]


def _objects(found: list[Any]) -> Iterator[dict[str, Any]]:
    has_rows = any(isinstance(each, dict) for each in found)
    for place, each in enumerate(found, start=1):
        if isinstance(each, dict):
            yield each
        elif has_rows and each is not None:  # among rows: it may have been one
            found_text = json.dumps(each)[:80]
            message = f"Row {place} of the list is no object."
            raise StatementError.at(message, line=place, found=found_text, expected="an object for each row")


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=number_of, parse_int=str, parse_constant=str)


def _parsed_line(line: str, number: int) -> dict[str, Any]:
    try:
        parsed = _loads(line)
    except RecursionError:
        raise StatementError.at(
            f"Line {number} is nested more deeply than any statement is.", line=number, expected="a JSON object"
        ) from None
    except json.JSONDecodeError as error:
        raise _refusal(error, number) from None
    if not isinstance(parsed, dict):
        raise StatementError.at(f"Line {number} is no object.", line=number, found=line[:80], expected="a JSON object")
    return parsed


def _refusal(error: json.JSONDecodeError, line: int) -> StatementError:
    message = f"The file is no valid JSON: line {line}, {error.msg.lower()}."
    return StatementError.at(message, line=line, found=error.doc[error.pos : error.pos + 40], expected="valid JSON")


def _lists_in(whole: Any) -> list[tuple[str, list[Any]]]:
    """The lists of objects anywhere inside, the one of transactions first: the longest that has numbers, but pending
    ones last. The object itself if there are none, or if it says that it is a record (Stripe's ``object``)."""
    if not isinstance(whole, dict):
        return [("", whole if isinstance(whole, list) else [])]
    lists = [(name, each) for name, each in _lists(whole) if any(isinstance(item, dict) for item in each)]
    if not lists or ("id" in whole and whole.get("object", "list") != "list"):
        return [("", [whole])]
    return sorted(
        lists, key=lambda each: (_PENDING.search(each[0]) is not None, not _has_a_number(each[1]), -len(each[1]))
    )


def _has_a_number(found: list[Any]) -> bool:
    first = next(each for each in found if isinstance(each, dict))
    return any(_NUMBER.fullmatch(cell) for cell in _flat(first).values())


_NUMBER: Final = re.compile(r"-?\d+(?:[.,]\d+)*")
_PENDING: Final = re.compile(r"pending|future|info(?:rmation)?$", re.IGNORECASE)
"""Lists of what is not booked yet are called so (Berlin Group: ``booked``, ``pending``, ``information``)."""


def _lists(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    if depth > 6:  # deeper than any export nests its transactions
        return
    if isinstance(value, list):
        yield name, value
    for key, each in value.items() if isinstance(value, dict) else ():
        yield from _lists(each, f"{name}.{key}" if name else key, depth + 1)


def _in_other_lists(lists: list[tuple[str, list[dict[str, Any]]]], keys: tuple[str, ...]) -> Iterator[LeftOut]:
    """What has most of the keys of the rows that were read: somebody may miss it."""
    for name, objects in lists:
        for place, each in enumerate(map(_flat, objects), start=1):
            if 2 * len(each.keys() & {*keys}) > len(each):
                raw = "; ".join(cell for cell in each.values() if cell)
                yield LeftOut(place, raw, f"in another list ({name})")


def _flat(value: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, str]:
    """Nested objects as dotted keys, lists as their JSON, null as empty."""
    flat: dict[str, str] = {}
    for key, each in value.items():
        if isinstance(each, str):
            flat[prefix + key] = each if type(each) is Number else each.strip()
        elif isinstance(each, dict) and depth < _MOST_NESTED:
            flat |= _flat(each, f"{prefix}{key}.", depth + 1)
        else:
            flat[prefix + key] = "" if each is None else json.dumps(each, ensure_ascii=False)
    return flat
