"""Resolve contested pairs in the contract's order: what taking pairs one by one from a sorted list would give.

A pair that comes first for both of its rows is taken whatever happens elsewhere, so all such pairs are taken at once,
round by round. Long chains of ties would need many rounds on little data; those end in a plain loop.
"""

from __future__ import annotations

from recon.engine.session import Session

_MAX_ROUNDS = 12
_STALLED = 0.10


def resolve(session: Session, ranked: str) -> str:
    """The pairs taken from ``ranked(s, l, r, …)``, where a smaller ``r`` comes first; with the same columns."""
    taken = session.create("taken", f"SELECT * FROM {ranked} LIMIT 0")
    left, size = ranked, session.count(ranked)
    for _ in range(_MAX_ROUNDS):
        if not size:
            return taken
        won = session.create(
            "won",
            f"SELECT p.* FROM {left} p SEMI JOIN (SELECT min(r) AS r FROM {left} GROUP BY s) USING (r)"
            f" SEMI JOIN (SELECT min(r) AS r FROM {left} GROUP BY l) USING (r)",
        )
        session.run(f"INSERT INTO {taken} SELECT * FROM {won}")
        rest = session.create(
            "rest", f"SELECT p.* FROM {left} p ANTI JOIN {won} a ON p.s = a.s ANTI JOIN {won} b ON p.l = b.l"
        )
        session.drop(won, *([left] if left != ranked else []))
        before, left, size = size, rest, session.count(rest)
        if before - size < before * _STALLED:
            break
    _take_in_order(session, left, taken)
    session.drop(left)
    return taken


def _take_in_order(session: Session, pairs: str, taken: str) -> None:
    """The definition itself, for what rounds would take too long to finish."""
    columns = session.arrow(f"SELECT s, l, r FROM {pairs} ORDER BY r")
    used_s: set[int] = set()
    used_l: set[int] = set()
    kept = []
    for line, entry, rank in zip(*(columns[name].to_pylist() for name in ("s", "l", "r")), strict=True):
        if line not in used_s and entry not in used_l:
            used_s.add(line)
            used_l.add(entry)
            kept.append(rank)
    session.load_rows("kept_ranks", {"r": kept})
    session.run(f"INSERT INTO {taken} SELECT p.* FROM {pairs} p SEMI JOIN kept_ranks k ON p.r = k.r")
    session.drop("kept_ranks")


def resolve_counts(session: Session, ranked: str) -> str:
    """The same for cells of several rows, from ``ranked(s, l, left_s, left_l, used_s, used_l, r)``.

    ``left_…`` are the rows that a cell has left. A pair takes as many as both have: ``taken`` says how many,
    ``used_…`` how many went before.
    """
    took = session.create("taken", f"SELECT *, 0::BIGINT AS taken FROM {ranked} LIMIT 0")
    left = ranked
    while session.count(left):
        won = session.create(
            "won",
            f"SELECT p.*, least(left_s, left_l) AS taken FROM {left} p"
            f" SEMI JOIN (SELECT min(r) AS r FROM {left} GROUP BY s) USING (r)"
            f" SEMI JOIN (SELECT min(r) AS r FROM {left} GROUP BY l) USING (r)",
        )
        session.run(f"INSERT INTO {took} SELECT * FROM {won}")
        rest = session.create(
            "rest",
            f"""SELECT * FROM (SELECT p.s, p.l, p.left_s - coalesce(a.taken, 0) AS left_s,
                    p.left_l - coalesce(b.taken, 0) AS left_l, p.used_s + coalesce(a.taken, 0) AS used_s,
                    p.used_l + coalesce(b.taken, 0) AS used_l, p.r
                FROM {left} p LEFT JOIN {won} a ON p.s = a.s LEFT JOIN {won} b ON p.l = b.l)
                WHERE left_s > 0 AND left_l > 0""",
        )
        session.drop(won, *([left] if left != ranked else []))
        left = rest
    return took
