"""Groups without a grouping key: few rows that meet the rule with one row of the other side and add up to its amount.

Sums identify a group only among few rows: of 20 candidates four in five targets have one solution, of 60 none has. So
both are bounded, the search stops at the second solution, and only a sole one that nobody else needs is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import pyarrow as pa

from recon.engine.candidates import estimate, pair_query, plain_join, within_budget
from recon.engine.options import EngineError
from recon.engine.plan import SIGN, make_plan
from recon.engine.session import Session
from recon.engine.sides import Sides, grouped_sides
from recon.engine.units import Units, open_units
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, units_down, units_up

MAX_POOL = 20
MAX_SIZE = 5


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
class _Solution:
    one: int
    many: tuple[int, ...]
    gap: int
    sole: bool


def search_groups(session: Session, sides: Sides, index: int, rule: Rule, before: Sequence[Found]) -> list[Found]:
    """What a rule finds among the rows that earlier rules have not confirmed."""
    solutions = list(_solutions(session, sides, rule, before))
    wanted = Counter(row for solution in solutions for row in solution.many)
    limits = [limit for limit in (rule.max_difference, session.options.tolerance_limit) if limit is not None]
    highest = min((units_down(limit, sides.scope.scale) for limit in limits), default=None)
    found, used = [], set[int]()
    for solution in sorted(solutions, key=lambda each: (each.gap, each.one)):
        if used & set(solution.many):
            continue
        used |= set(solution.many)
        decided = solution.sole and all(wanted[row] == 1 for row in solution.many)
        state, by = _verdict(rule, decided=decided, over=highest is not None and solution.gap > highest)
        if state != "skipped":
            found.append(Found(index, solution.one, solution.many, solution.gap, state, by))
    return found


def store_groups(session: Session, sides: Sides, found: Sequence[Found]) -> None:
    """Make the found groups the units of their side and take their pairs; later suggestions give way to earlier."""
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
    ones, groups = [each.one for each in kept], [min(each.many) for each in kept]
    session.load_rows(
        "taken_in",
        {
            "rule": [each.rule for each in kept],
            "s": ones if alias == "l" else groups,
            "l": groups if alias == "l" else ones,
            "gap": [each.gap for each in kept],
            "state": [each.state for each in kept],
            "decided_by": [each.decided_by for each in kept],
        },
    )
    session.run("INSERT INTO taken SELECT rule, s, l, gap, state, decided_by FROM taken_in")


def _verdict(rule: Rule, *, decided: bool, over: bool) -> tuple[str, str]:
    if not decided and rule.on_ambiguity == "skip":
        return "skipped", "ambiguous"
    if not decided and rule.on_ambiguity != "best":
        return "suggested", "ambiguous"
    if over:
        return "suggested", "limit"
    return "confirmed", "sole" if decided else "best"


def _solutions(session: Session, sides: Sides, rule: Rule, before: Sequence[Found]) -> Iterator[_Solution]:
    amounts = _amount_criteria(rule)
    many_side = grouped_sides(session.options.strategy)[0]
    for one, one_amount, pool in _pools(session, sides, rule, amounts, before):
        best: list[tuple[int, tuple[int, ...]]] = []
        for size in range(1, min(MAX_SIZE, len(pool)) + 1):
            for rows in combinations(pool, size):
                total = sum(amount for _, amount in rows)
                if session.options.sign == "unsigned":
                    total = abs(total)
                line, entry = (one_amount, total) if many_side == "ledger" else (total, one_amount)
                if line * entry >= 0 and all(_meets(line, entry, each, sides) for each in amounts):
                    best.append((abs(line - entry), tuple(row for row, _ in rows)))
            if len(best) > 1:
                break
        if best:
            gap, chosen = min(best, key=lambda each: (each[0], len(each[1]), each[1]))
            yield _Solution(one, chosen, gap, sole=len(best) == 1)


def _pools(
    session: Session, sides: Sides, rule: Rule, amounts: Sequence[Criterion], before: Sequence[Found]
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Each row of the one side with the rows it might be the sum of, unless these are too many."""
    plan = make_plan(rule, sides, session.options, without={SIGN, *(each.number for each in amounts)})
    many = ALIAS[grouped_sides(session.options.strategy)[0]]
    one = "s" if many == "l" else "l"
    confirmed = [each for each in before if each.state == "confirmed"]
    claimed = {one: [each.one for each in confirmed], many: [row for each in confirmed for row in each.many]}
    tables = []
    for side, alias in ALIAS.items():
        free = session.without(alias, claimed[alias])
        tables.append(open_units(session, Units(side, alias), plan.criteria, sides, free))
    join = plain_join(plan, tables[0], tables[1])
    within_budget(session, plan, estimate(session, join), session.count(tables[0]), session.count(tables[1]))
    pairs = session.arrow(
        f"""SELECT p.{one} AS one, a.amt AS one_amount, p.{many} AS many, b.amt AS amount
            FROM ({pair_query(plan, join)}) p JOIN {one} a ON p.{one} = a.u JOIN {many} b ON p.{many} = b.u
            QUALIFY count(*) OVER (PARTITION BY p.{one}) <= {MAX_POOL} ORDER BY 1, 3"""
    )
    yield from _grouped(pairs)


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


def _meets(line: int, entry: int, criterion: Criterion, sides: Sides) -> bool:
    window = criterion.window
    if window is None:
        return False
    if window.unit == "percent":
        base = abs(entry)
        return Fraction(window.low) / 100 * base <= line - entry <= Fraction(window.high) / 100 * base
    scale = sides.scope.scale
    return units_up(window.low, scale) <= line - entry <= units_down(window.high, scale)
