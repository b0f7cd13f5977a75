"""Where nearly all rows of a large load's table come to have the same state, the table gets it at one go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from django.db import OperationalError, connection, transaction

from recon.models import Claim, ItemState, Match, MatchingRun, OpenItem, RunKind, RunState, Side
from recon.usecases.bulk import whole
from recon.usecases.bulk.apart import drop_empty
from recon.usecases.bulk.apart_tables import tables_apart
from recon.usecases.review.decisions import hold
from recon.usecases.review.items_apart import are_apart
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import reverse_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, lines, make_account, make_entries, make_rule, make_statement, row
from tests.usecases.test_claims_apart import asked, two, until_somebody_waits
from tests.usecases.test_items_apart import are_right, everything_is_large, real_run, rows, told

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has such tables")

PAIRS = 30


@pytest.fixture
def counted(monkeypatch):
    """How many rows have changed with their table."""
    changed: list[int] = []

    def count(cursor, model, name, *rest):
        changed.append(only_meant(cursor, model, name, *rest))
        return changed[-1]

    only_meant = whole._only_meant
    monkeypatch.setattr(whole, "_only_meant", count)
    return changed


def a_run_that_is_reversed(by, account, rule):
    entries = make_entries(account, rows(PAIRS, "BOOKS"))
    statement = make_statement(account, rows(PAIRS, "BANK"))
    run = real_run(by, account, statement, rule)
    reverse_run(by, run)
    return entries, statement, run


def a_story(by, account, rule) -> list[list[tuple[object, ...]]]:
    """What the items are after a run and its reversal, decisions of people, and both once more."""
    entries, statement, _ = a_run_that_is_reversed(by, account, rule)
    chapters = [told(account)]
    match_by_hand(by, account, [lines(statement)[2].pk], [entries[2].pk])
    held = OpenItem.objects.unresolved().filter(account_id=account.pk)
    hold(by, held.get(row_id=lines(statement)[5].pk, side=Side.STATEMENT), date(2099, 1, 1))
    hold(by, held.get(row_id=lines(statement)[PAIRS].pk, side=Side.STATEMENT), date(2099, 1, 1))
    by_hand = OpenItem.objects.filter(account_id=account.pk, state=ItemState.RESOLVED).order_by("pk")
    before = list(by_hand.values())
    run = real_run(by, account, statement, rule)
    chapters.append(told(account))
    assert list(by_hand.filter(pk__in=[each["id"] for each in before]).values()) == before
    are_right(account)
    reverse_run(by, run)
    chapters.append(told(account))
    are_right(account)
    return chapters


def test_items_and_matches_are_what_they_would_be_row_by_row(by, monkeypatch, counted, db):
    rule = make_rule("Reference", SAME_REFERENCE)
    usual = a_story(by, make_account("Usual"), rule)
    assert not counted
    everything_is_large(monkeypatch)
    assert a_story(by, make_account("Whole"), rule) == usual
    # Matches undone; all items but those matched by hand resolved; the same open again, and matches undone.
    assert counted == [PAIRS, 2 * PAIRS - 2, 2 * PAIRS - 2, PAIRS - 1]


def test_suggestions_among_the_matches_are_withdrawn_and_the_others_undone(by, monkeypatch, counted, account):
    everything_is_large(monkeypatch)
    twins = [row(40, "777.00", reference="X"), row(41, "777.00", reference="Y")]
    make_entries(account, [*rows(PAIRS, "BOOKS"), *twins])
    statement = make_statement(account, [*rows(PAIRS, "BANK"), row(42, "777.00", reference="Z")])
    versions = [make_rule("Reference", SAME_REFERENCE), make_rule("Amount", SAME_AMOUNT)]
    run = start_run(by, account, statement, versions, kind=RunKind.INSTANT, is_dry_run=False)
    run.refresh_from_db()
    assert (run.matches_confirmed, run.matches_suggested) == (PAIRS + 1, 1)  # the odd ones are of one amount
    reverse_run(by, run)
    assert counted == [PAIRS + 1]
    states = Match.objects.filter(run_number=run.number).values_list("state", flat=True)
    assert sorted(states) == ["undone"] * (PAIRS + 1) + ["withdrawn"]
    assert all(Match.objects.filter(pk=pk).count() == 1 for pk in Match.objects.values_list("pk", flat=True))
    are_right(account)


def test_where_somebody_reads_the_table_for_long_rows_change_one_by_one(no_tables_left, by, monkeypatch):
    everything_is_large(monkeypatch)
    account, rule = make_account(), make_rule("Reference", SAME_REFERENCE)
    _, statement, _ = a_run_that_is_reversed(by, account, rule)
    name = tables_apart(OpenItem)[0].name
    with two() as (reader, _):
        reader.pool.submit(lambda: OpenItem.objects.count()).result(60)
        run = real_run(by, account, statement, rule)
        reverse_run(by, run)
        reader.ends()
    with connection.cursor() as cursor:
        asked = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attisdropped"
        cursor.execute(asked, [name])
        assert cursor.fetchone()[0] == 0
    are_right(account)


def test_a_table_that_has_lost_many_columns_loses_no_more(by, account, monkeypatch, counted):
    everything_is_large(monkeypatch)
    rule = make_rule("Reference", SAME_REFERENCE)
    _, statement, _ = a_run_that_is_reversed(by, account, rule)
    counted.clear()
    monkeypatch.setattr(whole, "MOST_DROPPED", 0)
    reverse_run(by, real_run(by, account, statement, rule))
    assert not counted
    are_right(account)


def test_a_run_that_resolves_a_table_of_items_waits_for_nobody_who_opens_some(no_tables_left, by, monkeypatch):
    """Nor they for the run: it holds nothing that they need."""
    everything_is_large(monkeypatch)
    account, rule = make_account(), make_rule("Reference", SAME_REFERENCE)
    make_entries(account, rows(PAIRS, "BOOKS")[:PAIRS])
    statement = make_statement(account, rows(PAIRS, "BANK")[:PAIRS])
    reverse_run(by, real_run(by, account, statement, rule))
    assert OpenItem.objects.unresolved().count() == 2 * PAIRS
    with two() as (opener, running):
        opener.pool.submit(are_apart, account).result(60)
        running.pool.submit(real_run, by, account, statement, rule).result(60)
        running.ends()
        opener.ends()
    assert not OpenItem.objects.unresolved().exists()
    are_right(account)


def with_a_suggestion(by):
    """An account, a run of its own that has confirmed matches and a suggestion."""
    account = make_account()
    twins = [row(40, "777.00", reference="X"), row(41, "777.00", reference="Y")]
    make_entries(account, [*rows(3, "BOOKS"), *twins])
    statement = make_statement(account, [*rows(3, "BANK"), row(42, "777.00", reference="Z")])
    versions = [make_rule("Reference", SAME_REFERENCE), make_rule("Amount", SAME_AMOUNT)]
    run = start_run(by, account, statement, versions, kind=RunKind.INSTANT, is_dry_run=False)
    run.refresh_from_db()
    assert run.matches_suggested == 1
    return account, run


def test_a_reversal_waits_for_a_run_that_withdraws_its_suggestions_before_it_keeps_that_from_opening_items(
    no_tables_left, by, monkeypatch
):
    everything_is_large(monkeypatch)
    account, run = with_a_suggestion(by)
    with two() as (other, reversing):
        other.pool.submit(asked, "UPDATE recon_match SET state = 'withdrawn' WHERE state = 'suggested'").result(60)
        reversal = reversing.pool.submit(reverse_run, by, run)
        until_somebody_waits()
        other.pool.submit(are_apart, account).result(60)
        other.ends()
        reversal.result(60)
        reversing.ends()
    assert MatchingRun.objects.get(pk=run.pk).state == RunState.REVERSED
    are_right(account)


def test_a_reversal_that_gives_way_to_who_would_wait_for_it_for_ever_is_tried_again(no_tables_left, by, monkeypatch):
    everything_is_large(monkeypatch)
    account, run = with_a_suggestion(by)

    def reverse() -> None:
        reverse_run(by, run)
        connection.close()

    with two() as (other, _), ThreadPoolExecutor(1) as pool:
        patient = "SET LOCAL deadlock_timeout = '1min'"  # so that the reversal is who gives way
        other.pool.submit(asked, patient, f"SELECT tieout_lock_items({account.pk}, true)").result(60)
        reversal = pool.submit(reverse)
        until_somebody_waits()
        other.pool.submit(asked, f"SELECT 1 FROM recon_matchingrun WHERE number = {run.number} FOR UPDATE").result(60)
        other.ends()
        reversal.result(60)
    assert MatchingRun.objects.get(pk=run.pk).state == RunState.REVERSED
    assert not Claim.objects.exists()
    are_right(account)


def test_nobody_drops_a_table_that_is_being_looked_at_because_it_was_listed(no_tables_left, by, monkeypatch):
    everything_is_large(monkeypatch)
    a_run_that_is_reversed(by, make_account(), make_rule("Reference", SAME_REFERENCE))
    OpenItem.objects.all().delete()
    is_worth_it = whole._is_worth_it

    def drop() -> None:
        try:
            with pytest.raises(OperationalError, match="lock timeout"):
                drop_empty(OpenItem)
        finally:
            connection.close()

    def while_another_drops_empty_ones(*about):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(drop).result(60)
        return is_worth_it(*about)

    monkeypatch.setattr(whole, "_is_worth_it", while_another_drops_empty_ones)
    with transaction.atomic():
        assert whole.change_whole(OpenItem, "TRUE", [], {"state": "open"}) == 0
    drop_empty(OpenItem)
    assert not tables_apart(OpenItem)
