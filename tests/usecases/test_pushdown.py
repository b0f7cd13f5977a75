"""What the lines of a small run imply is all that its result depends on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from recon.engine import Options, match
from recon.models import MatchingRun, RunKind, Side, reserve_ids
from recon.usecases.accounts.scope import entries_in_scope, open_rows
from recon.usecases.errors import Refused
from recon.usecases.runs import lookups, pushdown
from recon.usecases.runs.engine_options import rules_of
from recon.usecases.runs.input import lines_of_run, narrowed_entries, open_entries
from recon.usecases.runs.lookups import Sought
from recon.usecases.runs.pushdown import choose_entries
from recon.usecases.runs.starting import start_run
from rules.criteria import parse_rule
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_entries, make_rule, make_statement, row

CENTS = {"field": "amount", "operator": "eq", "allowable_drift": 0.03}
ONE_PERCENT = {"field": "amount", "operator": "equals", "allowable_drift": 0.01}
LOPSIDED = {"field": "amount", "operator": "within_range", "value": "-1.00..0.25"}
SAME_DAY = {"field": "date", "operator": "eq"}


@pytest.fixture
def eager(monkeypatch):
    """Entries are looked up even in a ledger of a few rows."""
    monkeypatch.setattr(pushdown, "SMALL", 10)
    monkeypatch.setattr(pushdown, "LOOK_UP", 0)
    monkeypatch.setattr(pushdown, "FETCH", 1)


def some_rows(seed, count):
    """Rows with few amounts, references and days, so that many of them are near each other."""
    chance = random.Random(seed)
    return [
        row(
            number,
            f"{chance.choice(['', '-'])}{chance.randint(0, 3)}.{chance.randint(0, 9)}{chance.choice(['', '0', '00'])}",
            f"2026-03-0{chance.randint(1, 3)}",
            reference=chance.choice([None, "A", "B", "C"]),
            currency=chance.choice(["EUR", "EUR", "USD"]),
        )
        for number in range(count)
    ]


def queued_run(account, statement, rule) -> MatchingRun:
    run = MatchingRun.objects.create(
        number=reserve_ids(MatchingRun, 1),
        account=account,
        statement=statement,
        kind=RunKind.INSTANT,
        sign=account.sign,
    )
    run.run_rules.create(version=rule, position=1)
    return run


def results(run, lines, entries):
    """Matches, and for each line left the reason and nearest miss."""
    outcome = match(rules_of(run), lines, entries, Options(sign=run.sign))
    matched = sorted(tuple(each.values()) for each in outcome.match_rows.to_pylist())
    states = outcome.matches.select(["match_no", "state", "decided_by"]).to_pylist()
    left = outcome.unmatched.select(["side", "id", "reason", "nearest_id", "criterion"]).to_pylist()
    return matched, states, [each for each in left if each["side"] == Side.STATEMENT]


@pytest.mark.parametrize(
    ("criteria", "sign"),
    [
        ([SAME_AMOUNT, SAME_REFERENCE], "as_given"),  # both criteria are found by index
        ([CENTS, SAME_REFERENCE], "unsigned"),  # a window around each amount, in either direction
        ([ONE_PERCENT, SAME_DAY], "as_given"),  # a share of the ledger's amount; the date is not found by index
        ([LOPSIDED, SAME_REFERENCE], "inverted"),  # more may be missing than be too much, the other way round
    ],
)
@pytest.mark.parametrize("at_once", [500, 0])  # lines up to which near misses are looked up for all of them
def test_narrowing_changes_no_match_and_no_state(alice, eager, db, monkeypatch, criteria, sign, at_once):
    monkeypatch.setattr(pushdown, "AT_ONCE", at_once)
    account = make_account(sign=sign)
    make_entries(account, some_rows(1, 60))
    run = queued_run(account, make_statement(account, some_rows(2, 12)), make_rule("Rule", *criteria))
    lines, scope = open_rows(account, Side.STATEMENT, lines_of_run(run)), entries_in_scope(account)
    choice, entries = narrowed_entries(run, rules_of(run), lines, scope, lambda done: None, Options(sign=sign))
    assert choice.narrowed
    matched, states, left = results(run, lines, entries)
    all_matched, all_states, all_left = results(run, lines, open_entries(run, scope))
    assert matched == all_matched
    assert states == all_states
    if SAME_DAY not in criteria:  # with two criteria that are found by index, the nearest miss is as well
        assert left == all_left


@pytest.mark.parametrize(
    ("criteria", "settings"),
    [
        ([SAME_DAY], {}),  # nothing that an index finds
        ([{**SAME_REFERENCE, "loose": True}], {}),  # found only letter by letter
        ([{"field": "amount", "operator": "equals", "allowable_drift": 1}], {}),  # any amount would do
        ([{**SAME_REFERENCE, "value": "A"}], {}),  # a constant implies nothing of the lines
        ([SAME_AMOUNT], {"strategy": "one_to_many"}),  # groups form before anything is narrowed
    ],
)
def test_what_lines_do_not_imply_is_read_as_a_whole(alice, eager, db, criteria, settings):
    account = make_account()
    make_entries(account, some_rows(1, 60))
    run = queued_run(account, make_statement(account, some_rows(2, 12)), make_rule("Rule", *criteria))
    run.strategy = settings.get("strategy", run.strategy)
    lines = open_rows(account, Side.STATEMENT, lines_of_run(run))
    choice = choose_entries(run, rules_of(run), lines, entries_in_scope(account))
    assert not choice.narrowed
    assert choice.how.startswith("every open entry in scope, because ")


def test_a_small_ledger_is_read_as_a_whole_and_the_run_says_so(alice, db):
    account = make_account()
    make_entries(account, some_rows(1, 20))
    rule = make_rule("Rule", SAME_AMOUNT)
    statement = make_statement(account, some_rows(2, 5))
    run = start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=True)
    assert run.explanation["rows"] == {
        "how": "every open entry in scope, because there are few of them", "lines": 5, "entries": 20
    }  # fmt: skip


def test_of_a_window_that_no_column_holds_the_rest_is_looked_up(eager, db):
    """Nine hundred million with nine decimal places can be stored; with a fifth more it cannot."""
    account = make_account()
    near, *_ = make_entries(account, [row(1, "900000000.000000000"), *some_rows(1, 60)])
    statement = make_statement(account, [row(1, "900000000.00"), row(2, "-900000000.00")])
    fifth = {"field": "amount", "operator": "within_range", "value": "-180000000..180000000"}
    run = queued_run(account, statement, make_rule("A fifth", fifth))
    lines, scope = open_rows(account, Side.STATEMENT, lines_of_run(run)), entries_in_scope(account)
    choice, entries = narrowed_entries(run, rules_of(run), lines, scope, lambda done: None, Options())
    assert choice.narrowed
    assert near.pk in entries["id"].to_pylist()


@pytest.mark.parametrize("units", [0, 1, -1, 120, -120, 1_000_000, 10**18 - 1, -(10**18) + 1, 123_000])
@pytest.mark.parametrize("own", [0, 2, 4])
def test_equal_amounts_are_looked_up_where_all_their_digits_fit(units, own):
    equal = parse_rule({"name": "equal", "criteria": [{"field": "amount", "operator": "eq"}]}).criteria[0]
    scales = [0, 1, 2, 3, 4, 8]
    widest = [each for each in lookups._window_at(equal, units, own, scales) if each[1] <= each[2]]
    assert list(lookups._exactly_at(equal, units, own, scales)) == widest


@pytest.mark.parametrize("width", [0, 5])
def test_what_several_look_up_at_once_each_finds_for_itself(alice, db, width):
    account = make_account(alice)
    odd = 'a "quoted", {bent} reference, à'
    rows = [*some_rows(3, 200), row(200, "12.34", reference=odd), row(201, "-999999999999999.99", reference=odd)]
    make_entries(account, rows)
    chance = random.Random(4)

    def sought() -> Sought:
        amounts = [
            (chance.choice([0, 1, 2]), chance.choice(["EUR", "USD"]), chance.randint(-30, 30)) for _ in range(9)
        ]
        windows = {(scale, currency, units, units + width) for scale, currency, units in amounts}
        return Sought(set(chance.sample(["a", "b", "c", "d", odd], 2)), windows, 500)

    big = {(2, "EUR", -99_999_999_999_999_999, -99_999_999_999_999_999 + width)}
    several = [
        *(sought() for _ in range(6)),
        Sought(set(), big, 500),
        Sought({odd}, set(), 500),
        Sought(set(), set(), 9),
    ]
    found = lookups.found_for_each(several)
    assert found == [lookups.found_for_each([each])[0] for each in several]
    assert [len(each) for each in found[-3:]] == [1, 2, 0]
    assert min(map(len, found[:-3])) > 3
    with pytest.raises(Refused, match="too much"):
        lookups.found_for_each([replace(each, most=1) for each in several])
