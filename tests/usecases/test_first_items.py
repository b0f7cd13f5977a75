"""Open items that are loaded with a run's other results are those that its query would have opened."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from django.db import connection, transaction
from django.utils import timezone

from recon.models import LedgerEntry, MatchingRun, OpenItem, RunKind, RunState, Side, Statement
from recon.usecases.bulk import apart
from recon.usecases.bulk.apart_tables import tables_apart
from recon.usecases.integrity import violations
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs import first_items
from recon.usecases.runs.execution import execute_run
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, lines, make_account, make_entries, make_rule, make_statement, row
from tests.usecases.test_claims_apart import FEW, claims, two, unheard, until_somebody_waits

CONTESTING = row(2, "20.00", description="Somebody else's")


@pytest.fixture
def a_few_are_many(monkeypatch):
    monkeypatch.setattr(first_items, "MANY", 1)


wherever_they_go = pytest.mark.parametrize(
    "apart_from", [apart.APART_FROM, 1], ids=["in the large table", "in a table of their own"]
)


@pytest.fixture
def amounts(db):
    return make_rule("Amounts", SAME_AMOUNT)


def queued(by, account, rule) -> MatchingRun:
    """Of a sole pair, two lines that contest an entry, and a line and two entries that nothing matches."""
    make_entries(account, [row(1, "10.00"), row(2, "20.00"), row(8, "8.00"), row(9, "9.00", currency="USD")])
    statement = make_statement(account, [row(1, "10.00"), row(2, "20.00"), CONTESTING, row(4, "40.00")])
    return start_run(by, account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False)


def opened(account) -> list[tuple[object, ...]]:
    """The account's open items, with rows counted from the first one."""
    items = OpenItem.objects.filter(account_id=account.pk).order_by("side", "row_id")
    assert list(items.order_by("id").values_list("side", "row_id")) == list(items.values_list("side", "row_id"))
    first = {item.side: item.row_id for item in reversed(items)}
    told = ("part", "units", "scale", "currency", "row_date", "state", "reason", "owner", "hold_until", "resolved_at")
    return [(item.side, item.row_id - first[item.side], *(getattr(item, name) for name in told)) for item in items]


@wherever_they_go
def test_they_are_those_that_the_query_opens(by, amounts, monkeypatch, apart_from):
    account = make_account("Queried")
    usual = queued(by, account, amounts)
    execute_run(usual.run_id)
    expected = opened(account)
    monkeypatch.setattr(first_items, "MANY", 1)
    monkeypatch.setattr(apart, "APART_FROM", apart_from)
    account = make_account("Loaded")
    run = queued(by, account, amounts)
    execute_run(run.run_id)
    assert opened(account) == expected
    assert {"suggested", "amount_differs"} <= {each[8] for each in expected}
    assert set(OpenItem.objects.filter(account_id=account.pk).values_list("run_number", flat=True)) == {run.number}
    assert list(violations()) == []


@wherever_they_go
def test_a_second_run_of_the_account_finds_those_that_are_there(
    by, account, amounts, a_few_are_many, monkeypatch, apart_from
):
    monkeypatch.setattr(apart, "APART_FROM", apart_from)
    execute_run(queued(by, account, amounts).run_id)
    before = OpenItem.objects.count()
    statement = make_statement(account, [row(8, "8.00"), row(7, "70.00")], sha256="1" * 64)
    second = start_run(by, account, statement, [amounts], kind=RunKind.BATCH, is_dry_run=False)
    execute_run(second.run_id)
    assert OpenItem.objects.unresolved().count() == before  # one line more, one entry less
    assert list(violations()) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets nobody write while a run completes")
@pytest.mark.django_db(transaction=True)
def test_the_query_opens_them_if_somebody_was_there_meanwhile(by, account, amounts, a_few_are_many):
    earlier = make_statement(account, [row(8, "8.00")], sha256="1" * 64)
    run = queued(by, account, amounts)
    held, matched = threading.Event(), threading.Event()

    def hold_the_run_up() -> None:
        with transaction.atomic():
            Statement.objects.select_for_update().get(pk=run.statement_id)  # asked for when its items are loaded
            held.set()
            matched.wait(10)
        connection.close()

    def execute() -> None:
        execute_run(run.run_id)
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(hold_the_run_up)
        held.wait(10)
        done = pool.submit(execute)
        until_somebody_waits()
        entry = LedgerEntry.objects.get(units=800)
        match_by_hand(by, account, [lines(earlier)[0].pk], [entry.pk])
        matched.set()
        done.result(10)
    run.refresh_from_db()
    assert run.state == RunState.COMPLETED
    assert not OpenItem.objects.filter(side=Side.LEDGER, row_id=entry.pk).exists()
    assert OpenItem.objects.unresolved().filter(side=Side.STATEMENT).count() == run.lines_total - run.lines_matched
    assert list(violations()) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="no tables of large loads")
def test_who_claims_rows_and_then_opens_items_does_not_wait_in_a_circle_with_a_first_run(
    by, no_tables_left, monkeypatch
):
    monkeypatch.setattr(apart, "APART_FROM", 3)
    monkeypatch.setattr(first_items, "MANY", 1)
    account = make_account("Busy")
    make_entries(account, [row(day, f"{day}.00") for day in range(1, 7)])
    statement = make_statement(account, [row(day, f"{day + day // 4 * 50}.00") for day in range(1, 7)])
    rule = make_rule("Amounts", SAME_AMOUNT)
    run = start_run(by, account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False)
    with two() as (somebody, worker):
        somebody.claims(claims(FEW, account=account.pk, first=1_000_000)).result(60)
        worker.ends()
        done = worker.pool.submit(execute_run, run.run_id)
        until_somebody_waits()
        item = {"units": 1, "scale": 2, "currency": "EUR", "reason": "reopened", "run_number": run.number}
        item |= {
            "id": 1_000_000,
            "account_id": account.pk,
            "side": Side.STATEMENT,
            "row_id": 1_000_000,
            "opened_at": timezone.now(),
        }
        somebody.pool.submit(OpenItem.objects.create, **item).result(60)
        somebody.ends(well=False)
        done.result(60)
    run.refresh_from_db()
    assert (run.state, run.lines_matched) == (RunState.COMPLETED, 3)
    assert len(tables_apart(OpenItem)) == 1
    assert list(violations()) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="no tables of large loads")
def test_a_table_of_them_is_dropped_if_somebody_has_opened_one_meanwhile(db, monkeypatch):
    monkeypatch.setattr(apart, "APART_FROM", 1)
    ours, others = items(11, row_ids=[1, 2, 3]), items(21, row_ids=[3])
    waiting = first_items.load_first_items(ours, unheard)
    assert waiting == ["recon_openitem_11_13"]
    assert not OpenItem.objects.exists()
    first_items.join_first_items(first_items.load_first_items(others, unheard))
    assert first_items.join_first_items(waiting) is False
    assert list(OpenItem.objects.values_list("pk", flat=True)) == [21]
    assert [each.name for each in tables_apart(OpenItem)] == ["recon_openitem_21_21"]


def items(first: int, *, row_ids: list[int]) -> pa.Table:
    """Lines that are open, in the first account."""
    rows = len(row_ids)
    return pa.table(
        {
            "id": pa.array(range(first, first + rows), pa.int64()),
            "account_id": pa.repeat(1, rows),
            "run_number": pa.repeat(1, rows),
            "opened_at": pa.repeat(pa.scalar(datetime(2026, 3, 31, tzinfo=UTC), pa.timestamp("us", tz="UTC")), rows),
            "side": pa.repeat(0, rows),
            "row_id": pa.array(row_ids, pa.int64()),
            "part": pa.repeat(0, rows),
            "reason": pa.repeat("no_candidate", rows),
            "units": pa.array([100 * each for each in row_ids], pa.int64()),
            "scale": pa.repeat(2, rows),
            "currency": pa.repeat("EUR", rows),
            "row_date": pa.repeat(date(2026, 3, 1), rows),
        }
    )
