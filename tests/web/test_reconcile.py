"""The page that starts a reconciliation."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recon.models import Account, MatchingRun, RunState, StagedFile, Statement
from rules.authoring import OnScreen, create_rule

LINES = b"""id,date,amount,currency,reference,source
1,2026-03-02,152.75,EUR,INV-0000,bank
2,2026-03-02,-9.00,EUR,INV-0001,bank
"""
EXACT = (
    '{"name": "Exact", "criteria": [{"field": "amount", "operator": "eq"}, {"field": "reference", "operator": "eq"}]}'
)
DATE = '{"name": "Day", "criteria": [{"field": "amount", "operator": "eq"}, {"field": "date", "operator": "eq"}]}'


@pytest.fixture
def rules(alice) -> list[str]:
    return [create_rule(OnScreen(alice), body).pk for body in (EXACT, DATE)]


@pytest.fixture
def order(account, rules, make_entries, settings, tmp_path) -> dict[str, object]:
    """What the page posts for a new run, but for its source and its button."""
    settings.MEDIA_ROOT = tmp_path
    make_entries(1, account_id=account.pk)
    return {"account": account.pk, "rules": rules, "rule_order": rules, "strategy": "one_to_one", "grouping": ""}


def file() -> SimpleUploadedFile:
    return SimpleUploadedFile("march.csv", LINES)


def test_the_page_offers_the_accounts_own_rules_in_their_order(client, account, rules):
    account.rule_places.create(rule_id=rules[1], position=1)
    page = client.get("/reconcile/").content.decode()
    chosen = re.findall(r'name="rules" value="([^"]+)" id="[^"]+"( checked)?', page)
    assert chosen == [(rules[1], " checked"), (rules[0], "")]


def test_without_an_account_the_page_says_to_make_one(client):
    assert "Make an account first" in client.get("/reconcile/").content.decode()


def test_choosing_an_account_swaps_in_its_way_of_matching(client, account, rules):
    other = Account.objects.create(name="Processor", strategy="one_to_many", grouping="reference")
    response = client.get(
        "/reconcile/", {"account": other.pk}, headers={"HX-Request": "true", "HX-Target": "reconcile-method"}
    )
    html = response.content.decode()
    assert html.strip().startswith('<div class="card" id="reconcile-method">')
    assert '<option value="one_to_many" selected>' in html
    assert 'value="reference"' in html


def test_a_chosen_file_is_previewed_and_put_aside(client, order):
    response = client.post(
        "/reconcile/", {**order, "source": "file", "file": file()},
        headers={"HX-Request": "true", "HX-Target": "import-preview"},
    )  # fmt: skip
    html = response.content.decode()
    assert "2 lines in EUR: 152.75 in, 9.00 out" in html
    assert f'name="staged" value="{StagedFile.objects.get().token}"' in html
    assert not Statement.objects.exists()


@pytest.mark.parametrize(("action", "is_dry_run"), [("dry_run", True), ("reconcile", False)])
def test_a_file_is_imported_and_reconciled_with_one_button(client, order, action, is_dry_run):
    client.post("/reconcile/", {**order, "source": "file", "file": file(), "action": action})
    run = MatchingRun.objects.get()
    assert (run.state, run.is_dry_run) == (RunState.COMPLETED, is_dry_run)
    assert (run.lines_matched, run.lines_unmatched) == (1, 1)
    assert [place.version.rule_id for place in run.run_rules.all()] == order["rules"]


def test_the_file_put_aside_for_its_preview_need_not_be_sent_again(client, order):
    client.post("/reconcile/", {**order, "source": "file", "file": file()})
    token = StagedFile.objects.get().token
    client.post("/reconcile/", {**order, "source": "file", "staged": token, "action": "reconcile"})
    assert MatchingRun.objects.get(statement__name="march.csv").lines_total == 2
    assert not StagedFile.objects.exists()


def test_pasted_rows_are_reconciled(client, order):
    client.post("/reconcile/", {**order, "source": "paste", "pasted": LINES.decode(), "action": "reconcile"})
    assert MatchingRun.objects.get().lines_matched == 1


def test_a_statement_that_is_here_is_reconciled_from_its_page(client, order, make_statement):
    statement = make_statement(1)
    page = client.get("/reconcile/", {"statement": statement.pk}).content.decode()
    assert f'<option value="{statement.pk}" selected>' in page
    client.post("/reconcile/", {**order, "source": "statement", "statement": statement.pk, "action": "reconcile"})
    assert MatchingRun.objects.get().statement == statement


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": "file"}, "Choose a file first."),
        ({"source": "file", "staged": "nonsense"}, "Choose a file first."),
        ({"source": "paste", "pasted": " "}, "Paste some rows first."),
        ({"source": "statement", "statement": "upload_no"}, "Choose the statement to reconcile."),
        ({"source": "paste", "pasted": "x,y\n1,2\n"}, "No column of amounts was found."),
        ({"source": "paste", "pasted": LINES.decode(), "rules": []}, "Choose at least one rule."),
    ],
)
def test_an_order_that_cannot_be_run_says_why_and_stores_nothing(client, order, changed, message):
    response = client.post("/reconcile/", {**order, **changed, "action": "reconcile"})
    assert response.status_code == 422
    assert message in response.content.decode()
    assert not MatchingRun.objects.exists()
    assert not Statement.objects.exists()


def test_a_real_run_of_an_account_without_scope_is_refused_before_anything_is_stored(client, order):
    Account.objects.update(scope=None)
    response = client.post("/reconcile/", {**order, "source": "file", "file": file(), "action": "reconcile"})
    assert "Choose the ledger scope of House bank first" in response.content.decode()
    assert not Statement.objects.exists()


def test_rules_are_reordered_without_javascript(client, order, rules):
    page = client.post("/reconcile/", {**order, "source": "paste", "move": f"up {rules[1]}"}).content.decode()
    assert re.findall(r'name="rule_order" value="([^"]+)"', page) == rules[::-1]


def test_rules_across_currencies_ask_for_a_rate_before_anything_is_stored(client, order, alice):
    body = EXACT.replace('"Exact"', '"Abroad", "cross_currency": true')
    order |= {"rules": [create_rule(OnScreen(alice), body).pk], "source": "paste", "action": "reconcile"}
    dollars = LINES.decode().replace("152.75,EUR", "305.50,USD")
    without = client.post("/reconcile/", {**order, "pasted": dollars})
    assert (without.status_code, Statement.objects.count()) == (422, 0)
    assert "needs an exchange rate" in without.content.decode()
    unread = client.post("/reconcile/", {**order, "pasted": dollars, "rates": "USD 0.5"})
    assert "is not a rate; expected one such as USD/EUR = 0.92" in unread.content.decode()
    assert 'value="USD 0.5"' in unread.content.decode()
    twice = client.post("/reconcile/", {**order, "pasted": dollars, "rates": "USD/EUR = 0.5, usd/eur = 0.6"})
    assert "USD/EUR has two rates, 0.5 and 0.6; expected one" in twice.content.decode()
    client.post("/reconcile/", {**order, "pasted": dollars, "rates": "usd/eur = 0.5; GBP/EUR=1.15"})
    assert MatchingRun.objects.get().lines_matched == 1
