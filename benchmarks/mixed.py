"""The mixed suite: what a processor's statement really does to a shop's books, in one data set.

Of a hundred orders: 60 plain, 8 with the fee taken off, 5 settled a week late without a reference, 6 with the reference
cut short, 8 with it inside the description only, 4 refunded, 3 twice (identical rows, sometimes one too many on the
statement), 2 mistyped, 2 paid out together with others, and 2 on either side that belong to nothing.
"""

from __future__ import annotations

import duckdb

from benchmarks.datasets import EPOCH, Body, Dataset, Pass, generated

AMOUNT: Body = {"field": "amount", "operator": "eq"}
CURRENCY: Body = {"field": "currency", "operator": "eq"}
REFERENCE: Body = {"field": "reference", "operator": "eq"}

FIRST_PASS: tuple[Body, ...] = (
    {"name": "Reference and amount", "criteria": [REFERENCE, AMOUNT, CURRENCY]},
    {
        "name": "Reference inside the description",
        "criteria": [{"field": "description", "operator": "contains", "ledger_field": "reference"}, AMOUNT],
    },
    {
        "name": "Reference cut short",
        "criteria": [{"field": "reference", "operator": "starts_with"}, AMOUNT, CURRENCY],
    },
    {
        "name": "Reference, less the fee",
        "criteria": [REFERENCE, {"field": "amount", "operator": "within_range", "value": "-6%..0%"}, CURRENCY],
        "difference_type": "fee",
    },
    {
        "name": "Reference mistyped",
        "criteria": [
            {"field": "reference", "operator": "similar", "value": "85"},
            AMOUNT,
            {"field": "date", "operator": "within_range", "value": "0d..4d"},
        ],
    },
    {
        "name": "Amount and date",
        "criteria": [
            AMOUNT,
            CURRENCY,
            {"field": "date", "operator": "within_range", "value": "0d..10d", "expected": "7"},
            {"field": "reference", "operator": "agrees"},
        ],
    },
)
PAYOUTS: Body = {"name": "Paid out together", "criteria": [REFERENCE, AMOUNT]}

KINDS = """CASE WHEN k < 60 THEN 'plain' WHEN k < 68 THEN 'fee' WHEN k < 73 THEN 'late' WHEN k < 79 THEN 'cut'
           WHEN k < 87 THEN 'inside' WHEN k < 91 THEN 'refunded' WHEN k < 94 THEN 'twice' WHEN k < 96 THEN 'typo'
           WHEN k < 98 THEN 'together' ELSE 'alone' END"""


def mixed(rows: int) -> Dataset:
    """``rows`` orders; a few more lines and entries, for refunds, doubles and members of payouts."""
    return generated("mixed", rows, _generate, (Pass(FIRST_PASS), Pass((PAYOUTS,), "one_to_many", ("reference",))))


def _generate(con: duckdb.DuckDBPyConnection, n: int) -> None:
    con.execute(
        f"""CREATE TABLE orders AS SELECT i, {KINDS} AS kind, draw(b, 0, 10) AS luck,
            -- half the prices are price tags, so that equal amounts on one day are common
            CASE WHEN draw(b, 1, 2) = 0 THEN 499 + 500 * draw(a, 1, 60) ELSE 100 + draw(a, 1, 200000) END AS units,
            if(draw(b, 2, 10) < 8, 'EUR', 'GBP') AS currency, {EPOCH} + draw(a, 2, 30)::INT AS day,
            'ORD-' || printf('%08X', (i * 2654435761 + 12345) % 4294967296) || '-' || draw(b, 2, 90) AS code,
            'Customer ' || draw(b, 1, 4001) AS customer
            FROM (SELECT *, draw(a, 0, 100) AS k FROM draws({n}, 'mixed'))"""
    )
    _entries(con)
    _lines(con)


def _entries(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """CREATE TABLE entries AS
           SELECT if(kind = 'alone', NULL, i::VARCHAR) AS key, units, currency, day AS booking_date, code AS reference,
                  'Order ' || i AS description, customer AS counterparty FROM orders
           UNION ALL  -- the second of two identical entries; for a few of them there is only one
           SELECT i::VARCHAR, units, currency, day, code, 'Order ' || i, customer
           FROM orders WHERE kind = 'twice' AND luck < 8
           UNION ALL  -- a refund carries the reference of its order, as books have it
           SELECT i || 'R', -units, currency, day + 2, code, 'Refund ' || i, customer
           FROM orders WHERE kind = 'refunded'
           UNION ALL  -- one to three more members of a payout
           SELECT i::VARCHAR, units + 100 * member, currency, day, code, 'Order ' || i || '/' || member, customer
           FROM (SELECT *, unnest(range(1, 2 + luck % 3)) AS member FROM orders WHERE kind = 'together')"""
    )


def _lines(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """CREATE TABLE lines AS
           SELECT i::VARCHAR AS key,
                  CASE kind WHEN 'fee' THEN units - (units * 29 // 1000 + 1)
                       -- m members of units, units + 100, units + 200, ...
                       WHEN 'together' THEN units * m + 50 * m * (m - 1) ELSE units END AS units,
                  currency, day + if(kind = 'late', 5 + luck % 5, luck % 3)::INT AS booking_date,
                  CASE kind WHEN 'late' THEN NULL WHEN 'inside' THEN NULL WHEN 'cut' THEN left(code, 10)
                       WHEN 'typo' THEN left(code, 6) || '#' || substr(code, 8) ELSE code END AS reference,
                  CASE kind WHEN 'inside' THEN 'CARD ' || customer || ' ' || code || ' THANK YOU'
                       ELSE 'CARD ' || (i * 7919 + 13) END AS description, NULL AS counterparty
           FROM (SELECT *, 2 + luck % 3 AS m FROM orders) WHERE kind <> 'alone'
           UNION ALL  -- identical to the first
           SELECT i::VARCHAR, units, currency, day + (luck % 3)::INT, code, 'CARD ' || (i * 7919 + 13), NULL
           FROM orders WHERE kind = 'twice'
           UNION ALL
           SELECT i || 'R', -units, currency, day + 2 + (luck % 3)::INT, code, 'REFUND ' || i, NULL
           FROM orders WHERE kind = 'refunded'
           UNION ALL  -- lines that belong to nothing: bank charges, another shop's money
           SELECT NULL, units + 37, currency, day, 'X' || code, 'OTHER ' || i, NULL FROM orders WHERE kind = 'alone'"""
    )
