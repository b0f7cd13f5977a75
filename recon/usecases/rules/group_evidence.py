"""What matches of one row with many of the other side have in common: what names the group, and the group as one row.

The engine compares the sum and the date of a group with the one row. Here groups become rows that have these, so that
rules for groups are sought and judged by the same means as rules for pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.models import Account, MatchRow, Side, Strategy
from recon.usecases.rules.evidence import Evidence, Pair, evidence_of, newest_confirmed, newest_refused
from rules.criteria.ideas import enough

Group = tuple[int, frozenset[int]]
"""The id of one row, and those of the many rows of the other side that belong to it."""

KEYS: Final = {
    Side.LEDGER: (
        ("parent_transaction",),
        ("reference",),
        ("description",),
        ("source", "date"),
        ("destination", "date"),
        ("source",),
        ("destination",),
    ),
    Side.STATEMENT: (
        ("reference",),
        ("description",),
        ("reference", "date"),
        ("description", "date"),
        ("source", "date"),
        ("date",),
        ("source",),
    ),
}
"""Grouping columns worth trying by the side that has the many rows: those that name a group before those that only
gather it."""
STRATEGIES: Final = {Side.LEDGER: Strategy.ONE_TO_MANY, Side.STATEMENT: Strategy.MANY_TO_ONE}
_COLUMNS: Final = {"date": "booking_date"}


@dataclass(frozen=True)
class Grouped:
    """The evidence with groups for rows of one side, and the chosen matches as pairs of a line and an entry."""

    key: tuple[str, ...]
    evidence: Evidence
    wanted: list[Pair]


def groups_of(match_ids: Iterable[int], many: Side) -> set[Group]:
    """The matches of one whole row with whole rows of the side `many`."""
    sides: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: {Side.STATEMENT: [], Side.LEDGER: []})
    rows = MatchRow.objects.filter(match_id__in=list(match_ids))
    for match_id, side, row_id, part in rows.values_list("match_id", "side", "row_id", "part"):
        sides[match_id][side].append((row_id, part))
    return {
        (ones[0][0], frozenset(row_id for row_id, _ in members))
        for ones, members in ((each[1 - many], each[many]) for each in sides.values())
        if len(ones) == 1 and members and not any(part for _, part in [*ones, *members])
    }


def grouped_by_what_names_them(account: Account, wanted: set[Group], many: Side) -> list[Grouped]:
    """For each key by which (nearly all of) the wanted groups are whole groups: the evidence seen through it."""
    known = groups_of(newest_confirmed(account), many) | wanted
    refused = groups_of(newest_refused(account), many) - known
    settled, against = (
        {_pair(one, row_id, many) for one, ids in groups for row_id in ids} for groups in (known, refused)
    )
    evidence = evidence_of(account, settled, against)
    claimed = {row_id for _, ids in known for row_id in ids}
    found = []
    for key in KEYS[many]:
        rows = evidence.entries if many == Side.LEDGER else evidence.lines
        groups, members = collapsed(rows, [_COLUMNS.get(name, name) for name in key])
        whole, taken_back = (
            frozenset(_pair(one, min(ids), many) for one, ids in those if members.get(min(ids)) == ids)
            for those in (known, refused)
        )
        chosen = sorted({_pair(one, min(ids), many) for one, ids in wanted} & whole)
        if not enough(len(chosen), len(wanted)):
            continue
        firsts = frozenset(first for first, ids in members.items() if ids & claimed)
        seen = replace(evidence, known=whole, refused=taken_back)
        if many == Side.LEDGER:
            seen = replace(seen, entries=groups, settled_entries=firsts)
        else:
            seen = replace(seen, lines=groups, settled_lines=firsts)
        found.append(Grouped(key, seen, chosen))
    return found


def _pair(one: int, row_id: int, many: Side) -> Pair:
    return (one, row_id) if many == Side.LEDGER else (row_id, one)


def collapsed(rows: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, dict[int, frozenset[int]]]:
    """One row per group, under the id of its first one, with the group's sum and earliest date; and who is in it.

    As for the engine: where a column is empty there is no group, and a group of several currencies never matches.
    """
    named = [pc.fill_null(pc.not_equal(rows[name].cast(pa.string()), ""), False) for name in columns]
    kept = rows.filter(reduce(pc.and_, named))
    sums = kept.group_by(list(columns)).aggregate(
        [("id", "min"), ("id", "list"), ("units", "sum"), ("booking_date", "min"),
         ("currency", "count_distinct"), ("scale", "count_distinct")]
    )  # fmt: skip
    sums = sums.filter(pc.equal(pc.max_element_wise(sums["currency_count_distinct"], sums["scale_count_distinct"]), 1))
    sums = sums.sort_by("id_min")
    first = kept.filter(pc.is_in(kept["id"], sums["id_min"])).sort_by("id")
    for name, column in (("units", sums["units_sum"]), ("booking_date", sums["booking_date_min"])):
        first = first.set_column(first.column_names.index(name), name, column.cast(first[name].type))
    no_time = pa.nulls(first.num_rows, first["booked_at"].type)
    first = first.set_column(first.column_names.index("booked_at"), "booked_at", no_time)
    return first, {row["id_min"]: frozenset(row["id_list"]) for row in sums.select(["id_min", "id_list"]).to_pylist()}
