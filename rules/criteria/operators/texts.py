"""Operators on texts: ``contains``, ``has_words``, ``starts_with``, ``ends_with``, ``agrees``, ``similar``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Literal

from rules.criteria.criterion import Criterion
from rules.criteria.fields import Field
from rules.criteria.operators.base import Blocking, Inputs, Operator, is_given, read_drift
from rules.criteria.operators.equality import read_constant
from rules.criteria.operators.loosely import Relation, either, either_constant, greater, plain_form
from rules.criteria.scope import Form, Scope, Side
from rules.criteria.text import compact_sql
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
        plain = plain_form(criterion)
        if criterion.is_constant or criterion.substring:
            return (plain,)
        runs: Form = "both_loose_tokens" if criterion.loose else "tokens"
        return (runs, plain) if criterion.percent else (runs,)

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        form = self.forms(criterion)[0]
        found = self._found(criterion, scope, form)
        if criterion.percent is None:
            return f"({found})"
        alike = _are_alike(100 - criterion.percent)
        return f"({found} OR {either(criterion, scope, self.forms(criterion)[-1], alike, alike)})"

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        text = criterion.text(side, self.forms(criterion)[0])
        found = either_constant(criterion, scope, text, _function("contains"))
        if criterion.percent is None:
            return found
        return f"({found} OR {either_constant(criterion, scope, text, _are_alike(100 - criterion.percent))})"

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        if criterion.is_constant or criterion.percent is not None:
            return None
        if criterion.substring:
            return Blocking(text="substring")
        return Blocking(text="loose_tokens" if criterion.loose else "tokens")

    def contained_length(self, criterion: Criterion, scope: Scope) -> str | None:
        if criterion.is_constant:
            return None
        form = self.forms(criterion)[0]
        left, right = criterion.text("statement", form), criterion.text("ledger", form)
        length = _shorter(left, right)
        if criterion.loose and scope.compact:
            key = compact_sql if form == "both_loose_tokens" else str
            length = greater(criterion, form, _shorter, lambda one, other: _shorter(key(one), key(other)))
        if criterion.percent is None:
            return length
        return f"CASE WHEN {self._found(criterion, scope, form)} THEN {length} ELSE 0 END"

    def _found(self, criterion: Criterion, scope: Scope, form: Form) -> str:
        """SQL: one text stands in the other."""
        return either(criterion, scope, form, _one_in_the_other(form), _one_in_the_other(form, compact=True))

    def tolerance(self, criterion: Criterion) -> str:
        where = " anywhere" if criterion.substring else ""
        drift = f" or differs from it in at most {criterion.percent:f}%" if criterion.percent else ""
        return where + drift


class HasWords(Operator):
    """All words of one text stand in the other: banks put the family name first, and names among other words."""

    name = "has_words"
    label = "has the words of"
    help = "All words of one side stand in the other, in any order, and have at least 4 letters or digits."
    kinds = ("text",)

    def inputs(self, field: Field) -> Inputs:
        return Inputs(options=frozenset({"pattern", "ledger_field"}))

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        return ("tokens",)

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        left, right = criterion.text("statement", "tokens"), criterion.text("ledger", "tokens")
        return f"({_words_stand_in(left, right)} OR {_words_stand_in(right, left)})"

    def blocking(self, criterion: Criterion, scope: Scope) -> Blocking | None:
        return Blocking(text="tokens")


class StartsWith(Operator):
    """One text begins with the other: banks cut references short."""

    name = "starts_with"
    label = "starts with"
    help = "One side begins with the other, as when a bank cuts it short. With a value, the field begins with it."
    kinds = ("text",)
    function: ClassVar[str] = "starts_with"
    part: ClassVar[Literal["prefix", "suffix"]] = "prefix"

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        return (plain_form(criterion),)

    def inputs(self, field: Field) -> Inputs:
        return Inputs("text", options=_TEXT_OPTIONS)

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"constant": read_constant(read_text, given["value"])} if is_given(given, "value") else {}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        relation = _either_way(self.function)
        return either(criterion, scope, plain_form(criterion), relation, relation)

    def accepts(self, criterion: Criterion, side: Side, scope: Scope) -> str:
        text = criterion.text(side, plain_form(criterion))
        return either_constant(criterion, scope, text, _function(self.function))

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

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        return (plain_form(criterion),)

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        relation = _either_way("starts_with")
        return f"coalesce({either(criterion, scope, plain_form(criterion), relation, relation)}, true)"


class Similar(Operator):
    """Alike by edit distance: 100 * (1 - Levenshtein / longer length), counted in characters."""

    name = "similar"
    label = "is similar to"
    help = "The texts are at least this many percent alike, counting letters to insert, delete or replace."
    kinds = ("text",)

    def inputs(self, field: Field) -> Inputs:
        return Inputs("percent", required=True, options=_TEXT_OPTIONS - {"applies_to"})

    def forms(self, criterion: Criterion) -> tuple[Form, ...]:
        return (plain_form(criterion),)

    def read(self, field: Field, operator_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"percent": read_constant(read_percent, given["value"])}

    def matches(self, criterion: Criterion, scope: Scope) -> str:
        alike = _are_alike(criterion.percent or Decimal(0))
        return either(criterion, scope, plain_form(criterion), alike, alike)

    def tolerance(self, criterion: Criterion) -> str:
        return f", at least {criterion.percent:f}% alike"


def _function(name: str) -> Relation:
    return lambda text, other: f"{name}({text}, {other})"


def _either_way(function: str) -> Relation:
    return lambda left, right: f"({function}({left}, {right}) OR {function}({right}, {left}))"


def _are_alike(percent: Decimal) -> Relation:
    return lambda left, right: _alike(left, right, percent)


def _one_in_the_other(form: Form, *, compact: bool = False) -> Relation:
    if compact and form == "both_loose_tokens":
        return lambda left, right: f"({_compact_stands_in(left, right)} OR {_compact_stands_in(right, left)})"
    return lambda left, right: f"({_stands_in(left, right, form)} OR {_stands_in(right, left, form)})"


def _shorter(left: str, right: str) -> str:
    return f"least(length({left}), length({right}))"


def _compact_stands_in(longer: str, shorter: str) -> str:
    """SQL: a run of tokens of the longer text has the compact key of the shorter, and that has enough letters.

    A number of the run may begin with zeros, and be in several tokens.
    """
    whole = compact_sql(shorter)
    spaced = rf"regexp_replace({whole}, '(.)', '\1 ?', 'g')"
    run = rf"regexp_replace({spaced}, '(^|[^0-9] \?)([0-9])', '\1(?:0 ?)*\2', 'g')"
    rough = f"contains(replace(replace({longer}, ' ', ''), '0', ''), replace({whole}, '0', ''))"
    found = f"regexp_matches(' ' || {longer} || ' ', ' ' || {run} || ' ')"
    return f"({rough} AND length({whole}) >= {MIN_CONTAINED} AND {found})"


def _stands_in(longer: str, shorter: str, form: Form) -> str:
    """SQL: the shorter text is in the longer and has enough letters and digits."""
    if form in ("key", "both_loose"):
        letters = shorter if form == "both_loose" else rf"regexp_replace({shorter}, '[^\p{{L}}\p{{N}}]', '', 'g')"
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
    found = f"regexp_matches(' ' || {longer} || ' ', ' ' || {run} || ' ')"
    # Most that are found have the same borders, and an expression for each pair takes ten times as long.
    same = f"contains(' ' || {longer} || ' ', ' ' || {shorter} || ' ')"
    return f"({enough} AND CASE WHEN {same} THEN true WHEN {tight} THEN {found} ELSE {tight} END)"


def _words_stand_in(longer: str, shorter: str) -> str:
    """SQL: all tokens of the shorter text are in the longer, and it has enough letters and digits."""
    enough = f"length(replace({shorter}, ' ', '')) >= {MIN_CONTAINED}"
    return f"(list_has_all(string_split({longer}, ' '), string_split({shorter}, ' ')) AND {enough})"


def _alike(left: str, right: str, percent: Decimal) -> str:
    """SQL: at least ``percent`` alike, in whole numbers. ``letter_distance`` is Levenshtein counted in characters."""
    allowed = (100 - Fraction(percent)) / 100
    longer = f"greatest(length({left}), length({right}))"
    shortfall = f"abs(length({left}) - length({right}))"
    small_gap = f"{shortfall} * {allowed.denominator} <= {longer} * {allowed.numerator}"
    distance = f"letter_distance({left}, {right}) * {allowed.denominator} <= {longer} * {allowed.numerator}"
    return f"CASE WHEN {small_gap} THEN {distance} ELSE false END"
