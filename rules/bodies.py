"""The JSON text of a rule: read without losing a digit, written back as it came in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from rules.criteria import Problem, RuleError
from rules.criteria.problems import shown

_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
"""What JSON can escape and no database or page can write."""

MAX_BODY = 200_000
"""Characters; a rule of thirty criteria takes a few thousand."""


def read_json(text: str | bytes) -> Any:
    """JSON with exact numbers: what has a point or an exponent becomes a Decimal. Raises RuleError."""
    if len(text) > MAX_BODY:
        raise RuleError([Problem(None, None, f"expected at most {MAX_BODY} characters of JSON, found {len(text)}")])
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RuleError([Problem(None, None, f"expected JSON, but it cannot be read: {error}")]) from error


def read_given(text: str | bytes) -> Any:
    """JSON that comes in: as `read_json`, but what no database or page can write is refused as well."""
    value = read_json(text)
    odd = next((each for each in _texts(value) if _UNWRITABLE.search(each)), None)
    if odd is not None:
        message = f"expected text without the character U+0000 and without halves of characters, found {shown(odd)}"
        raise RuleError([Problem(None, None, message)])
    return value


def read_body(text: str | bytes) -> dict[str, Any]:
    """One stored rule in the shape of the rule API. Raises RuleError if the text is not a JSON object."""
    return _object(read_json(text))


def given_body(text: str | bytes) -> dict[str, Any]:
    """One rule that comes in, in the shape of the rule API. Raises RuleError as `read_body` and `read_given` do."""
    return _object(read_given(text))


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RuleError([Problem(None, None, "expected a rule as a JSON object with name and criteria")])
    return body


def write_json(value: Any, indent: int = 0) -> str:
    """JSON text of dicts, lists, strings, numbers, booleans and None; a Decimal is written with its own digits.

    (The standard encoder knows no Decimal and would have to go through a binary fraction.)
    """
    deeper = " " * (2 * indent + 2)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict) and value:
        items = [f"{deeper}{json.dumps(key)}: {write_json(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * (2 * indent) + "}"
    if isinstance(value, list | tuple) and value:
        items = [deeper + write_json(item, indent + 1) for item in value]
        return "[\n" + ",\n".join(items) + "\n" + " " * (2 * indent) + "]"
    return json.dumps(value, ensure_ascii=False)


def _texts(value: Any) -> Iterator[str]:
    """All texts in it, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
