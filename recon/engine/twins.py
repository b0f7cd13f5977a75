"""Interchangeable rows: equal in every business field, so that nobody can say which of them a match is about.

What a row is called (ids, position, part, when it was accepted) and how its amount was written do not count.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.pairs import Flags, Rows
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.units import Units
from rules.criteria.scope import ALIAS, Side

BUSINESS = (
    "amt",
    "direction",
    "currency",
    "day",
    "instant",
    "booking_date",
    "value_date",
    "reference",
    "description",
    "counterparty",
    "type_code",
    "source",
    "destination",
    "parent_transaction",
    "status",
    "extra",
)
_FEW, _FEW_OF = 1_000, 10
"""Units that are compared with each other sooner than a table of all twins is made, or one in so many of a side."""
_TABLES = {f"twins_{alias}" for alias in ALIAS.values()}


class Twins:
    """Who is a twin of whom among the units of both sides."""

    def __init__(self, session: Session, sides: Sides, units: tuple[Units, Units]) -> None:
        self._session, self._sides, self._units = session, sides, units
        self._known: dict[int, Rows | None] = {}

    def first(self, side: int) -> Rows | None:
        """The first twin of each unit of a side (of one without twins, itself); None where no unit has any."""
        self._session.wanted |= _TABLES
        if side not in self._known:
            found = self._session.arrow(
                f"SELECT u, kin FROM {twin_table(self._session, self._sides, self._units[side])}"
            )
            kin = np.arange(self._sides.sizes[side], dtype=np.int32) if found.num_rows else None
            if kin is not None:
                kin[found["u"].to_numpy()] = found["kin"].to_numpy()
            self._known[side] = kin
        return self._known[side]

    def apart(self, side: int, one: Rows, other: Rows) -> Flags:
        """Which of two units of a side are no twins of each other."""
        self._session.wanted |= _TABLES
        units = self._units[side]
        few = len(one) <= max(_FEW, self._sides.sizes[side] // _FEW_OF)
        if few and side not in self._known and not units.grouped:
            return _differ(_business(self._session, self._sides, units.side), one, other)
        kin = self.first(side)
        return np.not_equal(one, other) if kin is None else np.not_equal(kin[one], kin[other])


def _differ(rows: pa.Table, one: Rows, other: Rows) -> Flags:
    differ = np.zeros(len(one), np.bool_)
    for column in rows.columns:
        left, right = column.take(pa.array(one)), column.take(pa.array(other))
        equal = pc.equal(left, right).fill_null(False)
        neither = pc.and_(pc.is_null(left), pc.is_null(right))
        differ |= ~pc.or_(equal, neither).to_numpy()
    return differ


def twin_table(session: Session, sides: Sides, units: Units) -> str:
    """Table ``(u, kin)`` of the units that have a twin; of groups, those whose rows are all twins of each other's."""
    rows = row_twins(session, sides, units.side)
    if units.members is None:
        return rows
    name = f"group_{rows}"
    if not session.exists(name):
        session.run(
            f"""CREATE TABLE {name} AS SELECT u, min(u) OVER (PARTITION BY kins) AS kin FROM
                (SELECT m.u, string_agg(t.kin, ',' ORDER BY t.kin) AS kins FROM {units.members} m JOIN {rows} t
                 ON m.row = t.u GROUP BY m.u) SEMI JOIN
                (SELECT m.u FROM {units.members} m LEFT JOIN {rows} t ON m.row = t.u GROUP BY m.u
                 HAVING count(*) = count(t.u)) USING (u) QUALIFY count(*) OVER (PARTITION BY kins) > 1"""
        )
    return name


def row_twins(session: Session, sides: Sides, side: Side) -> str:
    """Table ``twins_s`` or ``twins_l`` with ``u`` and ``kin`` for every row that has a twin; made once per run.

    ``kin`` is the first of the twins. A hash finds who might have one, then the fields themselves are compared.
    """
    name = f"twins_{ALIAS[side]}"
    session.wanted.add(name)
    if session.exists(name):
        return name
    rows = _business(session, sides, side)
    fields = ", ".join(rows.column_names)
    rows = rows.append_column("u", sides.rows[side]["u"])
    session.connection.register("rows_in", rows)
    hashed = session.arrow(f"SELECT u, hash({fields}) AS h FROM rows_in")
    session.connection.unregister("rows_in")
    alike = rows.take(pa.array(_repeated(hashed["u"].to_numpy(), hashed["h"].to_numpy())))
    return session.create_from(
        "twins",
        alike,
        f"SELECT u, kin FROM (SELECT u, min(u) OVER kind AS kin, count(*) OVER kind AS n FROM given"
        f" WINDOW kind AS (PARTITION BY {fields})) WHERE n > 1",
        name=name,
    )


def _repeated(rows: Rows, hashes: np.ndarray) -> Rows:
    """The rows whose hash some other row has too."""
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.sort(rows[np.isin(hashes, twice)]) if len(twice) else np.zeros(0, np.int32)


def _business(session: Session, sides: Sides, side: Side) -> pa.Table:
    """The business fields of the rows, as far as any row has them; of several books also which one a row is of."""
    rows = sides.rows[side]
    if session.options.sign == "unsigned":  # amounts are compared without their direction, twins are not
        rows = rows.append_column("direction", pc.sign(rows["units"]))
    given = [
        column for column in ("lot", *BUSINESS) if column in rows.column_names and rows[column].null_count < len(rows)
    ]
    return rows.select(given)
