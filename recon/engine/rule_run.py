"""One rule at work on the rows that are still open: candidates, bands, decisions, limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
from recon.engine.conversion import in_every_currency
from recon.engine.decide import Resolved, losers, settle
from recon.engine.plan import Plan
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.text_search import text_join
from recon.engine.twins import twin_table
from recon.engine.units import Units, with_every_text
from rules.criteria.scope import units_down

_DENSE = 8
"""Candidates per row above which a narrower search pays for its preparation."""

TAKEN = (
    "CREATE TABLE taken (rule INTEGER, s BIGINT, l BIGINT, gap HUGEINT, state VARCHAR, decided_by VARCHAR)",
    "CREATE TABLE runners (rule INTEGER, s BIGINT, l BIGINT, side TINYINT, u BIGINT, gap HUGEINT, rank INTEGER)",
)
"""Taken pairs of units by rule, with state confirmed, suggested or skipped; and for each suggested one the best other
candidate of its line (side 1, an entry) and of its entry (side 0, a line)."""


@dataclass
class Work:
    """What one rule has to work with and what is known so far. ``left`` and ``right`` name tables of open units."""

    session: Session
    sides: Sides
    plan: Plan
    index: int
    units: tuple[Units, Units]
    left: str
    right: str
    estimated: int = 0
    candidates: int = 0
    steps: list[str] = field(default_factory=list)
    lost: tuple[str, str] | None = None


def run_rule(work: Work) -> None:
    """Insert what the rule takes into ``taken`` and ``runners``. Raises TooBroad before comparing too many pairs."""
    session, plan = work.session, work.plan
    left_rows, right_rows = session.count(work.left), session.count(work.right)
    if not left_rows or not right_rows:
        return
    whole = plain_join(plan, *_sources(work))
    estimated = estimate(session, whole)
    dense = estimated > _DENSE * (left_rows + right_rows)
    if dense and plan.amount is not None and not plan.exact_amount and not plan.texts:
        _run_bands(work)
        return
    if dense and plan.exact_amount and _in_cells(work):
        _settle_in_cells(work)
        return
    join = _narrowed(work, whole, estimated) if dense else whole
    if dense and plan.texts:
        join = text_join(session, plan, join, (left_rows, right_rows))
    work.estimated = estimate(session, join) if join is not whole else estimated
    within_budget(session, plan, work.estimated, left_rows, right_rows)
    _settle(work, join, "all differences")


def _in_cells(work: Work) -> bool:
    return fits_cells(_of_equal_amounts(work.plan), work.sides) and not any(units.grouped for units in work.units)


def _settle_in_cells(work: Work) -> Resolved:
    """The same as `_settle` for equal amounts, where many rows are alike."""
    plan = _of_equal_amounts(work.plan)

    def join_of(left: str, right: str) -> Join:
        join = plain_join(plan, left, right)
        join = _narrowed(work, join, estimate(work.session, join))
        estimated = estimate(work.session, join)
        work.estimated += estimated
        within_budget(work.session, plan, estimated, work.session.count(left), work.session.count(right))
        return join

    resolved = settle_cells(work.session, plan, (work.left, work.right), _twins(work), join_of)
    work.candidates += resolved.pairs
    work.steps.append(f"equal amounts: {resolved.pairs} pairs of cells")
    _record(work, resolved)
    return resolved


def _of_equal_amounts(plan: Plan) -> Plan:
    """The plan for the pairs whose amounts do not differ at all."""
    return plan if plan.exact_amount else replace(plan, exact_amount=True, equal=(*plan.equal, ("s.amt", "l.amt")))


def _run_bands(work: Work) -> None:
    """Amount differences in widening bands, each on the rows that the narrower ones left."""
    session, plan = work.session, work.plan
    widest = widest_gap(plan, work.sides)
    low = high = 0
    while low <= widest:
        left_rows, right_rows = session.count(work.left), session.count(work.right)
        if not left_rows or not right_rows:
            return
        band = Band(low, min(high, widest))
        left, right = _sources(work)
        join = plain_join(plan, left, right, band)
        if band.high:
            join = amount_cells(Join(left, right, plan.equal), plan, band, work.sides)
        estimated = estimate(session, join)
        if band.high == 0 and estimated > _DENSE * (left_rows + right_rows) and _in_cells(work):
            _keep_open(work, _settle_in_cells(work))
            low = high = 1
            continue
        join = _narrowed(work, join, estimated)
        work.estimated += estimated
        within_budget(session, plan, estimated, left_rows, right_rows)
        resolved = _settle(work, join, f"difference {band.low} to {band.high}")
        _keep_open(work, resolved)
        low, high = high + 1, max(1, high * 4)


def _sources(work: Work) -> tuple[str, str]:
    """The open units as candidates are sought among: in every text of a group, in every currency with a rate."""
    left = with_every_text(work.units[0], work.left, work.plan.criteria)
    right = with_every_text(work.units[1], work.right, work.plan.criteria)
    if work.plan.rule.cross_currency:
        left = in_every_currency(work.session, work.sides, left)
    return left, right


def _narrowed(work: Work, join: Join, estimated: int) -> Join:
    """Add the date window as cells where the keys alone leave too many candidates."""
    cells = date_cells(join, work.plan)
    if cells is None or estimated <= _DENSE * work.session.count(work.left):
        return join
    return cells if estimate(work.session, cells) * 2 < estimated else join


def _keep_open(work: Work, resolved: Resolved) -> None:
    """What the next band works on: the rows not taken, and which of them have lost a candidate already."""
    session = work.session
    lost = work.lost or (None, None)
    work.lost = (losers(session, resolved, "s", lost[0]), losers(session, resolved, "l", lost[1]))
    left = session.create("open_s", f"SELECT t.* FROM {work.left} t ANTI JOIN {resolved.taken} w ON t.u = w.s")
    right = session.create("open_l", f"SELECT t.* FROM {work.right} t ANTI JOIN {resolved.taken} w ON t.u = w.l")
    session.drop(*(name for name in (work.left, work.right) if name.startswith("open_")), resolved.taken)
    work.left, work.right = left, right


def _settle(work: Work, join: Join, what: str) -> Resolved:
    session, plan = work.session, work.plan
    repeated = any(units.several for units in work.units) or plan.rule.cross_currency
    pairs = session.create("pairs", pair_query(plan, join, once=repeated))
    resolved = settle(
        session,
        pairs,
        [name for name, _ in plan.order],
        by_date=plan.rule.on_ambiguity == "date",
        twins=lambda: _twins(work),
    )
    session.drop(pairs)
    work.candidates += resolved.pairs
    work.steps.append(f"{what}: {resolved.pairs} pairs by {join.on()}")
    _record(work, resolved)
    return resolved


def _record(work: Work, resolved: Resolved) -> None:
    session, rule = work.session, work.plan.rule
    lost = "false"
    if work.lost:
        lost = f"t.s IN (FROM {work.lost[0]}) OR t.l IN (FROM {work.lost[1]})"
    decided = f"t.rank_s IS NULL AND t.rank_l IS NULL AND NOT ({lost})"
    otherwise = {"review": "suggested", "date": "suggested", "best": "confirmed", "skip": "skipped"}[rule.on_ambiguity]
    named = "best" if rule.on_ambiguity == "best" else "ambiguous"
    limit = _limit(work)
    over = f"t.gap > {limit}" if limit is not None else "false"
    session.run(
        f"""INSERT INTO taken SELECT {work.index}, s, l, gap,
                CASE WHEN NOT decided AND '{otherwise}' <> 'confirmed' THEN '{otherwise}'
                     WHEN over THEN 'suggested' ELSE 'confirmed' END,
                CASE WHEN NOT decided AND '{otherwise}' <> 'confirmed' THEN '{named}'
                     WHEN over THEN 'limit' WHEN decided THEN how ELSE '{named}' END
            FROM (SELECT t.s, t.l, t.gap, t.how, {decided} AS decided, {over} AS over FROM {resolved.taken} t)"""
    )
    for side, row, first in ((1, "s", "coalesce(rank_l, rank_s)"), (0, "l", "coalesce(rank_s - 1, rank_l)")):
        session.run(
            f"""INSERT INTO runners SELECT {work.index}, s, l, {side}, rival_{row}, gap_{row},
                    CASE WHEN rank_{row} > {first} THEN 2 ELSE 1 END
                FROM {resolved.taken} WHERE rival_{row} IS NOT NULL"""
        )


def _twins(work: Work) -> tuple[str, str]:
    left, right = (twin_table(work.session, work.sides, units) for units in work.units)
    return left, right


def _limit(work: Work) -> int | None:
    """The amount difference in units above which a match is only suggested."""
    given = [work.plan.rule.max_difference, work.session.options.tolerance_limit]
    limits = [units_down(limit, work.plan.scope.scale) for limit in given if limit is not None]
    return min(limits, default=None)
