"""One criterion of a rule: a field, an operator and what they need. It compiles to SQL and says itself in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rules.criteria.fields import Field
from rules.criteria.scope import ALIAS, Form, Scope, Side, TextColumn
from rules.criteria.values import AmountSpan, DateSpan, Moment, Window

if TYPE_CHECKING:
    from decimal import Decimal

    from rules.criteria.operators.base import Operator

AppliesTo = Literal["statement", "ledger", "both"]


@dataclass(frozen=True)
class Criterion:
    """A condition on a pair of rows, or on one side only where the operator compares with a constant.

    ``window`` is the allowed difference (from a drift or a tolerance); ``constant`` what the field is compared with;
    ``percent`` how alike two texts must be (`similar`) or may differ (`contains` with a drift); ``expected_days`` the
    usual lag of the statement behind the ledger, used to order candidates.
    """

    number: int
    field: Field
    operator: Operator
    ledger_field: Field
    constant: Decimal | Moment | AmountSpan | DateSpan | str | None = None
    window: Window | None = None
    percent: Decimal | None = None
    pattern: str | None = None
    loose: bool = False
    substring: bool = False
    applies_to: AppliesTo = "statement"
    expected_days: int = 0
    given: Mapping[str, Any] | None = None

    @property
    def is_constant(self) -> bool:
        """Compared with a value of the rule rather than with the other side."""
        return self.constant is not None

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides a constant criterion reads."""
        return ("statement", "ledger") if self.applies_to == "both" else (self.applies_to,)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms in which the criterion reads its texts; none if it reads no text."""
        return self.operator.forms(self) if self.field.kind == "text" else ()

    def reads(self, side: Side) -> bool:
        """Whether the criterion looks at this side."""
        return side in self.sides if self.is_constant else True

    def column(self, side: Side, form: Form) -> TextColumn:
        """The text column that this criterion reads on a side in the given form."""
        field = self.field if side == "statement" or self.is_constant else self.ledger_field
        must_match = self.pattern is not None and side == "statement"
        return TextColumn(field.name, form, self.pattern, must_match)

    def columns(self, side: Side) -> tuple[TextColumn, ...]:
        """All text columns that this criterion reads on a side."""
        return tuple(self.column(side, form) for form in self.forms) if self.reads(side) else ()

    def text(self, side: Side, form: Form) -> str:
        """The SQL name of such a column."""
        return f"{ALIAS[side]}.{self.column(side, form).name}"

    def filter_sql(self, side: Side, scope: Scope) -> str | None:
        """What the criterion demands of rows of one side alone, as SQL; None if nothing."""
        if not self.is_constant:
            return None
        return self.operator.accepts(self, side, scope) if self.reads(side) else None

    def sql(self, scope: Scope) -> str:
        """The whole criterion as an SQL condition on a pair ``s``, ``l``; NULL counts as not met."""
        if self.is_constant:
            return " AND ".join(f"({self.operator.accepts(self, side, scope)})" for side in self.sides)
        return self.operator.matches(self, scope)

    def sentence(self) -> str:
        """The criterion as a person would say it."""
        return self.operator.sentence(self)

    def expectation(self, other: str) -> str:
        """What the statement side had to be, given the ledger side in words (unused for constants)."""
        return self.operator.expectation(self, other)
