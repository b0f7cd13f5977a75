"""What lines imply of ledger entries, and how the database's indexes find it: references, and windows of amounts."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import chain

import numpy as np
import pyarrow as pa
from django.db import connection

from recon.models import Account, Sign
from recon.rows import MAX_UNITS, amount
from recon.usecases.errors import Refused
from rules.criteria import Criterion, Rule
from rules.kept_queries import kept_cursor

Window = tuple[int, str, int, int]  # scale, currency, lowest and highest units
_Key = str | Window  # a reference, or a window of one amount
_FoundEntry = tuple[int, str, int, str, int]  # id, reference_key, scale, currency, units

LOOKED_UP_BY = ("reference_key", "scale")
"""The first columns of the ledger's indexes that are used here."""

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

# The ids of entries, and what has found each: the number of a reference, or that of an amount below zero.
BY_NUMBER = {
    "postgresql": """
        WITH w AS (SELECT * FROM jsonb_array_elements_text(%s::jsonb) WITH ORDINALITY AS w(reference, number))
        SELECT array_agg(id)::text, array_agg(number)::text FROM (
            SELECT e.id, w.number FROM w JOIN (
                SELECT id, reference_key FROM recon_ledgerentry
                WHERE reference_key = ANY(ARRAY(SELECT reference FROM w)) OFFSET 0) e ON e.reference_key = w.reference
            UNION ALL
            SELECT e.id, -w.number FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS w(amount, number)
            CROSS JOIN LATERAL (
                SELECT id FROM recon_ledgerentry
                WHERE scale = (w.amount->0)::smallint AND units = (w.amount->2)::bigint AND currency = w.amount->>1
                OFFSET 0) e
            LIMIT %s) AS found
    """,
    "sqlite": """
        SELECT json_group_array(id), json_group_array(number) FROM (
            SELECT e.id, w.key + 1 AS number FROM json_each(%s) AS w
              JOIN recon_ledgerentry e ON e.reference_key = w.value
            UNION ALL
            SELECT e.id, -1 - w.key FROM json_each(%s) AS w
              JOIN recon_ledgerentry e ON e.scale = json_extract(w.value, '$[0]')
               AND e.units = json_extract(w.value, '$[2]') AND e.currency = json_extract(w.value, '$[1]')
            LIMIT %s)
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
class Sought:
    """What is looked up: references as they are compared, and windows of amounts. More than ``most`` entries found
    are too many to be worth it."""

    references: set[str]
    windows: set[Window]
    most: int


def stored_scales() -> list[int]:
    """The scales that entries have."""
    with kept_cursor() as cursor:
        cursor.execute(SCALES)
        return [scale for (scale,) in cursor.fetchall()]


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
    columns = (lines[name].to_pylist() for name in ("units", "scale", "currency"))
    amounts = set(zip(*columns, strict=True))
    if account.sign == Sign.UNSIGNED:
        amounts = {(abs(units), scale, currency) for units, scale, currency in amounts}
    admitted = _exactly_at if criterion.window is None or criterion.window.exact else _window_at
    for units, own, currency in amounts:
        for scale, least, most in admitted(criterion, units, own, scales):
            # What can be stored of a wide window.
            lowest = least if least >= -MAX_UNITS else -MAX_UNITS
            highest = most if most <= MAX_UNITS else MAX_UNITS
            if lowest <= highest:
                for sign in signs:
                    yield (scale, currency, lowest, highest) if sign > 0 else (scale, currency, -highest, -lowest)


def _window_at(criterion: Criterion, units: int, own: int, scales: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The lowest and highest amount within the criterion's window, in units of each scale."""
    low, high = window_of(criterion, amount(units, own))
    for scale in scales:
        lowest = low.scaleb(scale).to_integral_value(ROUND_CEILING)
        yield scale, int(lowest), int(high.scaleb(scale).to_integral_value(ROUND_FLOOR))


def _exactly_at(_: Criterion, units: int, own: int, scales: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The same where amounts must be equal: at those scales that hold all digits."""
    for scale in scales:
        if scale == own:
            yield scale, units, units
            continue
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


def found_for_each(lookups: Sequence[Sought]) -> list[set[int]]:
    """For each look-up the ids of the entries that indexes find, or one more than `most` of them."""
    if not lookups:
        return []
    references = sorted(set[str]().union(*(each.references for each in lookups)))
    windows = sorted(set[Window]().union(*(each.windows for each in lookups)))
    most = sum(each.most for each in lookups)
    # Where no window is wide an entry is found twice at most, and it need only be said by what.
    if len(lookups) > 1 and all(low == high for _, _, low, high in windows):
        return _found_by_number(lookups, references, windows, most)
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
    _refuse_too_many([each[0] for each in rows], most)
    by_key = _by_key(rows)
    return [_of_look_up(each, rows, by_key) for each in lookups]


def _refuse_too_many(ids: Sequence[int], most: int) -> None:
    if len(ids) > most and len(set(ids)) > most:
        raise Refused("The lines of several runs imply too much to be looked up together.")


def _found_by_number(
    lookups: Sequence[Sought], references: Sequence[str], windows: Sequence[Window], most: int
) -> list[set[int]]:
    """The same where all windows are of one amount. The database says of each entry only the number of the reference,
    or of the window, that has found it."""
    with kept_cursor() as cursor:
        cursor.execute(BY_NUMBER[connection.vendor], [json.dumps(references), json.dumps(windows), 2 * most + 1])
        ids, numbers = (json.loads(f"[{text[1:-1]}]" if text else "[]") for text in cursor.fetchone())
    _refuse_too_many(ids, most)
    number: dict[_Key, int] = {key: place for place, key in enumerate(references, start=1)}
    number |= {key: -place for place, key in enumerate(windows, start=1)}
    found, by, is_own = np.array(ids, np.int64), np.array(numbers, np.int64), np.zeros(len(number) + 1, np.bool_)
    of_each = []
    for each in lookups:
        keys: Iterable[_Key] = chain(each.references, each.windows)
        own = [number[key] for key in keys]
        is_own[own] = True  # windows from the end
        of_each.append(set(found[is_own[by]].tolist()))
        is_own[own] = False
    return of_each


def _by_key(rows: Sequence[_FoundEntry]) -> Mapping[_Key, Sequence[int]]:
    """The ids of entries that were found, by their reference and by their amount as a window."""
    found = defaultdict[_Key, list[int]](list)
    for entry_id, reference, scale, currency, units in rows:
        found[reference].append(entry_id)
        found[scale, currency, units, units].append(entry_id)
    return found


def _of_look_up(wanted: Sought, rows: Sequence[_FoundEntry], by_key: Mapping[_Key, Sequence[int]]) -> set[int]:
    """Of entries that were found the ids of those that this look-up would find by itself."""
    found = set[int]()
    keys: Iterable[_Key] = chain(wanted.references, wanted.windows)
    for key in keys:
        found.update(by_key.get(key, ()))
    wide = [window for window in wanted.windows if window[2] != window[3]]
    return found | set(_within(wide, rows)) if wide else found


def _within(windows: Sequence[Window], rows: Sequence[_FoundEntry]) -> Iterator[int]:
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
