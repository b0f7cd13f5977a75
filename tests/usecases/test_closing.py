"""Closing a period: nothing unfinished, nothing changed afterwards, reopened with a reason."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from recon.models import (
    Event,
    LedgerEntry,
    Match,
    OpenItem,
    PeriodClosing,
    RunKind,
    Side,
    Statement,
    WebhookEvent,
    reserve_ids,
)
from recon.usecases.accounts.closing import close_period, closed_until, reopen_period, unfinished
from recon.usecases.errors import Refused
from recon.usecases.imports.importing import discard_statement, import_ledger, import_pasted, reverse_ledger_import
from recon.usecases.integrity import violations
from recon.usecases.outside.webhooks import create_endpoint
from recon.usecases.review.decisions import accept, reopen_item
from recon.usecases.runs.starting import apply_run, start_run
from recon.usecases.runs.undo import reverse_run, unmatch
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_rule

MARCH = date(2026, 3, 31)
HEAD = "id,date,amount,currency,reference,description\n"
BOOKS = HEAD + "1,2026-03-02,10.00,EUR,INV-1,order\n2,2026-03-30,7.00,EUR,INV-3,cheque\n"
BANK = HEAD + "1,2026-03-03,10.00,EUR,INV-1,order\n"


@pytest.fixture
def account(db):
    return make_account("House bank")


@pytest.fixture
def run(alice, account):
    """March: one matched pair, and a cheque in the books that the bank has not seen."""
    import_ledger(actor(alice), account, BOOKS.encode(), "books.csv")
    statement = import_pasted(actor(alice), account, BANK)
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    run = start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)
    # The statement ends on the 3rd, so the cheque of the 30th is nobody's item yet.
    OpenItem.objects.filter(account_id=account.pk).delete()
    cheque = LedgerEntry.objects.get(reference="INV-3")
    OpenItem.objects.create(
        id=reserve_ids(OpenItem, 1), account_id=account.pk, side=Side.LEDGER, row_id=cheque.pk, units=700,
        currency="EUR", row_date=cheque.booking_date, opened_at=timezone.now(),
    )  # fmt: skip
    return run


@pytest.fixture
def closed(alice, account, run):
    accept(actor(alice), OpenItem.objects.get(), "not cashed yet")
    return close_period(actor(alice), account, MARCH, "March")


def test_what_is_unfinished_keeps_a_period_open(alice, account, run):
    with pytest.raises(Refused, match="1 open item is neither matched nor accepted"):
        close_period(actor(alice), account, MARCH)
    assert close_period(actor(alice), account, date(2026, 3, 29)).summary == {"accepted": []}


def test_rows_no_run_has_looked_at_keep_a_period_open(alice, account, run):
    accept(actor(alice), OpenItem.objects.get(), "not cashed yet")
    import_pasted(actor(alice), account, HEAD + "8,2026-03-20,1.00,EUR,INV-8,x\n9,2026-03-31,2.00,EUR,INV-9,y\n")
    found = unfinished(account, MARCH)
    assert (found.items, found.lines, found.entries, found.runs) == (0, 2, 0, 0)
    with pytest.raises(Refused, match="2 statement lines were never reconciled"):
        close_period(actor(alice), account, MARCH)


def test_closing_keeps_what_was_accepted_and_tells(alice, account, run):
    create_endpoint(actor(alice), "https://example.com/", ["period.closed"])
    accept(actor(alice), OpenItem.objects.get(), "not cashed yet")
    closing = close_period(actor(alice), account, MARCH, "March")
    sums = [{"side": "ledger", "currency": "EUR", "count": 1, "amount": "7.00"}]
    assert closing.summary == {"accepted": sums}
    assert closed_until(account) == MARCH
    told = json.loads(WebhookEvent.objects.get().body)
    assert told["type"] == "period.closed"
    assert told["data"]["period"] == {"until": "2026-03-31", "accepted": sums, "note": "March"}
    assert Event.objects.filter(verb="period closed").count() == 1


def test_matches_of_closed_days_are_not_undone(alice, run, closed):
    with pytest.raises(Refused, match="in a closed period: House bank is closed until 2026-03-31"):
        unmatch(actor(alice), Match.objects.get())
    with pytest.raises(Refused, match="closed period"):
        reverse_run(actor(alice), run)
    assert Match.objects.get().state == "confirmed"


def test_imports_of_closed_days_are_neither_made_nor_taken_back(alice, account, run, closed):
    late = HEAD + "5,2026-03-31,2.00,EUR,INV-5,late\n"
    with pytest.raises(Refused, match="has rows of 2026-03-31"):
        import_pasted(actor(alice), account, late)
    with pytest.raises(Refused, match="closed until 2026-03-31"):
        import_ledger(actor(alice), account, late.encode(), "late.csv")
    unmatched = HEAD + "6,2026-04-01,2.00,EUR,INV-6,april\n"
    import_pasted(actor(alice), account, unmatched)
    assert Statement.objects.filter(state="ready").count() == 2
    assert not list(violations())


def test_a_statement_that_reaches_into_closed_days_is_not_taken_back(alice, account, run, closed):
    reopen_period(actor(alice), closed, "a correction")
    unmatch(actor(alice), Match.objects.get())
    OpenItem.objects.unresolved().update(state="accepted")
    close_period(actor(alice), account, MARCH)
    with pytest.raises(Refused, match="reaches into a closed period"):
        discard_statement(actor(alice), Statement.objects.get())
    with pytest.raises(Refused, match="reaches into a closed period"):
        reverse_ledger_import(actor(alice), account.ledger_imports.get())


def test_an_accepted_cheque_is_matched_in_a_later_month_and_may_be_unmatched(alice, account, closed):
    statement = import_pasted(actor(alice), account, HEAD + "7,2026-04-02,7.00,EUR,INV-3,cheque\n")
    rule = make_rule("Again", SAME_AMOUNT, SAME_REFERENCE)
    start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)
    match = Match.objects.order_by("-pk")[0]
    assert match.state == "confirmed"
    unmatch(actor(alice), match)


def test_what_a_closing_rests_on_is_not_reopened(alice, closed):
    with pytest.raises(Refused, match="closed with this item accepted"):
        reopen_item(actor(alice), OpenItem.objects.get())
    accept(actor(alice), OpenItem.objects.get(), "still not cashed")  # a better reason is welcome


def test_the_latest_period_is_reopened_with_a_reason(alice, account, run, closed):
    april = close_period(actor(alice), account, date(2026, 4, 30))
    with pytest.raises(Refused, match="Say why"):
        reopen_period(actor(alice), april, " ")
    with pytest.raises(Refused, match="latest"):
        reopen_period(actor(alice), closed, "why not")
    reopen_period(actor(alice), april, "one booking was wrong")
    reopen_period(actor(alice), closed, "one booking was wrong")
    assert closed_until(account) is None
    with pytest.raises(Refused, match="reopened already"):
        reopen_period(actor(alice), closed, "again")
    unmatch(actor(alice), Match.objects.get())
    assert Event.objects.filter(verb="period reopened", why="one booking was wrong").count() == 2


def test_days_to_come_and_closed_days_are_refused(alice, account, closed):
    with pytest.raises(Refused, match="has not passed"):
        close_period(actor(alice), account, timezone.localdate() + timedelta(days=1))
    with pytest.raises(Refused, match="closed until 2026-03-31 already"):
        close_period(actor(alice), account, MARCH)


def test_the_page_says_what_is_to_do_closes_and_reopens(client, alice, account, run):
    address = reverse("periods", args=[account.pk])
    page = client.get(address, {"until": "2026-03-31"}).content.decode()
    assert "neither matched nor accepted" in page
    refused = client.post(address, {"until": "2026-03-31"})
    assert refused.status_code == 422
    assert "cannot be closed until 2026-03-31: 1 open item" in refused.content.decode()
    assert client.get(address, {"until": "nonsense"}).status_code == 200
    accept(actor(alice), OpenItem.objects.get(), "not cashed yet")
    closed = client.post(address, {"until": "2026-03-31", "note": "March"}, follow=True).content.decode()
    assert "House bank is closed until 2026-03-31." in closed
    assert "7.00 EUR" in closed
    closing = PeriodClosing.objects.get()
    reopened = client.post(reverse("period_reopen", args=[closing.pk]), {"why": "wrong"}, follow=True).content.decode()
    assert "is open again" in reopened
    assert "Reopened" in reopened


def test_what_is_seen_at_a_glance_is_what_a_closing_counts(alice, account, run):
    def lines_to_read() -> int:
        told = unfinished(account, MARCH)
        assert unfinished(account, MARCH, at_a_glance=True) == told
        return told.lines

    assert lines_to_read() == 0
    late = import_pasted(actor(alice), account, HEAD + "9,2026-03-04,3.00,EUR,INV-9,fee\n")
    assert lines_to_read() == 1
    versions = [used.version for used in run.run_rules.all()]

    def started(*, is_dry_run: bool):
        return start_run(actor(alice), account, late, versions, kind=RunKind.INSTANT, is_dry_run=is_dry_run)

    dry = started(is_dry_run=True)
    assert lines_to_read() == 1
    apply_run(actor(alice), dry)
    assert lines_to_read() == 0
    OpenItem.objects.filter(account_id=account.pk, side=Side.STATEMENT).delete()  # as if it came after the dry run
    assert lines_to_read() == 1
    again = started(is_dry_run=False)
    assert lines_to_read() == 0
    reverse_run(actor(alice), again)
    reverse_run(actor(alice), run)
    assert lines_to_read() == 0
