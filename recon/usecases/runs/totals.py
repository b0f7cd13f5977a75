"""What a run came to: sums by currency, differences by type, reasons counted. Kept with the run, not counted again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain, repeat
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.models import MatchState, Side
from recon.rows import amount, for_exact_sums

_FEW: Final = 50_000
"""Rows that are summed sooner than threads have agreed about them."""

_TINY: Final = 1_000
"""Rows that Python sums sooner than Arrow has begun."""

Sums = dict[tuple[Any, ...], tuple[int, Decimal]]


def totals(rows: dict[Side, pa.Table], placed: pa.Table, differences: pa.Table, unmatched: pa.Table) -> dict[str, Any]:
    """The totals of an outcome.

    `rows`: what was read, by side. `placed`: the rows of matches with their match's ``state``. `differences`: with
    their match's ``state``. Amounts are given as exact text: ``{"money": [{"side", "outcome", "currency", "count",
    "amount"}], "differences": [{"type", "currency", "count", "amount"}], "reasons": [{"side", "reason", "count"}],
    "rates_missing": ["GBP/EUR"]}``.
    """
    confirmed = differences.filter(pc.equal(differences["state"], MatchState.CONFIRMED.value))
    reasons = _reasons(unmatched)
    return {
        "money": [entry for side in Side for entry in _money(side, rows[side], placed, unmatched)],
        "differences": _listed(summed(confirmed, ("type", "currency")), ("type", "currency")),
        "reasons": reasons,
        "rates_missing": _rates_missing(unmatched) if any(each["reason"] == "no_rate" for each in reasons) else [],
    }


def summed(table: pa.Table, keys: tuple[str, ...]) -> Sums:
    """Count and exact sum of ``units`` at ``scale`` by `keys`."""
    if not table.num_rows:
        return {}
    if table.num_rows <= _TINY:
        return _summed_one_by_one(table, keys)
    exact = pa.table({**{key: table[key] for key in (*keys, "scale")}, "units": for_exact_sums(table["units"])})
    sums: Sums = {}
    grouped = exact.group_by([*keys, "scale"], use_threads=table.num_rows > _FEW)
    for group in grouped.aggregate([("units", "sum"), ("units", "count")]).to_pylist():
        key = tuple(group[name] for name in keys)
        count, total = sums.get(key, (0, Decimal(0)))
        sums[key] = count + group["units_count"], total + amount(int(group["units_sum"]), group["scale"])
    return sums


def _summed_one_by_one(table: pa.Table, keys: tuple[str, ...]) -> Sums:
    by_group: dict[tuple[Any, ...], list[int]] = {}
    for units, *group in zip(*(_values(table[name]) for name in ("units", *keys, "scale")), strict=True):
        if units is not None:
            by_group.setdefault(tuple(group), []).append(units)
    return _added_up(by_group)


def _added_up(by_group: Mapping[tuple[Any, ...], Sequence[int]]) -> Sums:
    """Count and sum of units by their group, of which the last is their scale."""
    sums: Sums = {}
    for (*names, scale), units in by_group.items():
        count, total = sums.get(tuple(names), (0, Decimal(0)))
        sums[tuple(names)] = count + len(units), total + amount(sum(units), scale)
    return sums


def _money(side: Side, rows: pa.Table, placed: pa.Table, unmatched: pa.Table) -> list[dict[str, Any]]:
    few = max(table.num_rows for table in (rows, placed, unmatched)) <= _TINY and not _are_split(rows)
    found = (_summed_of_few if few else _summed_of_many)(side, rows, placed, unmatched)
    return [{"side": side.label, **entry} for entry in _listed(found, ("outcome", "currency"))]


def _summed_of_few(side: Side, rows: pa.Table, placed: pa.Table, unmatched: pa.Table) -> Sums:
    """By outcome and currency. Of few rows Python is through before Arrow has begun a dozen steps."""
    outcomes = chain(
        zip(_values(placed["side"]), _values(placed["id"]), placed["state"].to_pylist(), strict=True),
        zip(_values(unmatched["side"]), _values(unmatched["id"]), repeat("unmatched")),
    )
    ids = defaultdict[str, list[int]](list)
    for its_side, row_id, state in outcomes:
        if its_side == side:
            ids[state].append(row_id)
    amounts = _AmountsOfFew(rows)
    return _added_up({(state, *kind): units for state, some in ids.items() for kind, units in amounts.of(some)})


class _AmountsOfFew:
    """The amounts of rows by their id. As a rule all have one currency and scale, which then need not be asked of
    each."""

    def __init__(self, rows: pa.Table) -> None:
        ids, units, *kinds = (_values(rows[name]) for name in ("id", "units", "currency", "scale"))
        self._units = dict(zip(ids, units, strict=True))
        self._only = tuple(kind[0] for kind in kinds) if all(len({*kind}) == 1 for kind in kinds) else None
        self._kinds = {} if self._only else dict(zip(ids, zip(*kinds, strict=True), strict=True))

    def of(self, ids: Sequence[int]) -> Iterable[tuple[tuple[str, int], list[int]]]:
        """The units of some rows, by their currency and scale."""
        units = [self._units[row_id] for row_id in ids]
        if self._only:
            return [(self._only, units)]
        found = defaultdict[tuple[str, int], list[int]](list)
        for row_id, own in zip(ids, units, strict=True):
            found[self._kinds[row_id]].append(own)
        return found.items()


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Those of a column; numpy hands over numbers in a tenth of the time."""
    plain = pa.types.is_integer(column.type) and not column.null_count
    found: list[Any] = column.to_numpy().tolist() if plain else column.to_pylist()
    return found


def _are_split(rows: pa.Table) -> bool:
    return bool(rows.num_rows and pc.max(rows["part"]).as_py())


def _summed_of_many(side: Side, rows: pa.Table, placed: pa.Table, unmatched: pa.Table) -> Sums:
    outcomes = placed.filter(pc.equal(placed["side"], int(side))).select(["id", "part", "state"])
    if unmatched.num_rows:
        left = _as_state(unmatched.filter(pc.equal(unmatched["side"], int(side))), "unmatched")
        outcomes = pa.concat_tables([outcomes, left])
    return summed(_with_amounts(outcomes, rows), ("state", "currency"))


def _with_amounts(outcomes: pa.Table, rows: pa.Table) -> pa.Table:
    """Row parts and what became of them, with their amounts."""
    if _are_split(rows):
        amounts = rows.select(["id", "part", "units", "scale", "currency"])
        return amounts.join(outcomes, keys=["id", "part"], join_type="inner")
    amounts = rows.select(["units", "scale", "currency"]).take(places(outcomes["id"], rows["id"]))
    return amounts.append_column("state", outcomes["state"])


def places(values: pa.ChunkedArray, among: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where each of `values` stands in `among`, whose numbers are all different; null if it does not.

    Numbers one after the other, as those of matches and of rows just stored are, need no search.
    """
    numbers = among.to_numpy()
    if not len(numbers) or values.null_count or not (np.diff(numbers) == 1).all():
        return pc.index_in(values, value_set=among.combine_chunks())
    at = values.to_numpy() - numbers[0]
    return pa.chunked_array([pa.array(at, mask=(at < 0) | (at >= len(numbers)))])


def _as_state(unmatched: pa.Table, state: str) -> pa.Table:
    return unmatched.select(["id", "part"]).append_column("state", pa.repeat(state, unmatched.num_rows))


def _listed(sums: Sums, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {**dict(zip(names, key, strict=True)), "count": count, "amount": f"{total:f}"}
        for key, (count, total) in sorted(sums.items())
    ]


def _reasons(unmatched: pa.Table) -> list[dict[str, Any]]:
    if not unmatched.num_rows:
        return []
    grouped = unmatched.group_by(["side", "reason"], use_threads=unmatched.num_rows > _FEW)
    found = grouped.aggregate([("id", "count")]).to_pylist()
    listed = [
        {"side": Side(each["side"]).label, "reason": each["reason"], "count": each["id_count"]} for each in found
    ]
    return sorted(listed, key=lambda each: (each["side"], -each["count"], each["reason"]))


def _rates_missing(unmatched: pa.Table) -> list[str]:
    """The rates that rows were left for want of."""
    details = pc.unique(unmatched.filter(pc.equal(unmatched["reason"], "no_rate"))["detail"])
    return sorted({rate for each in details.to_pylist() for rate in json.loads(each)["rates_missing"]})
