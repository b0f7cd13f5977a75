"""From taken pairs to the tables of an Outcome."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from recon.engine.outcome import DIFFERENCES, MATCH_ROWS, MATCHES, RUNNERS_UP
from recon.engine.session import Session
from recon.engine.sides import Sides
from rules.criteria import Rule
from rules.criteria.scope import quoted


def keep_standing(session: Session, rules: int) -> None:
    """Table ``kept``: every confirmed pair, then suggestions in the order of rules, unless one of their rows is taken.

    A suggestion claims nothing: what a later rule confirms withdraws it, and an earlier suggestion stands before a
    later one. ``settled_rows(rule, s, l, side, u)`` has the rows of every taken pair.
    """
    session.run("CREATE TABLE kept AS SELECT * FROM taken WHERE state = 'confirmed'")
    for rule in range(rules):
        if not session.number(f"SELECT count(*) FROM taken WHERE rule = {rule} AND state = 'suggested'"):
            continue
        session.run(
            f"""INSERT INTO kept SELECT t.* FROM taken t WHERE t.rule = {rule} AND t.state = 'suggested'
                AND t.s NOT IN (SELECT s FROM kept) AND t.l NOT IN (SELECT l FROM kept)"""
        )


def match_tables(session: Session, rules: Sequence[Rule], sides: Sides) -> tuple[pa.Table, ...]:
    """Matches, match rows, differences and runners-up, numbered in the order of the matches' first rows."""
    session.run("""CREATE TABLE numbered AS SELECT row_number() OVER (ORDER BY s, l) AS match_no, k.* FROM kept k""")
    factor = _factor(sides)
    session.run(
        f"""CREATE TABLE priced AS SELECT n.match_no, n.rule, n.state, n.decided_by, b.ccy, a.day,
                {_scale(sides)} AS scale, a.amt // {factor} AS line_units, b.amt // {factor} AS entry_units,
                a.id AS line_id, a.part AS line_part, b.id AS entry_id, b.part AS entry_part
            FROM numbered n JOIN s a ON n.s = a.u JOIN l b ON n.l = b.u"""
    )
    matches = session.arrow(
        """SELECT match_no, rule AS rule_index, 'rule' AS origin, state, decided_by, ccy AS currency, scale,
               line_units, entry_units, DATE '1970-01-01' + day AS cleared_on FROM priced ORDER BY match_no"""
    )
    rows = session.arrow(
        """SELECT match_no, 0 AS side, line_id AS id, line_part AS part, line_units AS units, scale FROM priced
           UNION ALL SELECT match_no, 1, entry_id, entry_part, entry_units, scale FROM priced"""
    )
    kinds = " ".join(f"WHEN {index} THEN {quoted(rule.difference_type)}" for index, rule in enumerate(rules))
    differences = session.arrow(
        f"""SELECT match_no, ccy AS currency, line_units - entry_units AS units, scale, CASE rule {kinds} END AS type
            FROM priced WHERE line_units <> entry_units ORDER BY match_no"""
    )
    return (
        matches.cast(MATCHES),
        rows.cast(MATCH_ROWS),
        differences.cast(DIFFERENCES),
        _runners_up(session, sides).cast(RUNNERS_UP),
    )


def _runners_up(session: Session, sides: Sides) -> pa.Table:
    return session.arrow(
        """SELECT p.match_no, row_number() OVER (PARTITION BY p.match_no ORDER BY r.r, r.side DESC) AS rank, r.side,
               coalesce(a.id, b.id) AS id, coalesce(a.part, b.part) AS part, r.gap::BIGINT AS gap
           FROM runners r JOIN numbered p ON r.rule = p.rule AND r.s = p.s AND r.l = p.l
           LEFT JOIN s a ON r.side = 0 AND r.u = a.u LEFT JOIN l b ON r.side = 1 AND r.u = b.u
           ORDER BY p.match_no, rank"""
    )


def _scale(sides: Sides) -> str:
    return f"{sides.scope.scale}::SMALLINT" if sides.one_scale else "greatest(a.scale, b.scale)"


def _factor(sides: Sides) -> str:
    """Amounts go out at the larger scale of the match's rows, not at the scale of the run."""
    if sides.one_scale:
        return "1"
    powers = " ".join(f"WHEN {each} THEN {10 ** (sides.scope.scale - each)}" for each in range(sides.scope.scale))
    return f"CASE greatest(a.scale, b.scale) {powers} ELSE 1 END" if powers else "1"
