"""Measurements as a table for people, and how time grows with rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Printed = Mapping[str, Any]
HEADINGS = (
    "suite",
    "rows",
    "engine",
    "stage",
    "seconds",
    "x floor",
    "rows/s",
    "peak MiB",
    "matches",
    "prec.",
    "recall",
)
WIDTHS = (8, 9, 7, 6, 10, 8, 11, 9, 10, 8, 8)


def row(one: Printed, *, first: bool = False) -> str:
    """One line of the table, below its headings if it is the first."""
    floor = one["floor_seconds"]
    cells = (
        one["suite"], f"{one['rows']:,}", one["engine"], one["stage"], f"{one['seconds']:,.3f}",
        f"{one['seconds'] / floor:.1f}" if floor else "-",
        f"{one['rows'] / max(one['seconds'], 1e-9):,.0f}", f"{one['peak_mib']:,.0f}", f"{one['matches']:,}",
        *("-" if one[name] is None else f"{one[name]:.4f}" for name in ("precision", "recall")),
    )  # fmt: skip
    said = _line(cells)
    return f"{_line(HEADINGS)}\n{said}" if first else said


def _line(cells: Iterable[str]) -> str:
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))


def exponents(measurements: Iterable[Printed]) -> Iterator[str]:
    """For each suite and engine measured at several sizes: the k of seconds ~ rows^k between the ends."""
    sizes: dict[tuple[str, str, str], list[tuple[int, float]]] = defaultdict(list)
    for one in measurements:
        sizes[one["suite"], one["engine"], one["stage"]].append((one["rows"], one["seconds"]))
    for (suite, engine, stage), points in sizes.items():
        (small, fast), (large, slow) = min(points), max(points)
        if large > small:
            grown = math.log(slow / fast) / math.log(large / small)
            yield f"{suite} {engine} {stage}: rows^{grown:.2f} from {small:,} to {large:,}"
