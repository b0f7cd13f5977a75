"""Interchangeable rows: equal in every business field, so that nobody can say which of them a match is about.

What a row is called (ids, position, part, when it was accepted) and how its amount was written do not count.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.pairs import Rows
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


def kin_of(session: Session, sides: Sides, units: tuple[Units, Units]) -> tuple[Rows | None, Rows | None]:
    """For both sides the first twin of each unit (of one without twins, itself); None where no unit has any."""
    left, right = (_kin(session, sides, each) for each in units)
    return left, right


def _kin(session: Session, sides: Sides, units: Units) -> Rows | None:
    found = session.arrow(f"SELECT u, kin FROM {twin_table(session, sides, units)}")
    if not found.num_rows:
        return None
    kin = np.arange(sides.rows[units.side].num_rows, dtype=np.int32)
    kin[found["u"].to_numpy()] = found["kin"].to_numpy()
    return kin


def twin_table(session: Session, sides: Sides, units: Units) -> str:
    """Table ``(u, kin)`` of the units that have a twin; of groups, those whose rows are all twins of each other's."""
    rows = _row_twins(session, sides, units.side)
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


def _row_twins(session: Session, sides: Sides, side: Side) -> str:
    """Table ``twins_s`` or ``twins_l`` with ``u`` and ``kin`` for every row that has a twin; made once per run.

    ``kin`` is the first of the twins. A hash finds who might have one, then the fields themselves are compared.
    """
    name = f"twins_{ALIAS[side]}"
    if session.exists(name):
        return name
    rows = sides.rows[side]
    if session.options.sign == "unsigned":  # amounts are compared without their direction, twins are not
        rows = rows.append_column("direction", pc.sign(rows["units"]))
    given = [column for column in BUSINESS if column in rows.column_names and rows[column].null_count < len(rows)]
    fields = ", ".join(given)
    rows = rows.select(["u", *given])
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
