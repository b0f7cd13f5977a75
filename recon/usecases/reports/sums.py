"""Exact sums of amounts that the database adds up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, F, QuerySet, Sum, Value

from recon.rows import amount

HALF: Final = 10**9

Sums = dict[str, tuple[int, Decimal]]  # by currency: how many, how much


def totals(rows: QuerySet[Any], column: str, sign: int = 1) -> Sums:
    sums: Sums = {}
    for row in summed(rows, column):
        count, total = sums.get(row["currency"], (0, Decimal(0)))
        sums[row["currency"]] = count + row["count"], total + sign * row["total"]
    return sums


def summed(rows: QuerySet[Any], column: str, *by: str) -> Iterator[dict[str, Any]]:
    """Counts and exact sums by currency, scale and more.

    Ten amounts of 18 digits do not fit the databases' integers; their upper and lower digits do."""
    groups: Iterable[dict[str, Any]] = (
        rows.order_by()
        .values("currency", "scale", *by)
        .annotate(count=Count("pk"), upper=Sum(F(column) / Value(HALF)), lower=Sum(F(column) % Value(HALF)))
    )
    for row in groups:
        yield {**row, "total": amount(int(row["upper"] or 0) * HALF + int(row["lower"] or 0), row["scale"])}
