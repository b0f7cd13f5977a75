"""The columns that a strategy groups by: read from text, checked before they are kept or used."""

from __future__ import annotations

from recon.engine import LEDGER_GROUPING, STATEMENT_GROUPING
from recon.models import Strategy
from recon.usecases.errors import Refused

GROUPING: dict[str, tuple[str, ...]] = {
    Strategy.MANY_TO_ONE: STATEMENT_GROUPING,
    Strategy.WITHIN_STATEMENT: STATEMENT_GROUPING,
    Strategy.MANY_TO_MANY: tuple(name for name in STATEMENT_GROUPING if name in LEDGER_GROUPING),
}
"""The fields each strategy groups by, where they are not the ledger's."""


def grouping_fields(text: str) -> tuple[str, ...]:
    """``"reference, currency"`` as field names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def check_grouping(strategy: str, grouping: str) -> None:
    """Raise Refused for a strategy that does not exist, or fields that it cannot group by."""
    if strategy not in Strategy.values:
        raise Refused(f"The strategy {strategy!r} is not known; expected one of {', '.join(Strategy.values)}.")
    allowed = GROUPING.get(strategy, LEDGER_GROUPING)
    if unknown := [name for name in grouping_fields(grouping) if name not in allowed]:
        raise Refused(f"This strategy cannot group by {', '.join(unknown)}; expected {', '.join(allowed)}.")
