"""One rule at work on the rows that are still open: candidates, bands, who gets whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from recon.engine.alike import alike, kinds, settle_alike
from recon.engine.candidates import (
    Alias,
    Band,
    Join,
    amount_cells,
    date_cells,
    estimate,
    pair_query,
    plain_join,
    widening,
    widest_gap,
    within_budget,
)
from recon.engine.cells import fits_cells, settle_cells
from recon.engine.contest import Contest
from recon.engine.conversion import in_every_currency
from recon.engine.ordering import ranked
from recon.engine.pairs import Flags, Ints, Pairs
from recon.engine.plan import Plan
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.text_search import text_join
from recon.engine.units import Units, with_every_text

_DENSE = 8
"""Candidates per row above which a narrower search pays for its preparation."""

FEW_PAIRS = 50_000
"""Pairs that are compared sooner than their number is estimated."""

ALL = "all differences"

Way = Literal["at once", "bands", "cells", "kinds", "texts"]


@dataclass
class Work:
    """What one rule has to work with and what is known so far. ``left`` and ``right`` name tables of open units.

    ``key``: what the first candidates were looked up by. ``by_days``: cells of dates have paid before under this rule.
    """

    session: Session
    sides: Sides
    plan: Plan
    units: tuple[Units, Units]
    left: str
    right: str
    contest: Contest
    key: str = ""
    estimated: int = 0
    by_days: bool = False
    pairs_of: Ints | None = None  # how many of the pairs each lot has, where there are several
    alike: bool | None = None  # whether there are many more rows than kinds of them; not known until somebody asks
    steps: list[str] = field(default_factory=list)


def run_rule(work: Work) -> None:
    """Let the rule's candidates contest. Raises TooBroad before comparing too many pairs."""
    left_rows, right_rows = work.session.count(work.left), work.session.count(work.right)
    if not left_rows or not right_rows:
        return
    how, join, estimated = _way(work)
    if how == "bands":
        _run_bands(work)
    elif how == "cells":
        _settle_in_cells(work)
    elif how == "kinds":
        _settle_alike(work, None)
    else:
        if how == "texts":
            join, estimated = text_join(work.session, work.plan, join, (left_rows, right_rows))
        work.estimated = estimated
        within_budget(work.session, work.plan, estimated, left_rows, right_rows)
        _settle(work, _found(work, join), ALL, join)
        work.session.drop(*filter(None, [join.paired]))


def look_ahead(work: Work) -> tuple[Join, int]:
    """By what the rule would look its first candidates up, and about how many pairs that compares.

    Nothing is matched, and later bands of amounts are not counted. Raises TooBroad as the rule would.
    """
    session, plan = work.session, work.plan
    rows = session.count(work.left), session.count(work.right)
    how, join, estimated = _way(work)
    if how == "texts":
        join, estimated = text_join(session, plan, join, rows)
    if how == "bands":
        plan = _of_equal_amounts(plan)
        join, estimated = _narrowed(work, _band_join(work, Band(0, 0), work.left, work.right))
        if estimated > _DENSE * sum(rows) and (_in_cells(work) or _alike(work)):
            how = "kinds"
    if how in ("cells", "kinds"):
        tables = kinds(session, plan, work.left, "s"), kinds(session, plan, work.right, "l")
        join, estimated = _narrowed(work, plain_join(plan, *tables))
        rows = session.count(tables[0]), session.count(tables[1])
    within_budget(session, plan, estimated, *rows)
    return join, estimated


def _way(work: Work) -> tuple[Way, Join, int]:
    """How candidates are sought, the join where they are many, and about how many pairs it has."""
    plan, rows = work.plan, (work.session.count(work.left), work.session.count(work.right))
    join = plain_join(plan, *_sources(work, work.left, work.right))
    if work.sides.lots or rows[0] * rows[1] <= FEW_PAIRS:
        return "at once", join, rows[0] * rows[1] // max(1, work.sides.lots)
    join, estimated = _narrowed(work, join)
    if estimated <= _DENSE * sum(rows):
        return "at once", join, estimated
    if plan.amount is not None and not plan.exact_amount and not plan.texts:
        return "bands", join, estimated
    if plan.exact_amount and _in_cells(work):
        return "cells", join, estimated
    if _alike(work):
        return "kinds", join, estimated
    return "texts" if plan.texts else "at once", join, estimated


def _in_cells(work: Work) -> bool:
    return fits_cells(_of_equal_amounts(work.plan), work.sides) and not any(units.grouped for units in work.units)


def _settle_in_cells(work: Work) -> None:
    """The same as `_settle` for equal amounts, where many rows are alike."""
    plan = _of_equal_amounts(work.plan)

    def join_of(left: str, right: str) -> Join:
        join, estimated = _narrowed(work, plain_join(plan, left, right))
        work.estimated += estimated
        work.key = work.key or join.key
        within_budget(work.session, plan, estimated, work.session.count(left), work.session.count(right))
        return join

    pairs = settle_cells(work.session, plan, (work.left, work.right), work.contest, join_of)
    work.steps.append(f"equal amounts: {pairs} pairs of cells")


def _alike(work: Work) -> bool:
    """Whether rows that the rule cannot tell apart are so many that pairs of their kinds are far fewer."""
    if any(units.grouped for units in work.units) or work.plan.rule.cross_currency:
        return False
    if work.alike is None:
        work.alike = alike(work.session, work.plan, (work.left, work.right))
    return work.alike


def _settle_alike(work: Work, band: Band | None) -> None:
    """The same as `_settle`, where many rows are alike."""
    session, plan = work.session, work.plan

    def join_of(left: str, right: str) -> Join:
        rows = session.count(left), session.count(right)
        join, estimated = _narrowed(
            work, _band_join(work, band, left, right) if band else plain_join(plan, left, right)
        )
        if plan.texts and estimated > _DENSE * sum(rows):
            join, estimated = text_join(session, plan, join, rows)
        work.estimated += estimated
        work.key = work.key or join.key
        within_budget(session, plan, estimated, *rows)
        return join

    pairs = settle_alike(session, plan, (work.left, work.right), work.contest, join_of)
    what = f"difference {band.low} to {band.high}" if band else "all differences"
    work.steps.append(f"{what}: {pairs} pairs of kinds of rows")


def _of_equal_amounts(plan: Plan) -> Plan:
    """The plan for the pairs whose amounts do not differ at all."""
    return plan if plan.exact_amount else replace(plan, exact_amount=True, equal=(*plan.equal, ("s.amt", "l.amt")))


def _run_bands(work: Work) -> None:
    """Amount differences in widening bands.

    Each is searched only for rows that are still free, and for those whose pair another candidate would contest.
    """
    unsettled: tuple[str, str] | None = None
    for band in widening(widest_gap(work.session, work.plan, work.sides, work.right)):
        if band.high == 0:
            join, estimated = _narrowed(work, _band_join(work, band, work.left, work.right))
            rows = sum(work.session.count(table) for table in (work.left, work.right))
            if estimated > _DENSE * rows and _in_cells(work):
                _settle_in_cells(work)
            elif estimated > _DENSE * rows and _alike(work):
                _settle_alike(work, band)
            else:
                _settle_band(work, band, [(join, estimated, None)])
        else:
            unsettled = _unsettled(work, unsettled)
            searched = list(_still_searched(work, unsettled))
            if not searched:
                break
            joins = [(*_narrowed(work, _band_join(work, band, *search.tables)), search.known) for search in searched]
            _settle_band(work, band, joins)
    work.session.drop(*unsettled or ())


def _settle_band(work: Work, band: Band, joins: Sequence[tuple[Join, int, Flags | None]]) -> None:
    estimated = sum(each for _, each, _ in joins)
    if estimated > _DENSE * sum(work.session.count(table) for table in (work.left, work.right)) and _alike(work):
        _settle_alike(work, band)
        return
    work.estimated += estimated
    within_budget(work.session, work.plan, estimated, work.session.count(work.left), work.session.count(work.right))
    tables = []
    for join, _, known in joins:
        found = _found(work, join)
        tables.append(found if known is None else found.filter(pa.array(~known[found["s"].to_numpy()])))
    _settle(work, pa.concat_tables(tables), f"difference {band.low} to {band.high}", joins[0][0])


class _Search(NamedTuple):
    """Two tables whose rows must meet. ``known``: lines whose pairs another search finds."""

    tables: tuple[str, str]
    known: Flags | None = None


def _unsettled(work: Work, before: tuple[str, str] | None) -> tuple[str, str]:
    """Tables of the rows that are free or ``looking``; none is who was neither in the band before."""
    columns = "t.* REPLACE (given.looking AS looking)" if before else "t.*, given.looking"
    tables = []
    for side, table in enumerate(before or (work.left, work.right)):
        looking = work.contest.looking(side)
        rows = np.flatnonzero(looking | work.contest.free(side)).astype(np.int32)
        chosen = pa.table({"u": rows, "looking": looking[rows]})
        query = f"SELECT {columns} FROM {table} t JOIN given USING (u)"
        tables.append(work.session.create_from("unsettled", chosen, query))
    work.session.drop(*before or ())
    return tables[0], tables[1]


def _still_searched(work: Work, unsettled: tuple[str, str]) -> Iterator[_Search]:
    """Which rows must meet in the next band, so that nothing is missed that matters."""
    look, free = (
        [source if work.session.count(source) else None for source in sources]
        for sources in (
            [f"(FROM {table} WHERE looking)" for table in unsettled],
            [f"(FROM {table} WHERE NOT looking)" for table in unsettled],
        )
    )
    if look[0]:
        yield _Search((look[0], work.right))
    if look[1]:
        yield _Search((work.left, look[1]), work.contest.looking(0))
    if free[0] and free[1]:
        yield _Search((free[0], free[1]))


def _band_join(work: Work, band: Band, left: str, right: str) -> Join:
    sources = _sources(work, left, right)
    if band.high == 0:
        return plain_join(work.plan, *sources, band)
    spread: Alias = "s" if work.session.count(left) <= work.session.count(right) else "l"
    return amount_cells(Join(*sources, work.plan.equal, spread=spread), band, work.sides)


def _sources(work: Work, left: str, right: str) -> tuple[str, str]:
    """The units as candidates are sought among: in every text of a group, in every currency with a rate."""
    left = with_every_text(work.units[0], left, work.plan.criteria)
    right = with_every_text(work.units[1], right, work.plan.criteria)
    if work.plan.rule.cross_currency:
        left = in_every_currency(work.session, work.sides, left)
    return left, right


def _narrowed(work: Work, join: Join) -> tuple[Join, int]:
    """The join, by cells of dates where that leaves half as many candidates; and how many there are then."""
    cells = date_cells(join, work.plan)
    if cells is not None and work.by_days:
        return cells, estimate(work.session, cells)
    estimated = estimate(work.session, join)
    if cells is None or estimated <= 2 * work.session.count(work.left):
        return join, estimated
    fewer = estimate(work.session, cells)
    work.by_days = fewer * 2 < estimated
    return (cells, fewer) if work.by_days else (join, estimated)


def _found(work: Work, join: Join) -> pa.Table:
    repeated = any(units.several for units in work.units) or work.plan.rule.cross_currency
    return work.session.arrow(pair_query(work.plan, join, once=repeated))


def _settle(work: Work, found: pa.Table, what: str, join: Join) -> None:
    before, work.key = work.contest.pairs, work.key or join.key
    contested = _without_sole(work.contest, found)
    work.contest.add(ranked(work.session, contested, [name for name, _ in work.plan.order]))
    work.steps.append(step(what, work.contest.pairs - before, join))
    if work.sides.lots:
        lots = work.sides.rows["statement"]["lot"].to_numpy()
        work.pairs_of = np.bincount(lots[found["s"].to_numpy()], minlength=work.sides.lots)


def _without_sole(contest: Contest, found: pa.Table) -> pa.Table:
    """Let pairs that nobody contests be taken, and give the rest."""
    if not contest.may_have_sole(found.num_rows):
        return found
    sole = contest.sole(found["s"].to_numpy(), found["l"].to_numpy())
    alone = found if sole.all() else found.filter(pa.array(sole))
    contest.add_sole(Pairs(*(alone[name].to_numpy() for name in ("s", "l", "gap", "apart"))))
    return found.filter(pa.array(~sole))


def step(what: str, pairs: int, join: Join) -> str:
    """One step of a rule in words."""
    return f"{what}: {pairs} pairs by {join.told()}"
