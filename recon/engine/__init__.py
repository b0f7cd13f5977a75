"""The matching engine: rules and two tables in; matches, unmatched items and reasons out. Plain Python and DuckDB."""

from recon.engine.explain import Explanation, Pair, PlanEstimate, RowKey, Verdict, explain_pairs, explain_plan
from recon.engine.match import match, match_each
from recon.engine.options import (
    LEDGER_GROUPING,
    STATEMENT_GROUPING,
    STRATEGIES,
    Cancelled,
    EngineError,
    Options,
    Progress,
    TooBroad,
)
from recon.engine.outcome import Outcome, RuleOutcome

__all__ = [
    "LEDGER_GROUPING",
    "STATEMENT_GROUPING",
    "STRATEGIES",
    "Cancelled",
    "EngineError",
    "Explanation",
    "Options",
    "Outcome",
    "Pair",
    "PlanEstimate",
    "Progress",
    "RowKey",
    "RuleOutcome",
    "TooBroad",
    "Verdict",
    "explain_pairs",
    "explain_plan",
    "match",
    "match_each",
]
