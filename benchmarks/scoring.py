"""How much of what an engine matched is true, and how much of what is true it matched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa


@dataclass
class Score:
    """Counts over all passes of a run.

    A match is right if all its rows share one key and, where one line settles several entries, none of them is missing.
    Rows that nobody could tell apart share a key, so it does not matter which of them were paired. ``possible`` counts
    the lines that have a counterpart.
    """

    confirmed: int = 0
    confirmed_right: int = 0
    suggested: int = 0
    suggested_right: int = 0
    possible: int = 0
    by_rule: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def precision(self) -> float:
        """Of the confirmed matches."""
        return self.confirmed_right / self.confirmed if self.confirmed else 1.0

    @property
    def recall(self) -> float:
        """Of confirmed and suggested matches together."""
        return (self.confirmed_right + self.suggested_right) / self.possible if self.possible else 1.0


def possible_matches(line_keys: pa.Array, entry_keys: pa.Array) -> int:
    """How many lines could be matched rightly: of n equal lines and m equal entries, the fewer."""
    con = duckdb.connect()
    con.register("lines", pa.table({"key": line_keys}))
    con.register("entries", pa.table({"key": entry_keys}))
    found = con.execute(
        """SELECT coalesce(sum(least(n, m)), 0) FROM (SELECT key, count(*) AS n FROM lines GROUP BY key)
           JOIN (SELECT key, count(*) AS m FROM entries GROUP BY key) USING (key)"""
    ).fetchone()
    return int(found[0]) if found else 0


def add_pass(
    score: Score, rules: list[str], matches: pa.Table, match_rows: pa.Table, line_keys: pa.Array, entry_keys: pa.Array
) -> None:
    """Count one pass. ``matches`` (match_no, rule_index, state) and ``match_rows`` (match_no, side, id) are its outcome;
    ids are places in the arrays of keys, from 1."""
    con = duckdb.connect()
    con.register("matches", matches)
    con.register("match_rows", match_rows)
    for side, keys in (("lines", line_keys), ("entries", entry_keys)):
        con.register(side, pa.table({"id": pa.arange(1, len(keys) + 1), "key": keys}))
    for rule, state, right, number in con.execute(
        """WITH sizes AS (SELECT key, count(*) AS entries FROM entries GROUP BY key),
                alone AS (SELECT key FROM lines GROUP BY key HAVING count(*) = 1),
                keyed AS (SELECT match_no, side, key FROM match_rows JOIN lines USING (id) WHERE side = 0 UNION ALL
                          SELECT match_no, side, key FROM match_rows JOIN entries USING (id) WHERE side = 1),
                judged AS (SELECT match_no, min(key) AS key, min(key) = max(key) AND count(*) = count(key) AS same,
                                  count(*) FILTER (side = 1) AS entries FROM keyed GROUP BY match_no)
           SELECT rule_index, state, coalesce(same AND (alone.key IS NULL OR j.entries = sizes.entries), false), count(*)
           FROM matches JOIN judged j USING (match_no) LEFT JOIN sizes USING (key) LEFT JOIN alone USING (key) GROUP BY ALL"""
    ).fetchall():
        score.by_rule[rules[rule], f"{state} {'right' if right else 'wrong'}"] += number
        if state == "confirmed":
            score.confirmed += number
            score.confirmed_right += number if right else 0
        else:
            score.suggested += number
            score.suggested_right += number if right else 0
