"""What changed between two states of a rule, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from rules.bodies import read_body
from rules.criteria.parsing import parse_criterion
from rules.drafts import RULE_KEYS, draft_texts
from rules.models import RuleVersion

RULE_LABELS = {
    "name": "Name",
    "description": "Description",
    "on_ambiguity": "When several candidates fit",
    "max_difference": "Largest difference to confirm",
    "difference_type": "Differences are",
    "cross_currency": "Across currencies",
    "group_date": "Date of a group",
    "suggest_only": "Only suggests",
}
_USUAL = {"on_ambiguity": "review", "difference_type": "unclassified", "group_date": "earliest"}
_FLAGS = {"cross_currency", "suggest_only"}


@dataclass(frozen=True)
class Change:
    """One difference. ``before`` or ``after`` is empty where something was added or removed."""

    kind: Literal["added", "removed", "changed", "moved"]
    what: str
    before: str = ""
    after: str = ""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What an author would say was done to get from one body of a rule to the other; empty if they say the same."""
    return _rule_changes(before, after) + _criteria_changes(sentences(before), sentences(after))


def sentences(body: Mapping[str, Any]) -> list[str]:
    """The criteria of a stored body in words; one that today's vocabulary refuses is shown as it stands."""
    criteria = body.get("criteria")
    said = []
    for number, given in enumerate(criteria if isinstance(criteria, list) else [], 1):
        criterion, _ = parse_criterion(number, given)
        said.append(criterion.sentence() if criterion else str(given))
    return said


def settings(body: Mapping[str, Any]) -> list[str]:
    """What a stored body says besides its criteria, in words, but for what is usual."""
    said = draft_texts(body)
    unusual = [key for key in RULE_KEYS if said[key] not in {"", _USUAL.get(key)}]
    return [RULE_LABELS[key] if key in _FLAGS else f"{RULE_LABELS[key]}: {_said(key, said[key])}" for key in unusual]


def sentences_of(version: RuleVersion) -> list[str]:
    """The criteria of a stored version in words."""
    return sentences(read_body(version.body))


def _rule_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    old, new = draft_texts(before), draft_texts(after)
    return [
        Change("changed", RULE_LABELS[key], _said(key, old[key]), _said(key, new[key]))
        for key in ("name", "description", *RULE_KEYS)
        if old[key] != new[key]
    ]


def _said(key: str, text: str) -> str:
    if key in _FLAGS:
        return "yes" if text else "no"
    return text.replace("_", " ") if key in {"on_ambiguity", "difference_type"} else text


def _criteria_changes(old: list[str], new: list[str]) -> list[Change]:
    found: list[Change] = []
    for kind, low, high, first, last in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        gone, come = list(range(low, high)), list(range(first, last))
        while gone and come:
            was, now = gone.pop(0), come.pop(0)
            found.append(Change("changed", f"Criterion {now + 1}", old[was], new[now]))
        found += [Change("removed", f"Criterion {number + 1}", before=old[number]) for number in gone]
        found += [Change("added", f"Criterion {number + 1}", after=new[number]) for number in come]
    return _moves_recognised(found)


def _moves_recognised(found: list[Change]) -> list[Change]:
    """A criterion removed in one place and added in another was moved."""
    moved = {change.before for change in found if change.kind == "removed"} & {
        change.after for change in found if change.kind == "added"
    }
    kept = [change for change in found if not (change.kind == "removed" and change.before in moved)]
    return [
        Change("moved", f"To be {change.what.lower()}", change.after, change.after)
        if change.kind == "added" and change.after in moved
        else change
        for change in kept
    ]
