"""A rule while it is being edited: what stands in the inputs, valid or not, and what one step of editing does to it.

Nothing here knows an operator: which inputs there are follows from `rules.criteria`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from rules.criteria import CRITERION_KEYS, FIELDS, Criterion, Field, Inputs, Operator, operator_named, operators_for
from rules.criteria.operators.base import is_given
from rules.criteria.parsing import parse_criterion

RULE_KEYS = ("on_ambiguity", "max_difference", "difference_type", "cross_currency", "group_date", "suggest_only")
"""What a rule says besides its criteria."""

FLAGS = frozenset({"loose", "substring", "cross_currency", "suggest_only"})
TOLERANCES = frozenset({"amount_window", "date_window", "percent"})
"""Kinds of value that say how far the two sides may be apart; any other value is a constant to compare with."""

FIXED = "fixed"
"""What a criterion's `against` says when it compares with a value of its own; otherwise it names a ledger field."""


@dataclass(frozen=True)
class DraftCriterion:
    """What stands in one criterion's inputs, as text by JSON key (a flag is "on" or absent).

    ``key`` names its inputs and moves with it. ``against`` is FIXED or the name of the ledger field compared with.
    """

    key: str
    said: Mapping[str, str] = field(default_factory=dict)
    against: str = ""

    @property
    def field(self) -> Field:
        return FIELDS.get(self.said.get("field", "")) or next(iter(FIELDS.values()))

    @property
    def operator(self) -> Operator:
        """The chosen operator, or the first one that fits the field."""
        return operator_named(self.said.get("operator", "")) or operators_for(self.field)[0]

    @property
    def fits(self) -> bool:
        """Whether the operator can be used on the field."""
        return self.field.kind in self.operator.kinds

    @property
    def inputs(self) -> Inputs:
        return self.operator.inputs(self.field) if self.fits else Inputs()

    @property
    def is_fixed(self) -> bool:
        """Whether it compares with a value of its own rather than with the ledger."""
        if self.inputs.value == "none" or self.inputs.value in TOLERANCES:
            return False
        return self.inputs.required or self.against == FIXED

    def given(self) -> dict[str, Any]:
        """The criterion as the rule API takes it: only what has a meaning here and was filled in."""
        given: dict[str, Any] = {"field": self.field.name, "operator": self.said.get("operator") or self.operator.name}
        keys = self.inputs.keys - {"value", "ledger_field", "applies_to"}
        if self.is_fixed or self.inputs.value in TOLERANCES:
            keys |= {"value"}
        if self.is_fixed:
            keys |= {"applies_to"} & self.inputs.options
            keys -= {"substring", "expected"}  # not shown beside a value
        for key in CRITERION_KEYS[2:]:
            if key in keys and (text := self.said.get(key, "")) and (key, text) != ("applies_to", "statement"):
                given[key] = _json_value(key, text)
        if not is_given(given, "allowable_drift"):
            given = {key: value for key, value in given.items() if key not in {"allowable_drift", "drift_unit"}}
        if not self.is_fixed and self.against not in {"", FIXED, self.field.name}:
            given["ledger_field"] = self.against
        if self.is_fixed and "value" not in given:
            # Said out loud, so that a fixed value left empty is refused and not taken for "the ledger's".
            given["applies_to"] = self.said.get("applies_to", "statement")
        return given

    def tidied(self) -> DraftCriterion:
        """After another field or operator was chosen: an operator that fits, no text in inputs of another kind."""
        operator = self.operator if self.fits else operators_for(self.field)[0]
        inputs = operator.inputs(self.field)
        said = {key: text for key, text in self.said.items() if key in inputs.keys}
        said |= {"field": self.field.name, "operator": operator.name}
        if self.said.get("value_input", inputs.value) != inputs.value:
            said.pop("value", None)
        if said.get("drift_unit") not in inputs.drift_units:
            said.pop("drift_unit", None)
            said.pop("allowable_drift", None)
        fixed = self.against == FIXED and inputs.value not in (TOLERANCES | {"none"})
        keeps_ledger_field = "ledger_field" in inputs.options and self.against in FIELDS
        same_kind = keeps_ledger_field and FIELDS[self.against].kind == self.field.kind
        return replace(self, said=said, against=FIXED if fixed else self.against if same_kind else self.field.name)


@dataclass(frozen=True)
class Draft:
    """A whole rule in the editor; ``said`` holds the texts of name, description and RULE_KEYS."""

    said: Mapping[str, str] = field(default_factory=dict)
    criteria: tuple[DraftCriterion, ...] = ()

    def body(self, original: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The rule as the rule API takes it. What the original says and the editor left alone stays as it came in."""
        original = original or {}
        same = {_fingerprint(draft): given for draft, given in _drafts_with_given(original)}
        edited = {*RULE_KEYS, "name", "description", "criteria"}
        body: dict[str, Any] = {"name": self.said.get("name", "")}
        if "description" in original or self.said.get("description"):
            body["description"] = self.said.get("description", "")
        body |= {key: value for key, value in original.items() if key not in edited}
        for key in RULE_KEYS:
            if self.said.get(key, "") == draft_texts(original).get(key, ""):
                body |= {key: original[key]} if key in original else {}
            elif text := self.said.get(key, ""):
                body[key] = _json_value(key, text)
        body["criteria"] = [same.get(_fingerprint(each)) or each.given() for each in self.criteria]
        return body

    def after(self, step: str) -> Draft:
        """The draft after one step: add:FIELD, remove:KEY, duplicate:KEY, up:KEY, down:KEY, preset:KEY:VALUE,
        order:KEY,KEY,… or refresh."""
        verb, _, rest = step.partition(":")
        key, _, value = rest.partition(":")
        criteria = [each.tidied() for each in self.criteria]
        place = next((number for number, each in enumerate(criteria) if each.key == key), None)
        if verb == "add":
            criteria.append(DraftCriterion(self._new_key(), {"field": key}, key).tidied())
        elif verb == "order":
            places = {key: number for number, key in enumerate(rest.split(","))}
            criteria.sort(key=lambda each: places.get(each.key, len(places)))
        elif place is not None:
            _change(criteria, place, verb, value, self._new_key())
        return replace(self, criteria=tuple(criteria))

    def _new_key(self) -> str:
        taken = [int(each.key[1:]) for each in self.criteria if each.key[1:].isdecimal()]
        return f"c{max(taken, default=0) + 1}"


def draft_of(body: Mapping[str, Any]) -> Draft:
    """The editor's state for a stored rule."""
    return Draft(draft_texts(body), tuple(draft for draft, _ in _drafts_with_given(body)))


def draft_from_form(form: Mapping[str, Any]) -> Draft:
    """The editor's state as it was posted.

    ``criterion`` is sent once per criterion, in order, with its key; the inputs of criterion ``c1`` are named
    ``c1-field``, ``c1-value`` …; a range has ``c1-value-from`` and ``c1-value-to``.
    """
    keys = form.getlist("criterion") if hasattr(form, "getlist") else form.get("criterion", [])
    said = {key: str(form.get(key, "")).strip() for key in ("name", "description", *RULE_KEYS)}
    return Draft(said, tuple(_criterion_from_form(form, key) for key in dict.fromkeys(keys)))


def draft_texts(body: Mapping[str, Any]) -> dict[str, str]:
    """What the inputs beside the criteria say for a stored rule."""
    return {key: _as_text(body.get(key)) for key in ("name", "description", *RULE_KEYS)}


def _criterion_from_form(form: Mapping[str, Any], key: str) -> DraftCriterion:
    said = {}
    for name in (*CRITERION_KEYS, "value_input"):
        text = str(form.get(f"{key}-{name}", ""))
        said[name] = text if name in {"value", "pattern"} else text.strip()
    low, high = (str(form.get(f"{key}-value-{end}", "")).strip() for end in ("from", "to"))
    if low or high:
        said["value"] = f"{low}..{high}"
    filled = {name: text for name, text in said.items() if text}
    return DraftCriterion(key, filled, str(form.get(f"{key}-against", "")))


def _drafts_with_given(body: Mapping[str, Any]) -> list[tuple[DraftCriterion, dict[str, Any]]]:
    criteria = body.get("criteria")
    listed = [each for each in criteria if isinstance(each, dict)] if isinstance(criteria, list) else []
    return [(_stored(number, given), given) for number, given in enumerate(listed, 1)]


def _stored(number: int, given: Mapping[str, Any]) -> DraftCriterion:
    """A stored criterion in the words of the form: aliases by their proper name, a drift with its unit spelt out."""
    said = {key: text for key in CRITERION_KEYS if (text := _as_text(given.get(key)))}
    criterion, _ = parse_criterion(number, given)
    if criterion is not None:
        said = {key: text for key, text in said.items() if key not in {"allowable_drift", "drift_unit"}}
        said |= {"operator": criterion.operator.name, **_drift(given, criterion)}
    against = FIXED if said.get("value") else said.get("ledger_field") or said.get("field", "")
    return DraftCriterion(f"c{number}", said, against)


def _drift(given: Mapping[str, Any], criterion: Criterion) -> dict[str, str]:
    """Blnk's clients mean a fraction by ``equals`` and 0.01, one cent by ``eq`` and 0.01; the form says which."""
    if not is_given(given, "allowable_drift"):
        return {}
    if criterion.window is None:
        return {
            "allowable_drift": str(given["allowable_drift"]),
            "drift_unit": criterion.operator.inputs(criterion.field).drift_units[0],
        }
    return {"allowable_drift": f"{_short(criterion.window.high):f}", "drift_unit": criterion.window.unit}


def _change(criteria: list[DraftCriterion], place: int, verb: str, value: str, new_key: str) -> None:
    one = criteria[place]
    if verb == "remove":
        del criteria[place]
    elif verb == "duplicate":
        criteria.insert(place + 1, replace(one, key=new_key))
    elif verb == "preset":
        criteria[place] = replace(one, said={**one.said, "value": value})
    elif verb in {"up", "down"}:
        criteria.insert(max(0, place + (-1 if verb == "up" else 1)), criteria.pop(place))


def _fingerprint(draft: DraftCriterion) -> str:
    return repr(sorted((key, str(value)) for key, value in draft.given().items()))


def _as_text(value: object) -> str:
    if value is None or value is False:
        return ""
    return "on" if value is True else str(value)


def _json_value(key: str, text: str) -> Any:
    if key in FLAGS:
        return True
    if key in {"allowable_drift", "max_difference"}:
        try:
            return _plain_number(Decimal(text))
        except InvalidOperation:
            return text  # the parser says what is wrong with it
    return text


def _plain_number(number: Decimal) -> Decimal | str:
    return number if number.is_finite() else str(number)


def _short(number: Decimal) -> Decimal:
    """Without trailing zeros: 1.00 percent is 1."""
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()
