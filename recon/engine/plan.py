"""What a rule asks of pairs of rows: keys that must be equal, windows, and the full condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from recon.engine.options import Options
from recon.engine.sides import Sides, grouped_sides, keeps_group_values, one_sided
from rules.criteria import Criterion, Rule
from rules.criteria.scope import Scope
from rules.criteria.values import Window

MAX_UNITS = 10**18 - 1
MOST_STORED = 2**63 - 1
"""Units of a match, whose amounts may be sums."""
DAY = 86_400_000_000
"""Microseconds."""
_DAY_STEP = 2**40
UNDATED = 2**62
NO_GAP = "0::BIGINT"
CURRENCY, SIGN, FAR = "currency", "sign", "far"
LOT = ("s.lot", "l.lot")
"""What rows of several books must share, whatever a rule asks; no criterion, and nothing to tell anybody."""
Part = int | str
"""A criterion by its number, or a condition that every rule has: CURRENCY, SIGN, and FAR: amounts no further apart
than a difference can be stored."""


@dataclass(frozen=True)
class Plan:
    """A rule compiled for one run. All texts are SQL on the aliases ``s`` and ``l``.

    ``coarse``: rows that have the ``equal`` keys in common may still not meet the criteria that these were made for.
    ``conditions`` are those on pairs; what criteria ask of one side alone filters the units (`open_units`).
    """

    rule: Rule
    scope: Scope
    equal: tuple[tuple[str, str], ...]
    amount: Window | None
    date: Window | None
    texts: tuple[tuple[Criterion, str], ...]
    conditions: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    exact_amount: bool
    coarse: bool
    order: tuple[tuple[str, str], ...]

    @property
    def condition(self) -> str:
        """All that a pair must meet."""
        return " AND ".join(f"({condition})" for condition in self.conditions) or "true"


def make_plan(rule: Rule, sides: Sides, options: Options, without: Collection[Part] = ()) -> Plan:
    """Compile a rule; ``without`` leaves parts of it out, to find what nearly matched."""
    scope = sides.scope
    criteria = [criterion for criterion in rule.criteria if criterion.number not in without]
    blocks = [(criterion, criterion.operator.blocking(criterion, scope)) for criterion in criteria
              if not criterion.is_constant]  # fmt: skip
    equal = [block.equal for _, block in blocks if block and block.equal]
    conditions = [criterion.sql(scope) for criterion in criteria if not criterion.is_constant]
    one_currency = sides.one_currency and not rule.cross_currency  # a rate may lead out of the only one there is
    if CURRENCY not in without and not one_currency and ("s.ccy", "l.ccy") not in equal:
        equal.append(("s.ccy", "l.ccy"))
    equal += [(f"s.group_{number}", f"l.group_{number}") for number in shared_grouping(rule, options)]
    if one_sided(options.strategy):
        equal += [("s.amt", "l.amt")] if ("s.amt", "l.amt") not in equal else []
    if SIGN not in without and options.sign != "unsigned" and ("s.amt", "l.amt") not in equal:
        conditions.append("NOT (s.amt < 0 AND l.amt > 0) AND NOT (s.amt > 0 AND l.amt < 0)")
    exact = ("s.amt", "l.amt") in equal
    if FAR not in without:
        conditions += not_far(rule, sides, options, exact=exact)
    if one_currency:
        equal = [keys for keys in equal if keys != ("s.ccy", "l.ccy")]
    if sides.lots:
        equal.append(LOT)
    return Plan(
        rule=rule,
        scope=scope,
        equal=tuple(equal),
        amount=_narrowest([block.amount for _, block in blocks if block and block.amount]),
        date=_narrowest([block.date for _, block in blocks if block and block.date]),
        texts=tuple((criterion, block.text) for criterion, block in blocks if block and block.text),
        conditions=tuple(conditions),
        criteria=tuple(criteria),
        exact_amount=exact,
        coarse=any(block.coarse for _, block in blocks if block),
        order=_order(criteria, sides, _gap(rule, sides, exact=exact), grouped=bool(grouped_sides(options.strategy))),
    )


def shared_grouping(rule: Rule, options: Options) -> list[int]:
    """The places of the grouping fields that both units of a pair must have equal values of, where both have some. Of
    groups these are the fields that no criterion compares: who asks that dates be two days apart does not ask that
    they be equal."""
    if not keeps_group_values(options.strategy):
        return []
    compared = {
        field.name for each in rule.criteria if not each.is_constant for field in (each.field, each.ledger_field)
    }
    free = compared if grouped_sides(options.strategy) else set[str]()
    return [number for number, name in enumerate(options.grouping) if name not in free]


def not_far(rule: Rule, sides: Sides, options: Options, *, exact: bool) -> list[str]:
    """SQL that holds where a match of a pair can be stored: its difference, and the sum of a group."""
    found = [f"abs(s.amt - l.amt) <= {MAX_UNITS}"] if may_be_far(rule, sides) and not exact else []
    if sides.wide and grouped_sides(options.strategy):
        most = str(MOST_STORED)
        if not (sides.one_scale or rule.cross_currency):  # a match is told at the finer of both scales
            finest = sides.scope.scale
            each = " ".join(f"WHEN {scale} THEN {MOST_STORED * 10 ** (finest - scale)}" for scale in range(finest))
            most = f"CASE greatest(s.scale, l.scale) {each} ELSE {MOST_STORED} END" if each else most
        found.append(f"greatest(abs(s.amt), abs(l.amt)) <= {most}")
    return found


def may_be_far(rule: Rule, sides: Sides) -> bool:
    """Whether amounts may be further apart than a difference can be stored."""
    return sides.wide or rule.cross_currency


def _gap(rule: Rule, sides: Sides, *, exact: bool) -> str:
    """SQL: how far apart the amounts of a pair are, in units; beyond 2**62 that is all that is told."""
    if exact:
        return NO_GAP
    return f"least(abs(s.amt - l.amt), {2**62})::BIGINT" if may_be_far(rule, sides) else "abs(s.amt - l.amt)::BIGINT"


def _narrowest(windows: Sequence[Window]) -> Window | None:
    """Any window is a correct bound; the narrowest finds candidates fastest."""
    return min(windows, key=lambda window: (window.unit, window.high - window.low), default=None)


def _order(criteria: Sequence[Criterion], sides: Sides, gap: str, *, grouped: bool) -> tuple[tuple[str, str], ...]:
    """Who gets a contested candidate: these columns ascending, then statement order, then ledger order.

    Smallest amount difference; dates least apart; the longer contained text; the entry before the line; the larger
    entry. What cannot differ between pairs that share a row is left out.
    """
    lag = next((criterion.expected_days for criterion in criteria if criterion.expected_days), 0)
    order = [("gap", gap), ("apart", _apart(sides, lag))]
    lengths = [
        length for criterion in criteria if (length := criterion.operator.contained_length(criterion, sides.scope))
    ]
    if lengths:
        order.append(("shortness", f"-({' + '.join(lengths)})"))
    order.append(("late", _late(sides)))
    if gap != NO_GAP:
        order.append(("smallness", "-l.amt"))
    if grouped:
        order += [("line_place", "s.u"), ("entry_day", "l.day"), ("entry_place", "l.ord")]
    return tuple(order)


def _late(sides: Sides) -> str:
    """SQL: 1 if the entry is the later one of a pair."""
    if sides.undated:
        return "0::TINYINT"
    later = "l.day > s.day"
    if sides.scope.times:
        later = f"CASE WHEN s.instant IS NULL OR l.instant IS NULL THEN {later} ELSE l.instant > s.instant END"
    return f"coalesce({later}, false)::TINYINT"


def _apart(sides: Sides, lag: int) -> str:
    """SQL: how far apart the dates of a pair are, as one number: days from the expected lag, then seconds between rows
    that both have times; a missing date last.

    Two instants n days apart are at least n - 2 days of seconds apart, so only what is above these is kept, and days
    and microseconds fit one number.
    """
    if sides.undated:
        return f"{UNDATED}::BIGINT"
    days = f"abs(s.day - l.day{f' - {lag}' if lag else ''})::BIGINT"
    apart = days
    if sides.scope.times:
        beyond = f"abs(s.instant - l.instant - {lag * DAY}) - greatest({days} - 2, 0) * {DAY}"
        apart = f"{days} * {_DAY_STEP} + coalesce(greatest({beyond}, 0), 0)"
    return apart if sides.dated else f"coalesce({apart}, {UNDATED})"
