"""Kinds of values in this API: exact amounts as text, instants in UTC, and what each kind of field expects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from recon.api.json import dumps
from recon.rows import MAX_SCALE, MAX_UNITS

AMOUNT_PATTERN = r"^-?[0-9]{1,18}(\.[0-9]{1,9})?$"


@extend_schema_field({"type": "string", "pattern": AMOUNT_PATTERN, "examples": ["-12.50"]})
class AmountField(serializers.Field[Decimal, Any, str, Any]):
    """An exact decimal as text: "12.50". Going in, a JSON number is taken too, with the digits it is written with."""

    default_error_messages = {
        "invalid": 'Expected an amount with a decimal point, such as "12.50".',
        "size": f"Expected at most 18 digits, {MAX_SCALE} of them decimals.",
    }

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal):
            self.fail("invalid")
        try:
            value = Decimal(data)
        except InvalidOperation:
            self.fail("invalid")
        if not value.is_finite() or "_" in str(data):
            self.fail("invalid")
        places = scale_of(value)
        if places > MAX_SCALE or abs(value.adjusted()) > 30 or abs(value.scaleb(places)) > MAX_UNITS:
            self.fail("size")
        return value

    def to_representation(self, value: Decimal) -> str:
        return f"{value:f}"


class InstantField(serializers.DateTimeField):
    """An instant in UTC, as RFC 3339 writes it: 2026-03-31T12:00:00Z."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class IdField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of a record that must exist."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = _EXISTING[kwargs["queryset"].model.__name__]
        self.error_messages["does_not_exist"] = f"There is no {name} {{pk_value}}."


_EXISTING = {"Account": "account", "Statement": "statement", "MatchingRun": "run", "ImportProfile": "import profile"}


@extend_schema_field(OpenApiTypes.OBJECT)
class PlainField(serializers.Field[Any, Any, Any, Any]):
    """Any JSON object, given back as it was given."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Expected a JSON object.")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({})
class AnyField(serializers.Field[Any, Any, Any, Any]):
    """Whatever JSON it is."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class TextObjectField(PlainField):
    """A JSON object that is stored as text."""

    def to_representation(self, value: Any) -> Any:
        return json.loads(value, parse_float=str) if isinstance(value, str) else value


class Shape(serializers.Serializer[Any]):
    """A JSON object with the fields named and no others; `example` shows one."""

    example: dict[str, Any] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        set_override(cls, "component_name", cls.__name__.removesuffix("Shape"))

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            known = ", ".join(self.fields)
            raise serializers.ValidationError({name: [f"Unknown field; expected {known}."] for name in unknown})
        return super().to_internal_value(data)


def expectation(field: Any) -> str | None:
    """What a field takes, in words; None if there is nothing to add to the message."""
    if isinstance(field, serializers.IntegerField):
        return _whole_number(field)
    if isinstance(field, IdField):
        return "the id of a record that exists"
    if isinstance(field, serializers.ChoiceField):
        return "one of " + ", ".join(str(choice) for choice in field.choices if choice != "")
    words: dict[type[Any], str] = {
        AmountField: 'an exact decimal as text, such as "12.50"',
        serializers.DateTimeField: "an instant such as 2026-03-31T12:00:00Z",
        serializers.DateField: "a date such as 2026-03-31",
        serializers.BooleanField: "true or false",
        serializers.ListField: "a list",
        serializers.ListSerializer: "a list of objects",
        serializers.FileField: "a file",
        serializers.Serializer: "an object",
        PlainField: "an object",
        serializers.CharField: "a text",
    }
    return next((text for kind, text in words.items() if isinstance(field, kind)), None)


def _whole_number(field: Any) -> str:
    least, most = field.min_value, field.max_value
    if least is not None and most is not None:
        return f"a whole number from {least} to {most}"
    if least is not None:
        return f"a whole number, {least} or more"
    return "a whole number" if most is None else f"a whole number, {most} or less"


def scale_of(value: Decimal) -> int:
    """How many decimals an amount has as it is written; none for 1E+3."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def as_text(data: Any) -> str:
    """Checked JSON as text again, its numbers with the digits they came with."""
    return dumps(data)
