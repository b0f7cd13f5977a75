"""From taken pairs to the tables of an Outcome."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from recon.engine.conversion import in_every_currency
from recon.engine.outcome import DIFFERENCES, MATCH_ROWS, MATCHES, RUNNERS_UP
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.units import Units, make_units
from rules.criteria import Rule
from rules.criteria.scope import ALIAS, quoted


def keep_standing(session: Session, rules: int) -> None:
    """Table ``kept``: every confirmed pair, then suggestions in the order of rules, unless one of their units is
    taken.

    A suggestion claims nothing: what a later rule confirms withdraws it, and an earlier suggestion stands before a
    later one.
    """
    session.run("CREATE TABLE kept AS SELECT * FROM taken WHERE state = 'confirmed'")
    for rule in range(rules):
        if session.number(f"SELECT count(*) FROM taken WHERE rule = {rule} AND state = 'suggested'"):
            session.run(
                f"""INSERT INTO kept SELECT t.* FROM taken t
                    ANTI JOIN kept a ON t.s = a.s ANTI JOIN kept b ON t.l = b.l
                    WHERE t.rule = {rule} AND t.state = 'suggested'"""
            )


def match_tables(session: Session, rules: Sequence[Rule], sides: Sides) -> tuple[pa.Table, ...]:
    """Matches, match rows, differences and runners-up, numbered in the order of the matches' first rows."""
    lines, entries = make_units(session, sides, "statement", None), make_units(session, sides, "ledger", None)
    # A stored table keeps its order, so its row ids count from 0 in it.
    session.run("CREATE TABLE in_order AS SELECT * FROM kept ORDER BY s, l")
    session.run("CREATE VIEW numbered AS SELECT rowid + 1 AS match_no, * FROM in_order")
    session.run(f"CREATE TABLE priced AS {_priced(session, rules, sides, lines, entries)}")
    matches = session.arrow(
        """SELECT match_no, rule AS rule_index, 'rule' AS origin, state, decided_by, ccy AS currency, scale,
               line_units, entry_units, DATE '1970-01-01' + cleared AS cleared_on FROM priced ORDER BY match_no"""
    )
    rows = session.arrow(f"{_rows(lines, sides, 0)} UNION ALL {_rows(entries, sides, 1)}")
    whens = " ".join(f"WHEN {index} THEN {quoted(rule.difference_type)}" for index, rule in enumerate(rules))
    kind = f"CASE rule {whens} END" if rules else "NULL::VARCHAR"
    differences = session.arrow(
        f"""SELECT match_no, ccy AS currency, line_units - entry_units AS units, scale, {kind} AS type
            FROM priced WHERE line_units <> entry_units ORDER BY match_no"""
    )
    return (
        matches.cast(MATCHES),
        rows.cast(MATCH_ROWS),
        differences.cast(DIFFERENCES),
        _runners_up(session).cast(RUNNERS_UP),
    )


def _priced(session: Session, rules: Sequence[Rule], sides: Sides, lines: Units, entries: Units) -> str:
    """Query: every match with its two amounts at the scale it is told in."""
    cross = any(rule.cross_currency for rule in rules)
    scale = f"{sides.scope.scale}::SMALLINT"
    if not sides.one_scale and not cross:
        scale = "greatest(a.scale, b.scale)"
    amount, converted = "a.amt", ""
    if cross:
        amount = "c.amt"
        converted = f" JOIN ({in_every_currency(session, sides, lines.table)}) c ON c.u = a.u AND c.ccy = b.ccy"
    factor = _factor(scale, sides)
    cleared = "a.day"
    if lines.members is not None:
        cleared = "z.day"
        days = f"SELECT m.u, max(r.day) AS day FROM {lines.members} m JOIN s r ON m.row = r.u GROUP BY m.u"
        converted += f" JOIN ({days}) z ON z.u = a.u"
    return (
        f"SELECT n.match_no, n.s, n.l, n.rule, n.state, n.decided_by, b.ccy, {cleared} AS cleared, {scale} AS scale,"
        f" {amount} {factor} AS line_units, b.amt {factor} AS entry_units"
        f" FROM numbered n JOIN {lines.table} a ON n.s = a.u JOIN {entries.table} b ON n.l = b.u{converted}"
    )


def _rows(units: Units, sides: Sides, side: int) -> str:
    """Query: the rows of the matches of one side, as compared. Of a single row that is what the match says."""
    alias, total = ALIAS[units.side], ("line_units", "entry_units")[side]
    if units.members is None:
        return (
            f"SELECT p.match_no, {side} AS side, r.id, r.part, p.{total} AS units, p.scale"
            f" FROM priced p JOIN {alias} r ON p.{alias} = r.u"
        )
    # The rows of a group whose sum lost its sign lose theirs with it.
    sign = "sign(g.total)::BIGINT *" if units.unsigned else ""
    sums = f"SELECT m.u, sum(r.amt) AS total FROM {units.members} m JOIN {alias} r ON m.row = r.u GROUP BY m.u"
    flipped = f" JOIN ({sums}) g ON g.u = p.{alias}" if units.unsigned else ""
    return (
        f"SELECT p.match_no, {side} AS side, r.id, r.part, {sign} r.amt {_factor('p.scale', sides)} AS units, p.scale"
        f" FROM priced p JOIN {units.members} m ON p.{alias} = m.u JOIN {alias} r ON m.row = r.u{flipped}"
    )


def _runners_up(session: Session) -> pa.Table:
    sides = " UNION ALL ".join(
        f"""SELECT n.match_no, r.rank, {side} AS side, t.id, t.part, r.gap::BIGINT AS gap FROM numbered n
            JOIN runners r ON r.rule = n.rule AND r.s = n.s AND r.l = n.l JOIN {alias} t ON r.u = t.u
            WHERE r.side = {side}"""
        for side, alias in ((0, "s"), (1, "l"))
    )
    return session.arrow(f"FROM ({sides}) ORDER BY match_no, rank")


def _factor(scale: str, sides: Sides) -> str:
    """SQL that brings an amount from the scale of the run to that of its match; digits it drops are all zero."""
    if scale.startswith(str(sides.scope.scale)) or sides.one_scale:
        return ""
    powers = " ".join(f"WHEN {each} THEN {10 ** (sides.scope.scale - each)}" for each in range(sides.scope.scale))
    return f"// (CASE {scale} {powers} ELSE 1 END)" if powers else ""
