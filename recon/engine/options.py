"""What a run of the engine is told, and the ways it can end early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import pyarrow as pa

from rules.criteria.scope import Side

Strategy = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many", "within_statement", "within_ledger"]
Sign = Literal["as_given", "inverted", "unsigned"]

STRATEGIES: dict[Strategy, str] = {
    "one_to_one": "One line settles one entry",
    "one_to_many": "One line settles a group of entries",
    "many_to_one": "A group of lines settles one entry",
    "many_to_many": "A group of lines settles a group of entries",
    "within_statement": "Lines that cancel each other",
    "within_ledger": "Entries that cancel each other",
}
STATEMENT_GROUPING = ("id", "amount", "currency", "reference", "description", "counterparty", "date", "source")
LEDGER_GROUPING = (
    "transaction_id", "parent_transaction", "source", "destination", "reference",
    "description", "counterparty", "currency", "status", "created_at", "date",
)  # fmt: skip


class EngineError(Exception):
    """The run cannot go on; the text says why, for the person who started it."""


class Cancelled(EngineError):  # noqa: N818  (what happened, not what went wrong)
    """`Options.cancelled` said so. Nothing of the run is of use."""

    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class TooBroad(EngineError):  # noqa: N818  (says of the rule what is wrong with it)
    """A rule would compare more pairs than the candidate budget allows."""

    def __init__(self, rule: str, estimate: int, budget: int, advice: str) -> None:
        super().__init__(
            f"Rule “{rule}” would compare about {estimate:,} pairs of rows; the limit is {budget:,}. {advice}"
        )
        self.estimate = estimate
        self.budget = budget
        self.advice = advice


class MatchedTwice(EngineError):  # noqa: N818  (what must never happen)
    """The engine was about to use a row in two matches."""

    def __init__(self) -> None:
        super().__init__("The engine took a row twice, which is an error in it. Nothing of this run was kept.")


@dataclass(frozen=True)
class Progress:
    """Where a run stands: the stage in words, the rule at work (from 0) if any, rows matched so far."""

    stage: str
    rule_index: int | None = None
    matched: int = 0


def never() -> bool:
    """Nobody will cancel the run: then nothing watches for it."""
    return False


def _unheard(progress: Progress) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True)
class Options:
    """How a run works.

    ``sign``: ``inverted`` compares with the negated ledger amount, ``unsigned`` absolute amounts. ``rates``: ledger
    units per statement unit by (statement currency, ledger currency), for rules that say `cross_currency`.
    ``tolerance_limit``: a difference above it is suggested, not confirmed. ``memory_limit`` as DuckDB writes it
    ("4GB"). ``claimed``: by side the grouping columns of rows that earlier matches have taken; open rows with the same
    values are the rest of a group, and no group. ``sum_pool``, ``sum_size``: without a grouping key, sums of at most
    ``sum_size`` out of at most ``sum_pool`` rows are sought. ``reasons``: whether what is left open is told why;
    without, a run that only counts matches is faster. ``told``: the sides whose open rows the outcome lists at all.
    ``cancelled`` is called from a watching thread, about four times
    a second.
    """

    strategy: Strategy = "one_to_one"
    grouping: tuple[str, ...] = ()
    claimed: Mapping[Side, pa.Table] = field(default_factory=dict)
    time_zone: str = "UTC"
    sign: Sign = "as_given"
    rates: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    tolerance_limit: Decimal | None = None
    threads: int | None = None
    memory_limit: str | None = None
    temp_dir: str | None = None
    candidate_budget: int = 50_000_000
    sum_pool: int = 20
    sum_size: int = 5
    reasons: bool = True
    told: tuple[Side, ...] = ("statement", "ledger")
    cancelled: Callable[[], bool] = never
    progress: Callable[[Progress], None] = _unheard

    @property
    def searches_sums(self) -> bool:
        """Whether groups are sought as sums, for want of a grouping key."""
        return self.strategy in ("one_to_many", "many_to_one", "many_to_many") and not self.grouping
