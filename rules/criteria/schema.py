"""The shape of a criterion as JSON Schema, for API documentation: one variant per field and operator of the list."""

from __future__ import annotations

from typing import Any

from rules.criteria.criterion import AppliesTo
from rules.criteria.fields import FIELDS, TEXT_FIELDS, Field
from rules.criteria.operators import Operator, operators_for
from rules.criteria.patterns import MAX_PATTERN

_NUMBER = {"oneOf": [{"type": "number"}, {"type": "string"}]}
_APPLIES_TO: tuple[AppliesTo, ...] = ("statement", "ledger", "both")
_OPTIONS: dict[str, dict[str, Any]] = {
    "pattern": {"type": "string", "maxLength": MAX_PATTERN, "description": "RE2; the part to compare."},
    "ledger_field": {"enum": list(TEXT_FIELDS), "description": "The ledger's field, if it is another one."},
    "applies_to": {"enum": list(_APPLIES_TO), "description": "Which side a criterion with a value reads."},
    "loose": {"type": "boolean", "description": "Letters and digits only."},
    "substring": {"type": "boolean", "description": "Also inside words."},
    "expected": {"oneOf": [{"type": "string"}, {"type": "integer"}], "description": "The usual lag in days: 2d."},
}


def criterion_schema() -> dict[str, Any]:
    """All variants; a new operator is among them without another edit."""
    return {"oneOf": [_variant(field, operator) for field in FIELDS.values() for operator in operators_for(field)]}


def _variant(field: Field, operator: Operator) -> dict[str, Any]:
    inputs = operator.inputs(field)
    names = [operator.name, *(alias for alias, kinds in operator.aliases.items() if field.kind in kinds)]
    properties: dict[str, Any] = {"field": {"const": field.name}, "operator": {"enum": names}}
    if inputs.value != "none":
        properties["value"] = _NUMBER | {"description": inputs.value.replace("_", " ")}
    if inputs.drift_units:
        properties["allowable_drift"] = _NUMBER | {"description": f"In {inputs.drift_units[0]} by default."}
        properties["drift_unit"] = {"enum": list(inputs.drift_units)}
    properties |= {key: _OPTIONS.get(key, {}) for key in sorted(inputs.options)}
    return {
        "type": "object",
        "title": f"{field.label} {operator.label}",
        "description": operator.help,
        "properties": properties,
        "required": ["field", "operator", *(["value"] if inputs.required else [])],
        "additionalProperties": False,
    }
