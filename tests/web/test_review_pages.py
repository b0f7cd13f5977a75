"""The review pages: what is open in an account, and what becomes of it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from recon.models import ItemNote, ItemState, Match, MatchState, OpenItem, RunKind, Side
from recon.usecases.review.lists import item_views
from recon.usecases.runs.starting import start_run
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    actor,
    make_account,
    make_entries,
    make_rule,
    make_statement,
    row,
)


@pytest.fixture
def account(alice):
    """An account with one suggestion and, on either side, an item that nothing is like."""
    account = make_account()
    make_entries(
        account,
        [
            row(1, "30.00", reference="A-3", description="first"),
            row(2, "30.00", reference="A-3", description="second"),
            row(3, "7.00", "2026-02-01", reference="L-7"),
        ],
    )
    statement = make_statement(account, [row(1, "30.00", reference="A-3"), row(2, "7.50", reference="S-7")])
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)
    return account


def text_of(response):
    return response.content.decode()


def item_of(reference, side):
    items = item_views(list(OpenItem.objects.filter(side=side)))
    return next(view.item for view in items if view.row is not None and view.row.reference == reference)


def test_what_is_open_is_shown_with_its_suggestions(client, account):
    text = text_of(client.get(reverse("review")))
    assert "S-7" in text
    assert "L-7" in text
    assert "Suggestions to decide" in text
    assert "other candidates would do as well" in text


def test_the_account_with_work_is_shown_where_none_is_chosen(client, account):
    make_account("A account without work")
    response = client.get(reverse("review"))
    assert response.context["account"] == account
    assert f'<option value="{account.pk}" selected>' in text_of(response)


def test_an_empty_installation_says_what_to_do_next(client):
    assert "There is no account yet" in text_of(client.get(reverse("review")))


def test_review_costs_the_same_however_much_is_open(client, account, django_assert_max_num_queries):
    with django_assert_max_num_queries(16):
        client.get(reverse("review"))


def test_items_are_paged_by_age(client, account, alice):
    today = timezone.localdate()
    page = client.get(reverse("review"), {"line_after": f"{today.isoformat()}.1"})
    assert "S-7" not in text_of(page)
    assert "S-7" in text_of(client.get(reverse("review"), {"line_after": "nonsense"}))


def test_rows_are_matched_by_hand_from_review(client, account):
    line, entry = item_of("S-7", Side.STATEMENT), item_of("L-7", Side.LEDGER)
    chosen = {
        "account": account.pk,
        "line": f"{line.row_id}.0",
        "entry": f"{entry.row_id}.0",
        "difference_type": "fee",
    }
    client.post(reverse("match_new"), chosen)
    made = Match.objects.get(origin="manual")
    assert (made.state, made.run_number) == (MatchState.CONFIRMED, None)
    assert "S-7" not in text_of(client.get(reverse("review")))


def test_an_item_is_worked_from_its_panel(client, account, bob):
    item = item_of("S-7", Side.STATEMENT)
    act = reverse("item_act", args=[item.pk])
    tomorrow = timezone.localdate() + dt.timedelta(days=1)
    client.post(act, {"action": "assign", "owner": bob.pk})
    client.post(act, {"action": "note", "comment": "asked the bank"})
    client.post(act, {"action": "hold", "hold_until": tomorrow.isoformat()})
    item.refresh_from_db()
    assert (item.owner, item.state, item.hold_until) == (bob, ItemState.ON_HOLD, tomorrow)
    assert ItemNote.objects.get().text == "asked the bank"
    panel = {"HX-Request": "true", "HX-Target": "panel-body"}
    text = text_of(client.get(reverse("item", args=[item.pk]), headers=panel))
    assert "<html" not in text
    assert "asked the bank" in text
    assert "S-7" in text_of(client.get(reverse("review"), {"item_state": "on_hold"}))
    assert "S-7" not in text_of(client.get(reverse("review"), {"owner": "me"}))


def test_what_cannot_be_done_to_an_item_is_said(client, account):
    item = item_of("S-7", Side.STATEMENT)
    refused = [
        ({"action": "hold"}, "until which day"),
        ({"action": "hold", "hold_until": "2020-01-01"}, "in the future"),
        ({"action": "hold", "hold_until": "31.02."}, "valid date"),
        ({"action": "accept"}, "Say why"),
        ({"action": "burn"}, "Choose what to do"),
    ]
    for asked, said in refused:
        response = client.post(reverse("item_act", args=[item.pk]), {**asked, "back": reverse("review")}, follow=True)
        assert said in text_of(response), asked
    item.refresh_from_db()
    assert item.state == ItemState.OPEN


def test_whoever_acts_on_an_items_own_page_stays_there(client, account):
    own = reverse("item", args=[item_of("S-7", Side.STATEMENT).pk])
    assert f'name="back" value="{own}"' in text_of(client.get(own))
    panel = text_of(client.get(own, headers={"HX-Request": "true", "HX-Target": "panel-body"}))
    assert f'name="back" value="{reverse("review")}?account_id={account.pk}"' in panel


def test_chosen_items_of_both_sides_are_taken_together(client, account, alice):
    keys = {
        "line": f"{item_of('S-7', Side.STATEMENT).row_id}.0",
        "entry": f"{item_of('L-7', Side.LEDGER).row_id}.0",
    }
    client.post(reverse("items_act"), {"account": account.pk, "action": "take", **keys})
    assert OpenItem.objects.filter(owner=alice).count() == 2
