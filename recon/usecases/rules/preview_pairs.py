"""Lines beside entries, for a person to judge a rule by: matches, near misses, and why."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon.engine import Options, Outcome, Verdict, explain_pairs
from recon.engine.grouping import group_numbers
from recon.engine.sides import dated, grouped_sides
from recon.engine.strategies import in_and_out
from recon.rows import amount
from rules.criteria import Rule
from rules.criteria.scope import Side

EXAMPLES = 5
LOOKED_AT = 50
"""Rows that are looked at for each reason to find so many near misses of different groups."""


@dataclass(frozen=True)
class ShownRow:
    """One row of a preview, by column of the table it came from."""

    values: dict[str, Any]
    schema: pa.Schema

    @property
    def amount(self) -> Any:
        return amount(self.values["units"], self.values["scale"])

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError as error:
            raise AttributeError(name) from error


@dataclass(frozen=True)
class Pair:
    """Lines beside entries, mostly one of each: a match, or a near miss with the criterion that failed it (0: currency
    or direction)."""

    lines: tuple[ShownRow, ...]
    entries: tuple[ShownRow, ...]
    state: str = ""
    decided_by: str = ""
    reason: str = ""
    criterion: int | None = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def line(self) -> ShownRow:
        return self.lines[0]

    @property
    def entry(self) -> ShownRow:
        return self.entries[0]

    @property
    def is_group(self) -> bool:
        return len(self.lines) + len(self.entries) > 2

    @property
    def failed(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.passed]


def examples(outcome: Outcome, lines: pa.Table, entries: pa.Table) -> list[Pair]:
    """Some matches, those that a person has to decide first: they say most about the rule."""
    found = outcome.matches.select(["match_no", "state", "decided_by"])
    decided = found.filter(pc.field("state") == "confirmed")
    open_ones = found.filter(pc.field("state") == "suggested")
    doubtful = max(2, EXAMPLES - decided.num_rows)
    shown = [*open_ones.slice(0, doubtful).to_pylist(), *decided.slice(0, EXAMPLES).to_pylist()][:EXAMPLES]
    numbers = pa.array([each["match_no"] for each in shown], pa.int64())
    rows = outcome.match_rows.filter(pc.is_in(pc.field("match_no"), numbers)).to_pylist()
    of_side = [{row["id"] for row in rows if row["side"] == side} for side in (0, 1)]
    row_of = [_rows_by_id(table, sorted(ids)) for table, ids in zip((lines, entries), of_side, strict=True)]
    members: dict[tuple[int, int], list[ShownRow]] = {}
    for row in rows:
        members.setdefault((row["match_no"], row["side"]), []).append(row_of[row["side"]][row["id"]])
    return [
        Pair(
            tuple(members[each["match_no"], 0]),
            tuple(members[each["match_no"], 1]),
            state=each["state"],
            decided_by=each["decided_by"],
        )
        for each in shown
    ]


def near_misses(outcome: Outcome, lines: pa.Table, entries: pa.Table, options: Options) -> list[Pair]:
    """Lines that one criterion kept from matching, each beside the entry that came nearest; varied reasons first.

    Where runs settle groups, the whole group stands for its row, because its sum is what was compared.
    """
    near = outcome.unmatched.filter((pc.field("side") == 0) & pc.is_valid(pc.field("nearest_id")))
    by_reason = {
        reason: near.filter(pc.field("reason") == reason).slice(0, LOOKED_AT).to_pylist()
        for reason in pc.unique(near["reason"]).to_pylist()
        if reason != "possible_duplicate"  # its nearest row is a twin on the same side
    }
    mixed = [each for layer in itertools.zip_longest(*by_reason.values()) for each in layer if each]
    group_of_line = _whole_groups("statement", lines, [each["id"] for each in mixed], options)
    group_of_entry = _whole_groups("ledger", entries, [each["nearest_id"] for each in mixed], options)
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Any]] = {}
    for each in mixed:  # each line of a group has the same near miss
        found.setdefault((group_of_line[each["id"]], group_of_entry[each["nearest_id"]]), each)
    shown = list(found.items())[:EXAMPLES]
    line_of = _rows_by_id(lines, [line for (ids, _), _ in shown for line in ids])
    entry_of = _rows_by_id(entries, [entry for (_, ids), _ in shown for entry in ids])
    return [
        Pair(
            tuple(line_of[line] for line in line_ids),
            tuple(entry_of[entry] for entry in entry_ids),
            reason=each["reason"],
            criterion=each["criterion"],
        )
        for (line_ids, entry_ids), each in shown
    ]


def as_two_sides(outcome: Outcome, rows: pa.Table, side: int) -> tuple[Outcome, pa.Table, pa.Table]:
    """Reversals within one side, told as pairs of money in and money out, whose amounts are then as if it came in."""
    money_in, money_out = in_and_out(rows)

    def placed(table: pa.Table) -> pa.Table:
        own = table.filter(pc.equal(table["side"], side))
        is_out = pc.is_in(own["id"], money_out["id"].combine_chunks()).cast(pa.int8())
        return own.set_column(own.schema.get_field_index("side"), own.schema.field("side"), is_out)

    told = replace(outcome, match_rows=placed(outcome.match_rows), unmatched=placed(outcome.unmatched))
    return told, money_in, money_out


def turned_back(pair: Pair) -> Pair:
    """A pair of money in and money out with the sign that the latter has."""
    entries = (ShownRow(row.values | {"units": -row.values["units"]}, row.schema) for row in pair.entries)
    return replace(pair, entries=tuple(entries))


def _whole_groups(side: Side, table: pa.Table, ids: list[int], options: Options) -> dict[int, tuple[int, ...]]:
    """By id the ids of the rows that are grouped with it; where rows are not grouped, itself."""
    if not (ids and options.grouping and side in grouped_sides(options.strategy)):
        return {each: (each,) for each in ids}
    numbers, _ = group_numbers(dated(table, options.time_zone), None, options.grouping)
    all_ids = table["id"].combine_chunks()
    chosen = pc.is_in(all_ids, pa.array(ids, pa.int64()))
    number_of = dict(zip(all_ids.filter(chosen).to_pylist(), numbers.filter(chosen).to_pylist(), strict=True))
    among = pc.is_in(numbers, pa.array([each for each in number_of.values() if each is not None], numbers.type))
    members: dict[int, list[int]] = {}
    for number, row_id in zip(numbers.filter(among).to_pylist(), all_ids.filter(among).to_pylist(), strict=True):
        members.setdefault(number, []).append(row_id)
    return {row_id: tuple(members.get(number, [row_id])) for row_id, number in number_of.items()}


def _rows_by_id(table: pa.Table, ids: list[int]) -> dict[int, ShownRow]:
    rows = table.filter(pc.is_in(pc.field("id"), pa.array(ids, pa.int64()))).to_pylist()
    return {row["id"]: ShownRow(row, table.schema) for row in rows}


def explained(rule: Rule, pairs: Sequence[Pair], options: Options) -> list[Pair]:
    """The pairs with what each criterion says about them, by the SQL that matched them."""
    if not pairs:
        return []
    lines = _table(row for pair in pairs for row in pair.lines)
    entries = _table(row for pair in pairs for row in pair.entries)
    keys = [([_key(row) for row in pair.lines], [_key(row) for row in pair.entries]) for pair in pairs]
    told = explain_pairs([rule], lines, entries, keys, options)
    verdicts = {explanation.pair: explanation.verdicts for explanation in told}
    return [replace(pair, verdicts=verdicts[number]) for number, pair in enumerate(pairs)]


def _table(rows: Iterable[ShownRow]) -> pa.Table:
    """Each row once: two lines may come nearest to the same entry."""
    found = list({_key(row): row for row in rows}.values())
    return pa.Table.from_pylist([row.values for row in found], schema=found[0].schema)


def _key(row: ShownRow) -> tuple[int, int]:
    return row.id, row.part
