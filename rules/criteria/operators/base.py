"""What every operator is: a name, the fields and inputs it takes, its SQL, and its words.

To add an operator, write one class and put one instance of it into `OPERATORS`. Forms, API, documentation and engine
read that list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from decimal import Decimal
from typing import Any, ClassVar, Literal

from rules.criteria.criterion import Criterion
from rules.criteria.fields import Field, Kind
from rules.criteria.problems import ExpectedError
from rules.criteria.scope import Form, Scope, Side
from rules.criteria.values import RESERVED_UNITS, AmountSpan, DateSpan, Moment, Unit, Window, read_number

ValueInput = Literal[
    "none", "text", "amount", "amounts", "date", "dates", "currency", "amount_window", "date_window", "percent"
]
Constant = Decimal | Moment | AmountSpan | DateSpan | str


@dataclass(frozen=True)
class Inputs:
    """The inputs an operator takes on a field: what a form shows, and what the parser accepts.

    ``value`` is the kind of value; ``required`` if there must be one. ``drift_units`` lists the units a drift may
    have, the first being the default; empty if there is no drift.
    """

    value: ValueInput = "none"
    required: bool = False
    drift_units: tuple[Unit, ...] = ()
    options: frozenset[str] = default(default_factory=frozenset)

    @property
    def keys(self) -> frozenset[str]:
        """The JSON keys of a criterion that mean something here."""
        drift = {"allowable_drift", "drift_unit"} if self.drift_units else set()
        value = {"value"} if self.value != "none" else set()
        return frozenset({"field", "operator"} | drift | value | self.options)


class Operator:
    """Base of all operators."""

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    aliases: ClassVar[Mapping[str, tuple[Kind, ...]]] = {}
    met_without: ClassVar[bool] = False
    """Whether a row without the field meets it."""

    def inputs(self, field: Field) -> Inputs:
        """The inputs on a field of one of ``kinds``."""
        raise NotImplementedError

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What ``value`` and the drift mean, as arguments of Criterion. Raises KeyedError."""
        raise NotImplementedError

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        """The forms of text that the SQL reads."""
        return ("loose",) if criterion.loose else ("key",)

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        """SQL condition on a pair of rows."""
        raise NotImplementedError

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        """SQL condition of a constant criterion on one side."""
        raise NotImplementedError

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        """How candidates can be found without comparing every pair; None if the operator does not help."""
        return None

    def contained_length(self, criterion: Criterion, scope: Scope) -> str | None:
        """SQL for the length of the text found inside the other, for operators that prefer the longer one."""
        return None

    def verb(self, criterion: Criterion) -> str:
        """The words between the two things compared."""
        return self.label

    def tolerance(self, criterion: Criterion) -> str:
        """How far apart they may be, in words that follow the things compared."""
        return ""

    def sentence(self, criterion: Criterion) -> str:
        """The criterion as a person would say it; names of fields stand in asterisks."""
        if criterion.is_constant:
            who = {"statement": "Statement", "ledger": "Ledger", "both": "Statement and ledger"}[criterion.applies_to]
            said = f"{who} *{criterion.field.name}* {self.verb(criterion)} {shown_constant(criterion.constant)}"
        else:
            other = f"ledger *{criterion.ledger_field.name}*"
            said = f"Statement *{criterion.field.name}* {self.expectation(criterion, other)}"
        extracted = f", the part matching `{criterion.pattern}`" if criterion.pattern else ""
        return said + extracted + (", letters and digits only" if criterion.loose else "") + self.lag(criterion)

    def expectation(self, criterion: Criterion, other: str) -> str:
        """What the statement side has to be: verb, the other side (or the constant), tolerance."""
        thing = shown_constant(criterion.constant) if criterion.is_constant else other
        return f"{self.verb(criterion)} {thing}{self.tolerance(criterion)}"

    def lag(self, criterion: Criterion) -> str:
        """The usual lag in words."""
        days = criterion.expected_days
        if not days:
            return ""
        return f", usually {abs(days)} {'day' if abs(days) == 1 else 'days'} {'later' if days > 0 else 'earlier'}"


@dataclass(frozen=True)
class Blocking:
    """What two matching rows must have in common.

    ``equal``: SQL expressions on ``s`` and ``l`` that are equal in every matching pair. ``coarse``: they are so in
    other pairs too, and made of the columns that the criterion reads. ``amount``, ``date``: windows in which the
    difference lies. ``text``: which relation of two text columns can be searched by parts.
    """

    equal: tuple[str, str] | None = None
    coarse: bool = False
    amount: Window | None = None
    date: Window | None = None
    text: Literal["tokens", "loose_tokens", "substring", "prefix", "suffix"] | None = None


def read_drift(field: Field, given: Mapping[str, Any], units: tuple[Unit, ...]) -> tuple[Decimal, Unit]:
    """The size and unit of ``allowable_drift``: zero if absent, in the first of ``units`` by default."""
    unit = given.get("drift_unit") or units[0]
    if unit in RESERVED_UNITS:
        raise KeyedError("drift_unit", f"{unit} is reserved and not offered yet; expected one of {', '.join(units)}")
    if unit not in units:
        wanted = "one of " + ", ".join(units) + f" for {field.name}"
        raise KeyedError("drift_unit", str(ExpectedError(wanted, unit)))
    raw = given.get("allowable_drift")
    try:
        size = Decimal(0) if raw is None or raw == "" else read_number(raw)
    except ExpectedError as error:
        raise KeyedError("allowable_drift", str(error)) from error
    if size < 0:
        raise KeyedError("allowable_drift", str(ExpectedError("a drift that is not negative", raw)))
    if unit == "percent" and size > 100:
        raise KeyedError("allowable_drift", str(ExpectedError("a percentage from 0 to 100", raw)))
    return size, unit


class KeyedError(ValueError):
    """A problem with the value of one JSON key of a criterion."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def is_given(given: Mapping[str, Any], key: str) -> bool:
    """Whether a key says anything: absent, null, empty text, false and a zero drift say nothing."""
    raw = given.get(key)
    if raw is None or raw is False or (isinstance(raw, str) and not raw.strip()):
        return False
    return not (key == "allowable_drift" and not isinstance(raw, str) and raw == 0)


def shown_constant(constant: Constant | None) -> str:
    """A constant in words."""
    if isinstance(constant, AmountSpan | DateSpan):
        return f"{shown_constant(constant.low)} and {shown_constant(constant.high)}"
    if isinstance(constant, Moment):
        return constant.day.isoformat() if constant.at is None else constant.at.isoformat().replace("+00:00", "Z")
    if isinstance(constant, Decimal):
        return f"{constant:f}"
    return f"“{constant}”"


def shown_length(size: Decimal, unit: Unit) -> str:
    """A tolerance in words: ``2 days``, ``0.50``, ``1%``, ``30 minutes``."""
    if unit == "absolute":
        return f"{size:f}"
    if unit == "percent":
        return f"{size.normalize():f}%"
    count, word = (size, "days") if unit == "days" else _in_longest_unit(size)
    return f"{count.normalize():f} {word.removesuffix('s') if count == 1 else word}"


def _in_longest_unit(seconds: Decimal) -> tuple[Decimal, str]:
    for length, word in ((3600, "hours"), (60, "minutes")):
        if seconds and seconds % length == 0:
            return seconds / length, word
    return seconds, "seconds"
