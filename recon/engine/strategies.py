"""Strategies: which sides are grouped, what they may be grouped by, and how one side is matched with itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.options import LEDGER_GROUPING, STATEMENT_GROUPING, STRATEGIES, EngineError, Options
from recon.engine.outcome import MATCHES, NEAREST_BESIDE, UNMATCHED, Outcome
from recon.engine.sides import grouped_sides, one_sided
from recon.engine.subset_sum import amount_criteria
from rules.criteria import Rule
from rules.criteria.scope import Side

Match = Callable[[Sequence[Rule], pa.Table, pa.Table, Options], Outcome]

_GROUPING: dict[Side, tuple[str, ...]] = {"statement": STATEMENT_GROUPING, "ledger": LEDGER_GROUPING}


def check_strategy(rules: Sequence[Rule], options: Options) -> None:
    """Raise EngineError for a strategy, grouping or rate that cannot work."""
    if options.strategy not in STRATEGIES:
        raise EngineError(f"expected a strategy out of {', '.join(STRATEGIES)}, found {options.strategy!r}")
    if options.strategy == "many_to_many" and not options.grouping:
        raise EngineError("Many to many needs at least one field to group by.")
    own: tuple[Side, ...] = ("statement",) if options.strategy == "within_statement" else ("ledger",)
    for side in own if one_sided(options.strategy) else grouped_sides(options.strategy):
        for name in options.grouping:
            if name not in _GROUPING[side]:
                known = ", ".join(_GROUPING[side])
                raise EngineError(f"expected {side} rows to be grouped by some of {known}, found {name!r}")
    for rule in rules:
        if rule.cross_currency and not options.rates:
            raise EngineError(
                f"Rule “{rule.name}” matches across currencies: it needs an exchange rate, such as USD/EUR = 0.92."
            )
        if rule.cross_currency and options.searches_sums:
            raise EngineError(
                f"Rule “{rule.name}” matches across currencies, and sums are sought in one only: name a grouping, or"
                " match one to one."
            )
        if options.searches_sums:
            amount_criteria(rule)


def two_sides(match: Match, rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> Outcome:
    """Pair the rows of one side that net to zero: its money in against its money out, by the same rules.

    Rows must agree in the grouping columns, if there are any. Reversals are only suggested. The rows of the other side
    are all unmatched.
    """
    side = 0 if options.strategy == "within_statement" else 1
    rows, others = (statement, ledger) if side == 0 else (ledger, statement)
    money_in, mirrored = in_and_out(rows)
    own_currency = [replace(rule, cross_currency=False) for rule in rules]
    found = match(own_currency, money_in, mirrored, replace(options, sign="as_given", told=("statement", "ledger")))
    return _on_one_side(found, side, rows.filter(pc.equal(rows["units"], 0)), others)


def in_and_out(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The money in, and the money out with its amounts as if it came in."""
    money_in = rows.filter(pc.greater(rows["units"], 0))
    money_out = rows.filter(pc.less(rows["units"], 0))
    place = rows.schema.get_field_index("units")
    return money_in, money_out.set_column(place, rows.schema.field("units"), pc.negate(money_out["units"]))


def _on_one_side(found: Outcome, side: int, zeros: pa.Table, others: pa.Table) -> Outcome:
    """The outcome of in against out, told of one side: amounts of matches cancel, so both totals are zero."""
    count = found.matches.num_rows
    nothing = pa.array([0] * count, pa.int64())
    matches = found.matches
    for name, column in (
        ("line_units", nothing),
        ("entry_units", nothing),
        ("state", pa.array(["suggested"] * count, pa.string())),
        ("decided_by", pa.array(["reversal"] * count, pa.string())),
    ):
        matches = matches.set_column(MATCHES.get_field_index(name), MATCHES.field(name), column)
    rows = found.match_rows
    out = pc.equal(rows["side"], 1)
    rows = rows.set_column(
        rows.schema.get_field_index("units"),
        rows.schema.field("units"),
        pc.if_else(out, pc.negate(rows["units"]), rows["units"]),
    )
    left = _with_nearest_beside(_sided(found.unmatched, side))
    unmatched = pa.concat_tables([left, _open(zeros, side), _open(others, 1 - side)])
    return Outcome(
        matches, _sided(rows, side), found.differences, _sided(found.runners_up, side), unmatched, found.rules
    )


def _with_nearest_beside(unmatched: pa.Table) -> pa.Table:
    """What came nearest stands on the same side, and the detail says so."""
    beside = pc.if_else(pc.is_valid(unmatched["nearest_id"]), NEAREST_BESIDE, None)
    place = UNMATCHED.get_field_index("detail")
    return unmatched.set_column(place, UNMATCHED.field("detail"), beside)


def _sided(table: pa.Table, side: int) -> pa.Table:
    place = table.schema.get_field_index("side")
    return table.set_column(place, table.schema.field(place), pa.array([side] * table.num_rows, pa.int8()))


def _open(rows: pa.Table, side: int) -> pa.Table:
    """Rows that took no part."""
    count = rows.num_rows
    known = {
        "side": pa.array([side] * count, pa.int8()),
        "id": rows["id"],
        "part": rows["part"],
        "reason": pa.array(["no_candidate"] * count, pa.string()),
        "scale": rows["scale"],
    }
    return pa.table([known.get(field.name, pa.nulls(count, field.type)) for field in UNMATCHED], schema=UNMATCHED)
