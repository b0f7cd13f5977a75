"""Small instant runs that wait at the same moment are done together: each leaves what it would leave alone."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from django.db import OperationalError, connection

from recon import engine
from recon.models import Claim, Event, Match, MatchingRun, OpenItem, PeriodClosing, Side, Statement, StatementLine
from recon.usecases.accounts.scope import builtin_account
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.runs import at_once
from recon.usecases.runs.at_once_records import Asked
from recon.usecases.runs.pushdown import AT_ONCE
from recon.usecases.runs.starting import instant_places
from rules.authoring import current_versions
from rules.models import MatchingRule
from tests.api.conftest import transaction
from tests.api.test_instant_at_once import OF_THEIR_OWN, TABLES, forget_everything

AMOUNTS = {"a": "10.00", "b": "20.00", "c": "30.00", "d": "40.00", "e": "40.00", "f": "50.00"}

# Lines (amount, reference) and whether the run is dry. The second and fourth want what those before them have claimed;
# the fifth finds two entries to choose from, of which the last claims one.
RUNS: list[tuple[list[tuple[str, str]], bool]] = [
    ([("10.00", "a"), ("20.05", "b")], False),
    ([("10.00", "a"), ("30.00", "c"), ("1.00", "zz")], False),
    ([("30.00", "c"), ("50.00", "f")], True),
    ([("50.00", "f"), ("50.00", "f"), ("20.00", "b")], False),
    ([("40.00", "x"), ("40.05", "d")], False),
    ([("40.00", "e")], False),
    ([("40.00", "d"), ("40.00", "e")], True),
]


@pytest.fixture
def rule_ids(api) -> list[str]:
    items = [transaction(reference, amount) for reference, amount in AMOUNTS.items()]
    items += [transaction(f"other {number}", "7.00", currency="EUR") for number in range(3)]
    assert api.post("/transactions/bulk", {"transactions": items, "atomic": True}).data["transaction_count"] == 9
    near = {"field": "amount", "operator": "eq", "allowable_drift": "0.10", "drift_unit": "absolute"}
    both = {"name": "both", "criteria": [near, {"field": "reference", "operator": "eq"}]}
    amount = {"name": "amount", "criteria": [{"field": "amount", "operator": "eq"}]}
    return [api.post("/reconciliation/matching-rules", each).data["rule_id"] for each in (both, amount)]


def asked(rule_ids: list[str], number: int, day: str | None = None, *, is_dry_run: bool | None = None) -> Asked:
    lines, is_dry = RUNS[number]
    is_dry_run = is_dry if is_dry_run is None else is_dry_run
    rows: list[dict[str, Any]] = [
        {"id": f"{number}-{place}", "amount": amount, "reference": reference, "currency": "USD"}
        for place, (amount, reference) in enumerate(lines)
    ]
    if day:
        rows = [{**row, "date": day} for row in rows]
    versions = current_versions([MatchingRule.objects.get(pk=each) for each in rule_ids])
    source = json.dumps(rows).encode()
    return at_once.asked_for(
        Actor.command(), builtin_account(), source, f"{number}.json", versions, is_dry_run=is_dry_run
    )


def left_behind() -> dict[str, Any]:
    """All that runs have stored, without ids and times; lines and runs by their own names."""
    names = dict(StatementLine.objects.values_list("id", "external_id"))
    runs = {run.number: run for run in MatchingRun.objects.order_by("number")}
    called = {run.number: statement_of(run).name for run in runs.values()}
    matches: dict = dict(Match.objects.values_list("id", "run_number"))
    found: dict[str, Any] = {}
    for table in TABLES:
        rows = [
            {**row, "run": row.get("run_number") or matches.get(row.get("match_id"))} for row in table.objects.values()
        ]
        found[table.__name__] = sorted(repr(named(row, names, called)) for row in rows)
    ids = {run.run_id: called[run.number] for run in runs.values()}
    ids |= {statement_of(run).pk: called[run.number] for run in runs.values()}
    events = Event.objects.filter(kind__in=("statement", "run")).order_by("id")
    found["events"] = [(event.verb, event.via, ids[event.object_id], event.account_id) for event in events]
    found["runs"] = [(called[run.number], *told(run)) for run in runs.values()]
    found["lines"] = list(StatementLine.objects.order_by("id").values_list("external_id", "position", "units"))
    return found


def told(run: MatchingRun) -> list[Any]:
    counts = {name: value for name, value in vars(run).items() if name.startswith(("lines_", "entries_", "matches_"))}
    rules = list(run.run_rules.values_list("position", "version_id", "matched", "suggested"))
    explained = [{**rule, "seconds": None} for rule in run.explanation.get("rules", [])]
    kept = {name: value for name, value in run.explanation.items() if name != "rules"}
    return [run.state, run.stage, run.error, run.is_dry_run, counts, run.totals, rules, explained, kept]


def statement_of(run: MatchingRun) -> Statement:
    assert run.statement is not None
    return run.statement


def named(row: dict, names: dict, called: dict) -> dict:
    of_lines = {"row_id"} if row.get("side") == Side.STATEMENT else set()
    of_lines |= {"nearest_row_id"} if row.get("reason") == "possible_duplicate" else set()
    kept = {
        name: value for name, value in row.items() if name not in {*OF_THEIR_OWN, "state_changed_at", "resolved_at"}
    }
    kept = {name: names[value] if name in of_lines else value for name, value in kept.items()}
    return {**kept, "run": called[kept["run"]]}


def run(asked: Asked) -> MatchingRun:
    source, name = asked.prepared.source, asked.prepared.name
    assert isinstance(source, bytes)
    return at_once.run_at_once(asked.by, asked.account, source, name, asked.versions, is_dry_run=asked.is_dry_run)


def one_after_the_other(wanted: list[Asked]) -> dict[str, Any]:
    for each in wanted:
        run(each)
    return left_behind()


@pytest.mark.parametrize("tiny", [AT_ONCE, 0])  # a ledger up to this size is read as a whole
@pytest.mark.parametrize("order", [range(7), range(6, -1, -1), (4, 5, 2, 0, 3, 1, 6)])
def test_together_they_leave_what_they_leave_one_after_the_other(rule_ids, monkeypatch, tiny, order):
    look_up_above(monkeypatch, tiny)
    wanted = [asked(rule_ids, number) for number in order]
    alone = one_after_the_other(wanted)
    states = {run.state for run in MatchingRun.objects.all()}
    narrowed = {run.explanation["rows"].get("narrowed", False) for run in MatchingRun.objects.all()}
    assert (states, narrowed) == ({"completed"}, {tiny == 0})
    assert Claim.objects.filter(side=Side.LEDGER).count() >= 4
    forget_everything()
    at_once.run_together(wanted)
    assert left_behind() == alone


def look_up_above(monkeypatch, tiny: int) -> None:
    for name, value in {"TINY": tiny, "LOOK_UP": 0, "FETCH": 1, "_sizes": {}}.items():  # looking up always pays
        monkeypatch.setattr(f"recon.usecases.runs.pushdown.{name}", value)


@pytest.mark.parametrize("tiny", [AT_ONCE, 0])
@pytest.mark.parametrize("is_dry_run", [True, False])
def test_runs_that_take_nothing_from_each_other_are_matched_in_one_go(rule_ids, monkeypatch, tiny, is_dry_run):
    """Dry runs claim nothing; real ones take nothing from each other where they look up other entries."""
    look_up_above(monkeypatch, tiny)
    numbers = range(7) if is_dry_run else (1, 4)
    wanted = [asked(rule_ids, number, is_dry_run=is_dry_run) for number in numbers]
    alone = one_after_the_other(wanted)
    forget_everything()
    books, match_each = list[int](), engine.match_each

    def noted(rules, some, *rest):
        books.append(len(some))
        return match_each(rules, some, *rest)

    monkeypatch.setattr(at_once, "match_each", noted)
    at_once.run_together(wanted)
    assert left_behind() == alone
    assert books == [len(wanted)] * (is_dry_run or tiny == 0)  # real runs that read the whole ledger wait for another


def fail_for_three_lines(monkeypatch) -> None:
    match, match_each = engine.match, engine.match_each

    def fails(rules, lines, *rest):
        if lines.num_rows == 3:
            raise ZeroDivisionError("a defect")
        return match(rules, lines, *rest)

    def fails_together(rules, books, *rest):
        if any(lines.num_rows == 3 for lines, _ in books):
            raise ZeroDivisionError("a defect")
        return match_each(rules, books, *rest)

    monkeypatch.setattr(at_once, "match", fails)
    monkeypatch.setattr(at_once, "match_each", fails_together)


def test_one_that_cannot_be_matched_fails_and_changes_no_other(rule_ids, monkeypatch):
    fail_for_three_lines(monkeypatch)
    wanted = [asked(rule_ids, number) for number in range(7)]
    alone = one_after_the_other(wanted)
    forget_everything()
    runs = at_once.run_together(wanted)
    assert [run.state == "failed" for run in runs] == [len(lines) == 3 for lines, _ in RUNS]
    assert left_behind() == alone


def close_until(day: date) -> None:
    PeriodClosing.objects.create(account=builtin_account(), until=day, summary={"accepted": []})


def test_one_that_is_refused_leaves_the_others_to_be_done_alone(rule_ids):
    wanted = [asked(rule_ids, number, "2026-01-31" if number == 3 else None) for number in range(7)]
    close_until(date(2026, 1, 31))
    with pytest.raises(Refused, match="closed until 2026-01-31"):
        at_once.run_together(wanted)
    assert not MatchingRun.objects.exists()
    assert not StatementLine.objects.exists()
    assert not Claim.objects.exists()


def test_what_was_stored_is_not_done_again_if_nobody_heard_of_it(rule_ids, monkeypatch):
    store = at_once._store

    def unheard(*args):
        store(*args)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(at_once, "_store", unheard)
    runs = at_once.run_together([asked(rule_ids, number) for number in range(3)])
    assert [each.state for each in runs] == ["completed"] * 3
    assert sorted(MatchingRun.objects.values_list("pk", flat=True)) == sorted(each.pk for each in runs)


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="the test's SQLite lives in memory, where threads lock each other out"
)
@pytest.mark.django_db(transaction=True)
def test_threads_that_wait_are_answered_as_if_they_had_come_one_by_one(rule_ids, monkeypatch):
    fail_for_three_lines(monkeypatch)
    wanted = [asked(rule_ids, number, "2026-01-31" if number == 4 else None) for number in range(7)]
    close_until(date(2026, 1, 31))
    taken = taken_by_work(monkeypatch)

    def start(each) -> str:
        try:
            return run(each).state
        except Refused as refused:
            return refused.message.partition(" has")[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(wanted)) as pool:
        with instant_places, instant_places:  # all places: whoever comes waits
            answers = []
            for number, each in enumerate(wanted):
                answers.append(pool.submit(start, each))
                wait_for(lambda number=number: sum(taken) + len(at_once._waiting._waiting) > number)
        found = [answer.result(timeout=60) for answer in answers]
    assert taken[0] == 1
    assert max(taken) > 1
    assert found == ["completed", "failed", "completed", "failed", "4.json", "completed", "completed"]
    confirmed = MatchingRun.objects.filter(is_dry_run=False).values_list("matches_confirmed", flat=True)
    assert Claim.objects.filter(side=Side.LEDGER).count() == sum(confirmed)
    assert not OpenItem.objects.exclude(side=Side.STATEMENT).exists()


def taken_by_work(monkeypatch) -> list[int]:
    """How many were taken together, each time."""
    taken, take = list[int](), at_once._waiting._take

    def noted(first):
        found = take(first)
        taken.append(len(found))
        return found

    monkeypatch.setattr(at_once._waiting, "_take", noted)
    return taken


def wait_for(condition) -> None:
    until = threading.Event()
    for _ in range(2000):
        if condition():
            return
        until.wait(0.005)
    raise AssertionError("nobody came")
