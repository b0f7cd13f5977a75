"""``eq`` and its Blnk alias ``equals``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rules.criteria.criterion import Criterion
from rules.criteria.fields import Field
from rules.criteria.operators.base import (
    Blocking,
    Inputs,
    KeyedError,
    Operator,
    ValueInput,
    is_given,
    read_drift,
    shown_length,
)
from rules.criteria.operators.loosely import either, either_constant, plain_form, without_zeros
from rules.criteria.problems import ExpectedError
from rules.criteria.scope import (
    ALIAS,
    Form,
    Scope,
    Side,
    amount_within,
    date_compared,
    date_within,
    day_number,
    microseconds,
    quoted,
    units_down,
    units_up,
    whole_days,
)
from rules.criteria.values import Moment, Unit, Window, read_currency, read_moment, read_number, read_text

_READERS = {"amount": read_number, "date": read_moment, "currency": read_currency, "text": read_text}
_UNITS: dict[str, tuple[Unit, ...]] = {"amount": ("absolute", "percent"), "date": ("seconds", "days")}


class Equals(Operator):
    """Equal, or within the drift: for ``eq`` in the currency, for ``equals``, as Blnk, a fraction of the amount."""

    name = "eq"
    label = "equals"
    help = "Both sides are equal, or differ by no more than the drift. With a value, the field equals the value."
    kinds = ("amount", "date", "text", "currency")
    aliases = {"equals": ("amount", "date", "text", "currency")}

    def inputs(self, field: Field) -> Inputs:
        if field.kind == "text":
            return Inputs("text", options=frozenset({"pattern", "loose", "ledger_field", "applies_to"}))
        if field.kind == "currency":
            return Inputs("currency", options=frozenset({"applies_to"}))
        extra = {"expected"} if field.kind == "date" else set()
        kind: ValueInput = "amount" if field.kind == "amount" else "date"
        return Inputs(kind, drift_units=_UNITS[field.kind], options=frozenset({"applies_to"} | extra))

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        parsed: dict[str, Any] = {}
        if is_given(given, "value"):
            parsed["constant"] = read_constant(_READERS[field.kind], given["value"])
        if field.kind in _UNITS:
            parsed["window"] = self._window(field, operator_name, given)
        return parsed

    def _window(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> Window:
        size, unit = read_drift(field, given, _UNITS[field.kind])
        if operator_name == "equals" and field.kind == "amount" and not given.get("drift_unit"):
            if size > 1:
                message = str(
                    ExpectedError("a fraction of the amount from 0 to 1 (0.01 is 1%)", given["allowable_drift"])
                )
                raise KeyedError("allowable_drift", message)
            size, unit = size * 100, "percent"
        return Window(-size, size, unit)

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        return (plain_form(criterion),)

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        if criterion.field.kind == "currency":
            return "s.ccy = l.ccy"
        if criterion.field.kind == "text":
            return either(criterion, scope, plain_form(criterion), _are_equal, _are_equal)
        window = _window_of(criterion)
        return amount_within(window, scope) if criterion.field.kind == "amount" else date_within(window, scope)

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        alias, constant = ALIAS[side], criterion.constant
        if isinstance(constant, Decimal):
            return _amount_near(f"{alias}.amt", constant, _window_of(criterion), scope)
        if isinstance(constant, Moment):
            return _date_near(alias, constant, _window_of(criterion), scope)
        if criterion.field.kind == "currency":
            return f"{alias}.ccy = {quoted(str(constant))}"
        return either_constant(criterion, scope, criterion.text(side, plain_form(criterion)), _are_equal)

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        if criterion.field.kind == "currency":
            return Blocking(equal=("s.ccy", "l.ccy"))
        if criterion.field.kind == "text":
            form = plain_form(criterion)
            left, right = criterion.text("statement", form), criterion.text("ledger", form)
            if criterion.loose and scope.compact:
                return Blocking(equal=(without_zeros(left), without_zeros(right)), coarse=True)
            return Blocking(equal=(left, right))
        window = _window_of(criterion)
        if criterion.field.kind == "amount":
            return Blocking(equal=("s.amt", "l.amt")) if window.exact else Blocking(amount=window)
        # Equal instants lie on equal days, so the day is a key whatever the resolution of the rows.
        return Blocking(equal=("s.day", "l.day")) if window.exact else Blocking(date=window)

    def tolerance(self, criterion: Criterion) -> str:
        window = criterion.window
        if window is None or window.exact:
            return ""
        of = " of the ledger amount" if window.unit == "percent" and not criterion.is_constant else ""
        return f", at most {shown_length(window.high, window.unit)}{of} apart"


def read_constant(reader: Any, raw: object) -> Any:
    """The constant of a criterion; what is wrong with it is said under the key ``value``."""
    try:
        return reader(raw)
    except ExpectedError as error:
        raise KeyedError("value", str(error)) from error


def _are_equal(left: str, right: str) -> str:
    return f"{left} = {right}"


def _window_of(criterion: Criterion) -> Window:
    return criterion.window or Window(Decimal(0), Decimal(0), "absolute")


def _amount_near(amount: str, constant: Decimal, window: Window, scope: Scope) -> str:
    reach = window.high if window.unit == "absolute" else abs(constant) * window.high / 100
    low, high = units_up(constant - reach, scope.scale), units_down(constant + reach, scope.scale)
    return f"{amount} BETWEEN {low} AND {high}"


def _date_near(alias: str, constant: Moment, window: Window, scope: Scope) -> str:
    """Seconds where both the row and the constant have a time of day, whole days otherwise."""
    if window.exact and window.unit != "days":
        return date_compared(alias, "=", constant, scope)
    day, (low, high) = day_number(constant, scope), whole_days(window)
    days = f"{alias}.day BETWEEN {day + low} AND {day + high}"
    if constant.at is None or not scope.times or window.unit == "days":
        return days
    first, last = (microseconds(constant.at) + math.trunc(end * 1_000_000) for end in (window.low, window.high))
    return f"CASE WHEN {alias}.instant IS NULL THEN {days} ELSE {alias}.instant BETWEEN {first} AND {last} END"
