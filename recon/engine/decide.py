"""Which of the taken pairs are decided, and which are only the best of several.

Amount differences are worked through smallest first; each is a *level* (with `date`, a level is amount difference and
date difference together). A pair is *live* if both its rows are untaken when its level begins. A taken pair is decided
if no other live pair of either of its rows, twins apart, is on its level or an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recon.engine.rounds import resolve
from recon.engine.session import Session

_DATE_LEVEL = ("gap", "undated", "days", "seconds")


@dataclass(frozen=True)
class Resolved:
    """``taken(s, l, gap, how, rank_s, rival_s, gap_s, rank_l, rival_l, gap_l)`` and who had candidates.

    ``rival_s`` is the best other entry of the line (its ``u``, with rank and amount difference), ``rival_l`` the best
    other line of the entry; NULL if there is none. ``live_…`` are queries for the rows (``u``) that had a live pair
    with others about, ``pairs`` is the number of candidates.
    """

    taken: str
    live_s: str
    live_l: str
    pairs: int


def settle(
    session: Session, pairs: str, order: Sequence[str], *, by_date: bool, twins: Callable[[], tuple[str, str]]
) -> Resolved:
    """Take pairs in order and find their rivals. ``pairs`` has ``s``, ``l`` and the order columns."""
    many_s = session.create("many_s", f"SELECT s FROM {pairs} GROUP BY s HAVING count(*) > 1")
    many_l = session.create("many_l", f"SELECT l FROM {pairs} GROUP BY l HAVING count(*) > 1")
    level_columns = [name for name in order if name in _DATE_LEVEL] if by_date else ["gap"]
    level = f"dense_rank() OVER (ORDER BY {', '.join(level_columns)})" if by_date else "gap"
    ordered = session.create(
        "ordered",
        f"SELECT s, l, gap, {level} AS level FROM {pairs} WHERE s IN (FROM {many_s}) OR l IN (FROM {many_l})"
        f" ORDER BY {', '.join([*order, 's', 'l'])}",
    )
    # A stored table keeps its order, so its row ids are ranks: a sort uses all cores, a window over all one.
    ranked = session.create("ranked", f"SELECT s, l, gap, level, rowid AS r FROM {ordered}")
    sole = f"SELECT p.s, p.l, p.gap FROM {pairs} p ANTI JOIN {many_s} a ON p.s = a.s ANTI JOIN {many_l} b ON p.l = b.l"
    taken = session.create("settled", f"SELECT s, l, gap, 'sole' AS how, {_NO_RIVALS} FROM ({sole})")
    live = ranked
    if session.count(ranked):
        live = _settle_contested(session, ranked, taken, "date" if by_date else "nearest", twins())
    session.drop(many_s, many_l, ordered)
    return Resolved(taken, f"SELECT s AS u FROM {live}", f"SELECT l AS u FROM {live}", session.count(pairs))


_NO_RIVALS = (
    "NULL::BIGINT AS rank_s, NULL::BIGINT AS rival_s, NULL::HUGEINT AS gap_s,"
    " NULL::BIGINT AS rank_l, NULL::BIGINT AS rival_l, NULL::HUGEINT AS gap_l"
)


def _settle_contested(session: Session, ranked: str, taken: str, how: str, twins: tuple[str, str]) -> str:
    won = resolve(session, ranked)
    live = _live(session, ranked, won)
    rival_s = _rivals(session, won, live, ("s", "l"), twins[1])
    rival_l = _rivals(session, won, live, ("l", "s"), twins[0])
    session.run(
        f"""INSERT INTO {taken} SELECT w.s, w.l, w.gap, '{how}', a.r, a.rival, a.gap, b.r, b.rival, b.gap
            FROM {won} w LEFT JOIN {rival_s} a USING (s) LEFT JOIN {rival_l} b USING (l)"""
    )
    session.drop(won, rival_s, rival_l)
    return live


def _live(session: Session, ranked: str, won: str) -> str:
    """The contested pairs whose rows were both untaken when their level began; drops ``ranked``."""
    levels = session.rows(f"SELECT min(level), max(level) FROM {ranked}")[0]
    if levels[0] == levels[1]:
        return ranked  # one level: everything was untaken when it began
    live = session.create(
        "live",
        f"""SELECT q.* FROM {ranked} q LEFT JOIN {won} a ON q.s = a.s LEFT JOIN {won} b ON q.l = b.l
            WHERE coalesce(a.level >= q.level, true) AND coalesce(b.level >= q.level, true)""",
    )
    session.drop(ranked)
    return live


def _rivals(session: Session, won: str, live: str, rows: tuple[str, str], twins: str) -> str:
    """For each taken row the best other live pair up to its level; twins of its partner are no rivals."""
    row, partner = rows
    apart = "true"
    kin = ""
    if session.count(twins):
        kin = f" LEFT JOIN {twins} x ON w.{partner} = x.u LEFT JOIN {twins} y ON q.{partner} = y.u"
        apart = f"coalesce(x.kin, w.{partner}) <> coalesce(y.kin, q.{partner})"
    return session.create(
        "rivals",
        f"""SELECT w.{row}, min(q.r) AS r, arg_min(q.{partner}, q.r) AS rival, arg_min(q.gap, q.r) AS gap
            FROM {won} w JOIN {live} q USING ({row}){kin}
            WHERE q.level <= w.level AND q.{partner} <> w.{partner} AND {apart} GROUP BY w.{row}""",
    )


def losers(session: Session, resolved: Resolved, column: str, before: str | None) -> str:
    """The rows that have had a live pair so far and were not taken: whatever they get later is not decided."""
    earlier = f" UNION SELECT u FROM {before}" if before else ""
    live = resolved.live_s if column == "s" else resolved.live_l
    return session.create(
        "lost", f"SELECT DISTINCT q.u FROM ({live}) q ANTI JOIN {resolved.taken} t ON q.u = t.{column}{earlier}"
    )
