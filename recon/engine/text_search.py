"""Find texts inside texts by equality: cut the longer into the parts it could contain, look the shorter up by one.

Of several parts that the shorter text must share, the one that fewest texts of the other side have is looked up. The
condition of the criterion is still asked of every pair that is found.
"""

from __future__ import annotations

from recon.engine.candidates import Join, within_budget
from recon.engine.plan import Plan
from recon.engine.session import Session

_GRAM = 4  # what is contained has at least four letters or digits


def text_join(session: Session, plan: Plan, join: Join, rows: tuple[int, int]) -> Join:
    """The join narrowed to pairs whose texts share a telling part. Raises TooBroad where even these are too many."""
    criterion, kind = plan.texts[0]
    form = criterion.forms[0]
    texts = criterion.column("statement", form).name, criterion.column("ledger", form).name
    sources = (_texts(session, join.left, texts[0]), _texts(session, join.right, texts[1]))
    parts = [_parts(session, sources[side], sources[1 - side], kind) for side in (0, 1)]
    keys = [_keys(session, sources[side], parts[side], parts[1 - side], kind) for side in (0, 1)]
    estimated = sum(
        session.number(
            f"SELECT sum(a.n * b.n) FROM (SELECT part, count(*) AS n FROM {keys[side]} GROUP BY part) a"
            f" JOIN (SELECT part, count(*) AS n FROM {parts[1 - side]} GROUP BY part) b USING (part)"
        )
        for side in (0, 1)
    )
    within_budget(session, plan, estimated, *rows)
    found = session.create(
        "found",
        f"SELECT p.u AS s, k.u AS l FROM {parts[0]} p JOIN {keys[1]} k USING (part)"
        f" UNION SELECT k.u, p.u FROM {parts[1]} p JOIN {keys[0]} k USING (part)",
    )
    session.drop(*sources, *parts, *keys)
    left = f"SELECT s.*, f.l AS found FROM {_from(join.left)} s JOIN {found} f ON s.u = f.s"
    return join.keyed(left, join.right, [("s.found", "l.u")])


def _texts(session: Session, source: str, column: str) -> str:
    return session.create("texts", f"SELECT u, {column} AS text FROM {_from(source)} t WHERE {column} IS NOT NULL")


def _parts(session: Session, texts: str, others: str, kind: str) -> str:
    """Table ``(u, part)``: what a text could contain of the texts of the other side."""
    tokens = "string_split(text, ' ')"
    lengths = f"SELECT DISTINCT length(text) AS n FROM {others}"
    starts = f"range(1, length(text) - {_GRAM - 2})"
    query = {
        "tokens": f"SELECT DISTINCT u, unnest({tokens}) AS part FROM {texts}",
        "substring": f"SELECT DISTINCT u, substring(text, unnest({starts}), {_GRAM}) AS part FROM {texts}",
        "prefix": f"SELECT u, left(text, n) AS part FROM {texts} JOIN ({lengths}) ON n <= length(text)",
        "suffix": f"SELECT u, right(text, n) AS part FROM {texts} JOIN ({lengths}) ON n <= length(text)",
        "loose_tokens": f"SELECT DISTINCT u, array_to_string(list_slice(tokens, i, j), '') AS part FROM"
        f" (SELECT u, tokens, i, unnest(range(i, len(tokens) + 1)) AS j FROM (SELECT u, {tokens} AS tokens,"
        f" unnest(range(1, len({tokens}) + 1)) AS i FROM {texts}))",
    }[kind]
    return session.create("parts", query)


def _keys(session: Session, texts: str, own: str, parts: str, kind: str) -> str:
    """Table ``(u, part)``: the part by which each text is looked up among the parts of the other side."""
    if kind in ("prefix", "suffix"):
        return session.create("keys", f"SELECT u, text AS part FROM {texts}")
    if kind == "loose_tokens":
        return session.create("keys", f"SELECT u, replace(text, ' ', '') AS part FROM {texts}")
    # A text whose parts are not all known on the other side stands in none of its texts.
    return session.create(
        "keys",
        f"SELECT o.u, arg_min(o.part, f.n) AS part FROM {own} o"
        f" LEFT JOIN (SELECT part, count(*) AS n FROM {parts} GROUP BY part) f USING (part)"
        " GROUP BY o.u HAVING count(*) = count(f.n)",
    )


def _from(source: str) -> str:
    return f"({source})" if " " in source else source
