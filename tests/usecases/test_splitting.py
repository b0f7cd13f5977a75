"""Splitting what is open, putting it together again, and calling a difference something else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from recon.models import (
    Event,
    Match,
    MatchDifference,
    MatchState,
    OpenItem,
    RowPart,
    RunKind,
    RunState,
    Side,
)
from recon.usecases.errors import Refused
from recon.usecases.integrity import violations
from recon.usecases.review.differences import retype_difference
from recon.usecases.review.manual import match_by_hand
from recon.usecases.review.splitting import join_item, split_item
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import undo_latest, unmatch
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    actor,
    lines,
    make_account,
    make_entries,
    make_rule,
    make_statement,
    row,
)

TEN = Decimal("10.00")


@pytest.fixture
def rule(db):
    return make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)


def run(by, account, statement, rule, **more):
    return start_run(by, account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False, **more)


@pytest.fixture
def item(by, account, rule) -> OpenItem:
    """A line of 10.00 that a run left open."""
    statement = make_statement(account, [row(1, "10.00", reference="BOTH")])
    run(by, account, statement, rule)
    return OpenItem.objects.get(side=Side.STATEMENT)


def told(verb: str) -> Any:
    """What the one event of this kind says came of it."""
    return Event.objects.values_list("after", flat=True).get(verb=verb)


def parts(item) -> list[tuple[int, str]]:
    kept = OpenItem.objects.unresolved().filter(side=item.side, row_id=item.row_id).order_by("part")
    return [(each.part, str(each.amount)) for each in kept]


def test_a_split_item_takes_part_in_matching_as_its_parts(by, account, item, rule):
    rest = split_item(by, item, Decimal("4.00"), "two invoices")
    assert parts(rest) == [(1, "4.00"), (2, "6.00")]
    entry = make_entries(account, [row(7, "6.00", reference="BOTH")])[0]
    again = run(by, account, None, rule, with_open_lines=True)
    assert (again.lines_total, again.lines_matched) == (2, 1)
    assert parts(rest) == [(1, "4.00")]
    assert told("item split")["parts"] == ["4.00", "6.00"]
    assert list(violations()) == []
    unmatch(by, Match.objects.get(state=MatchState.CONFIRMED))
    assert parts(rest) == [(1, "4.00"), (2, "6.00")]
    assert entry.pk in OpenItem.objects.unresolved().filter(side=Side.LEDGER).values_list("row_id", flat=True)


def test_the_remainder_can_be_split_again_and_everything_joined(by, item):
    rest = split_item(by, item, Decimal("4.00"))
    split_item(by, rest, Decimal("1.50"))
    assert parts(item) == [(1, "4.00"), (2, "1.50"), (3, "4.50")]
    whole = join_item(by, rest)
    assert (whole.part, whole.amount, parts(item)) == (0, TEN, [(0, "10.00")])
    assert not RowPart.objects.exists()
    assert list(violations()) == []


def test_parts_that_are_left_are_joined_without_the_one_that_is_matched(by, account, item):
    rest = split_item(by, item, Decimal("4.00"))
    last = split_item(by, rest, Decimal("1.50"))
    entry = make_entries(account, [row(7, "4.00")])[0]
    match_by_hand(by, account, [(item.row_id, 1)], [entry.pk])
    joined = join_item(by, last)
    assert (joined.part, parts(item)) == (3, [(3, "6.00")])
    with pytest.raises(Refused, match="other parts are matched"):
        join_item(by, joined)
    assert list(violations()) == []


@pytest.mark.parametrize("part", ["0.00", "10.00", "12.00", "-4.00", "4.001"])
def test_a_part_lies_between_nothing_and_the_whole(by, item, part):
    with pytest.raises(Refused):
        split_item(by, item, Decimal(part))
    assert parts(item) == [(0, "10.00")]


def test_a_suggestion_for_the_whole_is_withdrawn(by, account, rule):
    make_entries(account, [row(1, "10.00", reference="A"), row(2, "10.00", reference="A", description="other")])
    run(by, account, make_statement(account, [row(1, "10.00", reference="A")]), rule)
    suggested = Match.objects.get(state=MatchState.SUGGESTED)
    split_item(by, OpenItem.objects.get(side=Side.STATEMENT), Decimal("5.00"))
    suggested.refresh_from_db()
    assert suggested.state == MatchState.WITHDRAWN


def test_nothing_is_split_while_a_run_may_take_it(by, account, item, rule):
    other = run(by, account, make_statement(account, [row(9, "1.00")]), rule)
    type(other).objects.filter(pk=other.pk).update(state=RunState.RUNNING)
    with pytest.raises(Refused, match="when it is over"):
        split_item(by, item, Decimal("4.00"))


def test_a_part_of_an_entry_that_leaves_its_balance_keeps_its_direction(by, rule):
    account = make_account("Wallet", scope={"balances": ["@wallet"]})
    make_entries(None, [row(1, "10.00", reference="OUT", source="@wallet", destination="@shop")])
    run(by, account, make_statement(account, [row(1, "-1.00", reference="X")]), rule)
    entry_item = OpenItem.objects.get(side=Side.LEDGER)
    split_item(by, entry_item, Decimal("4.00"))
    again = run(by, account, make_statement(account, [row(2, "-4.00", reference="OUT")]), rule)
    assert again.lines_matched == 1
    assert list(violations()) == []


def test_a_difference_is_called_something_else(by, account):
    line = lines(make_statement(account, [row(1, "10.00")]))[0]
    entry = make_entries(account, [row(1, "9.50")])[0]
    match = match_by_hand(by, account, [line.pk], [entry.pk], difference_type="unclassified")
    difference = MatchDifference.objects.get(match_id=match.pk)
    changed = retype_difference(by, difference, "fee", "the bank's fee")
    assert (changed.type, changed.amount) == ("fee", Decimal("0.50"))
    assert told("difference retyped") == {"type": "fee", "comment": "the bank's fee"}
    with pytest.raises(Refused, match="no kind of difference"):
        retype_difference(by, difference, "gift")
    unmatch(by, match)
    with pytest.raises(Refused, match="only the difference of a confirmed match"):
        retype_difference(by, difference, "rounding")


def test_undoing_takes_back_a_persons_own_latest_match(by, bob, account):
    found = lines(make_statement(account, [row(1, "10.00"), row(2, "20.00")]))
    entries = make_entries(account, [row(1, "10.00"), row(2, "20.00")])
    first, second = (
        match_by_hand(by, account, [line.pk], [entry.pk]) for line, entry in zip(found, entries, strict=True)
    )
    with pytest.raises(Refused, match="nothing to undo"):
        undo_latest(actor(bob), account)
    assert [undo_latest(by, account).pk, undo_latest(by, account).pk] == [second.pk, first.pk]
