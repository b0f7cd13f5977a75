"""Groups without a grouping key: few rows that meet the rule with one row of the other side and add up to its amount.

Sums identify a group only among few rows: of 20 candidates four in five targets have one solution, of 60 none has. So
both are bounded, and only a sole solution that nobody else needs is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
import pyarrow as pa

from recon.engine.candidates import estimate, narrowest_join, pair_query, within_budget
from recon.engine.contest import DECIDED_BY, NOBODY
from recon.engine.options import EngineError, Options
from recon.engine.plan import FAR, MAX_UNITS, SIGN, make_plan
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides, grouped_sides
from recon.engine.standing import Standing, limit_of
from recon.engine.sums import Pool, sums
from recon.engine.twins import twin_table
from recon.engine.units import Units, open_units
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS


@dataclass(frozen=True)
class Found:
    """A row of the one side and the rows of the other that add up to it, all by ``u``."""

    rule: int
    one: int
    many: tuple[int, ...]
    gap: int
    state: str
    decided_by: str


@dataclass(frozen=True)
class Missed:
    """Why a row is in no sum. ``side``: 0 for the statement, 1 for the ledger; ``other`` is of the other side.

    ``difference``: statement minus ledger, of the sum that came nearest.
    """

    side: int
    row: int
    reason: str
    rule: int
    other: int | None = None
    difference: int | None = None


@dataclass(frozen=True)
class Candidates:
    """Table ``pairs(one, many, size)``: the rows that each row might be the sum of, and how many these are.

    ``key`` and ``told``: by what they were found. ``count``: pairs, of about ``estimated`` that were compared.
    ``too_many``: rows with more candidates than a sum is sought among, each with the first of these.
    """

    pairs: str
    key: str
    told: str
    estimated: int
    count: int
    too_many: Sequence[tuple[int, int]]

    def in_words(self, options: Options) -> str:
        sought = f"sums of at most {options.sum_size} of at most {options.sum_pool} rows"
        more = f"\nrows with more than {options.sum_pool} candidates, which are not searched: {len(self.too_many)}"
        return f"{sought}: {self.count} pairs by {self.told}{more if self.too_many else ''}"


@dataclass(frozen=True)
class Search:
    """What a rule found, whom it missed and why, and among which pairs of rows it looked."""

    found: list[Found]
    missed: list[Missed]
    among: Candidates | None


@dataclass(frozen=True)
class _Solution:
    pool: Pool
    rows: tuple[int, ...]  # every row that some sum has
    wants: frozenset[int]  # the first twins of these
    sole: bool  # apart from twins
    twins: bool
    nearest: tuple[int, tuple[int, ...]]


def search_groups(session: Session, sides: Sides, index: int, rule: Rule, before: Sequence[Found]) -> Search:
    """What a rule finds among the rows that earlier rules have not confirmed."""
    missed: list[Missed] = []
    unsearched: set[int] = set()
    amounts = amount_criteria(rule)
    among = _candidates(session, sides, rule, amounts, before) if all(sides.sizes) else None
    solutions = list(_solutions(session, sides, index, amounts, among, missed, unsearched)) if among else []
    kin = _kin(session, sides)
    wanted = Counter(kind for solution in solutions for kind in solution.wants)
    highest = limit_of(rule, session.options, sides.scope.scale)
    found = []
    many_side = SIDES.index(grouped_sides(session.options.strategy)[0])
    for solution, gap, many in _nearest_first(session, sides, rule, solutions):
        one = solution.pool.one
        if not many:
            missed += _might_have(index, many_side, solution, solution.nearest[1][0], "claimed_by_another")
            continue
        # Of twins nobody can say which a sum is made of: another row whose sums want, or might want, their kind
        # contests it.
        kinds = {kin.get(row, row) for row in many}
        free = all(wanted[kind] == 1 and kind not in unsearched for kind in kinds)
        over = highest is not None and gap > highest
        state, by = _verdict(rule, solution, decided=solution.sole and free, over=over)
        if state != "skipped":
            found.append(Found(index, one, many, gap, state, by))
        reason = "ambiguous" if state == "skipped" else "claimed_by_another"
        missed += _might_have(index, many_side, solution, many[0], reason)
    return Search(found, missed, among)


def _nearest_first(
    session: Session, sides: Sides, rule: Rule, solutions: Sequence[_Solution]
) -> Iterator[tuple[_Solution, int, tuple[int, ...]]]:
    """Each row with how far its sum is and the rows of that: the nearest whose rows nobody before it got, or none."""
    amounts, used = amount_criteria(rule), set[int]()
    waiting = [(abs(each.nearest[0]), each.pool.one, place) for place, each in enumerate(solutions)]
    nearest = {place: each.nearest[1] for place, each in enumerate(solutions)}
    heapify(waiting)
    while waiting:
        gap, one, place = heappop(waiting)
        solution = solutions[place]
        if used.isdisjoint(nearest[place]):
            used |= set(nearest[place])
            yield solution, gap, nearest[place]
            continue
        session.check()
        left = solution.pool.without(used)
        again = sums(left, amounts, session.options, sides.scope.scale) if left.rows else None
        if again is None or not again.meets.any():
            yield solution, 0, ()
            continue
        difference, nearest[place] = again.nearest(np.flatnonzero(again.meets))
        heappush(waiting, (abs(difference), one, place))


def _might_have(rule: int, many_side: int, solution: _Solution, nearest: int, reason: str) -> Iterator[Missed]:
    """What is told of the rows of any of a row's sums, and of that row, where they stay open."""
    yield Missed(1 - many_side, solution.pool.one, reason, rule, nearest)
    for row in solution.rows:
        yield Missed(many_side, row, reason, rule, solution.pool.one)


def store_groups(session: Session, sides: Sides, found: Sequence[Found]) -> list[Standing]:
    """Make the found groups the units of their side; later suggestions give way to earlier."""
    side = grouped_sides(session.options.strategy)[0]
    alias = ALIAS[side]
    kept, used_one, used_many = [], set[int](), set[int]()
    for each in [f for f in found if f.state == "confirmed"] + [f for f in found if f.state == "suggested"]:
        if each.one not in used_one and not used_many & set(each.many):
            used_one.add(each.one)
            used_many |= set(each.many)
            kept.append(each)
    members = [(min(each.many), row) for each in kept for row in each.many]
    session.load_rows(f"members_{alias}", {"u": [u for u, _ in members], "row": [row for _, row in members]})
    total = "sum(amt)" if session.options.sign != "unsigned" else "abs(sum(amt))"
    for name in (f"groups_{alias}_earliest", f"groups_{alias}_latest"):
        pick = "max" if name.endswith("latest") else "min"
        session.run(
            f"""CREATE TABLE {name} AS SELECT m.u, {total} AS amt, max(scale) AS scale, min(ccy) AS ccy,
                {pick}(day) AS day, NULL::BIGINT AS instant, min(ord) AS ord
                FROM members_{alias} m JOIN {alias} r ON m.row = r.u GROUP BY m.u"""
        )
    return [_standing(kept, ledger_grouped=alias == "l")]


def _standing(kept: Sequence[Found], *, ledger_grouped: bool) -> Standing:
    ones = np.array([each.one for each in kept], np.int32)
    groups = np.array([min(each.many) for each in kept], np.int32)
    nobody, nothing = np.full(len(kept), NOBODY, np.int32), np.zeros(len(kept), np.int64)
    return Standing(
        rule=np.array([each.rule for each in kept], np.int32),
        line=ones if ledger_grouped else groups,
        entry=groups if ledger_grouped else ones,
        gap=np.array([each.gap for each in kept], np.int64),
        confirmed=np.array([each.state == "confirmed" for each in kept], np.bool_),
        decided_by=np.array([DECIDED_BY.index(each.decided_by) for each in kept], np.int8),
        rival=(nobody, nobody),
        rival_gap=(nothing, nothing),
        line_first=np.zeros(len(kept), np.bool_),
    )


def _verdict(rule: Rule, solution: _Solution, *, decided: bool, over: bool) -> tuple[str, str]:
    if not decided and rule.on_ambiguity == "skip":
        return "skipped", "ambiguous"
    if not decided:  # by `best` too: of several sums none is better than the others
        return "suggested", "ambiguous"
    if over:
        return "suggested", "limit"
    if rule.suggest_only:
        return "suggested", "suggest_only"
    return "confirmed", "twins" if solution.twins else "sole"


def _solutions(
    session: Session,
    sides: Sides,
    index: int,
    amounts: Sequence[Criterion],
    among: Candidates,
    missed: list[Missed],
    unsearched: set[int],
) -> Iterator[_Solution]:
    """For each row of the one side that has sums, what is to know of these.

    Adds to those that are missed, and to `unsearched` the kinds of rows that somebody with too many candidates has.
    """
    many_side = SIDES.index(grouped_sides(session.options.strategy)[0])
    kin = _kin(session, sides)
    for pool in _pools(session, index, many_side, among, missed, unsearched):
        session.check()
        found = sums(pool, amounts, session.options, sides.scope.scale)
        solutions = np.flatnonzero(found.meets)
        if not len(solutions):
            difference, close = found.nearest()
            missed += _missed_by(index, many_side, pool.one, close, pool.rows, difference)
            continue
        kinds = np.array([*(kin.get(row, row) for row in pool.rows), NOBODY])
        alike = np.sort(kinds[found.places[solutions]], axis=1)
        places = np.unique(found.places[solutions]).tolist()
        yield _Solution(
            pool,
            rows=tuple(pool.rows[place] for place in places if place < len(pool.rows)),
            wants=frozenset(np.unique(alike[alike != NOBODY]).tolist()),
            sole=bool((alike == alike[0]).all()), twins=len(solutions) > 1,
            nearest=found.nearest(solutions),
        )  # fmt: skip
    unsearched.update([kin.get(row, row) for row in unsearched])


def _kin(session: Session, sides: Sides) -> dict[int, int]:
    """The first twin of each row of which sums are made, if it has any."""
    if not all(sides.sizes):
        return {}
    many_side = grouped_sides(session.options.strategy)[0]
    return dict(session.rows(f"SELECT u, kin FROM {twin_table(session, sides, Units(many_side, ALIAS[many_side]))}"))


def _missed_by(
    rule: int, many_side: int, one: int, nearest: Sequence[int], pool: Sequence[int], difference: int
) -> Iterator[Missed]:
    reason, told = "group_total_differs", difference if abs(difference) <= MAX_UNITS else None
    yield Missed(1 - many_side, one, reason, rule, nearest[0], told)
    for row in pool:
        yield Missed(many_side, row, reason, rule, one, told if row in nearest else None)


def _candidates(
    session: Session, sides: Sides, rule: Rule, amounts: Sequence[Criterion], before: Sequence[Found]
) -> Candidates:
    """The open rows that meet all of the rule but its amounts. Raises TooBroad before comparing too many."""
    plan = make_plan(rule, sides, session.options, without={SIGN, FAR, *(each.number for each in amounts)})
    many_side = SIDES.index(grouped_sides(session.options.strategy)[0])
    many, one = "sl"[many_side], "sl"[1 - many_side]
    confirmed = [each for each in before if each.state == "confirmed"]
    claimed = {one: [each.one for each in confirmed], many: [row for each in confirmed for row in each.many]}
    tables = []
    for side, alias in ALIAS.items():
        free = session.without(alias, claimed[alias])
        if session.options.sign == "unsigned" and alias == many:  # their sum loses its sign; alone they have none
            free = session.create("unsigned", f"SELECT * REPLACE (abs(amt) AS amt) FROM {free}")
        tables.append(open_units(session, Units(side, alias), plan.criteria, sides, among=free))
    join = narrowest_join(session, plan, tables[0], tables[1])
    estimated = estimate(session, join)
    within_budget(session, plan, estimated, session.count(tables[0]), session.count(tables[1]))
    pairs = session.create(
        "pool",
        f"SELECT p.{one} AS one, p.{many} AS many, count(*) OVER (PARTITION BY p.{one}) AS size"
        f" FROM ({pair_query(plan, join)}) p",
    )
    most = session.options.sum_pool
    too_many = session.rows(f"SELECT one, min(many) FROM {pairs} WHERE size > {most} GROUP BY one ORDER BY one")
    return Candidates(pairs, join.key, join.told(), estimated, session.count(pairs), too_many)


def _pools(
    session: Session,
    index: int,
    many_side: int,
    among: Candidates,
    missed: list[Missed],
    unsearched: set[int],
) -> Iterator[Pool]:
    """Each row of the one side with the rows it might be the sum of, unless these are too many."""
    pairs, most, too_many = among.pairs, session.options.sum_pool, among.too_many
    many, one = "sl"[many_side], "sl"[1 - many_side]
    missed += [Missed(1 - many_side, row, "too_many_candidates", index, other) for row, other in too_many]
    members = session.rows(f"SELECT many, min(one) FROM {pairs} WHERE size > {most} GROUP BY many ORDER BY many")
    missed += [Missed(many_side, row, "too_many_candidates", index, other) for row, other in members]
    unsearched.update(row for row, _ in members)
    found = session.arrow(
        f"SELECT p.one, a.amt AS one_amount, p.many, b.amt AS amount FROM {pairs} p JOIN {one} a ON p.one = a.u"
        f" JOIN {many} b ON p.many = b.u WHERE size <= {most} ORDER BY 1, 3"
    )
    session.drop(pairs)
    yield from _grouped(found)


def _grouped(pairs: pa.Table) -> Iterator[Pool]:
    pools: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    for one, one_amount, row, amount in zip(*(column.to_pylist() for column in pairs.columns), strict=True):
        pools.setdefault(one, (int(one_amount), []))[1].append((row, int(amount)))
    for one, (one_amount, found) in pools.items():
        rows, amounts = zip(*found, strict=True)
        yield Pool(one, one_amount, rows, amounts)


def amount_criteria(rule: Rule) -> list[Criterion]:
    """What a rule asks of a sum. Raises EngineError if that is nothing, or cannot be asked of one."""
    amounts = [each for each in rule.criteria if each.field.kind == "amount" and not each.is_constant]
    if not amounts or any(each.window is None for each in amounts):
        raise EngineError(
            f"Rule “{rule.name}” searches for sums, as no grouping is given: it needs an amount that equals or lies"
            " within a range, and no other condition between amounts."
        )
    return amounts
