"""What the rule editor shows: inputs, choices, sentences and problems, all derived from `rules.criteria`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.criteria import DIFFERENCE_TYPES, FIELDS, GROUP_DATES, ON_AMBIGUITY, Criterion, Operator, operators_for
from rules.criteria.operators.base import ValueInput
from rules.criteria.parsing import parse_criterion
from rules.criteria.problems import Problem
from rules.drafts import FIXED, RULE_KEYS, TOLERANCES, Draft, DraftCriterion

VALUE_LABELS: dict[ValueInput, str] = {
    "text": "Text",
    "amount": "Amount",
    "amounts": "Amounts from … to",
    "date": "Date",
    "dates": "Dates from … to",
    "currency": "Currency",
    "amount_window": "Amount tolerance",
    "date_window": "Date window",
    "percent": "At least alike, in percent",
}
PLACEHOLDERS: dict[ValueInput, str] = {
    "amount": "100.00",
    "amount_window": "0.50, 2% or -1.00..0.25",
    "currency": "EUR",
    "date_window": "2d, 36h or -1d..3d",
    "percent": "90",
}
PRESETS: dict[ValueInput, tuple[tuple[str, str], ...]] = {
    "date_window": (
        ("0d", "same day"),
        ("1d", "± 1 day"),
        ("2d", "± 2 days"),
        ("5d", "± 5 days"),
        ("0d..3d", "bank up to 3 days later"),
    ),
    "amount_window": (("0.01", "± 0.01"), ("1.00", "± 1.00"), ("1%", "± 1%"), ("-3%..0%", "up to 3% kept back")),
    "percent": (("80", "80%"), ("90", "90%"), ("95", "95%")),
}
UNIT_LABELS = {"absolute": "in currency", "percent": "percent", "seconds": "seconds", "days": "days"}
DRIFT_UNITS_FIRST = {"date": "days"}  # people think in days; the vocabulary's own default, seconds, is Blnk's
DIFFERENCE_LABELS = {"fx": "exchange rate", "write_off": "write-off"}
APPLIES_TO = (("statement", "the statement"), ("ledger", "the ledger"), ("both", "both sides"))
EXTRA_KEYS = ("substring", "pattern", "expected")
"""Options behind "More options": seldom needed, shown open when one of them says something."""


@dataclass(frozen=True)
class Choice:
    """One entry of a select."""

    value: str
    label: str
    selected: bool = False


@dataclass(frozen=True)
class CriterionForm:
    """One criterion of the editor. ``problems`` are by JSON key; "" holds those that belong to no input."""

    draft: DraftCriterion
    number: int
    total: int
    criterion: Criterion | None
    problems: dict[str, list[str]] = field(default_factory=dict)
    hint: str = ""

    @property
    def key(self) -> str:
        return self.draft.key

    @property
    def sentence(self) -> str:
        return self.criterion.sentence() if self.criterion else ""

    @property
    def fields(self) -> list[Choice]:
        return [Choice(each.name, each.label, each is self.draft.field) for each in FIELDS.values()]

    @property
    def operators(self) -> list[Choice]:
        """The operators for the field; one that does not fit stays to be seen until another is chosen."""
        draft = self.draft
        choices = [
            Choice(each.name, label_of(each, draft), each is draft.operator) for each in operators_for(draft.field)
        ]
        misfit = [] if draft.fits else [Choice(draft.operator.name, draft.operator.label, True)]
        return misfit + choices

    @property
    def against(self) -> list[Choice]:
        """What the field can be compared with; empty if the operator leaves no choice."""
        draft, inputs = self.draft, self.draft.inputs
        has_constant = inputs.value not in {*TOLERANCES, "none"}
        if inputs.required and has_constant:
            return []
        others = [
            each for each in FIELDS.values() if each.kind == draft.field.kind and "ledger_field" in inputs.options
        ]
        chosen = FIXED if draft.is_fixed else draft.against if draft.against in FIELDS else draft.field.name
        choices = [
            Choice(each.name, f"ledger {each.label.lower()}", chosen == each.name) for each in others or [draft.field]
        ]
        fixed = (
            [Choice(FIXED, f"a fixed {VALUE_LABELS[inputs.value].lower()}", draft.is_fixed)] if has_constant else []
        )
        return choices + fixed if fixed or others else []

    @property
    def value(self) -> str:
        return self.draft.said.get("value", "")

    @property
    def value_input(self) -> str:
        """The kind of the value's input; empty if there is none to show."""
        shown = self.draft.is_fixed or self.draft.inputs.value in TOLERANCES
        return self.draft.inputs.value if shown else ""

    @property
    def value_label(self) -> str:
        return VALUE_LABELS.get(self.draft.inputs.value, "Value")

    @property
    def ends(self) -> tuple[str, str]:
        """Both ends of a constant range."""
        low, _, high = self.value.partition("..")
        return low, high

    @property
    def placeholder(self) -> str:
        return PLACEHOLDERS.get(self.draft.inputs.value, "")

    @property
    def presets(self) -> tuple[tuple[str, str], ...]:
        return PRESETS.get(self.draft.inputs.value, ())

    @property
    def drift_units(self) -> list[Choice]:
        units = self.draft.inputs.drift_units
        first = DRIFT_UNITS_FIRST.get(self.draft.field.kind, units[0] if units else "")
        chosen = self.draft.said.get("drift_unit") or (units[0] if self.draft.said.get("allowable_drift") else first)
        return [Choice(unit, UNIT_LABELS[unit], unit == chosen) for unit in units]

    @property
    def applies_to(self) -> list[Choice]:
        if "applies_to" not in self.draft.inputs.options or not self.draft.is_fixed:
            return []
        chosen = self.draft.said.get("applies_to", "statement")
        return [Choice(value, label, value == chosen) for value, label in APPLIES_TO]

    @property
    def has_loose(self) -> bool:
        return "loose" in self.draft.inputs.options

    @property
    def extras(self) -> list[str]:
        """The options that this operator offers behind "More options"."""
        return [key for key in EXTRA_KEYS if key in self.draft.inputs.options and self._extra_means_something(key)]

    @property
    def extras_open(self) -> bool:
        return any(self.draft.said.get(key) or key in self.problems for key in self.extras)

    @property
    def other_problems(self) -> list[str]:
        """Problems of keys that no visible input carries."""
        shown = {
            "field",
            "operator",
            "value",
            "allowable_drift",
            "drift_unit",
            "ledger_field",
            "applies_to",
            "loose",
            *self.extras,
        }
        return [
            f"{key}: {text}" if key else text
            for key, texts in self.problems.items()
            if key not in shown
            for text in texts
        ]

    def _extra_means_something(self, key: str) -> bool:
        return not (self.draft.is_fixed and key in {"substring", "expected"})


@dataclass(frozen=True)
class RuleForm:
    """The whole editor."""

    draft: Draft
    criteria: list[CriterionForm]
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def add_choices(self) -> list[Choice]:
        """A button per field; the first field that no criterion reads is the suggested one."""
        used = {each.draft.field.name for each in self.criteria}
        suggested = next((name for name in FIELDS if name not in used), "amount")
        return [Choice(name, each.label, name == suggested) for name, each in FIELDS.items()]

    @property
    def on_ambiguity(self) -> list[Choice]:
        return _choices(ON_AMBIGUITY, self.draft.said.get("on_ambiguity"))

    @property
    def group_date(self) -> list[Choice]:
        return _choices(GROUP_DATES, self.draft.said.get("group_date"))

    @property
    def difference_type(self) -> list[Choice]:
        labels = {name: DIFFERENCE_LABELS.get(name, name) for name in DIFFERENCE_TYPES}
        return _choices(labels, self.draft.said.get("difference_type"))

    @property
    def settings_open(self) -> bool:
        keys = RULE_KEYS
        defaults = {"", next(iter(ON_AMBIGUITY)), next(iter(GROUP_DATES)), DIFFERENCE_TYPES[0]}
        return any(self.draft.said.get(key, "") not in defaults or key in self.problems for key in keys)

    @property
    def problem_count(self) -> int:
        own = sum(len(texts) for texts in self.problems.values())
        return own + sum(len(texts) for each in self.criteria for texts in each.problems.values())


def rule_form(draft: Draft, problems: Sequence[Problem] = ()) -> RuleForm:
    """The editor for a draft; with the problems of a refused save, each beside its input."""
    total = len(draft.criteria)
    criteria = [
        _criterion_form(each, number, total, [found for found in problems if found.criterion == number])
        for number, each in enumerate(draft.criteria, 1)
    ]
    return RuleForm(draft, criteria, by_key(found for found in problems if found.criterion is None))


def by_key(problems: Iterable[Problem]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.key or "", []).append(problem.message)
    return found


def label_of(operator: Operator, draft: DraftCriterion) -> str:
    """The operator's words on this field: "is after" for dates where amounts say "is greater than"."""
    return operator.verb(Criterion(0, draft.field, operator, draft.field))


def _criterion_form(draft: DraftCriterion, number: int, total: int, problems: Sequence[Problem]) -> CriterionForm:
    criterion, unfinished = parse_criterion(number, draft.given())
    hint = unfinished[0].message if unfinished else ""
    found = by_key(problems)
    if draft.is_fixed and not draft.said.get("value") and "applies_to" in found:
        found["value"] = found.get("value", []) + found.pop("applies_to")  # that is the input to put it right in
    return CriterionForm(draft, number, total, criterion, found, hint)


def _choices(labels: Mapping[Any, str], chosen: str | None) -> list[Choice]:
    chosen = chosen or next(iter(labels))
    return [Choice(value, label, value == chosen) for value, label in labels.items()]
