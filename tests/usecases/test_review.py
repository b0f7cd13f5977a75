"""What people decide: matches by hand, suggestions, unmatching, and the items that stay open."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection, transaction
from django.utils import timezone

from recon.models import (
    Claim,
    Event,
    ItemNote,
    ItemState,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchState,
    OpenItem,
    RowPart,
    RunState,
    Side,
    reserve_ids,
)
from recon.usecases.errors import Refused
from recon.usecases.review import decisions as review
from recon.usecases.review import open_items
from recon.usecases.review.items_apart import in_sql
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs import undo
from recon.usecases.runs.undo import reverse_run, unmatch
from tests.cast import lines, make_account, make_entries, make_statement, row


@pytest.fixture
def pair(account):
    """A line of 10.00 and an entry of 10.00."""
    statement = make_statement(account, [row(1, "10.00")])
    return lines(statement)[0], make_entries(account, [row(1, "10.00")])[0]


def suggest(account, *pairs, is_dry_run=False, state=RunState.COMPLETED) -> list[Match]:
    """A completed run that suggested each pair of a line and an entry."""
    now = timezone.now()
    run = MatchingRun.objects.create(
        number=reserve_ids(MatchingRun, 1),
        account=account,
        kind="instant",
        is_dry_run=is_dry_run,
        state=state,
        started_at=now,
        completed_at=now,
        lines_total=len(pairs),
        lines_suggested=len(pairs),
        matches_suggested=len(pairs),
    )
    return [_suggestion(account, run, line, entry) for line, entry in pairs]


def _suggestion(account, run, line, entry) -> Match:
    match = Match.objects.create(
        id=reserve_ids(Match, 1),
        account_id=account.pk,
        run_number=run.number,
        origin="rule",
        state=MatchState.SUGGESTED,
        currency="EUR",
        scale=2,
        line_units=line.units,
        entry_units=entry.units,
        created_at=timezone.now(),
    )
    MatchRow.objects.create(match_id=match.pk, side=Side.STATEMENT, row_id=line.pk, units=line.units)
    MatchRow.objects.create(match_id=match.pk, side=Side.LEDGER, row_id=entry.pk, units=entry.units)
    return match


def open_item(account, line, **more) -> OpenItem:
    return OpenItem.objects.create(
        id=reserve_ids(OpenItem, 1),
        account_id=account.pk,
        side=Side.STATEMENT,
        row_id=line.pk,
        units=line.units,
        currency="EUR",
        opened_at=timezone.now(),
        **more,
    )


def test_rows_that_tie_are_matched_by_hand_and_claimed(account, by, pair):
    line, entry = pair
    item = open_item(account, line)
    match = match_by_hand(by, account, [line.pk], [entry.pk], comment="same invoice")
    assert match.state == MatchState.CONFIRMED
    assert match.difference == 0
    assert match.cleared_on == line.booking_date
    assert sorted(Claim.objects.filter(match_id=match.pk).values_list("side", "row_id")) == [
        (0, line.pk),
        (1, entry.pk),
    ]
    item.refresh_from_db()
    assert item.state == ItemState.RESOLVED
    event = Event.objects.get(kind="match")
    assert (event.verb, event.actor, event.why) == ("matched by hand", by.user, "same invoice")


def test_sides_that_do_not_tie_need_a_type_for_the_difference(account, by):
    statement = make_statement(account, [row(1, "9.70")])
    entry = make_entries(account, [row(1, "10.00")])[0]
    line = lines(statement)[0]
    with pytest.raises(Refused, match="say what the difference is"):
        match_by_hand(by, account, [line.pk], [entry.pk])
    match = match_by_hand(by, account, [line.pk], [entry.pk], difference_type="fee", comment="card fee")
    difference = MatchDifference.objects.get(match_id=match.pk)
    assert (str(difference.amount), difference.type, difference.comment) == ("-0.30", "fee", "card fee")


def test_amounts_of_different_scales_add_up_exactly(account, by):
    statement = make_statement(account, [row(1, "0.100"), row(2, "0.205")])
    entry = make_entries(account, [row(1, "0.305")])[0]
    match = match_by_hand(by, account, [line.pk for line in lines(statement)], [entry.pk])
    assert (match.scale, match.line_units, match.entry_units) == (3, 305, 305)


def test_a_reversal_is_matched_within_one_side(account, by):
    first, second, third = make_entries(account, [row(1, "10.00"), row(2, "-10.00"), row(3, "-9.00")])
    with pytest.raises(Refused, match="add up to zero"):
        match_by_hand(by, account, [], [first.pk, third.pk], difference_type="fee")
    assert match_by_hand(by, account, [], [first.pk, second.pk]).difference == 0


@pytest.mark.parametrize(
    ("rows", "entries", "message"),
    [
        ([], [], "Select rows"),  # nothing chosen
        ([row(1, "1.00")], [], "at least two"),  # one row is no match
        ([row(1, "1.00")], [row(1, "1.00", currency="USD")], "EUR, USD"),  # currencies never mix by hand
    ],
)
def test_a_selection_that_is_no_match_says_why(account, by, rows, entries, message):
    chosen_lines = lines(make_statement(account, rows))
    chosen_entries = make_entries(account, entries)
    with pytest.raises(Refused, match=message):
        match_by_hand(by, account, [each.pk for each in chosen_lines], [each.pk for each in chosen_entries])
    assert not Match.objects.exists()


def test_a_row_is_in_one_confirmed_match_only(account, by, pair):
    line, entry = pair
    match_by_hand(by, account, [line.pk], [entry.pk])
    other = make_entries(account, [row(2, "10.00")])[0]
    with pytest.raises(Refused, match="no longer open"):
        match_by_hand(by, account, [line.pk], [other.pk])


def test_a_row_of_another_account_cannot_be_matched(account, by, pair):
    stranger = make_account("Other bank")
    foreign = make_entries(stranger, [row(1, "10.00")])[0]
    with pytest.raises(Refused, match="no longer open"):
        match_by_hand(by, account, [pair[0].pk], [foreign.pk])


def test_one_part_of_a_split_row_is_matched_and_the_other_stays_open(account, by, pair):
    line, _ = pair
    for part, units in ((1, 400), (2, 600)):
        RowPart.objects.create(account_id=account.pk, side=Side.STATEMENT, row_id=line.pk, part=part, units=units)
    entry = make_entries(account, [row(2, "4.00")])[0]
    with pytest.raises(Refused, match="no longer open"):
        match_by_hand(by, account, [line.pk], [entry.pk], difference_type="fee")
    match = match_by_hand(by, account, [(line.pk, 1)], [entry.pk])
    assert match.difference == 0
    assert list(Claim.objects.filter(side=Side.STATEMENT).values_list("row_id", "part")) == [(line.pk, 1)]


def test_a_confirmed_suggestion_claims_its_rows_and_withdraws_its_rivals(account, by, pair):
    line, entry = pair
    rival_entry = make_entries(account, [row(2, "10.00")])[0]
    item = open_item(account, line)
    chosen, rival = suggest(account, (line, entry), (line, rival_entry))
    (dry,) = suggest(account, (line, entry), is_dry_run=True)
    review.confirm_match(by, chosen)
    for each in (chosen, rival, dry, item):
        each.refresh_from_db()
    assert (chosen.state, rival.state) == (MatchState.CONFIRMED, MatchState.WITHDRAWN)
    assert dry.state == MatchState.SUGGESTED  # what a dry run found is never changed
    assert item.state == ItemState.RESOLVED
    with pytest.raises(Refused, match="withdrawn"):
        review.confirm_match(by, rival)


def test_a_rejected_suggestion_leaves_its_rows_open(account, by, pair):
    (match,) = suggest(account, pair)
    review.reject_match(by, match, why="another customer")
    match.refresh_from_db()
    assert match.state == MatchState.REJECTED
    assert not Claim.objects.exists()
    assert Event.objects.get().why == "another customer"


def test_a_suggestion_whose_row_is_taken_is_refused_and_stays_as_it_was(account, by, pair):
    (match,) = suggest(account, pair)
    Claim.objects.create(account_id=account.pk, side=Side.LEDGER, row_id=pair[1].pk, part=0, match_id=999)
    with pytest.raises(Refused, match="has taken one of these rows"):
        review.confirm_match(by, match)
    match.refresh_from_db()
    assert match.state == MatchState.SUGGESTED
    assert not Event.objects.exists()


def test_a_suggestion_of_a_dry_run_is_not_decided(account, by, pair):
    (match,) = suggest(account, pair, is_dry_run=True)
    with pytest.raises(Refused, match="apply the run first"):
        review.confirm_match(by, match)


def test_unmatching_opens_both_rows_again(account, by, pair):
    line, entry = pair
    match = match_by_hand(by, account, [line.pk], [entry.pk])
    unmatch(by, match, why="wrong month")
    match.refresh_from_db()
    assert match.state == MatchState.UNDONE
    assert not Claim.objects.exists()
    items = OpenItem.objects.unresolved().order_by("side")
    assert [(item.side, item.row_id, item.amount, item.reason) for item in items] == [
        (Side.STATEMENT, line.pk, line.amount, "reopened"),
        (Side.LEDGER, entry.pk, entry.amount, "reopened"),
    ]
    with pytest.raises(Refused, match="only a confirmed match"):
        unmatch(by, match)


def test_unmatching_in_an_account_without_a_scope_opens_no_ledger_items(by, db):
    account = make_account("API", scope={})
    line = lines(make_statement(account, [row(1, "10.00")]))[0]
    entry = make_entries(None, [row(1, "10.00")])[0]
    unmatch(by, match_by_hand(by, account, [line.pk], [entry.pk]))
    assert list(OpenItem.objects.values_list("side", flat=True)) == [Side.STATEMENT]


@pytest.fixture(params=["few", "many"])
def undone_at_once(request, monkeypatch):
    """What is undone goes the way of a few matches, and that of many."""
    if request.param == "many":
        monkeypatch.setattr(undo, "MANY", 0)
        monkeypatch.setattr(open_items, "MANY", 0)


def test_reversing_a_run_keeps_what_people_confirmed_unless_included(account, by, undone_at_once):
    statement = make_statement(account, [row(1, "1.00"), row(2, "2.00")])
    entries = make_entries(account, [row(1, "1.00"), row(2, "2.00")])
    automatic, confirmed = suggest(account, *zip(lines(statement), entries, strict=True))
    review.confirm_match(by, confirmed)
    Match.objects.filter(pk=automatic.pk).update(state=MatchState.CONFIRMED)  # as a run stores it
    review.settle(automatic)
    run = MatchingRun.objects.get()
    reverse_run(by, run)
    states = dict(Match.objects.values_list("id", "state"))
    assert states == {automatic.pk: MatchState.UNDONE, confirmed.pk: MatchState.CONFIRMED}
    assert set(Claim.objects.values_list("match_id", flat=True)) == {confirmed.pk}
    reopened = OpenItem.objects.unresolved().values_list("side", "row_id")
    assert set(reopened) == {(Side.STATEMENT, lines(statement)[0].pk), (Side.LEDGER, entries[0].pk)}
    assert Event.objects.filter(verb="run reversed", after__kept_because_of_people=1).exists()
    with pytest.raises(Refused, match="reversed"):
        reverse_run(by, run)


def test_reversing_a_run_includes_peoples_matches_by_choice_and_withdraws_suggestions(account, by):
    statement = make_statement(account, [row(1, "1.00"), row(2, "2.00")])
    entries = make_entries(account, [row(1, "1.00"), row(2, "2.00")])
    confirmed, suggested = suggest(account, *zip(lines(statement), entries, strict=True))
    review.confirm_match(by, confirmed)
    reverse_run(by, MatchingRun.objects.get(), include_manual=True)
    states = dict(Match.objects.values_list("id", "state"))
    assert states == {confirmed.pk: MatchState.UNDONE, suggested.pk: MatchState.WITHDRAWN}
    assert not Claim.objects.exists()


def test_an_open_item_is_worked(account, by, bob, pair):
    item = open_item(account, pair[0])
    review.assign(by, item, bob)
    review.take_into_review(by, item)
    tomorrow = timezone.localdate() + dt.timedelta(days=1)
    review.hold(by, item, tomorrow, why="bank asked")
    assert (item.owner, item.state, item.hold_until) == (bob, ItemState.ON_HOLD, tomorrow)
    review.accept(by, item, why="deposit in transit")
    assert (item.state, item.hold_until) == (ItemState.ACCEPTED, None)
    review.reopen_item(by, item)
    review.note(by, item, " called them ")
    assert item.state == ItemState.OPEN
    assert ItemNote.objects.get().text == "called them"
    assert Event.objects.filter(kind="item").count() == 6


def test_an_items_change_that_makes_no_sense_is_refused(account, by, pair):
    item = open_item(account, pair[0])
    with pytest.raises(Refused, match="future"):
        review.hold(by, item, timezone.localdate())
    with pytest.raises(Refused, match="why"):
        review.accept(by, item, " ")
    with pytest.raises(Refused, match="empty"):
        review.note(by, item, "")
    match_by_hand(by, account, [pair[0].pk], [pair[1].pk])
    with pytest.raises(Refused, match="resolved"):
        review.accept(by, item, "known")


def test_a_bulk_decision_does_what_it_can_and_says_what_it_could_not(account, by, pair):
    good, late = suggest(account, pair, pair)
    done, refusals = review.for_each([good, late], lambda match: review.confirm_match(by, match))
    assert done == 1
    assert len(refusals) == 1
    assert "withdrawn" in refusals[0]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="how PostgreSQL finds them")
def test_each_row_of_a_run_is_looked_up_once_however_little_the_planner_knows(account):
    """Tables that have just grown are empty in its eyes."""
    params = {"now": in_sql(timezone.now()), "account": account.pk, "run": 1}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # whose tables it has just seen empty reads them whole
        cursor.execute("EXPLAIN " + open_items.RESOLVE_MATCHED_BY_RUN["postgresql"], params)
        plan = "\n".join(step for (step,) in cursor.fetchall())
    looked_up = plan[plan.index("InitPlan") :]
    assert looked_up.index("on recon_match m") < looked_up.index("using item_once_per_row_part on recon_openitem")
