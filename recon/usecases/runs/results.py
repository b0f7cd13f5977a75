"""A run's outcome on its way into the database: loaded in bulk, and seen by nobody until the run completes.

Everything is keyed by the run's number (matches) or by the run's own block of match ids (what belongs to a match), by
which what a cut-off attempt has stored is found (`recon.usecases.runs.leftovers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property, partial
from itertools import accumulate
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from recon.engine import Outcome
from recon.models import (
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchRunnerUp,
    MatchState,
    Side,
    UnmatchedItem,
    reserve_ids,
)
from recon.usecases.bulk.alongside import alongside
from recon.usecases.bulk.rows import load_rows
from recon.usecases.review.open_items import ItemIds, item_ids, sides_reported
from recon.usecases.runs.first_items import first_items
from recon.usecases.runs.input import RunInput
from recon.usecases.runs.totals import places, totals

FEW = 30_000
"""Rows of results up to which one transaction stores them, on one connection: a second one, and a commit for each
table, would take longer; and whoever wants to write to the embedded database waits that long."""

Progress = Callable[[type[Model], int], None]
"""Hears how many rows of a table are stored; may raise to stop."""


@dataclass(frozen=True)
class Results:
    """What is to be stored: one Arrow table per bulk table, the kept counts, and what each rule did."""

    tables: dict[type[Model], pa.Table]  # but for matches and their rows, only those that have rows
    match_ids: tuple[int, int]  # the block they have: first and last
    claims: pa.Table  # what the run's confirmed matches claim once it completes, in the order of the claims' key
    counts: dict[str, int]
    add_up: Callable[[], dict[str, Any]]
    by_rule: list[tuple[int, int]]  # (matched, suggested) matches, in rule order
    passes_over: bool  # whether entries are open that were not read, see `recon.usecases.runs.passed_over`
    until: date  # the day up to which the ledger side is the run's business
    item_ids: ItemIds | None  # for what a large run opens and resolves
    items: pa.Table | None = None  # open items that may be loaded at once, see `recon.usecases.runs.first_items`

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in (*self.tables.values(), self.claims))

    @cached_property
    def totals(self) -> dict[str, Any]:
        """What it comes to. Of many rows this takes a while, in which they may already be on their way."""
        return self.add_up()

    @property
    def are_few(self) -> bool:
        """Whether one transaction stores all of it."""
        return self.rows <= FEW

    @property
    def left_open(self) -> int:
        """Row parts that a real run makes open items of."""
        return left_open(self.counts)


def prepare(
    run: MatchingRun,
    rows: RunInput,
    outcome: Outcome,
    version_ids: Sequence[int],
    first_match: int | None = None,
    placed: pa.Table | None = None,
) -> Results:
    """The outcome in the shape of the tables, with ids from a block of the run's own: `first_match` and those after
    it, if these are reserved already. `placed`: its `placed_rows`, if they are there."""
    until = closing_date(run, rows.statement)
    unmatched = reported(run, rows, outcome.unmatched, until)
    states = outcome.matches.select(["match_no", "state"])
    placed = placed_rows(outcome) if placed is None else placed
    counts = count(rows.statement.num_rows, states, placed, unmatched)
    add_up = partial(
        totals,
        {Side.STATEMENT: rows.statement, Side.LEDGER: rows.ledger},
        placed,
        with_state(outcome.differences, states),
        unmatched,
    )
    first = reserve_ids(Match, outcome.matches.num_rows) if first_match is None else first_match
    match_ids = id_block(first)
    tables: dict[type[Model], pa.Table] = {
        Match: match_table(run, outcome.matches, match_ids, version_ids),
        MatchRow: of_matches(placed, match_ids, ("side", "row_id", "part", "units")),
    }
    if outcome.differences.num_rows:
        columns = of_matches(outcome.differences, match_ids, ("units", "scale", "currency", "type"))
        tables[MatchDifference] = with_comment(columns)
    if outcome.runners_up.num_rows:
        with_gap = with_gap_as_text(outcome.runners_up)
        tables[MatchRunnerUp] = of_matches(with_gap, match_ids, ("rank", "side", "row_id", "part", "gap"))
    if unmatched.num_rows:
        tables[UnmatchedItem] = unmatched_table(run, unmatched, version_ids)
    by_rule = matches_by_rule(outcome.matches, len(version_ids))
    claims = claim_table(run, placed, match_ids)
    passes_over = bool(rows.explanation.get("narrowed")) and Side.LEDGER in sides_reported(run.account)
    block = (first, first + outcome.matches.num_rows - 1)
    items = first_items(run, rows, placed, unmatched)
    ids = None if run.is_dry_run else item_ids(left_open(counts), claims.num_rows)
    return Results(tables, block, claims, counts, add_up, by_rule, passes_over, until, ids, items)


def placed_rows(outcome: Outcome) -> pa.Table:
    """The rows of matches with their match's ``state``, in the order of their keys."""
    return with_state(by_row(outcome.match_rows), outcome.matches.select(["match_no", "state"]))


def placed_of_each(outcomes: Sequence[Outcome]) -> list[pa.Table]:
    """The `placed_rows` of each of several outcomes, for about what those of one cost."""
    rows = pa.concat_tables([each.match_rows for each in outcomes])
    sizes = [each.match_rows.num_rows for each in outcomes]
    states = pa.concat_tables([each.matches.select(["state"]) for each in outcomes])["state"]
    matches_before = np.cumsum([0, *(each.matches.num_rows for each in outcomes)])
    outcome = np.repeat(np.arange(len(outcomes)), sizes)
    numbers = rows["match_no"].to_numpy() - 1 + matches_before[outcome]  # those of an outcome begin with 1
    keys = [rows[name].to_numpy() for name in ("part", "id", "side")]
    order = pa.array(np.lexsort([*keys, outcome]))
    placed = rows.append_column("state", states.take(pa.array(numbers))).take(order).combine_chunks()
    return [placed.slice(end - size, size) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def left_open(counts: Mapping[str, int]) -> int:
    """Row parts that are unmatched or only suggested."""
    counted = ("lines_unmatched", "lines_suggested", "entries_unmatched", "entries_suggested")
    return sum(number for name, number in counts.items() if name in counted)


def with_state(table: pa.Table, states: pa.Table) -> pa.Table:
    """The rows of a table that belong to one of the matches, with that match's state. A join of Arrow's would take
    milliseconds of several threads for the few rows of a small run."""
    if not table.num_rows:
        return table.append_column("state", pa.chunked_array([], states["state"].type))
    at = places(table["match_no"], states["match_no"])
    found = pc.is_valid(at)
    return table.filter(found).append_column("state", states["state"].take(at.filter(found)))


def load(results: Sequence[Results], progress: Progress, hold: Callable[[], None] | None = None) -> None:
    """Load the results of a run, or of several at once, but for the claims. Each transaction calls `hold`, which
    may raise.

    The rows of the matches, which are most of it, and differences go in beside everything else.
    """
    models = dict.fromkeys(model for each in results for model in each.tables)
    rest = {
        model: pa.concat_tables([each.tables[model] for each in results if model in each.tables]) for model in models
    }
    rows: dict[type[Model], pa.Table] = {MatchRow: in_stored_order(rest.pop(MatchRow))}
    if MatchDifference in rest:  # so that both take about as long
        rows[MatchDifference] = rest.pop(MatchDifference)

    def into_tables(tables: dict[type[Model], pa.Table]) -> None:
        for model, table in tables.items():
            if table.num_rows:
                progress(model, 0)
                load_rows(model, table, progress=partial(progress, model), hold=hold)

    alongside(partial(into_tables, rest), partial(into_tables, rows))


def in_stored_order(rows: pa.Table) -> pa.Table:
    """Match rows as SQLite keeps them: where each finds its place at the end of the last it takes half the time.
    PostgreSQL keeps rows as they come, and looks for them by row."""
    if connection.vendor == "postgresql":
        return rows
    return rows.take(pa.array(np.argsort(rows["match_id"].to_numpy(), kind="stable")))


def claims_of(results: Sequence[Results]) -> pa.Table:
    """What several runs of one account claim, in the order of the claims' key."""
    claims = pa.concat_tables([each.claims for each in results])
    return claims.sort_by([("side", "ascending"), ("row_id", "ascending"), ("part", "ascending")])


def id_block(first: int) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """From the engine's match numbers (1, 2, …) to ids of a reserved block."""
    shift = first - 1

    def match_ids(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
        return pc.add(numbers, shift)

    return match_ids


def match_table(
    run: MatchingRun,
    matches: pa.Table,
    match_ids: Callable[[pa.ChunkedArray], pa.ChunkedArray],
    version_ids: Sequence[int],
) -> pa.Table:
    rows = matches.num_rows
    proposed = {MatchState.CONFIRMED.value: MatchState.PROPOSED.value} if run.is_dry_run else {}
    kept = ("origin", "decided_by", "currency", "scale", "line_units", "entry_units", "cleared_on")
    return pa.table(
        {
            "id": match_ids(matches["match_no"]),
            "account_id": constant(run.account_id, rows),
            "run_number": constant(run.number, rows),
            "rule_version_id": pa.array(version_ids, pa.int64()).take(matches["rule_index"].combine_chunks()),
            "state": renamed(matches["state"], proposed),
            "created_at": constant(timezone.now(), rows),
            "state_changed_at": pa.nulls(rows, pa.timestamp("us", tz="UTC")),
            **{name: matches[name] for name in kept},
        }
    )


def of_matches(
    table: pa.Table, match_ids: Callable[[pa.ChunkedArray], pa.ChunkedArray], columns: tuple[str, ...]
) -> pa.Table:
    """A table of things that belong to matches, with our ids and names."""
    found = {name: table["id" if name == "row_id" else name] for name in columns}
    return pa.table({"match_id": match_ids(table["match_no"]), **found})


def claim_table(
    run: MatchingRun, placed: pa.Table, match_ids: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> pa.Table:
    """What the confirmed matches of a real run claim, in the order of `placed`."""
    if run.is_dry_run:
        return _NO_CLAIMS
    confirmed = pc.equal(placed["state"], MatchState.CONFIRMED.value)
    rows = of_matches(placed, match_ids, ("side", "row_id", "part")).filter(confirmed)
    return rows.append_column("account_id", constant(run.account_id, rows.num_rows))


_NO_CLAIMS: Final = pa.schema(
    [("match_id", pa.int64()), ("side", pa.int8()), ("row_id", pa.int64()), ("part", pa.int32()),
     ("account_id", pa.int64())]
).empty_table()  # fmt: skip


def by_row(rows: pa.Table) -> pa.Table:
    """In the order of side, id and part; where no row is split, by one number that is nearly in order already."""
    if pc.max(rows["part"]).as_py():
        return rows.sort_by([("side", "ascending"), ("id", "ascending"), ("part", "ascending")])
    key = rows["id"].to_numpy() + (rows["side"].to_numpy().astype(np.int64) << 62)
    return rows.take(pa.array(np.argsort(key, kind="stable")))


def with_comment(differences: pa.Table) -> pa.Table:
    return differences.append_column("comment", constant("", differences.num_rows))


def with_gap_as_text(runners_up: pa.Table) -> pa.Table:
    """The amount differences of runners-up as decimals; those of a dry run that is applied are such already."""
    if "scale" not in runners_up.column_names:
        return runners_up
    scale = runners_up["scale"][0].as_py() if runners_up.num_rows else 0
    one = pa.scalar(Decimal(1).scaleb(-scale), pa.decimal128(scale + 1, scale))
    gap = pc.multiply(runners_up["gap"].cast(pa.decimal128(19, 0)), one).cast(pa.string())
    return runners_up.set_column(runners_up.column_names.index("gap"), "gap", gap)


def with_difference(unmatched: pa.Table) -> pa.ChunkedArray:
    """The engine's detail (a JSON object or null), with the amount difference to the nearest row put in front."""
    units, scale = (unmatched[name].cast(pa.string()) for name in ("difference_units", "scale"))
    difference = pc.binary_join_element_wise('{"difference_units":', units, ',"scale":', scale, "")
    detail = unmatched["detail"]
    rest = pc.if_else(pc.equal(detail, "{}"), None, pc.utf8_slice_codeunits(detail, 1))
    joined = pc.binary_join_element_wise(difference, pc.fill_null(rest, "}"), ",")
    alone = pc.binary_join_element_wise(difference, "}", "")
    return pc.coalesce(pc.if_else(pc.is_valid(rest), joined, alone), detail)


def unmatched_table(run: MatchingRun, unmatched: pa.Table, version_ids: Sequence[int]) -> pa.Table:
    return pa.table(
        {
            "run_number": constant(run.number, unmatched.num_rows),
            "side": unmatched["side"],
            "row_id": unmatched["id"],
            "part": unmatched["part"],
            "reason": unmatched["reason"],
            "rule_version_id": pa.array(version_ids, pa.int64()).take(unmatched["rule_index"].combine_chunks()),
            "criterion": unmatched["criterion"],
            "nearest_row_id": unmatched["nearest_id"],
            "detail": with_difference(unmatched),
        }
    )


def reported(run: MatchingRun, rows: RunInput, unmatched: pa.Table, until: date) -> pa.Table:
    """Without the ledger rows that are no work of this account: no scope, before its cut-over, after the closing."""
    if Side.LEDGER not in sides_reported(run.account):
        return unmatched.filter(pc.equal(unmatched["side"], int(Side.STATEMENT)))
    dates = rows.ledger["booking_date"]
    outside = pc.fill_null(pc.greater(dates, until), False)
    if run.account.cut_over:
        outside = pc.or_(outside, pc.fill_null(pc.less(dates, run.account.cut_over), False))
    other_days = rows.ledger["id"].filter(outside)
    ledger_side = pc.equal(unmatched["side"], int(Side.LEDGER))
    return unmatched.filter(pc.invert(pc.and_(ledger_side, pc.is_in(unmatched["id"], value_set=other_days))))


def closing_date(run: MatchingRun, lines: pa.Table) -> date:
    """The day up to which the ledger side is this run's business: the statement's end, else its last line's date, else
    there is no such limit."""
    stated = run.statement.period_end if run.statement else None
    last: date = stated or pc.max(lines["booking_date"]).as_py() or date.max
    return last


def count(lines_total: int, states: pa.Table, placed: pa.Table, unmatched: pa.Table) -> dict[str, int]:
    """The run's kept counts, in row parts. Refuses an outcome that does not account for every line."""
    counts = {"lines_total": lines_total, "entries_total": 0}
    sides, left = placed["side"].to_numpy(), unmatched["side"].to_numpy()
    placed_as = {
        outcome: pc.equal(placed["state"], state.value).to_numpy()
        for state, outcome in ((MatchState.CONFIRMED, "matched"), (MatchState.SUGGESTED, "suggested"))
    }
    for side, name in ((Side.STATEMENT, "lines"), (Side.LEDGER, "entries")):
        for outcome, flags in placed_as.items():
            counts[f"{name}_{outcome}"] = int(np.count_nonzero(flags & (sides == int(side))))
        counts[f"{name}_unmatched"] = int(np.count_nonzero(left == int(side)))
    counts["entries_total"] = sum(counts[f"entries_{what}"] for what in ("matched", "suggested", "unmatched"))
    accounted = sum(counts[f"lines_{what}"] for what in ("matched", "suggested", "unmatched"))
    if accounted != lines_total:
        raise RuntimeError(f"the matching accounts for {accounted} of {lines_total} statement lines")
    for state, name in ((MatchState.CONFIRMED, "confirmed"), (MatchState.SUGGESTED, "suggested")):
        counts[f"matches_{name}"] = how_many(pc.equal(states["state"], state.value))
    return counts


def how_many(condition: pa.ChunkedArray) -> int:
    return pc.sum(condition).as_py() or 0


def matches_by_rule(matches: pa.Table, rules: int) -> list[tuple[int, int]]:
    """(confirmed, suggested) matches of each of so many rules."""
    rule = matches["rule_index"].to_numpy()
    confirmed, suggested = (
        np.bincount(rule[pc.equal(matches["state"], state.value).to_numpy()], minlength=rules).tolist()
        for state in (MatchState.CONFIRMED, MatchState.SUGGESTED)
    )
    return list(zip(confirmed, suggested, strict=True))


def constant(value: object, rows: int) -> pa.Array:
    if isinstance(value, (int, str)):
        return pa.repeat(value, rows)
    return pa.repeat(pa.scalar(value, pa.timestamp("us", tz="UTC")), rows)


def renamed(column: pa.ChunkedArray, names: dict[str, str]) -> pa.ChunkedArray:
    for old, new in names.items():
        column = pc.if_else(pc.equal(column, old), new, column)
    return column
