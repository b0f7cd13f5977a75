"""From notes on near misses to the reasons that people read: one for each row that stayed open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.notes import best_of
from recon.engine.outcome import UNMATCHED
from recon.engine.pairs import Flags, Rows
from recon.engine.plan import MAX_UNITS
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides
from recon.engine.units import Units, make_units
from rules.criteria import Rule
from rules.criteria.scope import ALIAS, Side


@dataclass(frozen=True)
class Taken:
    """The units of a side that are in some match, and which of these matches are confirmed."""

    units: Rows
    confirmed: Flags


def units_told(session: Session, sides: Sides, side: Side, rule: Rule | None = None) -> Units:
    """What has a reason of its own: after a search for sums rows, else the units of the rule."""
    return Units(side, ALIAS[side]) if session.options.searches_sums else make_units(session, sides, side, rule)


def reasons_told(session: Session, sides: Sides, taken: tuple[Taken, Taken], notes: pa.Table) -> pa.Table:
    """One row for each open row: its best note, with the ids and the difference of the units concerned."""
    parts = [UNMATCHED.empty_table()]
    for number, (side, own) in enumerate(zip(SIDES, taken, strict=True)):
        if side not in session.options.told:
            continue
        unit = _units_of_rows(session, sides, side)
        free = np.ones(len(unit) + 1, np.bool_)
        free[own.units] = False
        rows = np.flatnonzero(free[unit]).astype(np.int32)
        if not len(rows):
            continue
        of_side = notes.filter(pc.equal(notes["side"], number))
        parts.append(_reasons_of(session, sides, number, rows, unit[rows], of_side))
    return pa.concat_tables(parts)


def _units_of_rows(session: Session, sides: Sides, side: Side) -> Rows:
    """By row the unit it belongs to; -1 where it belongs to no group."""
    units, count = units_told(session, sides, side), sides.rows[side].num_rows
    if units.members is None:
        return np.arange(count, dtype=np.int32)
    unit = np.full(count, -1, np.int32)
    members = session.arrow(f"SELECT u, row FROM {units.members}")
    unit[members["row"].to_numpy()] = members["u"].to_numpy()
    return unit


def _reasons_of(session: Session, sides: Sides, side: int, rows: Rows, unit: Rows, notes: pa.Table) -> pa.Table:
    """The rows of one side with the best note on their unit."""
    count = len(rows)
    places = best_of(notes, sides.sizes[side])[unit]
    best = notes.take(pa.array(places, mask=places < 0))
    other, other_side = best["other"], best["other_side"]
    across = pc.fill_null(pc.not_equal(other_side, side), False)
    nearest = pc.coalesce(*(_ids(sides, each, other, pc.equal(other_side, each)) for each in range(2)))
    amounts, days = _values(session, sides, side)
    other_amounts, other_days = _values(session, sides, 1 - side)
    partner = pc.if_else(across, other, None)
    own = pa.array(unit, mask=unit < 0)
    pair = amounts.take(own), other_amounts.take(partner)
    # The difference to one of several rows that are summed would mean nothing.
    sums, between = session.options.searches_sums, pc.subtract(*(pair if side == 0 else pair[::-1]))
    if not sides.one_currency:  # dollars minus euros neither
        currencies = [sides.rows[SIDES[of]]["currency"].take(at) for of, at in ((side, own), (1 - side, partner))]
        between = pc.if_else(pc.equal(*currencies), between, None)
    storable = pc.if_else(pc.less_equal(pc.abs(between), MAX_UNITS), between, None)
    difference = best["difference"] if sums else storable
    lacks = {SIDES[side]: pc.is_null(days.take(own)), SIDES[1 - side]: pc.is_null(other_days.take(partner))}
    undated = pc.or_(*(pc.and_(pc.match_substring(best["reason"], each), lacks[each]) for each in SIDES))
    date = pc.if_else(undated, "date_missing", "date_outside_window")
    reason = pc.if_else(
        pc.fill_null(pc.starts_with(best["reason"], "date "), False),
        date,
        pc.fill_null(best["reason"], "no_candidate"),
    )
    table = sides.rows[SIDES[side]]
    columns = {
        "side": pa.array(np.full(count, side, np.int8)),
        "id": table["id"].take(pa.array(rows)),
        "part": table["part"].take(pa.array(rows)),
        "reason": reason,
        "rule_index": best["rule"],
        "criterion": best["criterion"],
        "nearest_id": nearest,
        "difference_units": difference,
        "scale": pa.array(np.full(count, sides.scope.scale, np.int16)),
        "detail": best["detail"],
    }
    return pa.table(columns).cast(UNMATCHED)


def _ids(sides: Sides, side: int, rows: pa.ChunkedArray, which: pa.ChunkedArray) -> pa.ChunkedArray:
    return sides.rows[SIDES[side]]["id"].take(pc.if_else(which, rows, None))


def _values(session: Session, sides: Sides, side: int) -> tuple[pa.Array, pa.Array]:
    """Amount and day of every unit of a side, by its ``u``."""
    units, rows = units_told(session, sides, SIDES[side]), sides.rows[SIDES[side]]
    if not (units.grouped or sides.wide):
        return rows["amt"], rows["day"]
    # Sums beyond 64 bits have no place in a difference either.
    found = session.arrow(
        f"SELECT u, CASE WHEN abs(amt) < {2**62} THEN amt::BIGINT END AS amt, day FROM {units.table}"
    )
    place = np.full(rows.num_rows, -1, np.int64)
    place[found["u"].to_numpy()] = np.arange(found.num_rows)
    at = pa.array(place, mask=place < 0)
    return found["amt"].take(at), found["day"].take(at)
