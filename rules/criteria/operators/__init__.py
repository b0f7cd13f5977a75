"""The one ordered list of operators. Forms, API, documentation and engine are derived from it."""

from rules.criteria.fields import Field
from rules.criteria.operators.base import Blocking, Inputs, Operator
from rules.criteria.operators.equality import Equals
from rules.criteria.operators.order import GreaterThan, LessThan
from rules.criteria.operators.ranges import Between, WithinRange
from rules.criteria.operators.texts import Agrees, Contains, EndsWith, HasWords, Similar, StartsWith

__all__ = ["OPERATORS", "Blocking", "Inputs", "Operator", "operator_named", "operator_names", "operators_for"]

OPERATORS: list[Operator] = [
    Equals(),
    Contains(),
    StartsWith(),
    EndsWith(),
    WithinRange(),
    Between(),
    GreaterThan(),
    LessThan(),
    Similar(),
    HasWords(),
    Agrees(),
]


def operator_named(name: str) -> Operator | None:
    """The operator with this name or alias."""
    return next((operator for operator in OPERATORS if name == operator.name or name in operator.aliases), None)


def operators_for(field: Field) -> list[Operator]:
    """The operators that make sense on a field, in the order of the list."""
    return [operator for operator in OPERATORS if field.kind in operator.kinds]


def operator_names(field: Field) -> list[str]:
    """All names, aliases included, that may stand with a field."""
    names: list[str] = []
    for operator in operators_for(field):
        names += [operator.name, *(alias for alias, kinds in operator.aliases.items() if field.kind in kinds)]
    return names
