"""Rows as tests write them, the engine's tables as tests read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from types import ModuleType
from typing import Any, cast

import pyarrow as pa
import pytest

from recon.engine import Options, Outcome, alike, candidates, contest, match, ordering, rule_run, taking, twins
from recon.engine.options import Sign, Strategy
from recon.rows import ROW_SCHEMA
from rules.criteria import parse_rule
from tests.engine.reference import Taken
from tests.engine.reference_rows import Books, Key

Body = dict[str, Any]

IDENTITY = [pa.field("id", pa.int64()), pa.field("part", pa.int32()), pa.field("ord", pa.int64())]
LEDGER_ONLY = [pa.field("transaction_id", pa.string()), pa.field("created_at", pa.timestamp("us", tz="UTC"))]
STATEMENT_SCHEMA = pa.schema(IDENTITY + [field for field in ROW_SCHEMA if field.name != "line"])
LEDGER_SCHEMA = pa.schema([*STATEMENT_SCHEMA, *LEDGER_ONLY])


def row(number: int, units: int = 0, *, scale: int = 2, currency: str = "EUR", **more: Any) -> Body:
    """One row of either side: 100 cents by default are ``units=100``; fields that are not named are null."""
    empty = dict.fromkeys(LEDGER_SCHEMA.names)
    given = {"id": number, "part": 0, "ord": number, "position": number, "units": units, "scale": scale}
    return {**empty, **given, "currency": currency, **more}


def table(rows: Sequence[Body], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: one[name] for name in schema.names} for one in rows], schema=schema)


def options(books: Books, **more: Any) -> Options:
    return Options(
        strategy=cast("Strategy", books.strategy), grouping=books.grouping, time_zone=books.zone,
        sign=cast("Sign", books.sign), rates=books.rates, tolerance_limit=books.tolerance_limit, **more,
    )  # fmt: skip


SEARCHES: dict[str, dict[ModuleType, dict[str, float]]] = {
    "as the numbers of rows suggest": {},
    "by keys": {
        rule_run: {"FEW_PAIRS": 0},
        candidates: {"_SAMPLE": 2, "_RIGHT_SAMPLE": 2},
        contest: {"_FEW_PAIRS": 10**9},
    },
    "narrowly, in rounds": {
        rule_run: {"FEW_PAIRS": 0, "_DENSE": 0},
        alike: {"_ALIKE": 10**9},
        contest: {"_FEW_PAIRS": 0},
        taking: {"_FEW": 0},
        twins: {"_FEW": 0, "_FEW_OF": 10**9},
    },
    "by kinds": {rule_run: {"FEW_PAIRS": 0, "_DENSE": 0}, alike: {"_ALIKE": 0}, ordering: {"_BITS": 0}},
}
"""What decides how many rows are searched: how a few rows can be searched in the same ways."""


@contextmanager
def searching(how: str) -> Iterator[None]:
    """Search in one of the ways of `SEARCHES`."""
    with pytest.MonkeyPatch.context() as patched:
        for module, settings in SEARCHES[how].items():
            for name, value in settings.items():
                patched.setattr(module, name, value)
        yield


def outcome(
    rules: Sequence[Body], lines: Sequence[Body], entries: Sequence[Body], books: Books, **more: Any
) -> Outcome:
    parsed = [parse_rule(rule) for rule in rules]
    return match(parsed, table(lines, STATEMENT_SCHEMA), table(entries, LEDGER_SCHEMA), options(books, **more))


def taken(result: Outcome) -> list[Taken]:
    """The engine's matches in the judge's words."""
    sides: dict[int, tuple[set[Key], set[Key]]] = defaultdict(lambda: (set(), set()))
    for one in result.match_rows.to_pylist():
        sides[one["match_no"]][one["side"]].add((one["id"], one["part"]))
    differences: dict[int, Decimal] = defaultdict(Decimal)
    for one in result.differences.to_pylist():
        differences[one["match_no"]] += Decimal(one["units"]).scaleb(-one["scale"])
    return [
        Taken(
            one["rule_index"], frozenset(sides[one["match_no"]][0]), frozenset(sides[one["match_no"]][1]),
            one["state"], differences[one["match_no"]],
        )
        for one in result.matches.to_pylist()
    ]  # fmt: skip


def sayable(matches: Iterable[Taken]) -> list[str]:
    """Matches as sorted sentences, so that two judges' verdicts compare with a readable difference."""
    return sorted(
        f"rule {m.rule}: lines {sorted(m.lines)} = entries {sorted(m.entries)} {m.state},"
        f" difference {m.difference + 0:.9f}"
        for m in matches
    )
