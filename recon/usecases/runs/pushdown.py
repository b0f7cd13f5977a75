"""A small run against a large ledger: what its lines imply selects the entries, through the database's indexes.

A rule that demands equal references or amounts within a window admits only entries that an index finds from the lines.
Taken are the entries that *any* of a rule's indexable criteria finds, not only those that meet all of them: so that a
line that misses one criterion still finds its nearest miss. Groups form before anything is narrowed, so that only
`one_to_one` runs are narrowed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pyarrow as pa
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from recon.models import Account, LedgerEntry, MatchingRun, Side, Sign, StatementLine, Strategy
from recon.rows import MAX_UNITS, amount
from recon.usecases.bulk.apart import tables_apart
from recon.usecases.bulk.rows import listed
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
        SELECT id FROM recon_ledgerentry
        WHERE reference_key = ANY(ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)))
    """,
    "sqlite": """
        SELECT e.id FROM json_each(%s) AS w JOIN recon_ledgerentry e ON e.reference_key = w.value
    """,
}
# OFFSET 0: one by one, through the index. The planner cannot know how narrow a window is, and would join ten million.
BY_AMOUNT = {
    "postgresql": """
        SELECT e.id FROM jsonb_to_recordset(%s::jsonb) AS w(s smallint, c text, lo bigint, hi bigint)
        CROSS JOIN LATERAL (
            SELECT id FROM recon_ledgerentry
            WHERE scale = w.s AND units BETWEEN w.lo AND w.hi AND currency = w.c OFFSET 0) e
    """,
    "sqlite": """
        SELECT e.id FROM json_each(%s) AS w JOIN recon_ledgerentry e
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


def choose_entries(run: MatchingRun, rules: Sequence[Rule], lines: pa.Table, entries: QuerySet[LedgerEntry]) -> Choice:
    """All of `entries`, or those that the lines imply, whichever is read sooner."""
    if run.strategy != Strategy.ONE_TO_ONE:
        return everything(entries, "groups form before anything is narrowed")
    if lines.num_rows > FEW_LINES:
        return everything(entries, f"more than {FEW_LINES:,} lines imply most of it")
    listed_too = Side.LEDGER in sides_reported(run.account)
    small = SMALL if listed_too else TINY
    known = {} if listed_too else _known_size(run.account)
    if not known and entries.order_by()[: small + 1].count() <= small:
        return replace(everything(entries, "there are few"), few=True)
    by_rule = [[each for each in rule.criteria if is_indexable(rule, each)] for rule in rules]
    if not all(by_rule):
        number = by_rule.index([]) + 1
        return everything(entries, f"rule {number} has no criterion that an index of the ledger serves")
    first, rest = _in_two_steps(by_rule, lines.num_rows)
    choice = _looked_up(run, lines, entries, first, rest, Choice(entries, False, "", known))
    if not known and not listed_too and "in_scope" in choice.estimate:
        _sizes[run.account_id, str(run.account.scope)] = time.monotonic(), choice.estimate["in_scope"]
    return choice


_sizes: dict[tuple[int, str], tuple[float, int]] = {}
"""By account and scope: when, and about how many entries there were in scope."""


def _known_size(account: Account) -> dict[str, int]:
    """What is known of the size of a ledger that is not small: looking again takes longer than a small run."""
    at, size = _sizes.get((account.pk, str(account.scope)), (0.0, 0))
    return {"in_scope": size} if size and time.monotonic() - at < SIZE_KEPT else {}


def with_near_misses(run: MatchingRun, choice: Choice, left: pa.Table) -> Choice:
    """The second step of a narrowed choice: the entries that only near misses of the lines that were `left` need."""
    return _looked_up(run, left, choice.in_scope, choice.later, (), choice)


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


def _looked_up(
    run: MatchingRun,
    lines: pa.Table,
    entries: QuerySet[LedgerEntry],
    criteria: Sequence[Criterion],
    later: Sequence[Criterion],
    before: Choice,
) -> Choice:
    """What `criteria` find for the lines, beside what was found `before`; everything if that is estimated, or turns
    out, to be more than is worth looking up."""
    references, windows = _implied(run, lines, criteria)
    in_scope = before.estimate.get("in_scope") or about_how_many(entries)
    lookups = before.estimate.get("lookups", 0) + len(references) + len(windows)
    a_look_up = LOOK_UP + PROBE * len(tables_apart(LedgerEntry))
    whole = READ + LIST * (Side.LEDGER in sides_reported(run.account))
    left = in_scope * whole - lookups * a_look_up
    if left < 0:
        return everything(entries, "so many lookups would take longer", in_scope=in_scope, lookups=lookups)
    most = left // FETCH
    found = _found_by(references, windows, most)
    fresh = sorted(found - {*before.found})
    estimate = {"in_scope": in_scope, "lookups": lookups, "found": len(before.found) + len(fresh)}
    if len(found) > most:
        return everything(entries, "the lines imply too much of it", **estimate)
    narrowed = entries.filter(pk__in=RawSQL(LISTED[connection.vendor], [listed(fresh)]))  # noqa: S611 - our own text
    return Choice(
        narrowed,
        True,
        "the open entries that the lines imply, by index",
        estimate,
        few=len(fresh) <= SMALL,
        found=(*before.found, *fresh),
        later=tuple(later),
        in_scope=entries,
    )


def about_how_many(entries: QuerySet[LedgerEntry]) -> int:
    """More than TINY: the planner of PostgreSQL has an idea without counting, SQLite counts."""
    if connection.vendor == "postgresql":
        return max(int(json.loads(entries.order_by().explain(format="json"))[0]["Plan"]["Plan Rows"]), TINY + 1)
    return entries.order_by().count()


def _implied(run: MatchingRun, lines: pa.Table, criteria: Sequence[Criterion]) -> tuple[set[str], set[Window]]:
    """The references and the windows of amounts that the criteria look for."""
    references: set[str] = set()
    windows: set[Window] = set()
    scales = None
    for criterion in criteria:
        if criterion.field.kind == "text":
            references.update(filter(None, text_keys(lines[criterion.field.name]).to_pylist()))
        else:
            scales = stored_scales() if scales is None else scales
            windows.update(amount_windows(run.account, criterion, lines, scales))
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
        own = amount(line["units"], line["scale"])
        low, high = window_of(criterion, abs(own) if account.sign == Sign.UNSIGNED else own)
        for scale in scales:
            lowest = int(low.scaleb(scale).to_integral_value(ROUND_CEILING))
            highest = int(high.scaleb(scale).to_integral_value(ROUND_FLOOR))
            if lowest <= highest and max(abs(lowest), abs(highest)) <= MAX_UNITS:
                for sign in signs:
                    first, last = sorted((sign * lowest, sign * highest))
                    yield scale, line["currency"], first, last


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


def _found_by(references: set[str], windows: set[Window], most: int) -> set[int]:
    """The ids of the entries that indexes find, or one more than `most` of them."""
    amounts = [dict(zip(("s", "c", "lo", "hi"), window, strict=True)) for window in sorted(windows)]
    sql = f"{BY_REFERENCE[connection.vendor]} UNION {BY_AMOUNT[connection.vendor]} LIMIT {most + 1}"
    with connection.cursor() as cursor:
        cursor.execute(sql, [json.dumps(sorted(references)), json.dumps(amounts)])
        return {entry_id for (entry_id,) in cursor.fetchall()}
