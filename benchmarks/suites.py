"""The measured suites. Each says what its rows look like, what is true, and the rules a person would write for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import duckdb

from benchmarks.datasets import EPOCH, Body, Dataset, Pass, generated
from benchmarks.mixed import mixed

AMOUNT: Body = {"field": "amount", "operator": "eq"}
CURRENCY: Body = {"field": "currency", "operator": "eq"}
REFERENCE: Body = {"field": "reference", "operator": "eq"}
WITHIN_TWO_DAYS: Body = {"field": "date", "operator": "within_range", "value": "2d"}
DAYS = 90
FALSE_CANDIDATES = 2.6
SAME_CURRENCY = 0.665  # 0.80² + 0.15² + 0.05²: the chance that two rows share their currency


def rule(name: str, *criteria: Body, **more: object) -> Body:
    return {"name": name, "criteria": list(criteria), **more}


def reference_and_amount(rows: int) -> Dataset:
    """D1: unique references; 90% exact, 5% one cent off, 5% of either side without a counterpart."""

    def generate(con: duckdb.DuckDBPyConnection, n: int) -> None:
        # An odd multiplier modulo 2³² gives every row another reference.
        con.execute(
            f"""CREATE TABLE made AS SELECT i, draw(a, 2, 100) AS kind, draw(b, 0, 3)::INT AS lag,
                printf('%08X', (i * 2654435761 + 12345) % 4294967296) AS code,
                100 + draw(a, 0, 999900) AS units, {EPOCH} + draw(a, 1, {DAYS})::INT AS day FROM draws({n}, 'd1')"""
        )
        con.execute(
            """CREATE TABLE entries AS SELECT if(kind < 95, i, NULL) AS key, units, 'USD' AS currency,
               day AS booking_date, 'PAY' || code AS reference, 'Order ' || i AS description,
               'Customer ' || i % 1000 AS counterparty FROM made"""
        )
        con.execute(
            """CREATE TABLE lines AS SELECT if(kind < 95, i, NULL) AS key,
               units + CASE WHEN kind < 90 OR kind > 94 THEN 0 WHEN kind < 92 THEN 1 ELSE -1 END AS units,
               'USD' AS currency, day + lag AS booking_date, if(kind < 95, 'PAY', 'BNK') || code AS reference,
               'CARD PAYMENT ' || i AS description, NULL AS counterparty FROM made"""
        )

    one = rule("Reference and amount", {**AMOUNT, "allowable_drift": "0.01"}, REFERENCE)
    return generated("d1", rows, generate, (Pass((one,)),))


def _amounts_and_dates(con: duckdb.DuckDBPyConnection, n: int, *, amounts: int, off_by: int, identical: float) -> None:
    """Rows that only amount, currency and date tell apart: ``amounts`` different amounts, 5% without a counterpart,
    5% off by up to ``off_by`` cents, and a share of rows that are identical in everything."""
    con.execute(
        f"""CREATE TABLE made AS SELECT i, draw(b, 0, 100) AS kind, i < {int(n * identical)} AS twin,
            if(twin, 999, 100 + draw(a, 0, {amounts})) AS units, 100 + draw(b, 1, {amounts}) AS other_units,
            CASE WHEN twin OR draw(a, 1, 100) < 80 THEN 'USD' WHEN draw(a, 1, 100) < 95 THEN 'EUR' ELSE 'GBP' END
                AS currency,
            {EPOCH} + if(twin, 31, draw(a, 2, {DAYS}))::INT AS day,
            if(twin, 0, CASE WHEN draw(b, 2, 100) < 60 THEN 0 WHEN draw(b, 2, 100) < 90 THEN 1 ELSE 2 END)::INT AS lag,
            draw(b, 2, {off_by} * 2 + 1) - {off_by} AS drift, if(twin, -1, if(kind < 95, i, NULL)) AS key FROM draws({n}, 'd2')"""
    )
    con.execute(
        """CREATE TABLE entries AS SELECT key, units, currency, day AS booking_date,
           if(twin, NULL, 'INV-' || i) AS reference, if(twin, 'Subscription', 'Invoice ' || i) AS description,
           NULL AS counterparty FROM made"""
    )
    con.execute(
        """CREATE TABLE lines AS SELECT key,
           CASE WHEN key IS NULL THEN other_units WHEN NOT twin AND kind >= 90 THEN units + drift ELSE units END AS units,
           currency, day + lag AS booking_date, if(twin, NULL, 'BANK' || (i * 7919 + 13)) AS reference,
           if(twin, 'Subscription', 'TRANSFER ' || (i * 7919 + 13)) AS description, NULL AS counterparty FROM made"""
    )


def amount_and_date(
    suite: str, drift: str, rows: int, *, off_by: int = 0, identical: float = 0.0, amounts: int | None = None
) -> Dataset:
    """D2 and its relatives: amount, currency and a date at most two days later.

    The number of different amounts grows with the rows, so that a row has about 2.6 false candidates at every size
    (3.6M candidate pairs at 1M rows); ``amounts`` fixes it, and then density grows with the rows.
    """
    spread = amounts or max(20, round(rows * SAME_CURRENCY * 5 / DAYS / FALSE_CANDIDATES))
    generate = partial(_amounts_and_dates, amounts=spread, off_by=off_by, identical=identical)
    one = rule("Amount and date", {**AMOUNT, "allowable_drift": drift}, CURRENCY, WITHIN_TWO_DAYS)
    return generated(suite, rows, generate, (Pass((one,)),))


def reference_in_description(rows: int) -> Dataset:
    """D3: the ledger's reference stands in the line's description, among other codes and numbers.

    References have mixed lengths, and some of the short ones occur by chance in other lines.
    """

    def generate(con: duckdb.DuckDBPyConnection, n: int) -> None:
        con.execute(
            f"""CREATE TABLE made AS SELECT i, draw(b, 0, 100) AS kind, 100 + draw(a, 0, 999900) AS units,
                {EPOCH} + draw(a, 1, {DAYS})::INT AS day, draw(b, 1, 3)::INT AS lag,
                CASE i % 10 WHEN 0 THEN (100000 + i)::VARCHAR WHEN 1 THEN (10000000 + i * 7)::VARCHAR
                     WHEN 2 THEN 'INV-2026-' || lpad(i::VARCHAR, 7, '0') WHEN 3 THEN 'RE' || (100000 + i)
                     ELSE printf('%08X', (i * 2654435761 + 12345) % 4294967296) || 'Q' END AS code,
                (100000 + draw(a, 2, 2097152) * 7 % {max(n * 12, 1)})::VARCHAR AS noise FROM draws({n}, 'd3')"""
        )
        con.execute(
            """CREATE TABLE entries AS SELECT if(kind < 95, i, NULL) AS key, units, 'EUR' AS currency,
               day AS booking_date, code AS reference, 'Invoice' AS description, NULL AS counterparty FROM made"""
        )
        con.execute(
            """CREATE TABLE lines AS SELECT if(kind < 95, i, NULL) AS key, units, 'EUR' AS currency,
               day + lag AS booking_date, NULL AS reference,
               concat_ws(' ', 'SEPA CREDIT', 'customer' || i % 977, if(kind < 95, code, 'ohne Angabe'), 'TAN', noise)
               AS description, NULL AS counterparty FROM made"""
        )

    one = rule("Reference in text", {"field": "description", "operator": "contains", "ledger_field": "reference"})
    return generated("d3", rows, generate, (Pass((one,)),))


def payouts(rows: int) -> Dataset:
    """D4: each line pays out 5 to 50 entries that carry its reference; 5% of the totals are wrong, and match nothing."""

    def generate(con: duckdb.DuckDBPyConnection, n: int) -> None:
        con.execute(
            f"""CREATE TABLE made AS SELECT i, 5 + draw(a, 0, 46) AS members, draw(a, 1, 100) < 95 AS sound,
                {EPOCH} + draw(a, 2, {DAYS})::INT AS day, 'PO' || (i * 7919 + 1000003) AS reference
                FROM draws({n}, 'd4')"""
        )
        con.execute(
            """CREATE TABLE entries AS SELECT if(sound, i, NULL) AS key, reference, 'EUR' AS currency,
               if(h % 100 < 3, -1, 1) * (100 + h // 100 % 19900)::BIGINT AS units, day - (h % 5)::INT AS booking_date,
               'Sale' AS description, 'Customer ' || h % 5000 AS counterparty FROM
               (SELECT *, md5_number_lower(i || '/' || member) AS h FROM
                (SELECT *, unnest(range(members)) AS member FROM made))"""
        )
        con.execute(
            """CREATE TABLE lines AS SELECT any_value(key) AS key, reference, 'EUR' AS currency,
               sum(units)::BIGINT + if(any_value(key) IS NULL, 137, 0) AS units, max(booking_date) + 1 AS booking_date,
               'PAYOUT ' || reference AS description, 'Processor' AS counterparty FROM entries GROUP BY reference"""
        )

    one = rule("Payout by reference and total", AMOUNT, REFERENCE)
    return generated("d4", rows, generate, (Pass((one,), "one_to_many", ("reference",)),))


SUITES: dict[str, Callable[[int], Dataset]] = {
    "d1": reference_and_amount,
    "d2": partial(amount_and_date, "d2", "0"),
    "d3": reference_in_description,
    "d4": payouts,
    "d5": partial(amount_and_date, "d5", "0", identical=0.1),
    "drift2": partial(amount_and_date, "drift2", "0.02", off_by=2),  # a tolerance without a reference
    "drift50": partial(amount_and_date, "drift50", "0.50", off_by=50),
    "dense": partial(amount_and_date, "dense", "0", amounts=5_000),  # shop prices: at 5M, 37 candidates a row
    "mixed": mixed,
}

ROWS = {"d1": 1_000_000, "d2": 1_000_000, "d3": 200_000, "d4": 100_000, "d5": 200_000, "dense": 5_000_000,
        "drift2": 1_000_000, "drift50": 1_000_000, "mixed": 100_000}  # fmt: skip
"""The size of a suite unless told otherwise."""
