"""A small run against a large ledger: what its lines imply selects the entries, through the database's indexes.

A rule that demands equal references or amounts within a window admits only entries that an index finds from the lines.
Taken are the entries that *any* of a rule's indexable criteria finds, not only those that meet all of them: so that a
line that misses one criterion still finds its nearest miss. Groups form before anything is narrowed, so that only
`one_to_one` runs are narrowed.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property

import pyarrow as pa
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from recon.models import Account, LedgerEntry, MatchingRun, Side, Sign, StatementLine, Strategy
from recon.rows import MAX_UNITS, amount
from recon.usecases.bulk.apart import tables_apart
from recon.usecases.bulk.rows import listed
from recon.usecases.errors import Refused
from recon.usecases.review.open_items import sides_reported
from recon.usecases.runs.entries_by_id import LISTED
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

Window = tuple[int, str, int, int]  # scale, currency, lowest and highest units

BY_REFERENCE = {
    # An array of unknown length: the planner takes the index, whatever it believes of a reference.
    "postgresql": """
        SELECT {0} FROM recon_ledgerentry e
        WHERE reference_key = ANY(ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)))
    """,
    "sqlite": """
        SELECT {0} FROM json_each(%s) AS w JOIN recon_ledgerentry e ON e.reference_key = w.value
    """,
}
# OFFSET 0: one by one, through the index. The planner cannot know how narrow a window is, and would join ten million.
BY_AMOUNT = {
    "postgresql": """
        SELECT {0} FROM jsonb_to_recordset(%s::jsonb) AS w(s smallint, c text, lo bigint, hi bigint)
        CROSS JOIN LATERAL (
            SELECT {0} FROM recon_ledgerentry e
            WHERE scale = w.s AND units BETWEEN w.lo AND w.hi AND currency = w.c OFFSET 0) e
    """,
    "sqlite": """
        SELECT {0} FROM json_each(%s) AS w JOIN recon_ledgerentry e
          ON e.scale = json_extract(w.value, '$.s')
         AND e.units BETWEEN json_extract(w.value, '$.lo') AND json_extract(w.value, '$.hi')
         AND e.currency = json_extract(w.value, '$.c')
    """,
}

# One step of an index for each scale that occurs: hardly ever more than two.
SCALES = """
    WITH RECURSIVE found(scale) AS (
        SELECT MIN(scale) FROM recon_ledgerentry UNION ALL
        SELECT (SELECT MIN(e.scale) FROM recon_ledgerentry e WHERE e.scale > found.scale) FROM found
        WHERE found.scale IS NOT NULL)
    SELECT scale FROM found WHERE scale IS NOT NULL
"""


@dataclass(frozen=True)
class Choice:
    """How the ledger is read: in words, with what was estimated, and the entries that are to be read (now, if it is
    read in two steps)."""

    entries: QuerySet[LedgerEntry]
    narrowed: bool
    how: str
    estimate: dict[str, int] = field(default_factory=dict)  # in_scope, lookups, found
    few: bool = False  # at most SMALL
    found: tuple[int, ...] = ()  # ids in every step, if it is narrowed
    later: tuple[Criterion, ...] = ()  # what is looked up for lines that are left, see `with_near_misses`
    in_scope: QuerySet[LedgerEntry] = field(default_factory=LedgerEntry.objects.none)


def everything(entries: QuerySet[LedgerEntry], why: str, **estimate: int) -> Choice:
    return Choice(entries, False, f"every open entry in scope: {why}", estimate)


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
    found = iter(_found_for_each([each for each in wanted if isinstance(each, LookUp)]))
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
        return LOOK_UP + PROBE * len(tables_apart(LedgerEntry))


def _wanted(asked: WithLines, ledger: _Ledger) -> Choice | LookUp:
    """What a run looks up, if the choice hangs on that."""
    run, rules, lines = asked
    if run.strategy != Strategy.ONE_TO_ONE:
        return everything(ledger.entries, "groups form before anything is narrowed")
    if lines.num_rows > FEW_LINES:
        return everything(ledger.entries, f"more than {FEW_LINES:,} lines imply most of it")
    if ledger.is_small:
        return replace(everything(ledger.entries, "there are few"), few=True)
    by_rule = [[each for each in rule.criteria if is_indexable(rule, each)] for rule in rules]
    if not all(by_rule):
        number = by_rule.index([]) + 1
        return everything(ledger.entries, f"rule {number} has no criterion that an index of the ledger serves")
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
    return wanted if isinstance(wanted, Choice) else _found(wanted, _found_for_each([wanted])[0])


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
    """What a run looks up in the ledger's indexes, and how much found is too much to be worth it."""

    entries: QuerySet[LedgerEntry]
    references: set[str]
    windows: set[Window]
    most: int
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
        return everything(ledger.entries, "so many lookups would take longer", **estimate)
    return LookUp(ledger.entries, references, windows, left // FETCH, estimate, before.found, tuple(later))


def _found(wanted: LookUp, found: set[int]) -> Choice:
    """The entries that were looked up; everything if they turn out to be more than is worth it."""
    fresh = sorted(found - {*wanted.before})
    estimate = {**wanted.estimate, "found": len(wanted.before) + len(fresh)}
    if len(found) > wanted.most:
        return everything(wanted.entries, "the lines imply too much of it", **estimate)
    chosen = RawSQL(LISTED[connection.vendor], [listed(fresh)])  # noqa: S611 - our own text
    return Choice(
        wanted.entries.filter(pk__in=chosen),
        True,
        "the open entries that the lines imply, by index",
        estimate,
        few=len(fresh) <= SMALL,
        found=(*wanted.before, *fresh),
        later=wanted.later,
        in_scope=wanted.entries,
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


def stored_scales() -> list[int]:
    """The scales that entries have."""
    with connection.cursor() as cursor:
        cursor.execute(SCALES)
        return [scale for (scale,) in cursor.fetchall()]


def may_be_narrowed(run: MatchingRun, lines: QuerySet[StatementLine]) -> bool:
    """Whether a run has so few lines that what they imply is worth looking for."""
    if run.strategy != Strategy.ONE_TO_ONE:
        return False
    if run.statement is not None and not run.with_open_lines:
        return run.statement.record_count <= FEW_LINES
    return lines.order_by()[: FEW_LINES + 1].count() <= FEW_LINES


def is_indexable(rule: Rule, criterion: Criterion) -> bool:
    """Whether an index of the ledger finds what a criterion admits."""
    if criterion.is_constant:
        return False
    if criterion.field.kind == "amount":
        narrow = criterion.window is None or criterion.window.unit != "percent" or _share(criterion) < 1
        return criterion.operator.name in {"eq", "within_range"} and not rule.cross_currency and narrow
    plain = criterion.pattern is None and not criterion.loose
    return criterion.operator.name == "eq" and criterion.ledger_field.name == "reference" and plain


def amount_windows(account: Account, criterion: Criterion, lines: pa.Table, scales: Sequence[int]) -> Iterator[Window]:
    """The stored amounts that a criterion admits, at every scale they may have."""
    signs = entry_signs(account)
    for line in lines.select(["units", "scale", "currency"]).to_pylist():
        units = abs(line["units"]) if account.sign == Sign.UNSIGNED else line["units"]
        admitted = _window_at if criterion.window else _exactly_at
        for scale, lowest, highest in admitted(criterion, units, line["scale"], scales):
            if lowest <= highest and max(abs(lowest), abs(highest)) <= MAX_UNITS:
                for sign in signs:
                    first, last = sorted((sign * lowest, sign * highest))
                    yield scale, line["currency"], first, last


def _window_at(criterion: Criterion, units: int, own: int, scales: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The lowest and highest amount within the criterion's window, in units of each scale."""
    low, high = window_of(criterion, amount(units, own))
    for scale in scales:
        lowest = low.scaleb(scale).to_integral_value(ROUND_CEILING)
        yield scale, int(lowest), int(high.scaleb(scale).to_integral_value(ROUND_FLOOR))


def _exactly_at(_: Criterion, units: int, own: int, scales: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The same where amounts must be equal: at those scales that hold all digits."""
    for scale in scales:
        whole, rest = divmod(units, 10 ** max(own - scale, 0))
        if not rest:
            same = whole * 10 ** max(scale - own, 0)
            yield scale, same, same


def window_of(criterion: Criterion, own: Decimal) -> tuple[Decimal, Decimal]:
    """The lowest and highest ledger amount that may lie within a criterion's window of a line's amount."""
    window = criterion.window
    if window is None:
        return own, own
    if window.unit == "percent":
        share = _share(criterion)
        near, far = own / (1 + share), own / (1 - share)
        return min(near, far), max(near, far)
    return own - window.high, own - window.low


def entry_signs(account: Account) -> tuple[int, ...]:
    """How stored entries may be turned against the line they settle."""
    if account.sign == Sign.UNSIGNED or (account.scope or {}).get("balances"):
        return (1, -1)
    return (-1,) if account.sign == Sign.INVERTED else (1,)


def _share(criterion: Criterion) -> Decimal:
    """A percent window as a fraction of the ledger amount, either way."""
    if criterion.window is None:
        return Decimal(0)
    return max(abs(criterion.window.low), abs(criterion.window.high)) / 100


def _found_for_each(lookups: Sequence[LookUp]) -> list[set[int]]:
    """For each look-up the ids of the entries that indexes find, or one more than `most` of them."""
    if not lookups:
        return []
    references = sorted(set[str]().union(*(each.references for each in lookups)))
    windows = sorted(set[Window]().union(*(each.windows for each in lookups)))
    most = sum(each.most for each in lookups)
    # Of one look-up it need not be known what has found an entry.
    columns = "e.id" if len(lookups) == 1 else "e.id, e.reference_key, e.scale, e.currency, e.units"
    by_reference, by_amount = (sql[connection.vendor].format(columns) for sql in (BY_REFERENCE, BY_AMOUNT))
    amounts = [dict(zip(("s", "c", "lo", "hi"), window, strict=True)) for window in windows]
    with connection.cursor() as cursor:
        cursor.execute(
            f"{by_reference} UNION {by_amount} LIMIT {most + 1}", [json.dumps(references), json.dumps(amounts)]
        )
        rows = cursor.fetchall()
    if len(lookups) == 1:
        return [{entry_id for (entry_id,) in rows}]
    if len(rows) > most:
        raise Refused("The lines of several runs imply too much to be looked up together.")
    return [_of_look_up(each, rows) for each in lookups]


def _of_look_up(wanted: LookUp, rows: Sequence[tuple[int, str, int, str, int]]) -> set[int]:
    """Of entries (id, reference_key, scale, currency, units) that were found the ids of those that this look-up would
    find by itself."""
    references, windows = wanted.references, wanted.windows
    found = {
        entry_id
        for entry_id, reference, scale, currency, units in rows
        if reference in references or (scale, currency, units, units) in windows
    }
    wide = [window for window in windows if window[2] != window[3]]
    return found | set(_within(wide, rows)) if wide else found


def _within(windows: Sequence[Window], rows: Sequence[tuple[int, str, int, str, int]]) -> Iterator[int]:
    """The ids of the entries whose amounts lie in one of the windows."""
    reach: dict[tuple[int, str], tuple[list[int], list[int]]] = {}
    for scale, currency, low, high in sorted(windows):
        lows, highs = reach.setdefault((scale, currency), ([], []))
        lows.append(low)
        highs.append(max(high, highs[-1]) if highs else high)  # of this window and all that begin below it
    for entry_id, _, scale, currency, units in rows:
        lows, highs = reach.get((scale, currency), ([], []))
        below = bisect_right(lows, units)
        if below and highs[below - 1] >= units:
            yield entry_id
