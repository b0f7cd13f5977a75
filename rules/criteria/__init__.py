"""The vocabulary of matching rules: fields, operators, criteria, rules. Plain Python; each part explains itself."""

from rules.criteria.criterion import Criterion
from rules.criteria.fields import FIELDS, Field
from rules.criteria.operators import OPERATORS, Inputs, Operator, operator_named, operator_names, operators_for
from rules.criteria.parsing import CRITERION_KEYS
from rules.criteria.problems import Problem, RuleError
from rules.criteria.rule import DIFFERENCE_TYPES, GROUP_DATES, MAX_CRITERIA, ON_AMBIGUITY, Rule, parse_rule

__all__ = [
    "CRITERION_KEYS",
    "DIFFERENCE_TYPES",
    "FIELDS",
    "GROUP_DATES",
    "MAX_CRITERIA",
    "ON_AMBIGUITY",
    "OPERATORS",
    "Criterion",
    "Field",
    "Inputs",
    "Operator",
    "Problem",
    "Rule",
    "RuleError",
    "operator_named",
    "operator_names",
    "operators_for",
    "parse_rule",
]
