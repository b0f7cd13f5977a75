"""A small instant run is stored as a whole, once it is over: the same records as one that works step by step."""

from __future__ import annotations

from decimal import Decimal

import pytest

from recon.engine import TooBroad
from recon.models import (
    Claim,
    Event,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchRunnerUp,
    OpenItem,
    Side,
    Statement,
    StatementLine,
    UnmatchedItem,
)
from recon.usecases.runs import at_once
from recon.usecases.runs import input as run_input
from tests.api.conftest import transaction

# What happens to each: confirmed, confirmed with a difference, two of the same, nobody's.
ENTRIES = {"a": "10.00", "b": "20.00", "c": "30.00", "d": "40.00"}
LINES = [("e1", "10.00", "a"), ("e2", "20.05", "b"), ("e3", "30.00", "c"), ("e4", "30.00", "c"), ("e5", "9.99", "zz")]
TABLES = (Match, MatchRow, MatchDifference, MatchRunnerUp, UnmatchedItem, OpenItem, Claim)
OF_THEIR_OWN = {"id", "match_id", "run_number", "created_at", "opened_at"}


@pytest.fixture
def ledger(api):
    items = [transaction(reference, amount) for reference, amount in ENTRIES.items()]
    assert api.post("/transactions/bulk", {"transactions": items, "atomic": True}).data["transaction_count"] == 4


@pytest.fixture
def rule_id(api) -> str:
    criteria = [
        {"field": "amount", "operator": "eq", "allowable_drift": "0.10", "drift_unit": "absolute"},
        {"field": "reference", "operator": "eq"},
    ]
    return api.post("/reconciliation/matching-rules", {"name": "near", "criteria": criteria}).data["rule_id"]


def start(api, rule_id: str, rows: list[tuple[str, str, str]] = LINES, **options) -> MatchingRun:
    sent = [
        {"id": name, "amount": Decimal(amount), "reference": reference, "currency": "USD"}
        for name, amount, reference in rows
    ]
    body = {"external_transactions": sent, "strategy": "one_to_one", "matching_rule_ids": [rule_id], **options}
    answer = api.post("/reconciliation/start-instant", body)
    assert answer.status_code == 200, answer.content
    return MatchingRun.objects.get(pk=answer.data["reconciliation_id"])


def left_behind(run: MatchingRun) -> dict:
    """What a run has stored, without ids and times; rows by their own names."""
    lines = StatementLine.objects.filter(statement_number=statement_of(run).number)
    names: dict = dict(lines.values_list("id", "external_id"))
    counts = {name: value for name, value in vars(run).items() if name.startswith(("lines_", "entries_", "matches_"))}
    found: dict = {"counts": counts, "totals": run.totals, "state": (run.state, run.stage, run.kind, run.strategy)}
    for table in TABLES:
        found[table.__name__] = sorted(repr(named(dict(row), names)) for row in table.objects.values())
    events = Event.objects.filter(kind__in=("statement", "run")).order_by("id")
    found["events"] = [(event.verb, event.via, event.account_id) for event in events]
    found["rules"] = list(run.run_rules.values_list("position", "version_id", "matched", "suggested"))
    found["explained"] = run.explanation["rows"], run.explanation["next_entry"]
    return found


def statement_of(run: MatchingRun) -> Statement:
    assert run.statement is not None
    return run.statement


def named(row: dict, names: dict) -> dict:
    """A stored row with its lines under their own names."""
    of_lines = {"row_id"} if row.get("side") == Side.STATEMENT else set()
    of_lines |= {"nearest_row_id"} if row.get("reason") == "possible_duplicate" else set()
    kept = {name: value for name, value in row.items() if name not in OF_THEIR_OWN}
    return {name: names[value] if name in of_lines else value for name, value in kept.items()}


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_it_leaves_what_a_run_step_by_step_leaves(api, ledger, rule_id, monkeypatch, is_dry_run):
    at_a_time = start(api, rule_id, dry_run=is_dry_run)
    at_once_left = left_behind(at_a_time)
    assert at_once_left["counts"]["lines_matched"] + at_once_left["counts"]["lines_suggested"] == 3
    forget_everything()
    monkeypatch.setattr(at_once, "MOST_ROWS", 0)
    assert left_behind(start(api, rule_id, dry_run=is_dry_run)) == at_once_left


def forget_everything() -> None:
    for table in (*TABLES, StatementLine, MatchingRun, Statement):
        table.objects.all().delete()
    Event.objects.all()._raw_delete("default")


def test_a_run_that_came_second_to_a_row_matches_again(api, ledger, rule_id, monkeypatch):
    read, others = run_input.narrowed_for_each, list[MatchingRun]()
    begun: list[bool] = []

    def overtaken(*args):
        found = read(*args)
        if not begun:
            begun.append(True)  # the other run is not overtaken
            others.append(start(api, rule_id))
        return found

    monkeypatch.setattr(at_once, "narrowed_for_each", overtaken)
    second = start(api, rule_id)
    assert others[0].lines_matched == 3 - others[0].lines_suggested
    assert (second.state, second.lines_matched) == ("completed", 0)
    assert Claim.objects.filter(side=Side.LEDGER).count() == others[0].lines_matched
    assert StatementLine.objects.count() == 2 * len(LINES)


def test_a_line_whose_suggested_entry_was_taken_meanwhile_stays_open(api, ledger, rule_id, monkeypatch):
    amount = {"name": "amount", "criteria": [{"field": "amount", "operator": "eq"}]}
    by_amount = api.post("/reconciliation/matching-rules", amount).data["rule_id"]
    read, begun = run_input.narrowed_for_each, list[bool]()

    def overtaken(*args):
        found = read(*args)
        if not begun:
            begun.append(True)
            start(api, rule_id, rows=LINES[:1])
        return found

    monkeypatch.setattr(at_once, "narrowed_for_each", overtaken)
    late = start(api, by_amount, rows=[("l1", "10.00", "x"), ("l2", "10.00", "y")])
    assert (late.lines_matched, late.lines_suggested, late.lines_unmatched) == (0, 1, 1)
    open_lines = OpenItem.objects.filter(run_number=late.number, state="open", side=Side.STATEMENT)
    assert open_lines.count() == 2


def test_what_cannot_be_matched_is_a_run_that_failed(api, ledger, rule_id, monkeypatch):
    def refuse(*args):
        raise TooBroad("near", 10, 1, "Say more.")

    monkeypatch.setattr(at_once, "match", refuse)
    run = start(api, rule_id)
    assert (run.state, run.error) == ("failed", str(TooBroad("near", 10, 1, "Say more.")))
    assert StatementLine.objects.filter(statement_number=statement_of(run).number).count() == len(LINES)
    assert not Match.objects.exists()
    assert [event.verb for event in Event.objects.filter(kind="run").order_by("id")] == ["run started", "run failed"]
    assert api.get(f"/reconciliation/{run.run_id}").data["status"] == "failed"
