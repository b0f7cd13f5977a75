"""The shape of a criterion as JSON Schema, for API documentation: one variant per field and operator of the list."""

from __future__ import annotations

from typing import Any

from rules.criteria.criterion import AppliesTo
from rules.criteria.fields import FIELDS, TEXT_FIELDS, Field
from rules.criteria.operators import Operator, operators_for
from rules.criteria.patterns import MAX_PATTERN

_NUMBER: dict[str, Any] = {"type": ["number", "string"]}
_VALUES: dict[str, dict[str, Any]] = {
    "text": _NUMBER | {"description": "The text the field is compared with.", "examples": ["INV-"]},
    "amount": _NUMBER | {"description": "An exact amount.", "examples": ["12.50"]},
    "amounts": {"type": "string", "description": "From and to, both included.", "examples": ["100..500"]},
    "date": {"type": "string", "description": "A day, or an instant.", "examples": ["2026-01-31"]},
    "dates": {
        "type": "string",
        "description": "From and to, both included.",
        "examples": ["2026-01-01..2026-01-31"],
    },
    "currency": {"type": "string", "description": "Three letters.", "examples": ["EUR"]},
    "amount_window": _NUMBER
    | {
        "description": "Statement minus ledger: to either side, or from and to.",
        "examples": ["0.50", "2%", "-1..0.25"],
    },
    "date_window": {
        "type": "string",
        "description": "Statement minus ledger: to either side, or from and to.",
        "examples": ["2d", "36h", "-1d..3d"],
    },
    "percent": _NUMBER | {"description": "0 to 100.", "examples": [85]},
}
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
        properties["value"] = _VALUES[inputs.value]
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
