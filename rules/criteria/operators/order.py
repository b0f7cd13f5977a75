"""``greater_than`` and ``less_than`` (``after`` and ``before`` on dates)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from rules.criteria.criterion import Criterion
from rules.criteria.fields import Field
from rules.criteria.operators.base import Inputs, Operator, ValueInput, is_given
from rules.criteria.operators.equality import read_constant
from rules.criteria.scope import ALIAS, Scope, Side, date_compared, units_down, units_up
from rules.criteria.values import Moment, read_moment, read_number


class GreaterThan(Operator):
    """Strictly greater, or later."""

    name = "greater_than"
    label = "is greater than"
    help = "The statement's amount or date is strictly greater (later) than the ledger's, or than the value."
    kinds = ("amount", "date")
    aliases = {"after": ("date",)}
    sign: ClassVar[str] = ">"
    date_label: ClassVar[str] = "is after"

    def inputs(self, field: Field) -> Inputs:
        kind: ValueInput = "amount" if field.kind == "amount" else "date"
        return Inputs(kind, options=frozenset({"applies_to", "expected"} if kind == "date" else {"applies_to"}))

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        reader = read_number if field.kind == "amount" else read_moment
        return {"constant": read_constant(reader, given["value"])} if is_given(given, "value") else {}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        if criterion.field.kind == "amount":
            return f"s.amt {self.sign} l.amt"
        days = f"s.day {self.sign} l.day"
        if not scope.times:
            return days
        return f"CASE WHEN s.instant IS NULL OR l.instant IS NULL THEN {days} ELSE s.instant {self.sign} l.instant END"

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        alias, constant = ALIAS[side], criterion.constant
        if isinstance(constant, Moment):
            return date_compared(alias, self.sign, constant, scope)
        if not isinstance(constant, Decimal):
            raise TypeError("a comparison reads an amount or a date")
        return f"{alias}.amt {self.sign} {self.bound(constant, scope)}"

    def bound(self, constant: Decimal, scope: Scope) -> int:
        """The whole number of units to compare with: x > 10.5 is x > 10 for whole x."""
        return units_down(constant, scope.scale)

    def verb(self, criterion: Criterion) -> str:
        return self.date_label if criterion.field.kind == "date" else self.label


class LessThan(GreaterThan):
    """Strictly less, or earlier."""

    name = "less_than"
    label = "is less than"
    help = "The statement's amount or date is strictly less (earlier) than the ledger's, or than the value."
    aliases = {"before": ("date",)}
    sign = "<"
    date_label = "is before"

    def bound(self, constant: Decimal, scope: Scope) -> int:
        return units_up(constant, scope.scale)
