"""JSON without floats: numbers keep the digits they were written with, in both directions."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import IO, Any, Final

import simplejson
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

ESCAPED = re.compile(r"\\u(0000|[dD][89a-fA-F])")
"""Escapes that may stand for something no database holds."""


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def loads(text: str | bytes) -> Any:
    """Parse JSON with numbers as int or Decimal; NaN and Infinity are refused. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def loads_storable(text: str | bytes) -> Any:
    """As `loads`; refuses also text that no database holds: NUL, and halves of surrogate pairs. Raises ValueError."""
    data = loads(text)
    if ESCAPED.search(text if isinstance(text, str) else text.decode()):
        written = json.dumps(data, default=str, ensure_ascii=False)
        written.encode()
        if "\\u0000" in written:
            raise ValueError("a text holds a NUL character")
    return data


class ExactJSONParser(JSONParser):
    """DRF's JSON parser, with Decimals for fractions."""

    loads = staticmethod(loads)

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        try:
            return self.loads(codecs.getreader(encoding)(stream).read())
        except (ValueError, LookupError) as error:
            raise ParseError(f"JSON parse error - {error}") from error


class StorableJSONParser(ExactJSONParser):
    """Refuses also what no database holds."""

    loads = staticmethod(loads_storable)


class ExactJSONRenderer(JSONRenderer):
    """Writes Decimals as JSON numbers with all their digits."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        return dumps(data).encode()


def dumps(data: Any) -> str:
    """Compact JSON; Decimals as exact numbers, dates and ids as DRF writes them."""
    return simplejson.dumps(
        data, use_decimal=True, default=JSONEncoder().default, ensure_ascii=False, separators=(",", ":")
    )


_PLAIN: Final = frozenset((str, int, bool, type(None)))
"""What Python's own writer, which knows no Decimals, writes as they are."""


def dumps_flat(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `dumps` makes of objects with few members, most of them texts and numbers, sooner."""
    if not any(type(value) not in _PLAIN for row in rows for value in row.values()):
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    objects = (",".join([f"{encode_basestring(name)}:{_flat(value)}" for name, value in row.items()]) for row in rows)
    return "[" + ",".join([f"{{{members}}}" for members in objects]) + "]"


def _flat(value: Any) -> str:
    if type(value) is str:
        return encode_basestring(value)
    return str(value) if type(value) in (int, Decimal) else dumps(value)
