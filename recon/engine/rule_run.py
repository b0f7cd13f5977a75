"""One rule at work on the rows that are still open: candidates, bands, who gets whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from recon.engine.candidates import (
    Band,
    Join,
    amount_cells,
    date_cells,
    estimate,
    pair_query,
    plain_join,
    widest_gap,
    within_budget,
)
from recon.engine.cells import fits_cells, settle_cells
from recon.engine.contest import Contest, Flags
from recon.engine.conversion import in_every_currency
from recon.engine.ordering import in_order, pairs_of
from recon.engine.plan import Plan
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.text_search import text_join
from recon.engine.units import Units, with_every_text

_DENSE = 8
"""Candidates per row above which a narrower search pays for its preparation."""

_FEW_PAIRS = 50_000
"""Pairs that are compared sooner than their number is estimated."""


@dataclass
class Work:
    """What one rule has to work with and what is known so far. ``left`` and ``right`` name tables of open units."""

    session: Session
    sides: Sides
    plan: Plan
    units: tuple[Units, Units]
    left: str
    right: str
    contest: Contest
    estimated: int = 0
    steps: list[str] = field(default_factory=list)


def run_rule(work: Work) -> None:
    """Let the rule's candidates contest. Raises TooBroad before comparing too many pairs."""
    session, plan = work.session, work.plan
    left_rows, right_rows = session.count(work.left), session.count(work.right)
    if not left_rows or not right_rows:
        return
    join = plain_join(plan, *_sources(work, work.left, work.right))
    if left_rows * right_rows <= _FEW_PAIRS:
        work.estimated = left_rows * right_rows
        _settle(work, [join], "all differences")
        return
    join, estimated = _narrowed(work, join)
    dense = estimated > _DENSE * (left_rows + right_rows)
    if dense and plan.amount is not None and not plan.exact_amount and not plan.texts:
        _run_bands(work)
        return
    if dense and plan.exact_amount and _in_cells(work):
        _settle_in_cells(work)
        return
    if dense and plan.texts:
        join, estimated = text_join(session, plan, join, (left_rows, right_rows))
    work.estimated = estimated
    within_budget(session, plan, estimated, left_rows, right_rows)
    _settle(work, [join], "all differences")


def _in_cells(work: Work) -> bool:
    return fits_cells(_of_equal_amounts(work.plan), work.sides) and not any(units.grouped for units in work.units)


def _settle_in_cells(work: Work) -> None:
    """The same as `_settle` for equal amounts, where many rows are alike."""
    plan = _of_equal_amounts(work.plan)

    def join_of(left: str, right: str) -> Join:
        join, estimated = _narrowed(work, plain_join(plan, left, right))
        work.estimated += estimated
        within_budget(work.session, plan, estimated, work.session.count(left), work.session.count(right))
        return join

    pairs = settle_cells(work.session, plan, (work.left, work.right), work.contest, join_of)
    work.steps.append(f"equal amounts: {pairs} pairs of cells")


def _of_equal_amounts(plan: Plan) -> Plan:
    """The plan for the pairs whose amounts do not differ at all."""
    return plan if plan.exact_amount else replace(plan, exact_amount=True, equal=(*plan.equal, ("s.amt", "l.amt")))


def _run_bands(work: Work) -> None:
    """Amount differences in widening bands.

    Each is searched only for rows that are still free, and for those whose pair another candidate would contest.
    """
    session, plan = work.session, work.plan
    widest = widest_gap(plan, work.sides)
    low = high = 0
    while low <= widest:
        band = Band(low, min(high, widest))
        searched = [(work.left, work.right)] if low == 0 else list(_still_searched(work))
        joins = [_band_join(work, band, *tables) for tables in searched]
        if not joins:
            return
        narrowed = [_narrowed(work, join) for join in joins]
        estimated = sum(each for _, each in narrowed)
        rows = session.count(work.left), session.count(work.right)
        if low == 0 and estimated > _DENSE * sum(rows) and _in_cells(work):
            _settle_in_cells(work)
        else:
            work.estimated += estimated
            within_budget(session, plan, estimated, *rows)
            _settle(work, [join for join, _ in narrowed], f"difference {band.low} to {band.high}")
        session.drop(*{table for tables in searched for table in tables} - {work.left, work.right})
        low, high = high + 1, max(1, high * 4)


def _still_searched(work: Work) -> Iterator[tuple[str, str]]:
    """Which rows must meet which in the next band: disjoint pairs of tables that miss nothing that matters."""
    look, free = [], []
    for side, table in enumerate((work.left, work.right)):
        looking = work.contest.looking(side)
        look.append(_part(work, table, looking))
        free.append(_part(work, table, work.contest.free(side) & ~looking))
    if look[0]:
        yield look[0], work.right
    if look[1]:
        rest = _part(work, work.left, ~work.contest.looking(0))
        if rest:
            yield rest, look[1]
    if free[0] and free[1]:
        yield free[0], free[1]


def _part(work: Work, table: str, which: Flags) -> str | None:
    """A table of some of the units of a table; None if it would be empty."""
    chosen = pa.table({"u": np.flatnonzero(which).astype(np.int32)})
    part = work.session.create_from("part", chosen, f"SELECT t.* FROM {table} t SEMI JOIN given USING (u)")
    if work.session.count(part):
        return part
    work.session.drop(part)
    return None


def _band_join(work: Work, band: Band, left: str, right: str) -> Join:
    sources = _sources(work, left, right)
    if band.high == 0:
        return plain_join(work.plan, *sources, band)
    few = work.session.count(left) <= work.session.count(right)
    return amount_cells(Join(*sources, work.plan.equal), band, work.sides, spread="s" if few else "l")


def _sources(work: Work, left: str, right: str) -> tuple[str, str]:
    """The units as candidates are sought among: in every text of a group, in every currency with a rate."""
    left = with_every_text(work.units[0], left, work.plan.criteria)
    right = with_every_text(work.units[1], right, work.plan.criteria)
    if work.plan.rule.cross_currency:
        left = in_every_currency(work.session, work.sides, left)
    return left, right


def _narrowed(work: Work, join: Join) -> tuple[Join, int]:
    """The join, by cells of dates where that leaves half as many candidates; and how many there are then."""
    estimated = estimate(work.session, join)
    cells = date_cells(join, work.plan)
    if cells is None or estimated <= 2 * work.session.count(work.left):
        return join, estimated
    fewer = estimate(work.session, cells)
    return (cells, fewer) if fewer * 2 < estimated else (join, estimated)


def _settle(work: Work, joins: list[Join], what: str) -> None:
    session, plan = work.session, work.plan
    repeated = any(units.several for units in work.units) or plan.rule.cross_currency
    found = session.arrow(" UNION ALL ".join(f"({pair_query(plan, join, once=repeated)})" for join in joins))
    before = work.contest.pairs
    _feed(session, found, [name for name, _ in plan.order], work.contest)
    work.steps.append(f"{what}: {work.contest.pairs - before} pairs by {joins[0].on()}")


def _feed(session: Session, found: pa.Table, order: list[str], contest: Contest) -> None:
    """Give the pairs to the contest: those that nobody contests as they come, the others in order."""
    pairs = pairs_of(found)
    several = [np.bincount(rows, minlength=1) > 1 for rows in (pairs.line, pairs.entry)]
    contested = several[0][pairs.line] | several[1][pairs.entry]
    if not contested.any():
        contest.add_alone(pairs)
        return
    contest.add_alone(pairs.only(~contested))
    del pairs
    contest.add(in_order(session, found if contested.all() else found.filter(pa.array(contested)), order))
