"""Find texts inside texts by equality: cut the longer into the parts it could contain, look the shorter up by one.

Of several parts that the shorter text must share, the one that fewest texts of the other side have is looked up. The
condition of the criterion is still asked of every pair that is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.candidates import Join, within_budget
from recon.engine.plan import Plan
from recon.engine.session import BATCH, Session
from recon.engine.token_runs import Found, Ways, inner_runs, wholes
from recon.engine.tokens import counted, rarest, shared_tokens
from rules.criteria.operators.texts import MIN_CONTAINED

_SIDE_BY_SIDE = 1_000_000
"""Pairs whose rows are copied next to each other: quicker than a join, and more memory."""
_GRAM = 4  # what is contained has at least four letters or digits


def text_join(session: Session, plan: Plan, join: Join, rows: tuple[int, int]) -> tuple[Join, int]:
    """The join narrowed to pairs whose texts share a telling part, and how many those are.

    Raises TooBroad where even these are too many.
    """
    criterion, kind = plan.texts[0]
    form = criterion.forms[0]
    texts = criterion.column("statement", form).name, criterion.column("ledger", form).name
    both = criterion.loose and plan.scope.compact
    sources = _texts(session, join.left, texts[0], both=both), _texts(session, join.right, texts[1], both=both)
    search = {"tokens": _tokens, "loose_tokens": _runs, "substring": _grams}.get(kind, partial(_whole, kind=kind))
    parts, keys = search(session, sources)
    estimated = sum(session.number(f"SELECT sum(n) FROM {each}") for each in keys)
    within_budget(session, plan, estimated, *rows)
    found = [f"SELECT p.u AS s, k.u AS l FROM {parts[0]} p JOIN {keys[1]} k USING (part)"] * bool(
        session.count(keys[1])
    )
    found += [f"SELECT k.u AS s, p.u AS l FROM {parts[1]} p JOIN {keys[0]} k USING (part)"] * bool(
        session.count(keys[0])
    )
    pairs = _each_once([session.arrow(each) for each in found])
    session.drop(*parts, *keys)
    return _joined(session, plan, join, pairs), pairs.num_rows


def _each_once(found: Sequence[pa.Table]) -> pa.Table:
    """The pairs of tables ``(s, l)``, those that were found more than once only once."""
    tables = [pa.table({"s": pa.array([], pa.int32()), "l": pa.array([], pa.int32())}), *found]
    line, entry = (np.concatenate([each[name].to_numpy() for each in tables]) for name in ("s", "l"))
    again = (np.bincount(entry) > 1)[entry]  # of an entry that is in one pair, that is found once
    both = np.unique(line[again].astype(np.int64) << 32 | entry[again])
    line = np.concatenate((line[~again], (both >> 32).astype(np.int32)))
    entry = np.concatenate((entry[~again], (both & 0xFFFF_FFFF).astype(np.int32)))
    return pa.table({"s": line, "l": entry})


def _joined(session: Session, plan: Plan, join: Join, pairs: pa.Table) -> Join:
    """The join of pairs that have been found."""
    rows = _read_by(plan, join, session.lent(join.left), "s"), _read_by(plan, join, session.lent(join.right), "l")
    if rows[0] is not None and rows[1] is not None and 0 < pairs.num_rows <= _SIDE_BY_SIDE:
        paired = session.lend_new("paired", _side_by_side(rows[0], rows[1], pairs))
        return replace(join.keyed(join.left, join.right, [("s.found", "l.u")]), paired=paired)
    found = session.create_from("found", pairs, "FROM given")
    left = f"SELECT s.*, f.l AS found FROM {_from(join.left)} s JOIN {found} f ON s.u = f.s"
    return join.keyed(left, join.right, [("s.found", "l.u")])


def _read_by(plan: Plan, join: Join, rows: pa.Table | None, alias: str) -> pa.Table | None:
    """The columns of a side that are asked about pairs."""
    if rows is None:
        return None
    asked = " ".join([plan.condition, join.condition, join.on(), *(sql for _, sql in plan.order)])
    return rows.select([name for name in rows.column_names if name == "u" or f"{alias}.{name}" in asked])


def _side_by_side(lines: pa.Table, entries: pa.Table, pairs: pa.Table) -> pa.Table:
    """The rows of pairs out of tables that have all rows of a side in order."""
    names = ["s", "l"]
    batches = [
        pa.RecordBatch.from_arrays([_structs(lines, some["s"]), _structs(entries, some["l"])], names)
        for some in pairs.to_batches(max_chunksize=BATCH)
    ]
    return pa.Table.from_batches(batches)


def _structs(table: pa.Table, units: pa.Array) -> pa.StructArray:
    taken = table.take(units)
    return pa.StructArray.from_arrays([column.combine_chunks() for column in taken.columns], taken.column_names)


class Texts(NamedTuple):
    """A query ``(u, text)``, and what it gives if that is in memory."""

    query: str
    listed: pa.Table | None = None

    def read(self, session: Session) -> pa.Table:
        return session.arrow(self.query) if self.listed is None else self.listed


def _texts(session: Session, source: str, column: str, *, both: bool) -> Texts:
    """The texts of a column; with ``both`` also what their compact keys are made of, where these differ."""
    if not both:
        rows, query = (
            session.lent(source),
            f"SELECT u, {column} AS text FROM {_from(source)} t WHERE {column} IS NOT NULL",
        )
        return Texts(query, None if rows is None else pa.table({"u": rows["u"], "text": rows[column]}).drop_null())
    return Texts(
        f"SELECT u, split_part({column}, '|', 1) AS text, false AS compact FROM {_from(source)} t"
        f" WHERE {column} IS NOT NULL"
        f" UNION ALL SELECT u, split_part({column}, '|', 2), true FROM {_from(source)} t WHERE contains({column}, '|')"
    )


Tables = tuple[str, str]
"""Of the statement, of the ledger."""
Sources = tuple[Texts, Texts]
"""The same of texts. A group ``u`` has several."""


def _tokens(session: Session, sources: Sources) -> tuple[Tables, Tables]:
    """Tables ``(u, part)`` of the tokens that both sides have, and ``(u, part, n)`` of the one by which each text is
    looked up: the one that fewest texts of the other side have, about ``n``."""
    texts = sources[0].read(session), sources[1].read(session)
    of = texts[0]["u"].to_numpy(), texts[1]["u"].to_numpy()
    shared = shared_tokens((texts[0]["text"], texts[1]["text"]))
    found = rarest(*shared), rarest(shared[1], shared[0])
    # Signed: DuckDB asks Arrow for a range of them, which it cannot name beyond 63 bits.
    parts, keys = (
        [session.lend_new("parts", pa.table({"u": u[own.text], "part": own.number.view(np.int64)}))
         for u, own in zip(of, shared, strict=True)],
        [session.lend_new("keys", pa.table({"u": u[own.text], "part": own.number.view(np.int64), "n": own.count}))
         for u, own in zip(of, found, strict=True)],
    )  # fmt: skip
    return (parts[0], parts[1]), (keys[0], keys[1])


def _grams(session: Session, sources: Sources) -> tuple[Tables, Tables]:
    """The same of the pieces of four letters that texts have in common. Texts are told apart by ``t``.

    A text some of whose parts the other side does not have stands in none of its texts.
    """
    tables = session.create("texts", sources[0].query), session.create("texts", sources[1].query)
    pieces = [
        "SELECT t, u, unnest(parts) AS part, len(parts) AS size FROM (SELECT rowid AS t, u,"
        f" list_transform(range(1, length(text) - {_GRAM - 2}), lambda i: substring(text, i, {_GRAM})) AS parts"
        f" FROM {source})"
        for source in tables
    ]
    right = session.create("parts", pieces[1])
    # The left side's pieces are never stored whole: most are pieces that the right side does not have.
    both = [session.create("shared", f"SELECT p.*, n FROM ({pieces[0]}) p JOIN ({_counted(right)}) USING (part)")]
    both.append(session.create("shared", f"SELECT p.*, n FROM {right} p JOIN ({_counted(both[0])}) USING (part)"))
    session.drop(right, *tables)
    keys = [
        session.create(
            "keys",
            f"SELECT any_value(u) AS u, arg_min(part, n) AS part, min(n) AS n FROM {parts} GROUP BY t"
            " HAVING count(*) = any_value(size)",
        )
        for parts in both
    ]
    return (both[0], both[1]), (keys[0], keys[1])


def _whole(session: Session, sources: Sources, *, kind: str) -> tuple[Tables, Tables]:
    """The same where a text is looked up as a whole: all ends of a text that could be some whole text."""
    tables = session.create("texts", sources[0].query), session.create("texts", sources[1].query)
    parts = []
    for source, others in zip(tables, reversed(tables), strict=True):
        end = {"prefix": "left", "suffix": "right"}[kind]
        lengths = f"SELECT DISTINCT length(text) AS n FROM {others}"
        query = f"SELECT u, {end}(text, n) AS part FROM {source} JOIN ({lengths}) ON n <= length(text)"
        parts.append(session.create("parts", query))
    keys = [
        session.create("keys", f"SELECT u, part, n FROM (SELECT u, text AS part FROM {source}) JOIN"
        f" ({_counted(others)}) USING (part)")
        for source, others in zip(tables, reversed(parts), strict=True)
    ]  # fmt: skip
    session.drop(*tables)
    return (parts[0], parts[1]), (keys[0], keys[1])


def _runs(session: Session, sources: Sources) -> tuple[Tables, Tables]:
    """The same where the letters and digits of a text are looked up among the runs of tokens of others, in both keys.

    A single token is the same in both keys, and a text that has no compact key of its own has all its runs in one.
    """
    ways = [_ways(source.read(session)) for source in sources]
    whole = [wholes(each, MIN_CONTAINED) for each in ways]
    inside = [
        inner_runs(each, found.number, MIN_CONTAINED, most)
        for each, (found, most) in zip(ways, reversed(whole), strict=True)
    ]
    parts = [session.lend_new("parts", pa.table(_columns(each))) for each in inside]
    keys = []
    for (found, _), others in zip(whole, reversed(inside), strict=True):
        count = counted(found.number, others.number)
        table = pa.table({**_columns(found), "n": count}).filter(pa.array(count > 0))
        keys.append(session.lend_new("keys", table))
    return (parts[0], parts[1]), (keys[0], keys[1])


def _columns(found: Found) -> dict[str, pa.Array]:
    # Signed: DuckDB asks Arrow for a range of them, which it cannot name beyond 63 bits.
    return {"u": found.u, "part": found.number.view(np.int64)}


def _ways(texts: pa.Table) -> Ways:
    if "compact" not in texts.column_names:
        return [(texts, False)]
    return [(texts.filter(pc.equal(texts["compact"], compact)), compact) for compact in (False, True)]


def _counted(parts: str) -> str:
    """Query ``(part, n)``: how many texts have a part."""
    return f"SELECT part, count(*) AS n FROM {parts} GROUP BY part"


def _from(source: str) -> str:
    return f"({source})" if " " in source else source
