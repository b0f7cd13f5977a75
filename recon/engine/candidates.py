"""Candidate pairs without comparing every row with every row.

Pairs are found by a hash join on everything that must be equal. A window on amount or date becomes equality too:
values are cut into cells as wide as the window, a row looks into the two cells its window can touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from recon.engine.options import TooBroad
from recon.engine.plan import LOT, Plan
from recon.engine.session import Session
from recon.engine.sides import Sides
from rules.criteria import Criterion
from rules.criteria.scope import units_down, units_up, whole_days

_SAMPLE = 16_384
_RIGHT_SAMPLE = 32_768
_SCATTER, _SCATTERED = 0x9E3779B97F4A7C15, 40
"""A number, and by how many bits its multiples are shifted, so that these are divisible as if by chance."""
_FEW = 2_000_000
_LOOSE = ("agrees", "greater_than", "less_than")
"""Operators that keep few pairs apart."""
_TELLING = ("reference", "amount", "date", "description", "counterparty")
"""Fields that keep pairs apart, the best first. Currencies are the same in every pair that is compared at all."""

Alias = Literal["s", "l"]


@dataclass(frozen=True)
class Band:
    """Absolute amount differences from ``low`` to ``high`` units, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Join:
    """Two queries, the expressions that are equal in them, and what else must hold.

    ``spread``: the side whose rows look into cells; better the one that has fewer. ``paired``: a table of pairs that
    were found already by the last of the keys, rows side by side as ``s`` and ``l``.
    """

    left: str
    right: str
    equal: tuple[tuple[str, str], ...]
    condition: str = "true"
    spread: Alias = "s"
    paired: str = ""

    def on(self) -> str:
        return _all_equal(self.equal)

    def told(self) -> str:
        """The same, of the rows of one book."""
        equal = [keys for keys in self.equal if keys != LOT]
        return _all_equal(equal) if equal else "nothing in common: every row with every other"

    @property
    def key(self) -> str:
        """The names of the columns that are equal."""
        return ", ".join(keys[0].removeprefix("s.") for keys in self.equal if keys != LOT)

    def keyed(self, left: str, right: str, equal: Sequence[tuple[str, str]], condition: str = "true") -> Join:
        """The same join with wider sources, more keys and another condition."""
        return Join(left, right, self.equal + tuple(equal), f"{self.condition} AND {condition}", self.spread)


def _all_equal(keys: Sequence[tuple[str, str]]) -> str:
    return " AND ".join(f"{left} = {right}" for left, right in keys) or "true"


def plain_join(plan: Plan, left: str, right: str, band: Band | None = None) -> Join:
    """The join on the equal keys alone; within a band, on the equality or the bounds of amounts."""
    join = Join(left, right, plan.equal)
    if band is None:
        return join
    if band.high == 0:
        return replace(join, equal=(*join.equal, ("s.amt", "l.amt")))
    return replace(join, condition=f"abs(s.amt - l.amt) BETWEEN {band.low} AND {band.high}")


def amount_cells(join: Join, band: Band, sides: Sides) -> Join:
    """Find amounts in a band: below and above a row's own amount, in cells no wider than the band is far.

    So rows of equal amounts, of which there may be very many, share no cell.
    """
    span = band.high - band.low + 1
    width = min(band.low or span, span)
    shift = _shift(-sides.bound - band.high, width)
    reach = {"true": (band.low, band.high), "false": (-band.high, -band.low)}  # upward: the other amount is the larger
    cells = range((width + span - 2) // width + 1)
    looks = ", ".join(
        f"({start}, {stop}, {cell}, {upward})" for upward, (start, stop) in reach.items() for cell in cells
    )

    def looking(source: str, alias: str) -> str:
        return (
            f"SELECT {alias}.*, look.upward,"
            f" ({alias}.amt + look.start + {shift}) // {width} + look.cell AS amount_cell"
            f" FROM {_as(source, alias)} CROSS JOIN (VALUES {looks}) look(start, stop, cell, upward)"
            f" WHERE ({alias}.amt + look.start + {shift}) // {width} + look.cell"
            f" <= ({alias}.amt + look.stop + {shift}) // {width}"
        )

    def found(source: str, alias: str) -> str:
        return f"SELECT {alias}.*, ({alias}.amt + {shift}) // {width} AS amount_cell FROM {_as(source, alias)}"

    # A pair can lie in the cells of both directions; it counts in its own.
    equal = [("s.amount_cell", "l.amount_cell")]
    within = f"abs(s.amt - l.amt) BETWEEN {band.low} AND {band.high}"
    if join.spread == "s":
        return join.keyed(
            looking(join.left, "s"), found(join.right, "l"), equal, f"(l.amt > s.amt) = s.upward AND {within}"
        )
    return join.keyed(
        found(join.left, "s"), looking(join.right, "l"), equal, f"(s.amt > l.amt) = l.upward AND {within}"
    )


def date_cells(join: Join, plan: Plan) -> Join | None:
    """Find dates in the plan's window in two cells as wide as the window; None if there is no such window."""
    if plan.date is None:
        return None
    low, high = whole_days(plan.date)
    if plan.date.unit == "seconds" and plan.scope.times:
        low, high = low - 1, high + 1  # a window of hours may reach into one more day
    width = high - low + 1
    far = max(abs(low), abs(high))
    shift = _shift(-4_000_000 - far, width)  # DuckDB's dates start in the year -5877641, statements do not

    def looking(source: str, alias: str, start: int) -> str:
        return (
            f"SELECT {alias}.*, ({alias}.day + {start} + {shift}) // {width} + look.cell AS day_cell"
            f" FROM {_as(source, alias)} CROSS JOIN (VALUES (0), (1)) look(cell)"
        )

    def found(source: str, alias: str) -> str:
        return f"SELECT {alias}.*, ({alias}.day + {shift}) // {width} AS day_cell FROM {_as(source, alias)}"

    equal = [("s.day_cell", "l.day_cell")]
    if join.spread == "s":
        return join.keyed(looking(join.left, "s", -high), found(join.right, "l"), equal)
    return join.keyed(found(join.left, "s"), looking(join.right, "l", low), equal)


def widest_gap(session: Session, plan: Plan, sides: Sides, entries: str) -> int:
    """The largest absolute amount difference that the plan's amount window allows with these ledger units."""
    window = plan.amount
    if window is None:
        return 2 * sides.bound
    if window.unit == "percent":
        most = max(abs(window.low), abs(window.high))
        return units_down(most * session.number(f"SELECT max(abs(amt)) FROM {_as(entries, 'l')}") / 100, 0)
    scale = plan.scope.scale
    return max(abs(units_up(window.low, scale)), abs(units_down(window.high, scale)))


def widening(widest: int) -> Iterator[Band]:
    """Bands that cover all differences up to the widest: none, one unit, then each up to four times as far."""
    low = high = 0
    while low <= widest:
        yield Band(low, min(high, widest))
        low, high = high + 1, max(1, high * 4)


def estimate(session: Session, join: Join) -> int:
    """About how many pairs the join compares: every n-th row of the left with a sample of the right side."""
    left_rows, right_rows = count_of(session, join.left), count_of(session, join.right)
    if not join.equal:
        return left_rows * right_rows
    step, right_step = max(1, left_rows // _SAMPLE), max(1, right_rows // _RIGHT_SAMPLE)
    keys = range(len(join.equal))
    left = ", ".join(f"{pair[0]} AS k{key}" for key, pair in zip(keys, join.equal, strict=True))
    right = ", ".join(f"{pair[1]} AS k{key}" for key, pair in zip(keys, join.equal, strict=True))
    names = ", ".join(f"k{key}" for key in keys)
    left_some, right_some = _sample(session, join.left, step), _sample(session, join.right, right_step)
    left_only = f" WHERE s.u % {step} = 0" * (left_some == join.left)
    right_only = f" WHERE hash(l.u) % {right_step} = 0" * (right_some == join.right)
    estimated = session.number(
        f"""WITH a AS (SELECT {names}, count(*) AS n FROM (SELECT {left} FROM {_as(left_some, "s")}{left_only})
                       GROUP BY ALL),
                 b AS (SELECT {names}, count(*) AS n FROM (SELECT {right} FROM {_as(right_some, "l")}{right_only})
                       SEMI JOIN a USING ({names}) GROUP BY ALL)
            SELECT sum(a.n * b.n) * {step * right_step} FROM a JOIN b USING ({names})"""
    )
    session.drop(*{left_some, right_some} - {join.left, join.right})
    return estimated


def _sample(session: Session, source: str, step: int) -> str:
    """A table of about one of so many rows of a source, if that is a table of Arrow, else the source itself: to filter
    such a table DuckDB would read all of it."""
    rows = session.lent(source)
    if rows is None or step == 1:
        return source
    scattered = np.arange(rows.num_rows, dtype=np.uint64) * np.uint64(_SCATTER) >> np.uint64(_SCATTERED)
    some = np.flatnonzero(scattered % np.uint64(step) == 0)
    return session.lend_new("sample", rows.take(pa.array(some)))


def count_of(session: Session, source: str) -> int:
    """How many rows a table or a query has."""
    return session.number(f"SELECT count(*) FROM ({source})") if " " in source else session.count(source)


def narrowest_join(session: Session, plan: Plan, left: str, right: str) -> Join:
    """The join on the equal keys, and on cells of dates where that compares fewer pairs."""
    join = plain_join(plan, left, right)
    cells = date_cells(join, plan)
    return cells if cells and estimate(session, cells) * 2 < estimate(session, join) else join


def within_budget(session: Session, plan: Plan, estimated: int, left_rows: int, right_rows: int) -> None:
    """Refuse a rule that would compare too many pairs. Small inputs always pass."""
    budget = session.options.candidate_budget
    if estimated > budget and left_rows * right_rows > _FEW:
        raise TooBroad(plan.rule.name, estimated, budget, _advice(plan.criteria))


def _advice(criteria: Sequence[Criterion]) -> str:
    """What would make a rule compare fewer pairs: fields that it does not look pairs up by yet, narrower windows."""
    asked = [each for each in criteria if not each.is_constant]
    used = {each.field.name for each in asked if each.operator.name not in _LOOSE}
    *names, last = [name for name in _TELLING if name not in used][:3] or ["another field"]
    wanted = f"Add a criterion that both sides meet on {', '.join(names)}{' or ' if names else ''}{last}"
    wide = [str(each.number) for each in asked if each.window and not each.window.exact]
    return f"{wanted}, or narrow the tolerance of criterion {' or '.join(wide)}." if wide else f"{wanted}."


def pair_query(plan: Plan, join: Join, *, once: bool = False) -> str:
    """All admissible pairs with the columns that order them; ``once`` where a pair can be found in several ways."""
    columns = [("s", "s.u"), ("l", "l.u"), *plan.order]
    chosen = ", ".join(
        f"min({sql}) AS {name}" if once and name not in "sl" else f"{sql} AS {name}" for name, sql in columns
    )
    # What the join demands need not be asked again: for few rows that is a fifth of the work.
    met = [f"{left} = {right}" for left, right in join.equal]
    known = {"true", *met}
    known |= {"s.amt - l.amt BETWEEN 0 AND 0"} if ("s.amt", "l.amt") in join.equal else set()
    asked = [f"({each})" for each in (join.condition, *plan.conditions) if each not in known]
    pairs = f"{_as(join.left, 's')} JOIN {_as(join.right, 'l')} ON {join.on()}"
    if join.paired:
        pairs, asked = f"(SELECT p.s, p.l FROM {join.paired} p)", [*met[:-1], *asked]
    return (
        f"SELECT {chosen} FROM {pairs}{' WHERE ' if asked else ''}{' AND '.join(asked)}"
        f"{' GROUP BY s.u, l.u' if once else ''}"
    )


def _as(source: str, alias: str) -> str:
    """A table name or a query as something to select from."""
    return f"({source}) {alias}" if " " in source else f"{source} {alias}"


def _shift(lowest: int, width: int) -> int:
    """A multiple of the width that makes every value positive, so that integer division rounds down."""
    return -(lowest // width) * width + width
