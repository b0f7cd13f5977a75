"""What a browser posts for a draft that stands in the rule form."""

from __future__ import annotations

from rules.drafts import Draft
from rules.forms import rule_form


def posted(draft: Draft) -> dict[str, str | list[str]]:
    form: dict[str, str | list[str]] = {key: value for key, value in draft.said.items() if value}
    form["criterion"] = [each.key for each in draft.criteria]
    for criterion in rule_form(draft).criteria:
        key, said = criterion.key, criterion.draft.said
        form[f"{key}-value_input"] = criterion.draft.inputs.value
        form[f"{key}-against"] = next((each.value for each in criterion.against if each.selected), "")
        form[f"{key}-drift_unit"] = next((each.value for each in criterion.drift_units if each.selected), "")
        if criterion.value_input in {"amounts", "dates"}:
            form[f"{key}-value-from"], form[f"{key}-value-to"] = criterion.ends
        for name in ("field", "operator", "value", "allowable_drift", "pattern", "loose", "substring", "expected"):
            form[f"{key}-{name}"] = said.get(name, "")
        form[f"{key}-applies_to"] = said.get("applies_to", "statement")
    return form
