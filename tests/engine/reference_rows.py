"""What the judge compares: rows, or groups of them, as the contract sees them, in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.engine.reference_criteria import contained, folded, is_constant, other_field

Row = Mapping[str, Any]
Key = tuple[int, int]
"""Names a row part: id and part."""

IDENTITY = {"id", "part", "ord", "position", "external_id", "transaction_id", "created_at", "amount_text"}
"""What may differ between interchangeable rows; amounts are compared by value."""


@dataclass(frozen=True, eq=False)
class Unit:
    """What a strategy pairs: one row, or a group of them."""

    members: tuple[Row, ...]
    amount: Decimal
    currency: str
    day: date | None
    instant: datetime | None
    twins: Any
    """Equal for units that nobody could tell apart."""
    group: tuple[Any, ...]
    """The grouping values of its first row."""
    zone: str

    @property
    def keys(self) -> frozenset[Key]:
        return frozenset((row["id"], row["part"]) for row in self.members)

    @property
    def order(self) -> tuple[Any, ...]:
        return min((row["ord"], row["part"], row["id"]) for row in self.members)


@dataclass
class Books:
    """How a run looks at its rows."""

    zone: str = "UTC"
    sign: str = "as_given"
    strategy: str = "one_to_one"
    grouping: tuple[str, ...] = ()
    rates: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    tolerance_limit: Decimal | None = None
    scale: int = 0
    """Decimal places of the finest amount of the run: a difference has at most 18 digits at it."""

    @property
    def within(self) -> int | None:
        """The side that is matched with itself, if one is."""
        return {"within_statement": 0, "within_ledger": 1}.get(self.strategy)


def units(
    side: int, rows: Sequence[Row], rule: Mapping[str, Any], books: Books, gone: set[tuple[int, Key]]
) -> list[Unit]:
    grouped = books.strategy == "many_to_many" or books.strategy == ("many_to_one", "one_to_many")[side]
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        values = (
            tuple(_group_value(row, name, books.zone) for name in books.grouping)
            if grouped
            else (row["id"], row["part"])
        )
        if None not in values and "" not in values:
            groups[values].append(row)
    return [
        _unit(side, tuple(members), rule, books)
        for members in groups.values()
        if len({row["currency"] for row in members}) == 1
        and not any((side, (row["id"], row["part"])) in gone for row in members)
    ]


def _group_value(row: Row, name: str, zone: str) -> Any:
    if name == "date":
        return _day(row, zone)
    value = _amount(row) if name == "amount" else row["external_id" if name == "id" else name]
    return folded(value) if isinstance(value, str) else value


def _amount(row: Row) -> Decimal:
    return Decimal(row["units"]).scaleb(-row["scale"])


def _unit(side: int, members: tuple[Row, ...], rule: Mapping[str, Any], books: Books) -> Unit:
    pick = max if rule.get("group_date") == "latest" else min
    days = [day for row in members if (day := _day(row, books.zone))]
    times = [row["booked_at"] for row in members if row["booked_at"]]
    total = signed_total(side, members, books)
    business = Counter(
        (
            _amount(row),
            *(value for name, value in sorted(row.items()) if name not in IDENTITY | {"units", "scale"}),
        )
        for row in members
    )
    instant = pick(times) if len(times) == len(members) else None
    day = pick(days) if days else None
    group = tuple(_group_value(members[0], name, books.zone) for name in books.grouping)
    return Unit(members, total, members[0]["currency"], day, instant, frozenset(business.items()), group, books.zone)


def signed_total(side: int, members: Sequence[Row], books: Books) -> Decimal:
    """The sum of some rows of a side as the account reads signs."""
    total = sum((_amount(row) for row in members), Decimal(0))
    if books.sign == "unsigned":
        return abs(total)
    return -total if books.sign == "inverted" and side else total


def too_far(difference: Decimal, books: Books) -> bool:
    """Whether a difference has more digits than there are."""
    return abs(difference) >= Decimal(10) ** (18 - books.scale)


def too_large(amount: Decimal, rule: Mapping[str, Any], s: Unit, e: Unit, books: Books) -> bool:
    """Whether the sum of a group cannot be stored at the finest scale of its match."""
    scale = books.scale if rule.get("cross_currency") else max(row["scale"] for row in (*s.members, *e.members))
    return bool(books.grouping) and amount >= Decimal(2) ** 63 / 10**scale


def _day(row: Row, zone: str) -> date | None:
    return row["booked_at"].astimezone(ZoneInfo(zone)).date() if row["booked_at"] else row["booking_date"]


def comparable(rule: Mapping[str, Any], s: Unit, e: Unit, books: Books) -> Decimal | None:
    """The line's amount in the entry's currency, or nothing if the two may not meet at all."""
    amount = s.amount
    if books.strategy == "one_to_one" and (s.group != e.group or None in s.group or "" in s.group):
        return None  # only rows of one side have groupings in common without being grouped
    if books.strategy == "many_to_many" and any(
        one != other
        for name, one, other in zip(books.grouping, s.group, e.group, strict=True)
        if name not in _compared(rule)
    ):
        return None
    if s.currency != e.currency:
        rate = books.rates.get((s.currency, e.currency)) if rule.get("cross_currency") else None
        if rate is None:
            return None
        amount = (amount * rate).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    far = too_far(amount - e.amount, books) or too_large(max(abs(amount), abs(e.amount)), rule, s, e, books)
    return None if amount * e.amount < 0 or far else amount


def _compared(rule: Mapping[str, Any]) -> set[str]:
    """The fields of either side that some criterion compares."""
    return {name for c in rule["criteria"] if not is_constant(c) for name in (c["field"], other_field(c))}


def order(rule: Mapping[str, Any], s: Unit, at: Decimal, e: Unit) -> tuple[Any, ...]:
    """Who gets a contested candidate: the smallest of these."""
    lags = [int(str(c["expected"]).rstrip("d")) for c in rule["criteria"] if "expected" in c]
    expected = next((lag for lag in lags if lag), 0)
    missing = s.day is None or e.day is None
    days = abs((s.day - e.day).days - expected) if s.day and e.day else 0
    timed = s.instant is not None and e.instant is not None
    seconds = abs((s.instant - e.instant).total_seconds() - expected * 86400) if s.instant and e.instant else 0
    later = not missing and (e.instant > s.instant if timed else e.day > s.day)  # type: ignore[operator]
    return (
        abs(at - e.amount), missing, days, seconds,
        -sum(contained(c, s, e) for c in rule["criteria"] if c["operator"] == "contains" and "value" not in c),
        later, -e.amount, s.order, e.day is None, e.day or date.max, e.order,
    )  # fmt: skip
