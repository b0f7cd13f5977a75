"""Geometry of the charts the server draws as SVG: plain numbers, no library, nothing to run in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from recon.usecases.reports.overview import Day

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 40, 12, 24
FLOOR = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Bar:
    """One day: matched lines below, the others on top of them."""

    day: date
    x: float
    width: float
    matched_y: float
    matched_height: float
    rest_y: float
    rest_height: float
    title: str
    is_labelled: bool

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True)
class DayChart:
    """Bars of counts against the left axis, the rate in percent against the right one."""

    bars: tuple[Bar, ...]
    rate_points: str
    dots: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, int], ...]  # (y, count)
    is_empty: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    floor: int = FLOOR


def day_chart(days: Sequence[Day]) -> DayChart:
    """The last days as bars with their rate as a line over the days that have one."""
    highest = round_up(max((day.matched + day.unmatched for day in days), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    room = FLOOR - TOP
    bars, dots = [], []
    for place, day in enumerate(days):
        matched, rest = room * day.matched / highest, room * day.unmatched / highest
        bar = Bar(
            day=day.day,
            x=round(LEFT + place * step + step * 0.18, 1),
            width=round(step * 0.64, 1),
            matched_y=round(FLOOR - matched, 1),
            matched_height=round(matched, 1),
            rest_y=round(FLOOR - matched - rest, 1),
            rest_height=round(rest, 1),
            title=f"{day.day}: {day.matched:,} matched, {day.unmatched:,} not",
            is_labelled=(len(days) - 1 - place) % 3 == 0,
        )
        bars.append(bar)
        if day.rate is not None:
            dots.append((bar.middle, round(FLOOR - room * float(day.rate) / 100, 1)))
    ticks = tuple((round(FLOOR - room * part / 2, 1), highest * part // 2) for part in (0, 1, 2))
    points = " ".join(f"{x},{y}" for x, y in dots)
    return DayChart(tuple(bars), points, tuple(dots), ticks, is_empty=not dots)


def round_up(count: int) -> int:
    """The end of an axis: 2, 4, 10, 20, 40, 100 …; even, so that its middle is a whole number."""
    power = 1
    while True:
        for lead in (2, 4, 10):
            if lead * power >= count:
                return lead * power
        power *= 10
