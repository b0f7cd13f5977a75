"""Operators on texts: ``contains``, ``starts_with``, ``ends_with``, ``agrees``, ``similar``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Literal

from rules.criteria.criterion import Criterion
from rules.criteria.fields import Field
from rules.criteria.operators.base import Blocking, Inputs, Operator, is_given, read_drift
from rules.criteria.operators.equality import read_constant
from rules.criteria.scope import Form, Scope, Side, quoted
from rules.criteria.text import loose_key, text_key
from rules.criteria.values import read_percent, read_text

MIN_CONTAINED = 4
"""A text found inside another must have this many letters or digits, or half the alphabet would match."""

_TEXT_OPTIONS = frozenset({"pattern", "loose", "ledger_field", "applies_to"})


class Contains(Operator):
    """The shorter text stands in the longer, by default as a run of whole tokens."""

    name = "contains"
    label = "contains"
    help = (
        "The shorter text stands in the longer as whole words and has at least 4 letters or digits."
        " With a value, the field contains the value anywhere."
    )
    kinds = ("text",)

    def inputs(self, field: Field) -> Inputs:
        return Inputs("text", drift_units=("percent",), options=_TEXT_OPTIONS | {"substring"})

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        size, _ = read_drift(field, given, ("percent",))
        parsed: dict[str, Any] = {"percent": size or None}
        if is_given(given, "value"):
            parsed["constant"] = read_constant(read_text, given["value"])
        return parsed

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        plain: Form = "loose" if criterion.loose else "key"
        if criterion.is_constant or criterion.substring:
            return (plain,)
        runs: Form = "loose_tokens" if criterion.loose else "tokens"
        return (runs, plain) if criterion.percent else (runs,)

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        form = self.forms(criterion)[0]
        left, right = criterion.text("statement", form), criterion.text("ledger", form)
        found = f"{_stands_in(left, right, form)} OR {_stands_in(right, left, form)}"
        if criterion.percent is None:
            return f"({found})"
        form = self.forms(criterion)[-1]
        left, right = criterion.text("statement", form), criterion.text("ledger", form)
        return f"({found} OR {_alike(left, right, 100 - criterion.percent)})"

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        text = criterion.text(side, self.forms(criterion)[0])
        wanted = quoted(_key(criterion) or "")
        found = f"contains({text}, {wanted})"
        return found if criterion.percent is None else f"({found} OR {_alike(text, wanted, 100 - criterion.percent)})"

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        if criterion.is_constant or criterion.percent is not None:
            return None
        if criterion.substring:
            return Blocking(text="substring")
        return Blocking(text="loose_tokens" if criterion.loose else "tokens")

    def contained_length(self, criterion: Criterion) -> str | None:
        if criterion.is_constant:
            return None
        form = self.forms(criterion)[0]
        left, right = criterion.text("statement", form), criterion.text("ledger", form)
        found = f"{_stands_in(left, right, form)} OR {_stands_in(right, left, form)}"
        length = f"least(length({left}), length({right}))"
        return length if criterion.percent is None else f"CASE WHEN {found} THEN {length} ELSE 0 END"

    def tolerance(self, criterion: Criterion) -> str:
        where = " anywhere" if criterion.substring else ""
        drift = f" or differs from it in at most {criterion.percent:f}%" if criterion.percent else ""
        return where + drift


class StartsWith(Operator):
    """One text begins with the other: banks cut references short."""

    name = "starts_with"
    label = "starts with"
    help = "One side begins with the other, as when a bank cuts it short. With a value, the field begins with it."
    kinds = ("text",)
    function: ClassVar[str] = "starts_with"
    part: ClassVar[Literal["prefix", "suffix"]] = "prefix"

    def inputs(self, field: Field) -> Inputs:
        return Inputs("text", options=_TEXT_OPTIONS)

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"constant": read_constant(read_text, given["value"])} if is_given(given, "value") else {}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        form = self.forms(criterion)[0]
        left, right = criterion.text("statement", form), criterion.text("ledger", form)
        return f"({self.function}({left}, {right}) OR {self.function}({right}, {left}))"

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        return f"{self.function}({criterion.text(side, self.forms(criterion)[0])}, {quoted(_key(criterion) or '')})"

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        return None if criterion.is_constant else Blocking(text=self.part)


class EndsWith(StartsWith):
    """One text ends with the other."""

    name = "ends_with"
    label = "ends with"
    help = "One side ends with the other. With a value, the field ends with it."
    function = "ends_with"
    part = "suffix"


class Agrees(Operator):
    """Missing on either side, or one begins with the other: what is there must not name something else.

    For rules that rest on other fields: an amount and a day may match by chance, and then two references often differ.
    The one operator that a missing text satisfies.
    """

    name = "agrees"
    label = "does not contradict"
    help = "Either side has no such text, or one begins with the other; two different texts are refused."
    kinds = ("text",)
    met_without = True

    def inputs(self, field: Field) -> Inputs:
        return Inputs(options=frozenset({"loose", "ledger_field"}))

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        form = self.forms(criterion)[0]
        left, right = criterion.text("statement", form), criterion.text("ledger", form)
        return f"coalesce(starts_with({left}, {right}) OR starts_with({right}, {left}), true)"


class Similar(Operator):
    """Alike by edit distance: 100 * (1 - Levenshtein / longer length), counted in characters."""

    name = "similar"
    label = "is similar to"
    help = "The texts are at least this many percent alike, counting letters to insert, delete or replace."
    kinds = ("text",)

    def inputs(self, field: Field) -> Inputs:
        return Inputs("percent", required=True, options=_TEXT_OPTIONS - {"applies_to"})

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"percent": read_constant(read_percent, given["value"])}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        form = self.forms(criterion)[0]
        percent = criterion.percent or Decimal(0)
        return _alike(criterion.text("statement", form), criterion.text("ledger", form), percent)

    def tolerance(self, criterion: Criterion) -> str:
        return f", at least {criterion.percent:f}% alike"


def _key(criterion: Criterion) -> str | None:
    constant = str(criterion.constant)
    return loose_key(constant) if criterion.loose else text_key(constant)


def _stands_in(longer: str, shorter: str, form: Form) -> str:
    """SQL: the shorter text is in the longer and has enough letters and digits."""
    if form in ("key", "loose"):
        letters = shorter if form == "loose" else rf"regexp_replace({shorter}, '[^\p{{L}}\p{{N}}]', '', 'g')"
        return f"(contains({longer}, {shorter}) AND length({letters}) >= {MIN_CONTAINED})"
    # Between two letters stands at most one space, so that most texts need not lose theirs to be counted.
    enough = (
        f"(length({shorter}) >= {2 * MIN_CONTAINED - 1} OR length(replace({shorter}, ' ', '')) >= {MIN_CONTAINED})"
    )
    if form == "tokens":
        return f"(contains(' ' || {longer} || ' ', ' ' || {shorter} || ' ') AND {enough})"
    # Loose: "INV-12" stands in "paid inv12 today" and the reverse: borders of tokens inside the run do not count.
    # Only letters, digits and spaces are left, so nothing in the text means anything to the regular expression.
    run = rf"regexp_replace(replace({shorter}, ' ', ''), '(.)', '\1 ?', 'g')"
    tight = f"contains(replace({longer}, ' ', ''), replace({shorter}, ' ', ''))"
    return f"({tight} AND {enough} AND regexp_matches(' ' || {longer} || ' ', ' ' || {run} || ' '))"


def _alike(left: str, right: str, percent: Decimal) -> str:
    """SQL: at least ``percent`` alike, in whole numbers. ``letter_distance`` is Levenshtein counted in characters."""
    allowed = (100 - Fraction(percent)) / 100
    longer = f"greatest(length({left}), length({right}))"
    shortfall = f"abs(length({left}) - length({right}))"
    small_gap = f"{shortfall} * {allowed.denominator} <= {longer} * {allowed.numerator}"
    distance = f"letter_distance({left}, {right}) * {allowed.denominator} <= {longer} * {allowed.numerator}"
    return f"CASE WHEN {small_gap} THEN {distance} ELSE false END"
