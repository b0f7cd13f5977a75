"""Random rules over random books: the database and the ways of running change nothing of what the engine says.

Both databases run this; as each gives what the engine gives from memory, they give the same.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import cast

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.engine import Explanation, Options, Outcome, Pair, explain_pairs, match
from recon.engine.options import Sign
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
    reserve_ids,
)
from recon.usecases.accounts.scope import entries_in_scope
from recon.usecases.runs import pushdown
from recon.usecases.runs.engine_options import rules_of
from recon.usecases.runs.input import lines_of_run, narrowed_entries, open_entries, open_lines
from recon.usecases.runs.lookups import is_indexable
from recon.usecases.runs.starting import apply_run, start_run
from rules.criteria import Rule
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
SIGNS = ["as_given", "inverted", "unsigned"]
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
    st.sampled_from(SIGNS),
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


INDEXED = st.sampled_from(
    [
        {"field": "amount", "operator": "eq"},
        {"field": "amount", "operator": "eq", "allowable_drift": "0.02"},
        {"field": "amount", "operator": "equals", "allowable_drift": "0.015"},
        {"field": "amount", "operator": "within_range", "value": "-1.00..0.25"},
        {"field": "reference", "operator": "eq"},
        {"field": "description", "operator": "eq", "ledger_field": "reference"},
    ]
)
EAGER = {"SMALL": 0, "TINY": 0, "LOOK_UP": 0, "FETCH": 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(rules(), INDEXED), min_size=1, max_size=2),
    worlds(count=3),
    st.sampled_from(SIGNS),
    st.booleans(),
)
def test_what_lines_imply_decides_every_match_and_names_every_miss_that_an_index_finds(
    db, ruleset: list[tuple[Body, Body]], some: list[World], sign: str, in_two_steps: bool
):
    lines, entries = (in_order([row for world in some for row in world[side]]) for side in (0, 1))
    bodies = [body | {"criteria": [*body["criteria"], indexed]} for body, indexed in ruleset]
    options = Options(sign=cast("Sign", sign), time_zone=ZONE, told=("statement",))
    with transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        for name, value in {**EAGER, "AT_ONCE": 0 if in_two_steps else 500}.items():
            patched.setattr(pushdown, name, value)
        run = prepared_run(bodies, lines, entries, Books(ZONE, sign=sign))
        given, scope = rules_of(run), entries_in_scope(run.account)
        rows, everything = open_lines(run, lines_of_run(run)), open_entries(run, scope)
        choice, implied = narrowed_entries(run, given, rows, scope, lambda done: None, options)
        transaction.set_rollback(True)
    few, whole = match(given, rows, implied, options), match(given, rows, everything, options)
    assert few.matches.to_pylist() == whole.matches.to_pylist()
    assert few.match_rows.to_pylist() == whole.match_rows.to_pylist()
    if choice.narrowed and (missed := told_by_the_whole_alone(few, whole)):
        for each in explain_pairs(given, rows, everything, missed, options):
            assert not found_by_index(given[each.rule_index], each)


def told_by_the_whole_alone(few: Outcome, whole: Outcome) -> list[Pair]:
    """The nearest misses that are not told if only what the lines imply is read."""
    columns = ["id", "part", "reason", "rule_index", "criterion", "nearest_id"]
    known = few.unmatched.select(columns).to_pylist()
    return [
        ([(each["id"], each["part"])], [(each["nearest_id"], 0)])
        for each in whole.unmatched.select(columns).to_pylist()
        if each not in known and each["reason"] != "possible_duplicate" and each["nearest_id"] is not None
    ]


def found_by_index(rule: Rule, told: Explanation) -> bool:
    """Whether an index of the ledger leads from the line to the entry."""
    other_money = any(verdict.criterion == 0 for verdict in told.verdicts)  # another currency, or the other direction
    met = {verdict.criterion for verdict in told.verdicts if verdict.passed}
    return any(
        each.number in met and is_indexable(rule, each) and not (each.field.kind == "amount" and other_money)
        for each in rule.criteria
    )


def in_order(rows: list[Body]) -> list[Body]:
    """As a file has them: a row's id is its place, from 1."""
    ordered = sorted(rows, key=lambda one: one["ord"])
    return [one | {"id": place, "ord": place, "position": place} for place, one in enumerate(ordered, 1)]


def prepared_run(ruleset: list[Body], lines: list[Body], entries: list[Body], books: Books) -> MatchingRun:
    account = make_account(f"Account {MatchingRun.objects.count()}", sign=books.sign, time_zone=books.zone)
    statement = make_statement(account, [stored(one) for one in lines])
    make_entries(account, [stored(one) for one in entries])
    run = MatchingRun.objects.create(
        number=reserve_ids(MatchingRun, 1), account=account, statement=statement, kind=RunKind.INSTANT, sign=books.sign
    )
    for number, body in enumerate(ruleset, 1):
        version = make_rule(f"Rule {number}", *body["criteria"], **without_name(body))
        run.run_rules.create(version=version, position=number)
    return run


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
    """A twin, and what might cancel a row, is of the same side; all others are of the other one."""
    if item.nearest_row_id is None:
        return None
    is_beside = item.reason == "possible_duplicate" or "nearest_is_beside" in (item.detail or "")
    side = item.side if is_beside else 1 - item.side
    return numbers[side].get(item.nearest_row_id, f"not on side {side}")


def said(state: str, decided_by: str, rule: int, rows: list[tuple[int, int, int, int]], difference: Decimal) -> str:
    state = "confirmed" if state == "proposed" else state
    return f"rule {rule}: {sorted(rows)} {state} {decided_by} {difference + 0:.9f}"
