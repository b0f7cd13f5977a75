"""Open items that a large change opens or resolves move to tables of their own; a row part has one all the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import count, product

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from recon.models import Claim, ItemNote, ItemState, LedgerEntry, Match, OpenItem, RunKind, RunState, Side
from recon.usecases.accounts.closing import close_period
from recon.usecases.accounts.scope import entries_in_scope, lines_in_scope
from recon.usecases.bulk import apart, moved
from recon.usecases.bulk.apart import make_room, merge_apart
from recon.usecases.bulk.apart_tables import RANGE, tables_apart
from recon.usecases.bulk.moved import moved_apart
from recon.usecases.errors import Refused
from recon.usecases.integrity import violations
from recon.usecases.review import open_items
from recon.usecases.review.decisions import accept, hold
from recon.usecases.review.decisions import assign as give_to
from recon.usecases.review.items_apart import are_apart
from recon.usecases.review.manual import match_by_hand
from recon.usecases.review.splitting import split_item
from recon.usecases.runs import execution, undo
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import reverse_run, unmatch
from tests.cast import SAME_REFERENCE, lines, make_account, make_entries, make_rule, make_statement, row
from tests.usecases.test_claims_apart import asked, two, until_somebody_waits

only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has such tables")
numbers = count(1_000_000)


def everything_is_large(monkeypatch) -> None:
    monkeypatch.setattr(apart, "APART_FROM", 1)
    monkeypatch.setattr(undo, "MANY", 0)
    monkeypatch.setattr(open_items, "MANY", 0)
    monkeypatch.setattr(execution, "RESOLVED_ONE_BY_ONE", 0)


@pytest.fixture
def by_reference(db):
    return make_rule("Reference", SAME_REFERENCE)


def rows(pairs: int, alone: str):
    """So many that the other side has too, and one that it has not."""
    return [*(row(n, f"{n}.00", reference=f"INV-{n}") for n in range(1, pairs + 1)), row(99, "9.90", reference=alone)]


def books_of_their_own():
    """An account, its statement with three rows that the ledger has too, and a rule that finds them."""
    account = make_account()
    make_entries(account, rows(3, "BOOKS"))
    return account, make_statement(account, rows(3, "BANK")), make_rule("Reference", SAME_REFERENCE)


def real_run(by, account, statement, rule):
    run = start_run(by, account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)
    run.refresh_from_db()
    assert (run.state, run.error) == (RunState.COMPLETED, "")
    return run


def told(account) -> list[tuple[object, ...]]:
    """The account's items, with rows counted from the first one of their side."""
    first: dict[int, int] = {
        Side.STATEMENT: lines_in_scope(account).order_by("pk")[0].pk,
        Side.LEDGER: entries_in_scope(account).order_by("pk")[0].pk,
    }
    items = OpenItem.objects.filter(account_id=account.pk).order_by("side", "row_id", "part")
    names = ("part", "units", "scale", "currency", "row_date", "state", "reason", "owner_id", "hold_until")
    return [
        (each.side, each.row_id - first[each.side], *(getattr(each, name) for name in names), bool(each.resolved_at))
        for each in items
    ]


def not_claimed(account) -> set[tuple[int, int]]:
    """By a plain look at every row."""
    found = set()
    for side, in_scope in ((Side.STATEMENT, lines_in_scope(account)), (Side.LEDGER, entries_in_scope(account))):
        claimed = set(Claim.objects.filter(account_id=account.pk, side=side).values_list("row_id", flat=True))
        found |= {(int(side), pk) for pk in in_scope.values_list("pk", flat=True) if pk not in claimed}
    return found


def are_right(account) -> None:
    left = OpenItem.objects.unresolved().filter(account_id=account.pk).values_list("side", "row_id")
    assert sorted(left) == sorted(not_claimed(account))
    assert list(violations()) == []


def a_long_story(by, account, rule, alice) -> list[list[tuple[object, ...]]]:
    """What the items are after each of its chapters."""
    chapters = []

    def so_far() -> None:
        are_right(account)
        chapters.append(told(account))

    entries = make_entries(account, rows(6, "BOOKS"))
    statement = make_statement(account, rows(6, "BANK"))
    first = real_run(by, account, statement, rule)
    so_far()
    mine = OpenItem.objects.get(account_id=account.pk, side=Side.STATEMENT)
    give_to(by, mine, alice)
    unmatch(by, Match.objects.filter(run_number=first.number)[2])
    match_by_hand(by, account, [lines(statement)[2].pk], [entries[2].pk])
    so_far()
    reverse_run(by, first)
    so_far()
    hold(by, OpenItem.objects.unresolved().filter(account_id=account.pk, side=Side.LEDGER)[1], date(2099, 1, 1))
    second = real_run(by, account, statement, rule)
    so_far()
    unmatch(by, Match.objects.filter(run_number=second.number)[0])
    so_far()
    reverse_run(by, second, include_manual=True)
    so_far()
    real_run(by, account, statement, rule)
    so_far()
    return chapters


def test_they_are_what_they_would_be_in_one_table(by, by_reference, alice, monkeypatch):
    usual = a_long_story(by, make_account("Usual"), by_reference, alice)
    everything_is_large(monkeypatch)
    assert a_long_story(by, make_account("Apart"), by_reference, alice) == usual
    if connection.vendor == "postgresql":
        assert tables_apart(OpenItem)
        make_room()
        assert all(OpenItem.objects.filter(pk=pk).count() == 1 for pk in OpenItem.objects.values_list("pk", flat=True))
        assert list(violations()) == []


def test_a_closed_period_keeps_a_large_run_from_being_reversed(by, account, by_reference, monkeypatch):
    everything_is_large(monkeypatch)
    make_entries(account, rows(3, "BOOKS")[:3])
    run = real_run(by, account, make_statement(account, rows(3, "BANK")), by_reference)
    accept(by, OpenItem.objects.unresolved().get(), "in transit")
    close_period(by, account, date(2026, 3, 31))
    with pytest.raises(Refused, match="closed"):
        reverse_run(by, run)
    assert Match.objects.filter(state="confirmed").count() == 3
    are_right(account)


def test_an_item_keeps_its_number_its_notes_and_who_has_it(by, account, by_reference, alice, monkeypatch):
    everything_is_large(monkeypatch)
    make_entries(account, rows(3, "BOOKS"))
    statement = make_statement(account, rows(3, "BANK"))
    reverse_run(by, real_run(by, account, statement, by_reference))
    item = OpenItem.objects.get(side=Side.STATEMENT, units=100)
    give_to(by, item, alice)
    ItemNote.objects.create(item_id=item.pk, text="called them", author=alice)
    before = OpenItem.objects.get(pk=item.pk)
    run = real_run(by, account, statement, by_reference)
    assert OpenItem.objects.get(pk=item.pk).state == ItemState.RESOLVED
    reverse_run(by, run)
    after = OpenItem.objects.get(pk=item.pk)
    assert (after.state, after.reason) == (ItemState.OPEN, "reopened")
    for name in ("owner", "opened_at", "side", "row_id", "part", "units", "row_date", "over_sla_at"):
        assert getattr(after, name) == getattr(before, name)
    assert list(violations()) == []


@only_postgres
def test_tables_without_rows_are_dropped_and_others_merged(by, account, by_reference, monkeypatch):
    everything_is_large(monkeypatch)
    make_entries(account, rows(3, "BOOKS"))
    statement = make_statement(account, rows(3, "BANK"))
    for _ in range(2):
        reverse_run(by, real_run(by, account, statement, by_reference))
    before = list(OpenItem.objects.order_by("pk").values())
    assert len(tables_apart(OpenItem)) > 1
    make_room()
    assert all(apart._has_rows(each) for model in RANGE for each in tables_apart(model))
    merge_apart(OpenItem, tables_apart(OpenItem))
    assert len(tables_apart(OpenItem)) == 1
    assert list(OpenItem.objects.order_by("pk").values()) == before
    real_run(by, account, statement, by_reference)
    are_right(account)


def item(row_id: int, account_id: int = 1, part: int = 0) -> OpenItem:
    return OpenItem(
        id=next(numbers), account_id=account_id, side=Side.STATEMENT, row_id=row_id, part=part, units=100,
        currency="EUR", opened_at=timezone.now(),
    )  # fmt: skip


def open_one(row_id: int, account_id: int = 1) -> None:
    OpenItem.objects.bulk_create([item(row_id, account_id)])


def open_with_a_table(row_id: int, account_id: int = 1) -> None:
    with transaction.atomic(), moved_apart(OpenItem, next(numbers)) as name, connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {name}"
            " (id, account_id, side, row_id, part, units, scale, currency, state, reason, opened_at)"
            f" VALUES ({next(numbers)}, {account_id}, 0, {row_id}, 0, 100, 2, 'EUR', 'open', '', now())"
        )


WAYS = (open_one, open_with_a_table)


@only_postgres
def test_of_two_who_open_a_row_part_at_once_exactly_one_has(no_tables_left, monkeypatch):
    monkeypatch.setattr(apart, "APART_FROM", 1)
    for account_id, (ours, theirs, kept) in enumerate(product(WAYS, WAYS, (True, False)), start=1):
        with two() as (first, second):
            first.pool.submit(ours, 7, account_id).result(60)
            second.pool.submit(open_one, 7, account_id + 100).result(60)
            waiting = second.pool.submit(theirs, 7, account_id)
            until_somebody_waits()
            first.ends(well=kept)
            if kept:
                with pytest.raises(IntegrityError):
                    waiting.result(60)
            else:
                waiting.result(60)
            second.ends(well=not kept)
        assert OpenItem.objects.filter(account_id=account_id).count() == 1


@only_postgres
def test_an_item_never_comes_to_stand_for_what_another_table_has(db, monkeypatch):
    monkeypatch.setattr(apart, "APART_FROM", 1)
    open_with_a_table(7)
    open_with_a_table(8)
    open_one(9)
    for mine, taken in ((7, 8), (9, 8), (8, 9)):
        with pytest.raises(IntegrityError), transaction.atomic():
            OpenItem.objects.filter(row_id=mine).update(row_id=taken)
    OpenItem.objects.filter(row_id=8).update(part=1)
    for row_id, part in ((8, 1), (7, 0)):
        with pytest.raises(IntegrityError), transaction.atomic():
            item(row_id, part=part).save(force_insert=True)
    item(8).save(force_insert=True)
    assert OpenItem.objects.count() == 4


@only_postgres
def test_what_is_split_stays_one_item_a_part(by, account, by_reference, monkeypatch):
    everything_is_large(monkeypatch)
    make_entries(account, rows(3, "BOOKS"))
    statement = make_statement(account, rows(3, "BANK"))
    reverse_run(by, real_run(by, account, statement, by_reference))
    whole = OpenItem.objects.get(side=Side.STATEMENT, units=300)
    split_item(by, whole, part=whole.amount / 3)
    assert list(violations()) == []
    real_run(by, account, statement, by_reference)
    assert list(violations()) == []
    assert LedgerEntry.objects.count() == 4


@only_postgres
def test_claims_are_released_one_by_one_where_somebody_reads_them(no_tables_left, by, monkeypatch):
    everything_is_large(monkeypatch)
    account, statement, rule = books_of_their_own()
    run = real_run(by, account, statement, rule)
    with two() as (reader, _):
        assert reader.pool.submit(lambda: Claim.objects.count()).result(60) == 6
        reverse_run(by, run)
        assert Claim.objects.count() == 0
        reader.ends()
    are_right(account)
    real_run(by, account, statement, rule)
    are_right(account)


@only_postgres
def test_a_reversal_keeps_nobody_from_storing_matches_while_it_waits_for_who_opens_items(
    no_tables_left, by, monkeypatch
):
    """A run opens items in one transaction and stores its matches in another, for whose end the first one waits."""
    everything_is_large(monkeypatch)
    account, statement, rule = books_of_their_own()
    run = real_run(by, account, statement, rule)
    with two() as (opener, reversing):
        opener.pool.submit(are_apart, account).result(60)
        reversal = reversing.pool.submit(reverse_run, by, run)
        until_somebody_waits()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute("LOCK TABLE ONLY recon_match IN SHARE UPDATE EXCLUSIVE MODE")  # as who adds a table
        opener.ends()
        reversal.result(60)
        reversing.ends()
    are_right(account)


@only_postgres
def test_a_run_that_gives_way_to_who_would_wait_for_it_for_ever_matches_again(transactional_db, by):
    account, statement, rule = books_of_their_own()
    run = start_run(by, account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False)

    def execute() -> None:
        execution.execute_run(run.run_id)
        connection.close()

    with two() as (other, _), ThreadPoolExecutor(1) as pool:
        patient = "SET LOCAL deadlock_timeout = '1min'"  # so that the run is who gives way
        other.pool.submit(asked, patient, f"SELECT tieout_lock_items({account.pk}, true)").result(60)
        executed = pool.submit(execute)
        until_somebody_waits()
        other.pool.submit(asked, f"SELECT tieout_lock_claims({account.pk}, true)").result(60)
        other.ends()
        executed.result(60)
    run.refresh_from_db()
    assert (run.state, run.error, run.matches_confirmed) == (RunState.COMPLETED, "", 3)
    are_right(account)


@only_postgres
def test_an_item_that_is_in_two_tables_is_found(db, monkeypatch):
    def join_unseen(model, name):
        connection.cursor().execute(f"ALTER TABLE {name} INHERIT recon_openitem")

    monkeypatch.setattr(apart, "APART_FROM", 1)
    monkeypatch.setattr(moved, "join_apart", join_unseen)
    open_one(7)
    open_with_a_table(7)
    found = {(each.check, each.record) for each in violations()}
    assert ("a row part has one item", "statement line 7/0") in found
