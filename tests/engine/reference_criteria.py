"""The judge's other half: whether one criterion holds between two units, an operator at a time, in plain Python."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from tests.engine.reference_rows import Unit

Criterion = Mapping[str, Any]
TEXTS = ("reference", "description", "counterparty")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def holds(rule: Mapping[str, Any], s: Unit, amount: Decimal, e: Unit) -> bool:
    """Whether all criteria are met by a line (its amount in the entry's currency) and an entry."""
    return all(_holds(c, s, amount, e) for c in rule["criteria"])


def _holds(c: Criterion, s: Unit, amount: Decimal, e: Unit) -> bool:
    if is_constant(c):
        sides = {"statement": [s], "ledger": [e], "both": [s, e]}[c.get("applies_to", "statement")]
        return all(any(_constant_holds(way, unit, unit is s) for way in _ways(c)) for unit in sides)
    if c["field"] == "amount":
        return _amounts_hold(c, amount, e.amount)
    if c["field"] == "date":
        return _dates_hold(c, s, e)
    if c["field"] == "currency":
        return True  # the two have one currency, of their own or by the run's rate, or they would not meet
    if c["operator"] == "agrees":
        return any(
            not a or not b or a.startswith(b) or b.startswith(a)
            for way in _ways(c)
            for line in s.members
            for entry in e.members
            for a, b in [(_compared(way, line[c["field"]], True), _compared(way, entry[other_field(c)], False))]
        )
    return any(_texts_hold(way, a, b) for way in _ways(c) for a, b in _texts(way, s, e))


def _ways(c: Criterion) -> list[Criterion]:
    """Where only letters and digits count, leading zeros go before separators do, or after them; either will do."""
    return [c, {**c, "loose": "separators first"}] if c.get("loose") else [c]


def _without_leading_zeros(text: str) -> str:
    return re.sub("(?<![0-9])0+(?=[0-9])", "", text)


def is_constant(c: Criterion) -> bool:
    """Whether a field is compared with a value of the rule, not with the other side."""
    return "value" in c and c["operator"] not in ("within_range", "similar")


def other_field(c: Criterion) -> str:
    return str(c.get("ledger_field", c["field"]))


def _constant_holds(c: Criterion, unit: Unit, statement: bool) -> bool:
    """Of the unit as it is, whatever its amount comes to in another currency."""
    field, operator, value, amount = c["field"], c["operator"], str(c["value"]), unit.amount
    if field in TEXTS:
        wanted = _folded(c, value)
        found = (_compared(c, row[field], statement) for row in unit.members)
        match operator:
            case "eq" | "equals":
                return any(text == wanted for text in found if text)
            case "contains":
                return any(wanted in text for text in found if text)
            case "starts_with":
                return any(text.startswith(wanted) for text in found if text)
            case _:
                return any(text.endswith(wanted) for text in found if text)
    if field == "currency":
        return unit.currency == value.upper()
    if field == "amount":
        if operator == "between":
            low, high = value.split("..")
            return Decimal(low) <= amount <= Decimal(high)
        if operator in ("eq", "equals"):
            return abs(amount - Decimal(value)) <= _drift(c, Decimal(value))
        return amount > Decimal(value) if operator == "greater_than" else amount < Decimal(value)
    return unit.day is not None and _constant_date_holds(c, unit, unit.day, value)


def _constant_date_holds(c: Criterion, unit: Unit, day: date, value: str) -> bool:
    if c["operator"] == "between":
        low, high = (_moments(unit, end) for end in value.split(".."))
        return bool(low[0] >= low[1] and high[0] <= high[1])
    own, other = _moments(unit, value)
    match c["operator"]:
        case "after" | "greater_than":
            return bool(own > other)
        case "before" | "less_than":
            return bool(own < other)
    drift = Decimal(str(c.get("allowable_drift", 0)))
    if c.get("drift_unit") == "days":
        return abs((day - _day_of(unit, value)).days) <= drift
    if isinstance(own, datetime):
        return abs(_seconds(own, other)) <= drift
    return abs((own - other).days) <= int(drift / 86400)


def _moments(unit: Unit, value: str) -> tuple[Any, Any]:
    """The unit's date and a constant: instants where both have a time of day, else days."""
    if "T" in value and unit.instant is not None:
        return unit.instant, datetime.fromisoformat(value)
    return unit.day, _day_of(unit, value)


def _day_of(unit: Unit, value: str) -> date:
    if "T" not in value:
        return date.fromisoformat(value)
    return datetime.fromisoformat(value).astimezone(ZoneInfo(unit.zone)).date()


def _amounts_hold(c: Criterion, line: Decimal, entry: Decimal) -> bool:
    match c["operator"]:
        case "greater_than":
            return line > entry
        case "less_than":
            return line < entry
        case "within_range":
            low, high = _bounds(str(c["value"]))
            return _share(low, entry) <= line - entry <= _share(high, entry)
        case _:
            return abs(line - entry) <= _drift(c, entry)


def _drift(c: Criterion, base: Decimal) -> Decimal:
    drift = Decimal(str(c.get("allowable_drift", 0)))
    if "drift_unit" in c:
        return drift * abs(base) / 100 if c["drift_unit"] == "percent" else drift
    return drift * abs(base) if c["operator"] == "equals" else drift


def _bounds(value: str) -> tuple[str, str]:
    if ".." in value:
        low, high = value.split("..")
        return low, high
    return "-" + value, value


def _share(bound: str, entry: Decimal) -> Decimal:
    return Decimal(bound[:-1]) * abs(entry) / 100 if bound.endswith("%") else Decimal(bound)


def _dates_hold(c: Criterion, s: Unit, e: Unit) -> bool:
    if s.day is None or e.day is None:
        return False
    operator = c["operator"]
    timed = s.instant is not None and e.instant is not None
    line: Any = s.instant if timed else s.day
    entry: Any = e.instant if timed else e.day
    if operator in ("greater_than", "after"):
        return bool(line > entry)
    if operator in ("less_than", "before"):
        return bool(line < entry)
    drift = str(c.get("allowable_drift", 0)) + {"days": "d", "seconds": "s"}[c.get("drift_unit", "seconds")]
    low, high = _bounds(str(c["value"]) if operator == "within_range" else drift)
    return _reached(low, s, e, timed, 1) and _reached(high, s, e, timed, -1)


def _reached(bound: str, s: Any, e: Any, timed: bool, side: int) -> bool:
    """Whether the distance (line minus entry) is on the inner side of one bound of a window."""
    number, unit = Decimal(bound[:-1]), bound[-1]
    if timed and unit != "d":
        return side * (_seconds(s.instant, e.instant) - number * SECONDS[unit]) >= 0
    return side * ((s.day - e.day).days - int(number * SECONDS[unit] / 86400)) >= 0  # int() cuts towards zero


def _seconds(line: datetime, entry: datetime) -> Decimal:
    delta = line - entry
    return Decimal(delta.days * 86400 + delta.seconds) + Decimal(delta.microseconds).scaleb(-6)


def _texts(c: Criterion, s: Unit, e: Unit) -> Iterator[tuple[str, str]]:
    """The texts to compare: of every member with every member, without those that are null or empty."""
    for line in s.members:
        for entry in e.members:
            a = _compared(c, line[c["field"]], True)
            b = _compared(c, entry[other_field(c)], False)
            if a and b:
                yield a, b


def _texts_hold(c: Criterion, a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    match c["operator"]:
        case "eq" | "equals":
            return a == b
        case "contains":
            drift = Fraction(str(c.get("allowable_drift", 0)))  # Blnk's clients send a 0 for none
            return _stands_in(c, a, b) or (drift > 0 and _alike(a, b) >= 100 - drift)
        case "has_words":
            words = tokens(a), tokens(b)
            return any(set(x) <= set(y) and len("".join(x)) >= 4 for x, y in (words, words[::-1]))
        case "starts_with":
            return long.startswith(short)
        case "ends_with":
            return long.endswith(short)
        case _:
            return _alike(a, b) >= Fraction(str(c["value"]).rstrip("%"))


def contained(c: Criterion, s: Unit, e: Unit) -> int:
    """How many characters of one text stand in the other, at most, over the members of both. Where texts are compared
    in two ways it is enough that one finds them, and the way in which they are longer counts."""
    ways = [[(_stands_in(way, a, b), _shorter(way, a, b)) for a, b in _texts(way, s, e)] for way in _ways(c)]
    return max(
        (max(n for _, n in pair) for pair in zip(*ways, strict=True) if any(found for found, _ in pair)), default=0
    )


def _stands_in(c: Criterion, a: str, b: str) -> bool:
    """Whether the shorter text stands in the longer; without `substring` both as their tokens."""
    if not c.get("substring"):
        return _is_run(c, tokens(a), tokens(b)) or _is_run(c, tokens(b), tokens(a))
    short, long = sorted((a, b), key=len)
    return short in long and _letters(short) >= 4


def _is_run(c: Criterion, inner: list[str], outer: list[str]) -> bool:
    """A run of whole tokens. Where only letters and digits count, so do the borders inside the run not."""
    glue = "" if c.get("loose") else " "
    runs = {glue.join(outer[i:j]) for i in range(len(outer)) for j in range(i + 1, len(outer) + 1)}
    whole = glue.join(inner)
    if c.get("loose") == "separators first":
        whole, runs = _without_leading_zeros(whole), set(map(_without_leading_zeros, runs))
    return whole in runs and _letters(whole) >= 4


def _shorter(c: Criterion, a: str, b: str) -> int:
    if c.get("substring"):
        return min(len(a), len(b))
    if c.get("loose") == "separators first":
        return min(len(_without_leading_zeros("".join(tokens(text)))) for text in (a, b))
    return min(len(" ".join(tokens(text))) for text in (a, b))


def _letters(text: str) -> int:
    return sum(letter.isalnum() for letter in text)


def tokens(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text).split()


def _alike(a: str, b: str) -> Fraction:
    """100·(1 − Levenshtein / longer length), exactly."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    longer = max(len(a), len(b))
    return Fraction(100 * (longer - row[-1]), longer)


def _compared(c: Criterion, text: str | None, statement: bool) -> str:
    """The part of a raw text that a criterion compares, folded; empty if there is none."""
    if text is None:
        return ""
    if "pattern" in c:
        found = re.search(c["pattern"], text, re.IGNORECASE | re.ASCII)
        if found:
            text = (found.group(1) if found.re.groups else found.group()) or ""
        elif statement:
            return ""
    return _folded(c, text)


def folded(text: str) -> str:
    """Texts are equal if this is: letter case, Unicode forms, white space and what nobody sees do not count."""
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def _folded(c: Criterion, text: str) -> str:
    text = folded(text)
    if c.get("loose"):
        # `contains` looks for whole tokens, so it keeps their borders.
        glue = " " if c["operator"] == "contains" and not c.get("substring") and "value" not in c else ""
        if c["loose"] == "separators first":
            return glue.join(tokens(text)) if glue else _without_leading_zeros("".join(tokens(text)))
        text = glue.join(map(_without_leading_zeros, tokens(text)))
    return text
