"""A matching rule: its criteria in order, and what is to happen with what they find."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, cast

from rules.criteria.criterion import Criterion
from rules.criteria.parsing import parse_criterion
from rules.criteria.problems import ExpectedError, Problem, RuleError, shown
from rules.criteria.values import read_number

OnAmbiguity = Literal["review", "date", "best", "skip"]
GroupDate = Literal["earliest", "latest"]

ON_AMBIGUITY: dict[OnAmbiguity, str] = {
    "review": "Suggest it, with its runners-up",
    "date": "Confirm if its date is strictly nearer, else suggest it",
    "best": "Confirm the best all the same",
    "skip": "Leave both open",
}
GROUP_DATES: dict[GroupDate, str] = {
    "earliest": "The earliest date of its rows",
    "latest": "The latest date of its rows",
}
DIFFERENCE_TYPES = ("unclassified", "fee", "rounding", "fx", "write_off")
MAX_CRITERIA = 20
_NAME_LENGTH = 200


@dataclass(frozen=True)
class Rule:
    """A rule as the engine reads it. It matches a pair when all its criteria are met.

    ``max_difference`` is absolute, in the currency of the row: above it a match is suggested, not confirmed.
    ``difference_type`` names what a difference within it is booked as. ``suggest_only``: nothing is confirmed, however
    clear it is.
    """

    name: str
    criteria: tuple[Criterion, ...]
    description: str = ""
    cross_currency: bool = False
    max_difference: Decimal | None = None
    difference_type: str = "unclassified"
    on_ambiguity: OnAmbiguity = "review"
    group_date: GroupDate = "earliest"
    suggest_only: bool = False
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_given(self) -> dict[str, Any]:
        """The body as it came in."""
        return copy.deepcopy(dict(self.given))


def parse_rule(data: Mapping[str, Any], *, stored: bool = False) -> Rule:
    """Read the body of the rule API. Raises RuleError with all that is wrong with it.

    Unknown keys of the rule are ignored (clients send back ids and times), unknown keys of a criterion are refused:
    a misspelt drift would change what matches. Numbers may be int, Decimal, float or text. ``stored``: the rule was
    accepted when it was saved, so that what is refused only since is read as it was then.
    """
    if not isinstance(data, Mapping):
        raise RuleError([Problem(None, None, str(ExpectedError("an object with name and criteria", data)))])
    problems: list[Problem] = []
    name = _text(data.get("name"), "name", problems)
    if not name:
        problems.append(Problem(None, "name", "expected a name"))
    description = _text(data.get("description"), "description", problems)
    options = {
        "cross_currency": _flag(data.get("cross_currency"), "cross_currency", problems),
        "max_difference": _max_difference(data.get("max_difference"), problems),
        "difference_type": _choice(data, "difference_type", DIFFERENCE_TYPES, problems),
        "on_ambiguity": _choice(data, "on_ambiguity", tuple(ON_AMBIGUITY), problems),
        "group_date": _choice(data, "group_date", tuple(GROUP_DATES), problems),
        "suggest_only": _flag(data.get("suggest_only"), "suggest_only", problems),
    }
    criteria = _criteria(data.get("criteria"), problems, stored=stored)
    if problems:
        raise RuleError(problems)
    return Rule(name, criteria, description, given=copy.deepcopy(dict(data)), **cast("dict[str, Any]", options))


def _criteria(given: object, problems: list[Problem], *, stored: bool) -> tuple[Criterion, ...]:
    if not isinstance(given, list | tuple) or not given:
        problems.append(Problem(None, "criteria", f"expected a list of at least one criterion, found {shown(given)}"))
        return ()
    if len(given) > MAX_CRITERIA:
        problems.append(Problem(None, "criteria", f"expected at most {MAX_CRITERIA} criteria, found {len(given)}"))
        return ()
    criteria = []
    for number, each in enumerate(given, start=1):
        criterion, found = parse_criterion(number, each, stored=stored)
        problems += found
        if criterion is not None:
            criteria.append(criterion)
    return tuple(criteria)


def _text(raw: object, key: str, problems: list[Problem]) -> str:
    if raw is None:
        return ""
    if not isinstance(raw, str) or (key == "name" and len(raw) > _NAME_LENGTH):
        problems.append(Problem(None, key, str(ExpectedError(f"a text of at most {_NAME_LENGTH} characters", raw))))
        return "?"
    return raw.strip()


def _flag(raw: object, key: str, problems: list[Problem]) -> bool:
    if raw is not None and not isinstance(raw, bool):
        problems.append(Problem(None, key, str(ExpectedError("true or false", raw))))
    return raw is True


def _choice(data: Mapping[str, Any], key: str, choices: tuple[str, ...], problems: list[Problem]) -> str:
    raw = data.get(key)
    if raw is None or raw == "":
        return choices[0]
    if raw not in choices:
        problems.append(Problem(None, key, f"expected one of {', '.join(choices)}, found {shown(raw)}"))
    return str(raw)


def _max_difference(raw: object, problems: list[Problem]) -> Decimal | None:
    if raw is None or raw == "":
        return None
    try:
        number = read_number(raw)
    except ExpectedError as error:
        problems.append(Problem(None, "max_difference", str(error)))
        return None
    if number < 0:
        problems.append(Problem(None, "max_difference", str(ExpectedError("an amount that is not negative", raw))))
    return number
