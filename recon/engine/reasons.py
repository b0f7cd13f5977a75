"""Why an item stayed open, and what came nearest."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from recon.engine.options import Options
from recon.engine.outcome import UNMATCHED
from recon.engine.session import Session
from recon.engine.sides import Sides
from rules.criteria import Rule


def unmatched_table(session: Session, sides: Sides, rules: Sequence[Rule], options: Options) -> pa.Table:
    """All rows of both sides that are in no match, each with its reason."""
    empty = "NULL AS rule_index, NULL AS criterion, NULL AS nearest_id, NULL AS difference_units"
    rest = f"'no_candidate' AS reason, {empty}, {sides.scope.scale} AS scale, NULL AS detail"
    return session.arrow(
        f"""SELECT 0 AS side, id, part, {rest} FROM s ANTI JOIN kept ON s.u = kept.s
            UNION ALL SELECT 1, id, part, {rest} FROM l ANTI JOIN kept ON l.u = kept.l"""
    ).cast(UNMATCHED)
