"""From the JSON of one criterion to a Criterion, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rules.criteria.criterion import Criterion
from rules.criteria.fields import FIELDS, TEXT_FIELDS, Field
from rules.criteria.operators import Operator, operator_named, operator_names
from rules.criteria.operators.base import Inputs, KeyedError, is_given
from rules.criteria.patterns import check_pattern
from rules.criteria.problems import ExpectedError, Problem, shown
from rules.criteria.values import read_lag

CRITERION_KEYS = (
    "field",
    "operator",
    "value",
    "pattern",
    "allowable_drift",
    "drift_unit",
    "ledger_field",
    "applies_to",
    "loose",
    "substring",
    "expected",
)
_APPLIES_TO = ("statement", "ledger", "both")


_BETWEEN_SIDES = {
    "substring": "a criterion with a value finds it anywhere already; leave it out",
    "expected": "a criterion with a value has no lag between the sides; leave it out",
}
"""Keys that say something of two sides only, where a criterion could have either."""


def parse_criterion(number: int, given: object, *, stored: bool = False) -> tuple[Criterion | None, list[Problem]]:
    """The criterion with this number (from 1), or None with its problems. For ``stored`` see `parse_rule`."""
    if not isinstance(given, Mapping):
        return None, [Problem(number, None, str(ExpectedError("an object with field and operator", given)))]
    problems = [
        Problem(number, str(key), f"unknown key; expected one of {', '.join(CRITERION_KEYS)}")
        for key in given
        if key not in CRITERION_KEYS
    ]
    field = _one_of(FIELDS, given.get("field"), "field", number, problems)
    operator = _operator(field, given.get("operator"), number, problems)
    if field is None or operator is None:
        return None, problems
    arguments = _arguments(field, operator, given, number, problems)
    if "constant" in arguments and not stored:
        problems += [Problem(number, key, why) for key, why in _BETWEEN_SIDES.items()
                     if key in operator.inputs(field).keys and is_given(given, key)]  # fmt: skip
    if problems:
        return None, problems
    return Criterion(number, field, operator, given=dict(given), **arguments), []


def _arguments(
    field: Field, operator: Operator, given: Mapping[str, Any], number: int, problems: list[Problem]
) -> dict[str, Any]:
    inputs = operator.inputs(field)
    _refuse_unused(field, operator, inputs, given, number, problems)
    arguments: dict[str, Any] = {"ledger_field": field}
    if inputs.required and not is_given(given, "value"):
        problems.append(Problem(number, "value", f"{operator.name} needs a value. {operator.help}"))
    else:
        try:
            arguments |= operator.read(field, given["operator"], given)
        except KeyedError as error:
            problems.append(Problem(number, error.key, str(error)))
    for key, (argument, reader) in _OPTIONS.items():
        if key in inputs.options and is_given(given, key):
            try:
                arguments[argument] = reader(given[key])
            except ExpectedError as error:
                problems.append(Problem(number, key, str(error)))
    if "constant" not in arguments and "applies_to" in arguments:
        problems.append(Problem(number, "applies_to", "only a criterion with a value reads one side; give a value"))
    if "constant" in arguments and arguments["ledger_field"] is not field:
        problems.append(Problem(number, "ledger_field", "a criterion with a value compares with no other field"))
    return arguments


def _refuse_unused(
    field: Field,
    operator: Operator,
    inputs: Inputs,
    given: Mapping[str, Any],
    number: int,
    problems: list[Problem],
) -> None:
    """What would be ignored in silence is refused; empty keys, as forms and clients send them, are not."""
    for key in CRITERION_KEYS:
        if key in inputs.keys or not is_given(given, key):
            continue
        if key == "ledger_field" and given[key] == field.name:
            continue
        problems.append(Problem(number, key, f"means nothing with {operator.name} on {field.name}; leave it out"))


def _operator(field: Field | None, name: object, number: int, problems: list[Problem]) -> Operator | None:
    operator = operator_named(name) if isinstance(name, str) else None
    allowed = operator_names(field) if field else None
    if operator is None:
        names = ", ".join(allowed or sorted({other for each in FIELDS.values() for other in operator_names(each)}))
        problems.append(Problem(number, "operator", f"expected one of {names}, found {shown(name)}"))
        return None
    if allowed is not None and name not in allowed:
        where = field.name if field else ""
        message = f"{name} cannot be used on {where}; expected one of {', '.join(allowed)}"
        problems.append(Problem(number, "operator", message))
        return None
    return operator


def _one_of(
    choices: Mapping[str, Field], name: object, key: str, number: int, problems: list[Problem]
) -> Field | None:
    field = choices.get(name) if isinstance(name, str) else None
    if field is None:
        problems.append(Problem(number, key, f"expected one of {', '.join(choices)}, found {shown(name)}"))
    return field


def _read_flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ExpectedError("true or false", raw)
    return raw


def _read_applies_to(raw: object) -> str:
    if raw not in _APPLIES_TO:
        raise ExpectedError("one of " + ", ".join(_APPLIES_TO), raw)
    return str(raw)


def _read_ledger_field(raw: object) -> Field:
    if not isinstance(raw, str) or raw not in TEXT_FIELDS:
        raise ExpectedError("one of " + ", ".join(TEXT_FIELDS), raw)
    return FIELDS[raw]


_OPTIONS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "pattern": ("pattern", check_pattern),
    "ledger_field": ("ledger_field", _read_ledger_field),
    "applies_to": ("applies_to", _read_applies_to),
    "loose": ("loose", _read_flag),
    "substring": ("substring", _read_flag),
    "expected": ("expected_days", read_lag),
}
