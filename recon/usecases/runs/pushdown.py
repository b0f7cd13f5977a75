"""A small run against a large ledger: what its lines imply selects the entries, through the database's indexes.

A rule that demands equal references or amounts within a window admits only entries that an index finds from the lines.
Taken are the entries that *any* of a rule's indexable criteria finds, not only those that meet all of them: so that a
line that misses one criterion still finds its nearest miss. Groups form before anything is narrowed, so that only
`one_to_one` runs are narrowed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import pyarrow as pa
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from recon.models import Account, LedgerEntry, MatchingRun, Side, StatementLine, Strategy
from recon.usecases.bulk.apart_indexes import rows_without_index
from recon.usecases.bulk.apart_tables import tables_apart
from recon.usecases.bulk.rows import listed
from recon.usecases.review.open_items import sides_reported
from recon.usecases.runs.entries_by_id import LISTED
from recon.usecases.runs.lookups import (
    LOOKED_UP_BY,
    Sought,
    Window,
    amount_windows,
    found_for_each,
    is_indexable,
    stored_scales,
)
from rules.criteria import Criterion, Rule
from rules.criteria.text import text_keys

FEW_LINES = 100_000
"""More lines are not looked up: their entries are read with all others."""

SMALL, TINY = 50_000, 5_000
"""A ledger scope up to this size is read as a whole: that costs less than deciding. TINY where the run lists no open
entries, so that nothing is lost by reading fewer of them."""

SIZE_KEPT = 60
"""Seconds for which the size of a ledger is taken to be about the same, where only near misses hang on it."""

AT_ONCE = 500
"""Lines for which everything is looked up at once."""

READ, LIST, LOOK_UP, PROBE, FETCH = 3, 10, 50, 4, 20
"""Microseconds: to read one entry with all others; to store that it is open, where a run lists open entries; to look
something up in the index of a large table; to find that a table has nothing of it; and to read one of the entries that
were found."""

LOOKED_THROUGH: Final = 10
"""Rows a microsecond that a look-up goes through where a table's indexes are still to be made."""


@dataclass(frozen=True)
class Choice:
    """How the ledger is read: in words, with what was estimated."""

    in_scope: QuerySet[LedgerEntry]
    narrowed: bool
    how: str
    estimate: dict[str, int] = field(default_factory=dict)  # in_scope, lookups, found
    few: bool = False  # at most SMALL
    found: tuple[int, ...] = ()  # ids in every step, if it is narrowed
    fresh: tuple[int, ...] = ()  # those of them that this step has found
    later: tuple[Criterion, ...] = ()  # what is looked up for lines that are left, see `with_near_misses`

    @property
    def entries(self) -> QuerySet[LedgerEntry]:
        """The entries that are to be read (now, if it is read in two steps)."""
        if not self.narrowed:
            return self.in_scope
        return self.in_scope.filter(pk__in=RawSQL(LISTED[connection.vendor], [listed(self.fresh)]))  # noqa: S611 - our own text


def everything(entries: QuerySet[LedgerEntry], why: str, **estimate: int) -> Choice:
    return Choice(entries, False, f"every open entry in scope, because {why}", estimate)


WithLines = tuple[MatchingRun, Sequence[Rule], pa.Table]
"""A run, its rules and its open lines."""


def choose_entries(run: MatchingRun, rules: Sequence[Rule], lines: pa.Table, entries: QuerySet[LedgerEntry]) -> Choice:
    """All of `entries`, or those that the lines imply, whichever is read sooner."""
    return choose_for_each([(run, rules, lines)], entries)[0]


def choose_for_each(asked: Sequence[WithLines], entries: QuerySet[LedgerEntry]) -> list[Choice]:
    """The same for several runs of one account, each as if it were alone; the ledger is looked up once for all."""
    listed_too = Side.LEDGER in sides_reported(asked[0][0].account)
    ledger = _Ledger(entries, SMALL if listed_too else TINY, {} if listed_too else _known_size(asked[0][0].account))
    wanted = [_wanted(each, ledger) for each in asked]
    found = iter(found_for_each([each.sought for each in wanted if isinstance(each, LookUp)]))
    return [each if isinstance(each, Choice) else _found(each, next(found)) for each in wanted]


@dataclass
class _Ledger:
    """The entries in scope, and what is known of them, each asked for once at most."""

    entries: QuerySet[LedgerEntry]
    small: int = 0
    known: dict[str, int] = field(default_factory=dict)  # in_scope, about how many they are

    @cached_property
    def is_small(self) -> bool:
        return not self.known and self.entries.order_by()[: self.small + 1].count() <= self.small

    @cached_property
    def scales(self) -> list[int]:
        return stored_scales()

    @cached_property
    def a_look_up(self) -> int:
        """Microseconds."""
        without_index = rows_without_index(LedgerEntry, LOOKED_UP_BY)
        return LOOK_UP + PROBE * len(tables_apart(LedgerEntry)) + without_index // LOOKED_THROUGH


def _wanted(asked: WithLines, ledger: _Ledger) -> Choice | LookUp:
    """What a run looks up, if the choice hangs on that."""
    run, rules, lines = asked
    if run.strategy != Strategy.ONE_TO_ONE:
        return everything(ledger.entries, "groups need all their members")
    if lines.num_rows > FEW_LINES:
        return everything(ledger.entries, f"more than {FEW_LINES:,} lines are looked for")
    if ledger.is_small:
        return replace(everything(ledger.entries, "there are few of them"), few=True)
    by_rule = [[each for each in rule.criteria if is_indexable(rule, each)] for rule in rules]
    if not all(by_rule):
        number = by_rule.index([]) + 1
        return everything(ledger.entries, f"rule {number} asks for no amount or reference that could be looked up")
    first, rest = _in_two_steps(by_rule, lines.num_rows)
    wanted = _look_up(run, lines, ledger, first, rest, Choice(ledger.entries, False, "", ledger.known))
    if not ledger.known and Side.LEDGER not in sides_reported(run.account):
        ledger.known = {"in_scope": wanted.estimate["in_scope"]}
        _sizes[run.account_id, str(run.account.scope)] = time.monotonic(), wanted.estimate["in_scope"]
    return wanted


_sizes: dict[tuple[int, str], tuple[float, int]] = {}
"""By account and scope: when, and about how many entries there were in scope."""


def _known_size(account: Account) -> dict[str, int]:
    """What is known of the size of a ledger that is not small: looking again takes longer than a small run."""
    at, size = _sizes.get((account.pk, str(account.scope)), (0.0, 0))
    return {"in_scope": size} if size and time.monotonic() - at < SIZE_KEPT else {}


def with_near_misses(run: MatchingRun, choice: Choice, left: pa.Table) -> Choice:
    """The second step of a narrowed choice: the entries that only near misses of the lines that were `left` need."""
    wanted = _look_up(run, left, _Ledger(choice.in_scope), choice.later, (), choice)
    return wanted if isinstance(wanted, Choice) else _found(wanted, found_for_each([wanted.sought])[0])


def _in_two_steps(
    by_rule: Sequence[Sequence[Criterion]], lines: int
) -> tuple[Sequence[Criterion], Sequence[Criterion]]:
    """What is looked up for every line, and what only for those that it leaves open.

    One criterion of each rule finds every entry that meets all of them. The others find near misses: in small runs at
    once, which is sooner done than seeing what is left.
    """
    every = [each for criteria in by_rule for each in criteria]
    if lines <= AT_ONCE:
        return every, ()
    first = [min(criteria, key=lambda each: each.field.kind != "text") for criteria in by_rule]
    return first, [each for each in every if each not in first]


@dataclass(frozen=True)
class LookUp:
    """What a run looks up in the ledger's indexes, what was estimated, and what comes before and after it."""

    entries: QuerySet[LedgerEntry]
    sought: Sought
    estimate: dict[str, int]
    before: tuple[int, ...]  # ids that were found in an earlier step
    later: tuple[Criterion, ...]


def _look_up(
    run: MatchingRun,
    lines: pa.Table,
    ledger: _Ledger,
    criteria: Sequence[Criterion],
    later: Sequence[Criterion],
    before: Choice,
) -> Choice | LookUp:
    """What `criteria` look for, beside what was found `before`; everything if that is estimated to be sooner read."""
    references, windows = _implied(run, lines, criteria, ledger)
    in_scope = before.estimate.get("in_scope") or about_how_many(ledger.entries)
    lookups = before.estimate.get("lookups", 0) + len(references) + len(windows)
    whole = READ + LIST * (Side.LEDGER in sides_reported(run.account))
    left = in_scope * whole - lookups * ledger.a_look_up
    estimate = {"in_scope": in_scope, "lookups": lookups}
    if left < 0:
        return everything(ledger.entries, "looking up so many amounts and references would take longer", **estimate)
    sought = Sought(references, windows, left // FETCH)
    return LookUp(ledger.entries, sought, estimate, before.found, tuple(later))


def _found(wanted: LookUp, found: set[int]) -> Choice:
    """The entries that were looked up; everything if they turn out to be more than is worth it."""
    fresh = sorted(found - {*wanted.before})
    estimate = {**wanted.estimate, "found": len(wanted.before) + len(fresh)}
    if len(found) > wanted.sought.most:
        return everything(wanted.entries, "these lines have so many of their amounts and references", **estimate)
    return Choice(
        wanted.entries,
        True,
        "only the open entries that have an amount or a reference of these lines",
        estimate,
        few=len(fresh) <= SMALL,
        found=(*wanted.before, *fresh),
        fresh=tuple(fresh),
        later=wanted.later,
    )


def about_how_many(entries: QuerySet[LedgerEntry]) -> int:
    """More than TINY: the planner of PostgreSQL has an idea without counting, SQLite counts."""
    if connection.vendor == "postgresql":
        return max(int(json.loads(entries.order_by().explain(format="json"))[0]["Plan"]["Plan Rows"]), TINY + 1)
    return entries.order_by().count()


def _implied(
    run: MatchingRun, lines: pa.Table, criteria: Sequence[Criterion], ledger: _Ledger
) -> tuple[set[str], set[Window]]:
    """The references and the windows of amounts that the criteria look for."""
    references: set[str] = set()
    windows: set[Window] = set()
    for criterion in criteria:
        if criterion.field.kind == "text":
            references.update(filter(None, text_keys(lines[criterion.field.name]).to_pylist()))
        else:
            windows.update(amount_windows(run.account, criterion, lines, ledger.scales))
    return references, windows


def may_be_narrowed(run: MatchingRun, lines: QuerySet[StatementLine]) -> bool:
    """Whether a run has so few lines that what they imply is worth looking for."""
    if run.strategy != Strategy.ONE_TO_ONE:
        return False
    if run.statement is not None and not run.with_open_lines:
        return run.statement.record_count <= FEW_LINES
    return lines.order_by()[: FEW_LINES + 1].count() <= FEW_LINES
