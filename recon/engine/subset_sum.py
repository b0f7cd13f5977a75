"""Groups without a grouping key: few rows that meet the rule with one row of the other side and add up to its amount.

Sums identify a group only among few rows: of 20 candidates four in five targets have one solution, of 60 none has. So
both are bounded, and only a sole solution that nobody else needs is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recon.engine.candidates import estimate, narrowest_join, pair_query, within_budget
from recon.engine.contest import DECIDED_BY, NOBODY
from recon.engine.options import EngineError
from recon.engine.plan import SIGN, make_plan
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides, grouped_sides
from recon.engine.standing import Standing, limit_of
from recon.engine.twins import twin_table
from recon.engine.units import Units, open_units
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, units_down, units_up


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
class Search:
    """What a rule found, and whom it missed and why."""

    found: list[Found]
    missed: list[Missed]


@dataclass(frozen=True)
class _Solution:
    one: int
    many: tuple[int, ...]
    gap: int
    kinds: tuple[int, ...]  # the first twin of each row
    rows: tuple[int, ...]  # every row that some solution has
    wants: frozenset[int]  # the first twins of these
    sole: bool  # apart from twins
    twins: bool


def search_groups(session: Session, sides: Sides, index: int, rule: Rule, before: Sequence[Found]) -> Search:
    """What a rule finds among the rows that earlier rules have not confirmed."""
    missed: list[Missed] = []
    unsearched: set[int] = set()
    solutions = list(_solutions(session, sides, index, rule, before, missed, unsearched))
    wanted = Counter(kind for solution in solutions for kind in solution.wants)
    highest = limit_of(rule, session.options, sides.scope.scale)
    found, used = [], set[int]()
    many_side = SIDES.index(grouped_sides(session.options.strategy)[0])
    for solution in sorted(solutions, key=lambda each: (each.gap, each.one)):
        if gone := used & set(solution.many):
            missed += _might_have(index, many_side, solution, min(gone), "claimed_by_another")
            continue
        used |= set(solution.many)
        # Of twins nobody can say which a sum is made of: another row whose sums want, or might want, their kind
        # contests it.
        free = all(wanted[kind] == 1 and kind not in unsearched for kind in solution.kinds)
        decided = solution.sole and free
        state, by = _verdict(rule, solution, decided=decided, over=highest is not None and solution.gap > highest)
        if state != "skipped":
            found.append(Found(index, solution.one, solution.many, solution.gap, state, by))
        reason = "ambiguous" if state == "skipped" else "claimed_by_another"
        missed += _might_have(index, many_side, solution, solution.many[0], reason)
    return Search(found, missed)


def _might_have(rule: int, many_side: int, solution: _Solution, nearest: int, reason: str) -> Iterator[Missed]:
    """What is told of the rows of any of a row's sums, and of that row, where they stay open."""
    yield Missed(1 - many_side, solution.one, reason, rule, nearest)
    for row in solution.rows:
        yield Missed(many_side, row, reason, rule, solution.one)


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
    return "confirmed", "twins" if solution.twins else "sole"


def _solutions(
    session: Session,
    sides: Sides,
    index: int,
    rule: Rule,
    before: Sequence[Found],
    missed: list[Missed],
    unsearched: set[int],
) -> Iterator[_Solution]:
    """For each row of the one side its nearest sum, and whether there is no other.

    Adds to those that are missed, and to `unsearched` the kinds of rows that somebody with too many candidates has.
    """
    amounts = _amount_criteria(rule)
    many_side = grouped_sides(session.options.strategy)[0]
    unsigned = session.options.sign == "unsigned"
    if not all(sides.sizes):
        return
    twins = twin_table(session, sides, Units(many_side, ALIAS[many_side]))
    kin = dict(session.rows(f"SELECT u, kin FROM {twins}"))
    for one, one_amount, pool in _pools(session, sides, index, rule, amounts, before, missed, unsearched):
        session.check()
        totals, chosen = _sums([amount for _, amount in pool], session.options.sum_size)
        if unsigned:
            totals = np.abs(totals)
        line, entry = (one_amount, totals) if many_side == "ledger" else (totals, one_amount)
        meets = np.asarray(np.sign(line) * np.sign(entry) >= 0, np.bool_)
        for each in amounts:
            meets &= np.asarray(_meets(line, entry, each, sides), np.bool_)
        solutions = np.flatnonzero(meets)
        if not len(solutions):
            nearest = int(np.argmin(np.abs(line - entry)))
            close = [pool[place][0] for place in chosen[nearest] if place < len(pool)]
            difference = int(np.broadcast_to(line - entry, len(totals))[nearest])
            missed += _missed_by(index, SIDES.index(many_side), one, close, [row for row, _ in pool], difference)
        else:
            best = solutions[
                int(np.argmin(np.abs(line - entry)[solutions]))
            ]  # the first of equals has the fewest rows
            rows = tuple(pool[place][0] for place in chosen[best] if place < len(pool))
            kinds = np.array([*(kin.get(row, row) for row, _ in pool), NOBODY])
            alike = np.sort(kinds[chosen[solutions]], axis=1)
            places = np.unique(chosen[solutions]).tolist()
            yield _Solution(
                one, rows, int(abs(one_amount - int(totals[best]))), tuple(kin.get(row, row) for row in rows),
                rows=tuple(pool[place][0] for place in places if place < len(pool)),
                wants=frozenset(np.unique(alike[alike != NOBODY]).tolist()),
                sole=bool((alike == alike[0]).all()), twins=len(solutions) > 1,
            )  # fmt: skip
    unsearched.update([kin.get(row, row) for row in unsearched])


def _missed_by(
    rule: int, many_side: int, one: int, nearest: Sequence[int], pool: Sequence[int], difference: int
) -> Iterator[Missed]:
    reason, told = "group_total_differs", difference if abs(difference) < 2**62 else None
    yield Missed(1 - many_side, one, reason, rule, nearest[0], told)
    for row in pool:
        yield Missed(many_side, row, reason, rule, one, told if row in nearest else None)


def _sums(amounts: Sequence[int], most: int) -> tuple[Any, npt.NDArray[np.int64]]:
    """All sums of up to ``most`` of the amounts, small groups first, with the places that were added.

    Places beyond the amounts mean nothing was added. Numbers too large for 64 bits are summed as Python's.
    """
    places = _places(len(amounts), min(most, len(amounts)))
    exact = max(abs(amount) for amount in amounts) < 10**15
    padded = np.array([*amounts, 0], np.int64 if exact else object)
    return padded[places].sum(axis=1), places


@lru_cache(maxsize=64)
def _places(count: int, most: int) -> npt.NDArray[np.int64]:
    groups = [group for size in range(1, most + 1) for group in combinations(range(count), size)]
    return np.array([group + (count,) * (most - len(group)) for group in groups], np.int64)


def _pools(
    session: Session,
    sides: Sides,
    index: int,
    rule: Rule,
    amounts: Sequence[Criterion],
    before: Sequence[Found],
    missed: list[Missed],
    unsearched: set[int],
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Each row of the one side with the rows it might be the sum of, unless these are too many."""
    plan = make_plan(rule, sides, session.options, without={SIGN, *(each.number for each in amounts)})
    many_side = SIDES.index(grouped_sides(session.options.strategy)[0])
    many, one = "sl"[many_side], "sl"[1 - many_side]
    confirmed = [each for each in before if each.state == "confirmed"]
    claimed = {one: [each.one for each in confirmed], many: [row for each in confirmed for row in each.many]}
    tables = []
    for side, alias in ALIAS.items():
        free = session.without(alias, claimed[alias])
        tables.append(open_units(session, Units(side, alias), plan.criteria, sides, among=free))
    join = narrowest_join(session, plan, tables[0], tables[1])
    within_budget(session, plan, estimate(session, join), session.count(tables[0]), session.count(tables[1]))
    pairs = session.create(
        "pool",
        f"SELECT p.{one} AS one, p.{many} AS many, count(*) OVER (PARTITION BY p.{one}) AS size"
        f" FROM ({pair_query(plan, join)}) p",
    )
    most = session.options.sum_pool
    too_many = session.rows(f"SELECT one, min(many) FROM {pairs} WHERE size > {most} GROUP BY one ORDER BY one")
    missed += [Missed(1 - many_side, row, "ambiguous", index, other) for row, other in too_many]
    unsearched.update(row for (row,) in session.rows(f"SELECT DISTINCT many FROM {pairs} WHERE size > {most}"))
    found = session.arrow(
        f"SELECT p.one, a.amt AS one_amount, p.many, b.amt AS amount FROM {pairs} p JOIN {one} a ON p.one = a.u"
        f" JOIN {many} b ON p.many = b.u WHERE size <= {most} ORDER BY 1, 3"
    )
    session.drop(pairs)
    yield from _grouped(found)


def _grouped(pairs: pa.Table) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    pools: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    for one, one_amount, row, amount in zip(*(column.to_pylist() for column in pairs.columns), strict=True):
        pools.setdefault(one, (int(one_amount), []))[1].append((row, int(amount)))
    for one, (one_amount, pool) in pools.items():
        yield one, one_amount, pool


def _amount_criteria(rule: Rule) -> list[Criterion]:
    amounts = [each for each in rule.criteria if each.field.kind == "amount" and not each.is_constant]
    if not amounts or any(each.window is None for each in amounts):
        raise EngineError(
            f"Rule “{rule.name}” searches for sums, as no grouping is given: it needs an amount that equals or lies"
            " within a range, and no other condition between amounts."
        )
    return amounts


def _meets(line: Any, entry: Any, criterion: Criterion, sides: Sides) -> Any:
    """Whether each pair of amounts meets a criterion; one of them is an array. Percentages are compared crosswise."""
    window = criterion.window
    gap = line - entry
    if window is None:
        return np.zeros(np.shape(gap), np.bool_)
    if window.unit == "percent":
        low, high = Fraction(window.low) / 100, Fraction(window.high) / 100
        gap, base = np.asarray(gap, object), np.asarray(abs(entry), object)
        met = (gap * low.denominator >= base * low.numerator) & (gap * high.denominator <= base * high.numerator)
        return np.asarray(met, np.bool_)
    scale = sides.scope.scale
    return (gap >= units_up(window.low, scale)) & (gap <= units_down(window.high, scale))
