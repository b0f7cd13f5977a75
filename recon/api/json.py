"""JSON without floats: numbers keep the digits they were written with, in both directions."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

import simplejson
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def loads(text: str | bytes) -> Any:
    """Parse JSON with numbers as int or Decimal; NaN and Infinity are refused. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class ExactJSONParser(JSONParser):
    """DRF's JSON parser, with Decimals for fractions."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        try:
            return loads(codecs.getreader(encoding)(stream).read())
        except (ValueError, LookupError) as error:
            raise ParseError(f"JSON parse error - {error}") from error


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
