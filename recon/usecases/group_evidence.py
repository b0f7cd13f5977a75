"""What matches of one line with many entries have in common: what names the group, and the group as one entry.

The engine compares a line with the sum and the date of a group. Here groups become rows that have these, so that rules
for groups are sought and judged by the same means as rules for pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.models import Account, MatchRow, Side
from recon.usecases.rule_evidence import Evidence, Pair, evidence_of, newest_confirmed
from rules.criteria.ideas import enough

Group = tuple[int, frozenset[int]]
"""Ids of a statement line and of the ledger entries that it settles."""

KEYS: Final = (
    ("parent_transaction",),
    ("reference",),
    ("description",),
    ("source", "date"),
    ("destination", "date"),
    ("source",),
    ("destination",),
)
"""Grouping columns worth trying, those that name a group before those that only gather it."""
_COLUMNS: Final = {"date": "booking_date"}


@dataclass(frozen=True)
class Grouped:
    """The evidence with groups for entries, and the chosen matches as pairs of a line and a group."""

    key: tuple[str, ...]
    evidence: Evidence
    wanted: list[Pair]


def groups_of(match_ids: Iterable[int]) -> set[Group]:
    """The matches of one whole line with whole entries."""
    sides: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: {Side.STATEMENT: [], Side.LEDGER: []})
    rows = MatchRow.objects.filter(match_id__in=list(match_ids))
    for match_id, side, row_id, part in rows.values_list("match_id", "side", "row_id", "part"):
        sides[match_id][side].append((row_id, part))
    return {
        (lines[0][0], frozenset(entry for entry, _ in entries))
        for lines, entries in ((each[Side.STATEMENT], each[Side.LEDGER]) for each in sides.values())
        if len(lines) == 1 and entries and not any(part for _, part in [*lines, *entries])
    }


def grouped_by_what_names_them(account: Account, wanted: set[Group]) -> list[Grouped]:
    """For each key by which (nearly all of) the wanted groups are whole groups: the evidence seen through it."""
    known = groups_of(newest_confirmed(account)) | wanted
    pairs = {(line, entry) for line, entries in known for entry in entries}
    evidence = evidence_of(account, pairs)
    found = []
    for key in KEYS:
        entries, members = collapsed(evidence.entries, [_COLUMNS.get(name, name) for name in key])
        whole = {(line, min(ids)) for line, ids in known if members.get(min(ids)) == ids}
        chosen = sorted((line, min(ids)) for line, ids in wanted if (line, min(ids)) in whole)
        if not enough(len(chosen), len(wanted)):
            continue
        claimed = {entry for _, ids in known for entry in ids}
        settled = frozenset(first for first, ids in members.items() if ids & claimed)
        seen = replace(evidence, entries=entries, known=frozenset(whole), settled_entries=settled)
        found.append(Grouped(key, seen, chosen))
    return found


def collapsed(entries: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, dict[int, frozenset[int]]]:
    """One row per group, under the id of its first entry, with the group's sum and earliest date; and who is in it.

    As for the engine: where a column is empty there is no group, and a group of several currencies never matches.
    """
    named = [pc.fill_null(pc.not_equal(entries[name].cast(pa.string()), ""), False) for name in columns]
    kept = entries.filter(reduce(pc.and_, named))
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
