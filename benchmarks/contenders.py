"""The ways to match that are compared: Tieout, and what it is measured against.

The others only join (they neither decide nor keep rows apart, explain or round up what is left), so they show where the
floor is, not what else could do the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.datasets import Dataset, Pass
from benchmarks.scoring import Score, add_pass, possible_matches
from recon.engine import Options, Outcome, match
from recon.memory import forget_peak, peak_memory
from rules.criteria import parse_rule

NAIVE_ROWS = 3_000
MAX_PAIRS = 30_000_000
"""A data frame holds every joined pair before it filters; beyond this many it would only measure the swap."""


@dataclass
class Run:
    """One measured run: seconds of matching alone, the number of matches, and for Tieout how good they are.

    ``total``: for Tieout, with the reasons of all that is left open. ``peak``: the most memory held by the end of it, in
    bytes; what the benchmark itself needs to score a run comes after that.
    """

    seconds: float
    matches: int
    total: float | None = None
    score: Score | None = None
    peak: int | None = None
    notes: list[str] = field(default_factory=list)


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    taken = [0.0]
    start = time.perf_counter()
    yield taken
    taken[0] = time.perf_counter() - start


def tieout(data: Dataset) -> Run:
    """All passes, each on the rows that the one before left open.

    Matching is timed from the rows in memory to the tables of matches; the total adds why the others stay open.
    """
    statement, ledger, notes = data.statement, data.ledger, []
    seconds = total = 0.0
    outcomes = []
    forget_peak()
    for one in data.passes:
        with stopwatch() as taken:
            result = run_pass(one, statement, ledger)
        seconds += result.match_seconds
        total += taken[0]
        outcomes.append(result)
        notes += [
            f"{one.rules[rule.index]['name']}: {rule.seconds:.2f} s, {rule.candidates:,} candidates"
            for rule in result.rules
        ]
        if one is not data.passes[-1]:
            statement, ledger = (_still_open(table, side, result) for side, table in enumerate((statement, ledger)))
    peak = peak_memory()
    score = Score(possible=possible_matches(data.line_keys, data.entry_keys))
    for one, result in zip(data.passes, outcomes, strict=True):
        names = [rule["name"] for rule in one.rules]
        add_pass(score, names, result.matches, result.match_rows, data.line_keys, data.entry_keys)
    return Run(seconds, score.confirmed + score.suggested, total, score, peak, notes)


def run_pass(one: Pass, statement: pa.Table, ledger: pa.Table) -> Outcome:
    rules = [parse_rule(rule) for rule in one.rules]
    return match(rules, statement, ledger, Options(strategy=one.strategy, grouping=one.grouping))  # type: ignore[arg-type]


def _still_open(table: pa.Table, side: int, result: Outcome) -> pa.Table:
    confirmed = result.matches.filter(pc.equal(result.matches["state"], "confirmed"))["match_no"]
    rows = result.match_rows
    claimed = rows.filter(
        pc.and_(pc.equal(rows["side"], side), pc.is_in(rows["match_no"], confirmed.combine_chunks()))
    )
    return table.filter(pc.invert(pc.is_in(table["id"], claimed["id"].combine_chunks())))


SAME_KEYS = ["units", "currency", "booking_date"]
DAYS = range(-2, 3)
DAYS_APART = "l.booking_date BETWEEN s.booking_date - 2 AND s.booking_date + 2"
SAME_AMOUNT = f"statement s JOIN ledger l ON s.units = l.units AND s.currency = l.currency AND {DAYS_APART}"
BY_REFERENCE = "statement s JOIN ledger l ON s.reference = l.reference AND abs(s.units - l.units) <= 1"
FLOORS = {
    "d1": BY_REFERENCE,
    "d2": SAME_AMOUNT,
    "d3": """(SELECT unnest(string_split(lower(description), ' ')) AS token FROM statement) s
             JOIN ledger l ON s.token = lower(l.reference)""",
    "d4": """statement s JOIN (SELECT reference, sum(units) AS units FROM ledger GROUP BY reference) l
             ON s.reference = l.reference AND s.units = l.units""",
    "d5": SAME_AMOUNT,
    "dense": SAME_AMOUNT,
    "drift2": SAME_AMOUNT,  # the exact amounts only: no plain join finds the tolerances in a time worth waiting for
    "drift50": SAME_AMOUNT,
    "mixed": BY_REFERENCE,
}


def floor(data: Dataset) -> Run:
    """The bare DuckDB join of the same keys, counted only."""
    con = duckdb.connect()
    con.register("statement", data.statement)
    con.register("ledger", data.ledger)
    with stopwatch() as taken:
        found = con.execute(f"SELECT count(*) FROM {FLOORS[data.suite]}").fetchone()
    return Run(taken[0], found[0] if found else 0)


def polars(data: Dataset) -> Run | None:
    """The same join in polars, a window of dates as one row for each of its days; nothing where it would hold too many
    pairs."""
    if too_many_pairs(data):
        return None
    columns = ["units", "currency", "booking_date", "reference", "description"]
    s, e = (pl.DataFrame(pl.from_arrow(table.select(columns))) for table in (data.statement, data.ledger))
    with stopwatch() as taken:
        if data.suite == "d3":
            tokens = s.with_columns(pl.col("description").str.split(" ")).explode("description")
            joined = tokens.join(e, left_on="description", right_on="reference")
        elif data.suite == "d4":
            totals = e.group_by("reference").agg(pl.col("units").sum())
            joined = s.join(totals, on=["reference", "units"])
        elif data.suite in ("d1", "mixed"):
            joined = s.join(e, on="reference").filter((pl.col("units") - pl.col("units_right")).abs() <= 1)
        else:
            days = [pl.col("booking_date").dt.offset_by(f"{day}d") for day in DAYS]
            joined = s.with_columns(booking_date=pl.concat_list(days)).explode("booking_date").join(e, on=SAME_KEYS)
    return Run(taken[0], joined.height)


def pandas(data: Dataset) -> Run | None:
    """The same merge in pandas, with the same rows for days; nothing where it would hold too many pairs."""
    if too_many_pairs(data):
        return None
    columns = ["units", "currency", "booking_date", "reference", "description"]
    s, e = (table.select(columns).to_pandas(date_as_object=False) for table in (data.statement, data.ledger))
    with stopwatch() as taken:
        if data.suite == "d3":
            tokens = s.assign(token=s["description"].str.split(" ")).explode("token")
            joined = tokens.merge(e, left_on="token", right_on="reference")
        elif data.suite == "d4":
            totals = e.groupby("reference", as_index=False)["units"].sum()
            joined = s.merge(totals, on=["reference", "units"])
        elif data.suite in ("d1", "mixed"):
            joined = s.dropna(subset="reference").merge(e, on="reference")
            joined = joined[(joined["units_x"] - joined["units_y"]).abs() <= 1]
        else:
            around = [s.assign(booking_date=s["booking_date"] + pd.Timedelta(days=day)) for day in DAYS]
            joined = pd.concat(around).merge(e, on=SAME_KEYS)
    return Run(taken[0], len(joined))


def naive(data: Dataset) -> Run:
    """Every line against every entry in Python, on the first 3,000 rows of each; seconds grown to the full size."""
    fields = ["units", "currency", "booking_date", "reference", "description"]
    lines = [tuple(row.values()) for row in data.statement.select(fields).slice(0, NAIVE_ROWS).to_pylist()]
    entries = [tuple(row.values()) for row in data.ledger.select(fields).slice(0, NAIVE_ROWS).to_pylist()]
    with stopwatch() as taken:
        found = 0
        for units, currency, day, _, _ in lines:
            for other, other_currency, other_day, _, _ in entries:
                if abs(units - other) <= 1 and currency == other_currency and abs((day - other_day).days) <= 2:
                    found += 1
    growth = data.statement.num_rows * data.ledger.num_rows / max(1, len(lines) * len(entries))
    return Run(taken[0] * growth, found)


def too_many_pairs(data: Dataset) -> bool:
    """Whether the join by amount, currency and date finds more pairs than a frame should hold."""
    if data.suite in ("d1", "d3", "d4", "mixed"):
        return False
    con = duckdb.connect()
    con.register("s", data.statement.select(SAME_KEYS))
    con.register("l", data.ledger.select(SAME_KEYS))
    counted = "SELECT units, currency, booking_date, count(*) AS {} FROM {} GROUP BY ALL"
    found = con.execute(
        f"""SELECT sum(n * m) FROM ({counted.format("n", "s")}) s JOIN ({counted.format("m", "l")}) l
            ON s.units = l.units AND s.currency = l.currency AND {DAYS_APART}"""
    ).fetchone()
    return bool(found and found[0] and found[0] > MAX_PAIRS)


CONTENDERS: dict[str, Callable[[Dataset], Run | None]] = {
    "tieout": tieout,
    "floor": floor,
    "polars": polars,
    "pandas": pandas,
    "naive": naive,
}
