"""Why an item stayed open, and what came nearest."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from recon.engine.outcome import UNMATCHED
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.units import make_units
from rules.criteria import Rule
from rules.criteria.scope import ALIAS, Side


SIDES: tuple[Side, Side] = ("statement", "ledger")


def unmatched_table(session: Session, sides: Sides, rules: Sequence[Rule]) -> pa.Table:
    """All rows of both sides that are in no match, each with its reason."""
    empty = "NULL AS rule_index, NULL AS criterion, NULL AS nearest_id, NULL AS difference_units"
    parts = []
    for number, side in enumerate(SIDES):
        units, alias = make_units(session, sides, side, None), ALIAS[side]
        matched = f"SELECT {alias} AS u FROM kept"
        if units.members is not None:
            matched = f"SELECT m.row AS u FROM {units.members} m SEMI JOIN kept ON m.u = kept.{alias}"
        parts.append(
            f"""SELECT {number} AS side, id, part, 'no_candidate' AS reason, {empty}, scale, NULL AS detail
                FROM {alias} ANTI JOIN ({matched}) USING (u)"""
        )
    return session.arrow(" UNION ALL ".join(parts)).cast(UNMATCHED)
