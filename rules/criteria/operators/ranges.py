"""``within_range``, a tolerance between the two sides, and ``between``, a constant range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.criteria.criterion import Criterion
from rules.criteria.fields import Field
from rules.criteria.operators.base import Blocking, Inputs, Operator, ValueInput, shown_length
from rules.criteria.operators.equality import read_constant
from rules.criteria.scope import (
    ALIAS,
    Scope,
    Side,
    amount_within,
    date_compared,
    date_within,
    units_down,
    units_up,
)
from rules.criteria.values import (
    AmountSpan,
    DateSpan,
    Window,
    read_amount_span,
    read_amount_window,
    read_date_span,
    read_date_window,
)


class WithinRange(Operator):
    """Statement minus ledger lies within a tolerance, both bounds included; plus is bank later, or bank more."""

    name = "within_range"
    label = "is within"
    help = "The sides differ by no more than the value: 0.50, 2%, -1.00..0.25 for amounts; 2d, 36h, -1d..3d for dates."
    kinds = ("amount", "date")

    def inputs(self, field: Field) -> Inputs:
        if field.kind == "amount":
            return Inputs("amount_window", required=True)
        return Inputs("date_window", required=True, options=frozenset({"expected"}))

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        reader = read_amount_window if field.kind == "amount" else read_date_window
        return {"window": read_constant(reader, given["value"])}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        window = _window_of(criterion)
        return amount_within(window, scope) if criterion.field.kind == "amount" else date_within(window, scope)

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        window = _window_of(criterion)
        if criterion.field.kind == "amount":
            return Blocking(equal=("s.amt", "l.amt")) if window.exact else Blocking(amount=window)
        return Blocking(equal=("s.day", "l.day")) if window.exact else Blocking(date=window)

    def expectation(self, criterion: Criterion, other: str) -> str:
        window = _window_of(criterion)
        if -window.low == window.high:
            if window.exact:
                return f"is on the same day as {other}" if criterion.field.kind == "date" else f"equals {other}"
            return f"is within {shown_length(window.high, window.unit)} of {other}"
        less, more = ("before", "after") if criterion.field.kind == "date" else ("below", "above")
        return f"is {_shown_reach(window, less, more)} {other}"


class Between(Operator):
    """The field lies in a constant range, both bounds included."""

    name = "between"
    label = "is between"
    help = "The field lies in a fixed range, bounds included: 100..500, 2026-01-01..2026-01-31."
    kinds = ("amount", "date")

    def inputs(self, field: Field) -> Inputs:
        kind: ValueInput = "amounts" if field.kind == "amount" else "dates"
        return Inputs(kind, required=True, options=frozenset({"applies_to"}))

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        reader = read_amount_span if field.kind == "amount" else read_date_span
        return {"constant": read_constant(reader, given["value"])}

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        alias, span = ALIAS[side], criterion.constant
        if isinstance(span, DateSpan):
            low, high = date_compared(alias, ">=", span.low, scope), date_compared(alias, "<=", span.high, scope)
            return f"({low}) AND ({high})"
        if not isinstance(span, AmountSpan):
            raise TypeError("between reads a range of amounts or dates")
        return f"{alias}.amt BETWEEN {units_up(span.low, scope.scale)} AND {units_down(span.high, scope.scale)}"


def _shown_reach(window: Window, less: str, more: str) -> str:
    """``0 to 3 days after``, ``between 1.00 below and 0.25 above``."""
    if window.low < 0 < window.high:
        low, high = shown_length(-window.low, window.unit), shown_length(window.high, window.unit)
        return f"between {low} {less} and {high} {more}"
    near, far = sorted((abs(window.low), abs(window.high)))
    reach, side = shown_length(far, window.unit), more if window.high > 0 else less
    if near == far:
        return f"{reach} {side}"
    return f"{shown_length(near, window.unit) if near and window.unit == 'seconds' else f'{near:f}'} to {reach} {side}"


def _window_of(criterion: Criterion) -> Window:
    if criterion.window is None:
        raise TypeError("within_range has read its window")
    return criterion.window
