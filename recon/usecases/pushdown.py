"""A small run against a large ledger: what its lines imply selects the entries, through the database's indexes.

A rule that demands equal references or amounts within a window admits only entries that an index finds from the lines.
Taken are the entries that *any* of a rule's indexable criteria finds, not only those that meet all of them: so that a
line that misses one criterion still finds its nearest miss. Groups form before anything is narrowed, so that only
`one_to_one` runs are narrowed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pyarrow as pa
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from recon.models import Account, LedgerEntry, MatchingRun, Sign, Strategy
from recon.rows import MAX_SCALE, MAX_UNITS, amount
from rules.criteria import Criterion, Rule

FEW_LINES = 10_000
"""More lines imply so much that reading the open set is no slower."""

LARGE = 50_000
"""A ledger scope up to this size is read as a whole: that costs less than deciding."""

ENTRIES_PER_LINE = 20
"""If the lines imply more entries than this for each of them, the indexes select too little."""

Windows = set[tuple[str, int, int]]

BY_REFERENCE = {
    "postgresql": """
        SELECT e.id FROM jsonb_array_elements_text(%s::jsonb) AS w(reference)
        JOIN recon_ledgerentry e ON e.reference_key = w.reference
    """,
    "sqlite": """
        SELECT e.id FROM json_each(%s) AS w JOIN recon_ledgerentry e ON e.reference_key = w.value
    """,
}
BY_AMOUNT = {
    "postgresql": """
        SELECT e.id FROM jsonb_to_recordset(%s::jsonb) AS w(c text, lo bigint, hi bigint)
        JOIN recon_ledgerentry e ON e.currency = w.c AND e.units BETWEEN w.lo AND w.hi
    """,
    "sqlite": """
        SELECT e.id FROM json_each(%s) AS w JOIN recon_ledgerentry e
          ON e.currency = json_extract(w.value, '$.c')
         AND e.units BETWEEN json_extract(w.value, '$.lo') AND json_extract(w.value, '$.hi')
    """,
}


def implied_entries(
    run: MatchingRun, rules: Sequence[Rule], lines: pa.Table, entries: QuerySet[LedgerEntry], large: int = LARGE
) -> QuerySet[LedgerEntry] | None:
    """Those of `entries` that the lines imply; None if reading them all is cheaper or a rule implies nothing."""
    if run.strategy != Strategy.ONE_TO_ONE or lines.num_rows > FEW_LINES:
        return None
    if entries.order_by()[: large + 1].count() <= large:
        return None
    references: set[str] = set()
    windows: Windows = set()
    for rule in rules:
        indexable = [criterion for criterion in rule.criteria if is_indexable(rule, criterion)]
        if not indexable:
            return None
        for criterion in indexable:
            if criterion.field.kind == "text":
                references.update(filter(None, lines[f"{criterion.field.name}_key"].to_pylist()))
            else:
                windows.update(amount_windows(run.account, criterion, lines))
    return _found_by(references, windows, lines.num_rows, entries)


def is_indexable(rule: Rule, criterion: Criterion) -> bool:
    """Whether an index of the ledger finds what a criterion admits."""
    if criterion.is_constant:
        return False
    if criterion.field.kind == "amount":
        narrow = criterion.window is None or criterion.window.unit != "percent" or _share(criterion) < 1
        return criterion.operator.name in {"eq", "within_range"} and not rule.cross_currency and narrow
    plain = criterion.pattern is None and not criterion.loose
    return criterion.operator.name == "eq" and criterion.ledger_field.name == "reference" and plain


def amount_windows(account: Account, criterion: Criterion, lines: pa.Table) -> Iterator[tuple[str, int, int]]:
    """(currency, lowest units, highest units) of the entries a criterion admits, at every scale they may have."""
    signs = entry_signs(account)
    for line in lines.select(["units", "scale", "currency"]).to_pylist():
        own = amount(line["units"], line["scale"])
        low, high = window_of(criterion, abs(own) if account.sign == Sign.UNSIGNED else own)
        for scale in range(MAX_SCALE + 1):
            lowest = int(low.scaleb(scale).to_integral_value(ROUND_CEILING))
            highest = int(high.scaleb(scale).to_integral_value(ROUND_FLOOR))
            if lowest <= highest and max(abs(lowest), abs(highest)) <= MAX_UNITS:
                for sign in signs:
                    first, last = sorted((sign * lowest, sign * highest))
                    yield line["currency"], first, last


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


def _found_by(
    references: set[str], windows: Windows, lines: int, entries: QuerySet[LedgerEntry]
) -> QuerySet[LedgerEntry] | None:
    triples = [{"c": currency, "lo": lowest, "hi": highest} for currency, lowest, highest in sorted(windows)]
    sql = f"{BY_REFERENCE[connection.vendor]} UNION {BY_AMOUNT[connection.vendor]}"
    params = (json.dumps(sorted(references)), json.dumps(triples))
    most = max(lines * ENTRIES_PER_LINE, LARGE // 10)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM (SELECT id FROM ({sql}) AS found LIMIT {most + 1}) AS counted", params)  # noqa: S608
        (found,) = cursor.fetchone() or (0,)
    return entries.filter(pk__in=RawSQL(sql, params)) if found <= most else None  # noqa: S611  our own text
