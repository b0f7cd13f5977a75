"""From standing matches to the tables of an Outcome."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.contest import DECIDED_BY, NOBODY
from recon.engine.conversion import in_every_currency, places_sql
from recon.engine.outcome import DIFFERENCES, MATCH_ROWS, MATCHES, RUNNERS_UP
from recon.engine.pairs import Rows, in_groups
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides
from recon.engine.standing import Standing
from recon.engine.units import Units, make_units
from rules.criteria import Rule
from rules.criteria.scope import ALIAS

_SEARCHED = "subset_sum"
_AT_ONCE = 200_000


def match_tables(
    session: Session, rules: Sequence[Rule], sides: Sides, kept: Standing, *, searched: bool = False
) -> tuple[pa.Table, ...]:
    """Matches, match rows, differences and runners-up, numbered from 1 in the order of the matches' first rows."""
    count = len(kept.line)
    decided_by = pa.array(DECIDED_BY).take(pa.array(kept.decided_by))
    numbers = pa.arange(1, count + 1)
    lines, entries = make_units(session, sides, "statement", None), make_units(session, sides, "ledger", None)
    priced = _priced(session, rules, sides, kept, lines, entries)
    matches = pa.table(
        [
            numbers, kept.rule, pa.repeat(_SEARCHED if searched else "rule", count),
            pc.if_else(pa.array(kept.confirmed), "confirmed", "suggested"), decided_by,
            *(priced[name] for name in ("ccy", "scale", "line_units", "entry_units", "cleared")),
        ],
        names=MATCHES.names,
    )  # fmt: skip
    rows = pa.concat_tables(
        [_rows(session, sides, units, side, kept, priced) for side, units in enumerate((lines, entries))]
    )
    return matches.cast(MATCHES), rows, _differences(rules, kept, numbers, priced), _runners_up(sides, kept)


def _priced(
    session: Session, rules: Sequence[Rule], sides: Sides, kept: Standing, lines: Units, entries: Units
) -> pa.Table:
    """For each match its currency, the scale it is told in, both amounts in it, and the latest day of its lines."""
    cross = any(rule.cross_currency for rule in rules)
    if not (cross or sides.wide or lines.grouped or entries.grouped):
        return _priced_as_read(sides, kept)
    scale = f"{sides.scope.scale}::SMALLINT"
    if not sides.one_scale:
        of_line, of_entry = ("n.scale_s", "a.scale")[lines.grouped], ("n.scale_l", "b.scale")[entries.grouped]
        if cross:  # what is converted has the decimal places of the currency it came to
            of_line = f"CASE WHEN a.ccy = b.ccy THEN {of_line} ELSE {places_sql(session, 'b.ccy')} END"
        scale = f"greatest({of_line}, {of_entry})::SMALLINT"
    amount, converted, cleared = "a.amt", "", "a.day"
    if cross:
        amount = "c.amt"
        converted = f" JOIN ({in_every_currency(session, sides, lines.table)}) c ON c.u = a.u AND c.ccy = b.ccy"
    if lines.members is not None:
        cleared = "z.day"
        days = f"SELECT m.u, max(r.day) AS day FROM {lines.members} m JOIN s r ON m.row = r.u GROUP BY m.u"
        converted += f" JOIN ({days}) z ON z.u = a.u"
    factor = _factor(scale, sides)
    numbered = pa.table(
        {
            "number": np.arange(len(kept.line)), "s": kept.line, "l": kept.entry,
            "scale_s": sides.rows["statement"]["scale"].take(kept.line),
            "scale_l": sides.rows["ledger"]["scale"].take(kept.entry),
        }
    )  # fmt: skip
    table = session.create_from(
        "priced",
        numbered,
        f"SELECT n.number, b.ccy, {scale} AS scale, ({amount} {factor})::BIGINT AS line_units,"
        f" (b.amt {factor})::BIGINT AS entry_units, {cleared} AS cleared"
        f" FROM given n JOIN {lines.table} a ON n.s = a.u JOIN {entries.table} b ON n.l = b.u{converted}",
    )
    found = session.arrow(f"FROM {table}")
    session.drop(table)
    number = found["number"].to_numpy()
    if np.any(number[1:] < number[:-1]):
        place = np.empty(found.num_rows, np.int64)
        place[number] = np.arange(found.num_rows)
        found = found.take(pa.array(place))
    return found.set_column(5, "cleared", found["cleared"].cast(pa.date32()))


def _priced_as_read(sides: Sides, kept: Standing) -> pa.Table:
    """The same where every match is of one line and one entry, and nothing is converted."""
    line, entry = sides.rows["statement"], sides.rows["ledger"]
    at = pa.array(kept.line), pa.array(kept.entry)
    scale: pa.Array | pa.ChunkedArray = pa.repeat(pa.scalar(sides.scope.scale, pa.int16()), len(kept.line))
    units = [line["amt"].take(at[0]), entry["amt"].take(at[1])]
    if not sides.one_scale:
        scale = pc.max_element_wise(line["scale"].take(at[0]), entry["scale"].take(at[1]))
        powers = pa.array([10 ** (sides.scope.scale - each) for each in range(sides.scope.scale + 1)])
        units = [pc.divide(amounts, powers.take(scale)) for amounts in units]  # the digits this drops are all zero
    columns = [entry["currency"].take(at[1]), scale, *units, line["day"].take(at[0]).cast(pa.date32())]
    return pa.table(columns, names=["ccy", "scale", "line_units", "entry_units", "cleared"])


def _rows(session: Session, sides: Sides, units: Units, side: int, kept: Standing, priced: pa.Table) -> pa.Table:
    """The rows of the matches of one side, as compared. Of a single row that is what the match says."""
    total = priced[("line_units", "entry_units")[side]]
    own = kept.line if side == 0 else kept.entry
    if units.members is None:
        return _named(sides, units, np.arange(len(own)), own, total, priced["scale"])
    if not (units.unsigned or sides.wide):
        return _members_as_read(session, sides, units, own, priced["scale"])
    # The rows of a group whose sum lost its sign lose theirs with it.
    alias = ALIAS[units.side]
    sign = "sign(sum(r.amt) OVER (PARTITION BY m.u))::BIGINT *" if units.unsigned else ""
    numbered = pa.table({"number": np.arange(len(own)), "u": own, "scale": priced["scale"]})
    table = session.create_from(
        "grouped",
        numbered,
        f"SELECT n.number, r.u, ({sign} r.amt {_factor('n.scale', sides)})::BIGINT AS units, n.scale"
        f" FROM given n JOIN {units.members} m ON m.u = n.u JOIN {alias} r ON m.row = r.u",
    )
    found = session.arrow(f"FROM {table} ORDER BY number, u")
    session.drop(table)
    return _named(sides, units, found["number"].to_numpy(), found["u"].to_numpy(), found["units"], found["scale"])


def _members_as_read(session: Session, sides: Sides, units: Units, own: Rows, scale: pa.ChunkedArray) -> pa.Table:
    """The rows of groups whose amounts are as they were read."""
    lent = session.lent(units.members) if units.members else None
    members = session.arrow(f"SELECT u, row FROM {units.members}") if lent is None else lent
    place = np.full(sides.rows[units.side].num_rows, NOBODY, np.int32)
    place[own] = np.arange(len(own))
    number, row = place[members["u"].to_numpy()], members["row"].to_numpy()
    matched = number != NOBODY
    number, row = number[matched], row[matched]
    order = in_groups(number, len(own))  # rows come in order
    number, row = number[order], row[order]
    amounts = sides.rows[units.side]["amt"].take(pa.array(row))
    if sides.one_scale:
        scales = pa.repeat(pa.scalar(sides.scope.scale, pa.int16()), len(row))
    else:
        scales = scale.take(pa.array(number))
        powers = pa.array([10 ** (sides.scope.scale - each) for each in range(sides.scope.scale + 1)])
        amounts = pc.divide(amounts, powers.take(scales))
    return _named(sides, units, number, row, amounts, scales)


def _named(
    sides: Sides, units: Units, number: np.ndarray, row: np.ndarray, amounts: pa.ChunkedArray, scale: pa.ChunkedArray
) -> pa.Table:
    rows = sides.rows[units.side]
    side = pa.array(np.full(len(row), 0 if units.side == "statement" else 1, np.int8))
    columns = [
        pa.array(number + 1),
        side,
        rows["id"].take(pa.array(row)),
        rows["part"].take(pa.array(row)),
        amounts,
        scale,
    ]
    return pa.table(columns, names=MATCH_ROWS.names).cast(MATCH_ROWS)


def _differences(rules: Sequence[Rule], kept: Standing, numbers: pa.Array, priced: pa.Table) -> pa.Table:
    """What the two amounts of a match differ by, named as its rule says."""
    differs = np.flatnonzero(priced["line_units"].to_numpy() != priced["entry_units"].to_numpy())
    some, rule = priced.take(pa.array(differs)), kept.rule[differs]
    types = pa.array([each.difference_type for each in rules], pa.string()).take(pa.array(rule))
    units = pc.subtract(some["line_units"], some["entry_units"])
    return pa.table(
        [numbers.take(pa.array(differs)), some["ccy"], units, some["scale"], types], names=DIFFERENCES.names
    ).cast(DIFFERENCES)


def _runners_up(sides: Sides, kept: Standing) -> pa.Table:
    """The best other candidates of what is not decided: of the line (an entry), of the entry (a line)."""
    count = sum(np.count_nonzero(rival != NOBODY) for rival in kept.rival)
    if not count:
        return RUNNERS_UP.empty_table()
    columns = {field.name: np.empty(count, field.type.to_pandas_dtype()) for field in RUNNERS_UP}
    columns["scale"][:] = sides.scope.scale
    named = [[sides.rows[side][name].to_numpy() for name in ("id", "part")] for side in reversed(SIDES)]
    done = 0
    # Of millions at once, every array in between would cost its memory anew.
    for start in range(0, len(kept.line), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        rivals, line_first = [rival[some] for rival in kept.rival], kept.line_first[some]
        has = [rival != NOBODY for rival in rivals]
        number = has[0].astype(np.int8) + has[1]
        first = done + np.cumsum(number, dtype=np.int64) - number  # the place of a match's first runner-up
        done += int(number.sum())
        for of in range(2):
            shown = np.flatnonzero(has[of])
            behind = has[1 - of][shown] & (line_first[shown] == bool(of))
            place, other = first[shown] + behind, rivals[of][shown]
            values = (start + 1 + shown, 1 + behind, 1 - of, named[of][0][other], named[of][1][other],
                      kept.rival_gap[of][some][shown])  # fmt: skip
            for name, value in zip(("match_no", "rank", "side", "id", "part", "gap"), values, strict=True):
                columns[name][place] = value
    return pa.table([pa.array(column) for column in columns.values()], schema=RUNNERS_UP)


def _factor(scale: str, sides: Sides) -> str:
    """SQL that brings an amount from the scale of the run to that of its match; digits it drops are all zero."""
    if scale.startswith(str(sides.scope.scale)) or sides.one_scale:
        return ""
    powers = " ".join(f"WHEN {each} THEN {10 ** (sides.scope.scale - each)}" for each in range(sides.scope.scale))
    return f"// (CASE {scale} {powers} ELSE 1 END)" if powers else ""
