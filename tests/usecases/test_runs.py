"""Matching runs from start to end."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django_tasks_db.models import DBTaskResult

from recon import tasks
from recon.engine.twins import BUSINESS
from recon.models import (
    Claim,
    Event,
    IdBlock,
    ItemState,
    LedgerEntry,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchState,
    OpenItem,
    RunKind,
    RunState,
    Side,
    Statement,
    UnmatchedItem,
)
from recon.usecases.errors import Refused
from recon.usecases.integrity import violations
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs import first_items
from recon.usecases.runs import starting as runs
from recon.usecases.runs.execution import execute_run
from recon.usecases.runs.input import compared, read_input
from recon.usecases.runs.starting import start_reversal, start_run
from recon.usecases.runs.undo import unmatch
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    lines,
    make_account,
    make_entries,
    make_rule,
    make_statement,
    row,
)


@pytest.fixture
def exact(db):
    return make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)


def reconcile(by, account, statement, *versions, **settings):
    settings = {"kind": RunKind.INSTANT, "is_dry_run": False, **settings}
    return start_run(by, account, statement, versions, **settings)


@pytest.fixture
def statement(account):
    """Two lines that have their entry, one that has none; and one entry that has no line."""
    make_entries(account, [row(1, "10.00", reference="A-1"), row(2, "20.00", reference="A-2"), row(9, "7.00")])
    return make_statement(
        account,
        [row(1, "10.00", reference="A-1"), row(2, "20.00", reference="A-2"), row(3, "30.00", reference="A-3")],
    )


def test_an_instant_run_is_over_when_it_returns(by, account, statement, exact):
    run = reconcile(by, account, statement, exact)
    assert (run.state, run.error) == (RunState.COMPLETED, "")
    assert (run.lines_total, run.lines_matched, run.lines_suggested, run.lines_unmatched) == (3, 2, 0, 1)
    assert (run.entries_matched, run.entries_unmatched, run.matches_confirmed) == (2, 1, 2)
    assert set(run.timings) == {"reading", "matching", "storing"}
    matches = Match.objects.filter(run_number=run.number, state=MatchState.CONFIRMED)
    assert [(match.line_units, match.entry_units, match.rule_version_id) for match in matches] == [
        (1000, 1000, exact.pk),
        (2000, 2000, exact.pk),
    ]
    assert Claim.objects.count() == MatchRow.objects.count() == 4
    assert list(Event.objects.filter(kind="run").order_by("id").values_list("verb", flat=True)) == [
        "run started",
        "run completed",
    ]


def test_what_a_run_leaves_is_unmatched_with_a_reason_and_an_open_item(by, account, statement, exact):
    run = reconcile(by, account, statement, exact)
    left = UnmatchedItem.objects.filter(run_number=run.number).order_by("side")
    third = lines(statement)[2]
    assert [(item.side, bool(item.reason)) for item in left] == [(Side.STATEMENT, True), (Side.LEDGER, True)]
    assert left[0].row_id == third.pk
    items = OpenItem.objects.order_by("side")
    assert [(item.amount, item.run_number, item.state) for item in items] == [
        (third.amount, run.number, ItemState.OPEN),
        (left[1] and items[1].amount, run.number, ItemState.OPEN),
    ]


def test_a_dry_run_stores_its_outcome_and_changes_nothing_else(by, account, statement, exact):
    run = reconcile(by, account, statement, exact, is_dry_run=True)
    assert (run.state, run.lines_matched, run.matches_confirmed) == (RunState.COMPLETED, 2, 2)
    assert set(Match.objects.values_list("state", flat=True)) == {MatchState.PROPOSED}
    assert not Claim.objects.exists()
    assert not OpenItem.objects.exists()
    real = reconcile(by, account, statement, exact)
    assert (real.lines_matched, real.lines_unmatched) == (run.lines_matched, run.lines_unmatched)


def test_what_is_claimed_takes_no_part_again(by, account, statement, exact):
    first = reconcile(by, account, statement, exact)
    assert {item.state for item in OpenItem.objects.all()} == {ItemState.OPEN}
    make_entries(account, [row(10, "30.00", reference="A-3")])
    second = reconcile(by, account, statement, exact)
    assert (second.lines_total, second.lines_matched) == (1, 1)
    third = lines(statement)[2]
    item = OpenItem.objects.get(side=Side.STATEMENT, row_id=third.pk)
    assert (item.state, item.run_number) == (ItemState.RESOLVED, first.number)


@pytest.mark.parametrize("grouping", ["reference", "reference, date", "reference, currency, transaction_id"])
def test_what_an_earlier_run_left_of_a_group_of_entries_does_not_match(by, account, exact, grouping):
    first, *rest = make_entries(account, [row("T", text, reference="A-1") for text in ("100.00", "60.00", "40.00")])
    reconcile(by, account, make_statement(account, [row(1, "100.00", reference="A-1")]), exact)
    assert Claim.objects.filter(side=Side.LEDGER).get().row_id == first.pk
    again = make_statement(account, [row(2, "100.00", reference="A-1")])
    run = reconcile(by, account, again, exact, strategy="one_to_many", grouping=grouping)
    assert (run.state, run.lines_matched, run.matches_suggested) == (RunState.COMPLETED, 0, 0)
    left = UnmatchedItem.objects.filter(run_number=run.number, side=Side.LEDGER)
    assert set(left.values_list("row_id", "reason")) == {(each.pk, "group_partly_claimed") for each in rest}


@pytest.mark.parametrize("grouping", ["reference", "reference, date", "reference, source"])
def test_what_an_earlier_run_left_of_a_group_of_lines_does_not_match(by, account, exact, grouping):
    rows = [
        row(number, text, reference="A-1", source="shop") for number, text in enumerate(("90.00", "60.00", "40.00"))
    ]
    statement = make_statement(account, rows)
    make_entries(account, [row(10, "90.00", reference="A-1")])
    reconcile(by, account, statement, exact)
    make_entries(account, [row(11, "100.00", reference="A-1")])
    run = reconcile(by, account, statement, exact, strategy="many_to_one", grouping=grouping)
    assert (run.state, run.lines_matched, run.matches_suggested) == (RunState.COMPLETED, 0, 0)
    left = UnmatchedItem.objects.filter(run_number=run.number, side=Side.STATEMENT)
    assert list(left.values_list("reason", flat=True)) == ["group_partly_claimed"] * 2


def test_a_rule_that_cannot_seek_sums_is_refused_before_the_run(by, account):
    statement = make_statement(account, [row(1, "100.00")])
    with pytest.raises(Refused, match="it needs an amount that equals or lies within a range"):
        reconcile(by, account, statement, make_rule("Text", SAME_REFERENCE), strategy="one_to_many")
    assert not MatchingRun.objects.exists()


def test_a_grouping_of_commas_alone_names_no_field(by, account, exact):
    make_entries(account, [row(each, each, reference="A-1") for each in ("60.00", "40.00")])
    statement = make_statement(account, [row(1, "100.00", reference="A-1")])
    run = reconcile(by, account, statement, exact, strategy="one_to_many", grouping=" , ")
    assert (run.state, run.lines_matched, run.error) == (RunState.COMPLETED, 1, "")


@pytest.mark.parametrize(
    ("pair", "rate", "expected"),
    [
        ("USD/EUR", "0", "expected a number above zero"),
        ("USD/EUR", "-1", "expected a number above zero"),
        ("USD/EUR", "half", "expected a number above zero"),
        ("USD/EUR", "NaN", "expected a number above zero"),
        ("USD/EUR", "1e400", "is too long; expected at most 18 digits"),
        ("USD/EUR", "1e-19", "is too long; expected at most 18 digits"),
        ("USD/EUR", "0.9212345678901234567", "is too long; expected at most 18 digits"),
        ("usd/eur", "0.92", "expected two currencies in capital letters"),
        ("USD/USD", "1", "expected two currencies in capital letters"),
        ("USDEUR", "1", "expected two currencies in capital letters"),
    ],
)
def test_a_rate_that_cannot_be_used_exactly_is_refused_before_the_run(by, account, exact, pair, rate, expected):
    statement = make_statement(account, [row(1, "100.00")])
    with pytest.raises(Refused, match=expected):
        reconcile(by, account, statement, exact, options={"rates": {pair: rate}})
    assert not MatchingRun.objects.exists()


def test_sums_are_sought_among_as_many_rows_as_the_installation_says(by, account, settings):
    rule = make_rule("Sum", SAME_AMOUNT)
    make_entries(account, [row(number, f"{2**number}.00") for number in range(6)])
    statement = make_statement(account, [row(9, "21.00")])
    settings.SUM_POOL = 4
    few = reconcile(by, account, statement, rule, strategy="one_to_many", is_dry_run=True)
    assert few.matches_confirmed == 0
    assert UnmatchedItem.objects.get(run_number=few.number, side=Side.STATEMENT).reason == "too_many_candidates"
    [told] = few.explanation["rules"]
    assert told["candidates"] == 6
    assert "sums of at most 5 of at most 4 rows: 6 pairs" in told["plan"]
    assert "rows with more than 4 candidates, which are not searched: 1" in told["plan"]
    settings.SUM_POOL, settings.SUM_SIZE = 20, 2
    assert reconcile(by, account, statement, rule, strategy="one_to_many", is_dry_run=True).matches_confirmed == 0
    settings.SUM_SIZE = 3
    assert reconcile(by, account, statement, rule, strategy="one_to_many", is_dry_run=True).matches_confirmed == 1


MONTHLY = {"strategy": "one_to_many", "with_open_lines": True}


@pytest.mark.parametrize("later", ["reference", "reference, currency"])
def test_entries_that_came_after_their_group_was_settled_whole_are_a_group_of_their_own(by, account, exact, later):
    make_entries(account, [row(n, text, "2026-01-31", "RENT-7") for n, text in enumerate(("60.00", "40.00"))])
    january = make_statement(account, [row(1, "100.00", "2026-01-31", "RENT-7")])
    assert reconcile(by, account, january, exact, grouping="reference", **MONTHLY).lines_matched == 1
    make_entries(account, [row(n, text, "2026-02-28", "RENT-7") for n, text in enumerate(("60.00", "45.00"), 2)])
    february = make_statement(account, [row(2, "105.00", "2026-02-28", "RENT-7")])
    run = reconcile(by, account, february, exact, grouping=later, **MONTHLY)
    assert (run.lines_matched, run.entries_matched) == (1, 2)


def test_lines_that_came_after_their_group_was_settled_whole_are_a_group_of_their_own(by, account, exact):
    monthly = {"strategy": "many_to_one", "grouping": "reference", "with_open_lines": True}
    for month, texts in enumerate((("60.00", "40.00"), ("60.00", "45.00")), 1):
        make_entries(account, [row(month, str(sum(map(Decimal, texts))), f"2026-0{month}-28", "RENT-7")])
        rows = [row(f"{month}{n}", text, f"2026-0{month}-28", "RENT-7") for n, text in enumerate(texts)]
        assert reconcile(by, account, make_statement(account, rows), exact, **monthly).lines_matched == 2


@pytest.mark.parametrize(
    ("strategy", "grouping"),
    [
        ("one_to_one", ""),  # a member was taken alone
        ("one_to_many", ""),  # a sum was found: nobody says that it is the whole group
        ("one_to_many", "reference, source"),  # what shares the source as well is a part of what shares the reference
    ],
)
def test_entries_that_came_after_a_part_of_their_group_was_taken_are_no_group(by, account, exact, strategy, grouping):
    make_entries(account, [row(1, "100.00", reference="RENT-7", source="till")])
    first = make_statement(account, [row(1, "100.00", reference="RENT-7")])
    assert reconcile(by, account, first, exact, strategy=strategy, grouping=grouping).lines_matched == 1
    make_entries(
        account, [row(n, text, reference="RENT-7", source="till") for n, text in ((2, "60.00"), (3, "45.00"))]
    )
    second = make_statement(account, [row(2, "105.00", reference="RENT-7")])
    run = reconcile(by, account, second, exact, grouping="reference", **MONTHLY)
    assert (run.lines_matched, run.matches_suggested) == (0, 0)


@pytest.mark.django_db(transaction=True)  # inside a transaction PostgreSQL's rows come all at once, and nobody hears
def test_a_member_whose_match_is_undone_while_the_run_reads_is_not_missing_from_its_group(by, account, exact):
    make_entries(account, [row(n, text, reference="A-1") for n, text in enumerate(("60.00", "40.00"))])
    reconcile(by, account, make_statement(account, [row(1, "40.00", reference="A-1")]), exact)
    taken = Match.objects.get(state=MatchState.CONFIRMED)
    waiting = make_statement(account, [row(2, "60.00", reference="A-1")])
    run = MatchingRun(account=account, statement=waiting, strategy="one_to_many", grouping="reference", number=99)
    asked: list[int] = []

    def undone_once_all_is_read(rows):
        if rows == 2 and not asked:
            asked.append(rows)
            unmatch(by, taken)

    read = read_input(run, undone_once_all_is_read)
    assert (read.ledger.num_rows, read.claimed["ledger"].num_rows) == (2, 0)


@pytest.mark.parametrize(("strategy", "grouping"), [("many_to_one", "amount"), ("many_to_one", "id")])
def test_lines_can_be_grouped_by_amount_or_id_after_others_were_claimed(by, account, exact, strategy, grouping):
    statement = make_statement(account, [row(1, "90.00", reference="A-1"), row(2, "60.00", reference="A-2")])
    make_entries(account, [row(10, "90.00", reference="A-1")])
    reconcile(by, account, statement, exact)
    make_entries(account, [row(11, "60.00", reference="A-2")])
    run = reconcile(by, account, statement, exact, strategy=strategy, grouping=grouping)
    assert (run.state, run.lines_matched) == (RunState.COMPLETED, 1)


def test_a_suggestion_whose_row_a_later_run_confirms_is_withdrawn(by, account, exact):
    make_entries(account, [row(1, "10.00", reference="B-1"), row(2, "10.00", reference="A-1")])
    statement = make_statement(account, [row(1, "10.00", reference="A-1")])
    first = reconcile(by, account, statement, make_rule("Amount", SAME_AMOUNT))
    second = reconcile(by, account, statement, exact)
    states = {match.run_number: match.state for match in Match.objects.all()}
    assert states == {first.number: MatchState.WITHDRAWN, second.number: MatchState.CONFIRMED}


def test_what_tells_rows_apart_is_read_from_the_database():
    read = {*compared("one_to_one", Side.LEDGER), "units", "scale"}
    computed = {"amt", "direction", "day", "instant", "lot"}  # from units and scale, from booking_date and booked_at
    assert set(BUSINESS) - computed <= read
    assert {"units", "scale", "booking_date", "booked_at"} <= read


def test_open_lines_of_earlier_statements_take_part_when_asked(by, account, statement, exact):
    make_entries(account, [row(10, "40.00", reference="B-1"), row(11, "30.00", reference="A-3")])
    reconcile(by, account, make_statement(account, [row(5, "5.00", reference="C")]), exact)
    later = make_statement(account, [row(4, "40.00", reference="B-1")])
    alone = reconcile(by, account, later, exact, is_dry_run=True)
    together = reconcile(by, account, later, exact, is_dry_run=True, with_open_lines=True)
    assert (alone.lines_total, alone.lines_matched) == (1, 1)
    assert (together.lines_total, together.lines_matched) == (5, 4)


def test_totals_are_kept_by_currency_difference_type_and_reason(by, account):
    make_entries(account, [row(1, "10.00", reference="A"), row(2, "5.00", reference="B", currency="USD")])
    statement = make_statement(
        account, [row(1, "9.98", reference="A"), row(2, "5.00", reference="B", currency="USD"), row(3, "1.00")]
    )
    rule = make_rule(
        "Fee", {"field": "amount", "operator": "eq", "allowable_drift": 0.05}, SAME_REFERENCE, difference_type="fee"
    )
    totals = reconcile(by, account, statement, rule).totals
    of_lines = [entry for entry in totals["money"] if entry["side"] == "statement"]
    assert of_lines == [
        {"side": "statement", "outcome": "confirmed", "currency": "EUR", "count": 1, "amount": "9.98"},
        {"side": "statement", "outcome": "confirmed", "currency": "USD", "count": 1, "amount": "5.00"},
        {"side": "statement", "outcome": "unmatched", "currency": "EUR", "count": 1, "amount": "1.00"},
    ]
    assert totals["differences"] == [{"type": "fee", "currency": "EUR", "count": 1, "amount": "-0.02"}]
    assert [(each["side"], each["count"]) for each in totals["reasons"]] == [("statement", 1)]
    assert MatchDifference.objects.get().type == "fee"


def test_an_account_without_a_scope_reports_its_lines_only(by, exact, db):
    api = make_account("API", scope={})
    make_entries(None, [row(1, "10.00", reference="A"), row(2, "99.00")])
    run = reconcile(by, api, make_statement(api, [row(1, "10.00", reference="A")]), exact)
    assert (run.lines_matched, run.entries_matched, run.entries_unmatched) == (1, 1, 0)
    assert not OpenItem.objects.exists()


def test_ledger_items_are_reported_from_the_cut_over_to_the_closing_date(by, exact, db):
    account = make_account(cut_over="2026-02-01")
    account.refresh_from_db()
    make_entries(account, [row(1, "1.00", "2026-01-31"), row(2, "2.00", "2026-02-01"), row(3, "3.00", "2026-03-01")])
    statement = make_statement(account, [row(9, "9.00", "2026-02-28", reference="X")])
    run = reconcile(by, account, statement, exact)
    assert [str(item.amount) for item in OpenItem.objects.filter(side=Side.LEDGER)] == ["2.00"]
    assert run.entries_unmatched == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "some_to_some"}, "strategy"),
        ({"grouping": "shoe_size"}, "shoe_size"),
        ({"options": {"rates": {"EURO": "1"}}}, "rate"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused_and_not_stored(by, account, statement, exact, settings, message):
    with pytest.raises(Refused, match=message):
        reconcile(by, account, statement, exact, **settings)
    assert not Event.objects.exists()


def test_a_run_needs_rules_a_scope_and_a_statement_of_its_own_account(by, account, statement, exact):
    with pytest.raises(Refused, match="at least one"):
        reconcile(by, account, statement)
    unscoped = make_account("New", scope=None)
    with pytest.raises(Refused, match="another account"):
        reconcile(by, unscoped, statement, exact, is_dry_run=True)
    with pytest.raises(Refused, match="ledger scope"):
        reconcile(by, unscoped, make_statement(unscoped, [row(1, "1.00")]), exact)
    taken_back = make_statement(account, [row(1, "1.00")], state="discarded")
    with pytest.raises(Refused, match="discarded"):
        reconcile(by, account, taken_back, exact)


def test_a_rule_that_would_compare_too_much_fails_the_run_with_advice(by, account, settings):
    settings.CANDIDATE_BUDGET = 1000
    make_entries(account, [row(number, f"{number}.00") for number in range(1, 1601)])
    statement = make_statement(account, [row(number, f"{number}.50") for number in range(1, 1601)])
    broad = make_rule("Broad", {"field": "amount", "operator": "greater_than"})
    run = reconcile(by, account, statement, broad)
    assert run.state == RunState.FAILED
    assert "Broad" in run.error
    assert not Match.objects.exists()
    assert Event.objects.filter(verb="run failed").exists()


def test_a_small_run_is_reversed_at_once(by, account, statement, exact):
    run = reconcile(by, account, statement, exact)
    assert start_reversal(by, run).state == RunState.REVERSED


def test_a_large_run_is_reversed_by_the_worker_and_asked_for_once(by, account, statement, exact, monkeypatch):
    monkeypatch.setattr(runs, "REVERSED_AT_ONCE", 1)
    run = reconcile(by, account, statement, exact)
    assert start_reversal(by, run).state == RunState.COMPLETED
    with pytest.raises(Refused, match="being reversed already"):
        start_reversal(by, run)
    queued = DBTaskResult.objects.get(task_path=tasks.reverse_run.module_path)
    tasks.reverse_run.call(*queued.args_kwargs["args"])
    run.refresh_from_db()
    assert run.state == RunState.REVERSED
    assert not Claim.objects.exists()
    tasks.reverse_run.call(*queued.args_kwargs["args"])  # once more: harmless
    last = Event.objects.filter(kind="run", verb="run reversed").get()
    assert (last.actor, last.via) == (by.user, by.via)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [first_items.MANY, 1], ids=["opened at the end", "opened with the other results"])
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_what_a_run_leaves_and_a_person_matches_meanwhile_is_no_open_item(
    by, account, statement, exact, monkeypatch, many
):
    """Neither sees what the other has not committed."""
    monkeypatch.setattr(first_items, "MANY", many)
    earlier = make_statement(account, [row(4, "7.00")], sha256="1" * 64)
    run = reconcile(by, account, statement, exact, kind=RunKind.BATCH)
    held, matched = threading.Event(), threading.Event()

    @on_a_connection_of_its_own
    def hold_the_run_up():
        with transaction.atomic():
            Statement.objects.select_for_update().get(pk=statement.pk)  # asked for after the run's rows are claimed
            held.set()
            matched.wait(60)

    @on_a_connection_of_its_own
    def match_the_entry_that_the_run_leaves():
        held.wait(60)
        while not IdBlock.objects.filter(table=Match._meta.db_table).exists():
            time.sleep(0.01)
        with transaction.atomic():
            match_by_hand(by, account, [lines(earlier)[0].pk], [LedgerEntry.objects.get(units=700).pk])
            matched.set()
            time.sleep(1)  # the run completes meanwhile

    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(do) for do in (hold_the_run_up, match_the_entry_that_the_run_leaves)]
        held.wait(60)
        execute_run(run.run_id)
        for each in others:
            each.result(60)
    run.refresh_from_db()
    assert run.state == RunState.COMPLETED
    assert UnmatchedItem.objects.filter(run_number=run.number, side=Side.LEDGER).exists()
    assert not OpenItem.objects.unresolved().filter(side=Side.LEDGER).exists()
    assert list(violations()) == []


def on_a_connection_of_its_own(do):
    def doing():
        try:
            do()
        finally:
            connection.close()

    return doing
