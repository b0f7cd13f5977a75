"""Random rules over random books: the database and the ways of running change nothing of what the engine says.

Both databases run this; as each gives what the engine gives from memory, they give the same.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.models import (
    LedgerEntry,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    RunKind,
    RunState,
    Side,
    StatementLine,
    UnmatchedItem,
)
from recon.usecases.runs import apply_run, start_run
from rules.criteria.text import text_key
from tests.cast import actor, make_account, make_entries, make_rule, make_statement
from tests.engine.judging import Body, outcome
from tests.engine.reference_rows import Books
from tests.engine.rulebook import rules
from tests.engine.worlds import ZONE, World, worlds

pytestmark = pytest.mark.random

STORED = (
    "units",
    "scale",
    "currency",
    "booking_date",
    "booked_at",
    "source",
    "reference",
    "description",
    "counterparty",
)
KEYED = ("reference",)
WAYS = [
    ("one_to_one", ""), ("one_to_one", ""), ("one_to_many", "reference"), ("many_to_one", "currency,date"),
    ("many_to_many", "description"), ("within_ledger", ""),
]  # fmt: skip
Said = tuple[list[str], list[str]]
Rows = dict[int, list[tuple[int, int, int, int]]]
"""By match: side, number, units and scale of its rows."""


class Undone(Exception):  # noqa: N818 - ends a transaction that is not to be kept
    """Everything an example stored goes again."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # what an example stored is rolled back
@given(
    st.lists(rules(), min_size=1, max_size=2),
    worlds(count=2),
    st.sampled_from(WAYS),
    st.sampled_from(["as_given", "unsigned"]),
)
def test_a_stored_run_a_dry_run_and_a_dry_run_applied_say_what_the_engine_says_of_rows_in_memory(
    alice, ruleset: list[Body], some: list[World], way: tuple[str, str], sign: str
):
    strategy, grouping = way
    lines, entries = (
        in_order([line for world, _ in some for line in world]),
        in_order([e for _, world in some for e in world]),
    )
    books = Books(ZONE, sign=sign, strategy=strategy, grouping=tuple(filter(None, grouping.split(","))))
    expected = from_memory(ruleset, lines, entries, books)
    try:
        with transaction.atomic():
            real = stored_run(alice, ruleset, lines, entries, books, is_dry_run=False)
            assert from_database(real) == expected
            dry = stored_run(alice, ruleset, lines, entries, books, is_dry_run=True)
            assert from_database(dry) == expected
            assert from_database(apply_run(actor(alice), dry)) == expected
            raise Undone
    except Undone:
        pass


def in_order(rows: list[Body]) -> list[Body]:
    """As a file has them: a row's id is its place, from 1."""
    ordered = sorted(rows, key=lambda one: one["ord"])
    return [one | {"id": place, "ord": place, "position": place} for place, one in enumerate(ordered, 1)]


def stored_run(
    alice, ruleset: list[Body], lines: list[Body], entries: list[Body], books: Books, *, is_dry_run: bool
) -> MatchingRun:
    """A run over the rows, stored in an account of their own."""
    account = make_account(f"Account {MatchingRun.objects.count()}", sign=books.sign, time_zone=books.zone)
    statement = make_statement(
        account, [stored(one) for one in lines], period_end=date.max
    )  # all of the ledger is told
    make_entries(account, [stored(one) for one in entries])
    versions = [
        make_rule(f"Rule {number}", *body["criteria"], **without_name(body)) for number, body in enumerate(ruleset)
    ]
    run = start_run(
        actor(alice), account, statement, versions, kind=RunKind.INSTANT, strategy=books.strategy,
        grouping=",".join(books.grouping), is_dry_run=is_dry_run,
    )  # fmt: skip
    assert (run.state, run.error) == (RunState.COMPLETED, "")
    return run


def without_name(body: Body) -> Body:
    return {name: value for name, value in body.items() if name not in ("name", "criteria")}


def stored(one: Body) -> Body:
    keys = {f"{name}_key": text_key(one[name]) for name in KEYED}
    return {name: one[name] for name in STORED} | keys | {"external_id": str(one["id"])}


def from_memory(ruleset: list[Body], lines: list[Body], entries: list[Body], books: Books) -> Said:
    result = outcome(ruleset, lines, [one | {"status": "APPLIED"} for one in entries], books)
    rows: Rows = defaultdict(list)
    differences: dict[int, Decimal] = defaultdict(Decimal)
    for each in result.match_rows.to_pylist():
        rows[each["match_no"]].append((each["side"], each["id"], each["units"], each["scale"]))
    for each in result.differences.to_pylist():
        differences[each["match_no"]] += Decimal(each["units"]).scaleb(-each["scale"])
    matches = [
        said(
            each["state"],
            each["decided_by"],
            each["rule_index"],
            rows[each["match_no"]],
            differences[each["match_no"]],
        )
        for each in result.matches.to_pylist()
    ]
    left = [
        f"{each['side']}/{each['id']} {each['reason']} {each['rule_index']} {each['criterion']} {each['nearest_id']}"
        for each in result.unmatched.to_pylist()
    ]
    return sorted(matches), sorted(left)


def from_database(run: MatchingRun) -> Said:
    """The same of a stored run, rows called by the ids of their file."""
    numbers: dict[int, dict[int, str | None]] = {
        Side.STATEMENT: dict(StatementLine.objects.filter(account_id=run.account_id).values_list("pk", "external_id")),
        Side.LEDGER: dict(LedgerEntry.objects.filter(account_id=run.account_id).values_list("pk", "external_id")),
    }
    places: dict[int | None, int] = {each.version_id: each.position - 1 for each in run.run_rules.all()}
    rows: Rows = defaultdict(list)
    differences: dict[int, Decimal] = defaultdict(Decimal)
    made = Match.objects.filter(run_number=run.number).in_bulk()
    for row in MatchRow.objects.filter(match_id__in=made):
        number = int(numbers[row.side][row.row_id] or 0)
        rows[row.match_id].append((row.side, number, row.units, made[row.match_id].scale))
    for each in MatchDifference.objects.filter(match_id__in=made):
        differences[each.match_id] += Decimal(each.units).scaleb(-each.scale)
    matches = [
        said(match.state, match.decided_by, places[match.rule_version_id], rows[pk], differences[pk])
        for pk, match in made.items()
    ]
    left = [
        f"{each.side}/{numbers[each.side][each.row_id]} {each.reason} {places.get(each.rule_version_id)}"
        f" {each.criterion} {nearest(each, numbers)}"
        for each in UnmatchedItem.objects.filter(run_number=run.number)
    ]
    return sorted(matches), sorted(left)


def nearest(item: UnmatchedItem, numbers: dict[int, dict[int, str | None]]) -> str | None:
    """A twin is of the same side, all others are of the other one."""
    if item.nearest_row_id is None:
        return None
    side = item.side if item.reason == "possible_duplicate" else 1 - item.side
    return numbers[side].get(item.nearest_row_id, f"not on side {side}")


def said(state: str, decided_by: str, rule: int, rows: list[tuple[int, int, int, int]], difference: Decimal) -> str:
    state = "confirmed" if state == "proposed" else state
    return f"rule {rule}: {sorted(rows)} {state} {decided_by} {difference + 0:.9f}"
