"""What a rule pairs: rows, or groups of rows that share the grouping values.

A unit has the columns of a row and is called by the ``u`` of its first row. Groups form from all rows that came in,
before any rule, filter or window: a group that misses a member would have another sum. What is left of a group after
an earlier match took a member is no unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.grouping import grouping_column
from recon.engine.pairs import Flags, Rows
from recon.engine.session import Session
from recon.engine.sides import Sides, grouped_sides, keeps_group_values
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, Side


@dataclass(frozen=True)
class Units:
    """One side as a rule sees it. ``table`` has the units; ``members(u, row)`` their rows, None where they are the
    rows.

    ``several`` are the text columns in which some group has more than one text, or has rows without one where the rule
    takes that for an answer. ``unsigned``: a sum lost its sign.
    """

    side: Side
    table: str
    members: str | None = None
    several: frozenset[str] = frozenset()
    unsigned: bool = False

    @property
    def grouped(self) -> bool:
        """Whether units are groups."""
        return self.members is not None


def make_units(session: Session, sides: Sides, side: Side, rule: Rule | None) -> Units:
    """The units of a side; groups are made once for each way of dating them."""
    if side not in grouped_sides(session.options.strategy):
        return Units(side, ALIAS[side])
    latest = rule is not None and rule.group_date == "latest"
    name = f"groups_{ALIAS[side]}_{'latest' if latest else 'earliest'}"
    if not session.options.grouping:
        return Units(side, name, f"members_{ALIAS[side]}", unsigned=session.options.sign == "unsigned")
    texts = [column.name for column in sides.texts[side]]
    if not session.exists(name):
        made = _group_in_arrays(session, sides, side, latest=latest)
        if made is None:
            _group(session, sides, side, name, texts, latest=latest)
        else:
            session.create_from("groups", made, "FROM given", name=name)
    lacking = _met_without(rule, side)
    flags = ", ".join(f"bool_or(several_{text}{f' OR lacking_{text}' * (text in lacking)})" for text in texts)
    found = session.rows(f"SELECT {flags} FROM {name}")[0] if texts else ()
    several = frozenset(text for text, flag in zip(texts, found, strict=True) if flag)
    return Units(side, name, _members(session, sides, side), several, session.options.sign == "unsigned")


def _met_without(rule: Rule | None, side: Side) -> set[str]:
    """The text columns of a side that may be missing in a row which meets the rule."""
    criteria = rule.criteria if rule else ()
    return {column.name for each in criteria if each.operator.met_without for column in each.columns(side)}


def open_units(
    session: Session,
    units: Units,
    criteria: Sequence[Criterion],
    sides: Sides,
    *,
    among: str | None = None,
    claimed: Flags | None = None,
) -> str:
    """The units (or those of the table ``among``) that are not claimed and meet the criteria on this side."""
    alias = ALIAS[units.side]
    conditions = [_side_condition(units, criterion, sides) for criterion in criteria]
    where = " AND ".join(condition for condition in conditions if condition)
    table = among or units.table
    gone = np.flatnonzero(claimed) if claimed is not None else np.zeros(0, np.int64)
    if not len(gone) and not where:
        return table
    open_only = " ANTI JOIN given USING (u)" if len(gone) else ""
    query = f"SELECT {alias}.* FROM {table} {alias}{open_only} WHERE {where or 'true'}"
    return session.create_from("units", pa.table({"u": gone.astype(np.int32)}), query)


def _side_condition(units: Units, criterion: Criterion, sides: Sides) -> str | None:
    text = criterion.filter_sql(units.side, sides.scope)
    if text is None or not units.grouped or criterion.field.kind != "text":
        return text and f"({text})"
    # A text criterion holds for a group if it holds for any of its rows.
    alias = ALIAS[units.side]
    return f"{alias}.u IN (SELECT m.u FROM {units.members} m JOIN {alias} ON m.row = {alias}.u WHERE {text})"


def with_every_text(units: Units, table: str, criteria: Sequence[Criterion]) -> str:
    """The units of a table, repeated for each text that the criteria could find in one of their rows."""
    read = {
        column.name for criterion in criteria if not criterion.is_constant for column in criterion.columns(units.side)
    }
    alias = ALIAS[units.side]
    query = f"SELECT {alias}.* FROM {table} {alias}"
    for number, name in enumerate(sorted(read & units.several)):
        texts = f"SELECT DISTINCT m.u, r.{name} FROM {units.members} m JOIN {alias} r ON m.row = r.u"
        query = f"SELECT q{number}.* REPLACE (t.{name} AS {name}) FROM ({query}) q{number} JOIN ({texts}) t USING (u)"
    return query if read & units.several else table


def _group(session: Session, sides: Sides, side: Side, name: str, texts: Sequence[str], *, latest: bool) -> None:
    alias = ALIAS[side]
    pick = "max" if latest else "min"
    total = f"sum(amt)::{'HUGEINT' if sides.wide else 'BIGINT'}"
    if session.options.sign == "unsigned":
        total = f"abs({total})"
    instant = f"CASE WHEN count(instant) = count(*) THEN {pick}(instant) END" if sides.scope.times else "NULL::BIGINT"
    chosen = [
        "min(u) AS u",
        f"{total} AS amt",
        "max(scale) AS scale",
        "min(ccy) AS ccy",
        f"{pick}(day) AS day",
        f"{instant} AS instant",
        "min(ord) AS ord",
        "count(*) AS size",
        *(f"max({name}) AS {name}" for name in _group_values(session)),
        *(f"max({text}) AS {text}, max({text}) <> min({text}) AS several_{text}" for text in texts),
        *(f"count({text}) BETWEEN 1 AND count(*) - 1 AS lacking_{text}" for text in texts),
    ]
    one_currency = "" if sides.one_currency else " HAVING min(ccy) = max(ccy)"
    whole = f" ANTI JOIN taken_{alias} USING (grp)" if session.exists(f"taken_{alias}") else ""
    session.run(
        f"CREATE TABLE {name} AS SELECT {', '.join(chosen)} FROM {alias}{whole} WHERE grp IS NOT NULL"
        f" GROUP BY grp{one_currency}"
    )


def _group_in_arrays(session: Session, sides: Sides, side: Side, *, latest: bool) -> pa.Table | None:
    """The same groups, several times as fast, where only numbers differ within one; None if more may."""
    rows, texts = sides.rows[side], [column.name for column in sides.texts[side]]
    by = {f"{name}_key": name for name in session.options.grouping}  # of which all rows of a group have the same
    more = (
        sides.wide or sides.scope.times or not sides.one_currency or rows["day"].null_count or rows["ord"].null_count
    )
    if more or not by.keys() >= set(texts) or session.exists(f"taken_{ALIAS[side]}"):
        return None
    row, group = _grouped_rows(rows)
    size = np.bincount(group)
    first = _first_rows(row, group)
    amount, days = np.zeros(len(size), np.int64), rows["day"].to_numpy()
    np.add.at(amount, group, rows["amt"].to_numpy()[row])
    order, scale = rows["ord"].to_numpy()[first], rows["scale"].to_numpy()[first]
    day = days[first]
    (np.maximum if latest else np.minimum).at(day, group, days[row])
    np.minimum.at(order, group, rows["ord"].to_numpy()[row])
    if not sides.one_scale:
        np.maximum.at(scale, group, rows["scale"].to_numpy()[row])
    at = pa.array(first)
    return pa.table(
        {
            "u": first, "amt": np.abs(amount) if session.options.sign == "unsigned" else amount, "scale": scale,
            "ccy": rows["currency"].take(at), "day": day, "instant": pa.nulls(len(size), pa.int64()), "ord": order,
            "size": size, **{text: _texts_at(rows, by[text], at) for text in texts},
            **{f"{what}_{text}": pa.repeat(False, len(size)) for what in ("several", "lacking") for text in texts},
            **{name: grouping_column(rows, by).take(at) for name, by in _group_values(session).items()},
        }
    )  # fmt: skip


def _group_values(session: Session) -> dict[str, str]:
    """The columns of grouping values that units have, and what each is of."""
    options = session.options
    kept = options.grouping if keeps_group_values(options.strategy) else ()
    return {f"group_{number}": name for number, name in enumerate(kept)}


def _texts_at(rows: pa.Table, field: str, at: pa.Array) -> pa.Array | pa.ChunkedArray:
    names = [name for name in (field, f"{field}_key") if name in rows.column_names]
    return grouping_column(rows.select(names).take(at), field)


def _grouped_rows(rows: pa.Table) -> tuple[Rows, Rows]:
    """The rows that are in a group, and the group of each."""
    groups = rows["grp"]
    if not groups.null_count:
        return np.arange(len(groups), dtype=np.int32), groups.to_numpy()
    return np.flatnonzero(pc.is_valid(groups).to_numpy()).astype(np.int32), groups.drop_null().to_numpy()


def _first_rows(row: Rows, group: Rows) -> Rows:
    """The first row of each group."""
    first = np.empty(int(group.max(initial=-1)) + 1, np.int32)
    first[group[::-1]] = row[::-1]  # written backwards: the first row of a group is what stays
    return first


def _members(session: Session, sides: Sides, side: Side) -> str:
    """Table ``(u, row)`` of all groups of a side: those of mixed currencies, and what is left of some, included."""
    name = f"members_{ALIAS[side]}"
    if not session.exists(name):
        row, group = _grouped_rows(sides.rows[side])
        session.lend(name, pa.table({"u": _first_rows(row, group)[group], "row": row}))
    return name


def partly_claimed(session: Session, side: Side) -> str | None:
    """Query ``(u)``: groups of a side of which an earlier match has claimed a member. None if there are none."""
    alias = ALIAS[side]
    if not session.exists(f"taken_{alias}"):
        return None
    return f"SELECT min(u) AS u FROM {alias} SEMI JOIN taken_{alias} USING (grp) GROUP BY grp"
