"""Accounts on their pages."""

from __future__ import annotations

from datetime import date

import pytest

from recon.models import Account, AccountRule, Event
from rules.authoring import OnScreen, create_rule

FORM = {
    "name": "House bank",
    "kind": "asset",
    "number": "DE02120300000000202051",
    "time_zone": "Europe/Berlin",
    "currencies": "eur, USD",
    "scope": "owned",
    "balances": "",
    "sources": "",
    "cut_over": "2026-01-01",
    "tolerance": "0.50",
    "sign": "as_given",
    "strategy": "one_to_one",
    "grouping": "",
}
EXACT = '{"name": "Exact", "criteria": [{"field": "reference", "operator": "eq"}]}'
SAME_DAY = '{"name": "Same day", "criteria": [{"field": "date", "operator": "eq"}]}'


@pytest.fixture
def rules(alice) -> list[str]:
    return [create_rule(OnScreen(alice), body).pk for body in (EXACT, SAME_DAY)]


def test_a_new_account_keeps_everything_the_form_says(client, rules):
    response = client.post("/accounts/new/", {**FORM, "rules": rules[::-1]})
    assert response.headers["Location"] == "/settings/"
    account = Account.objects.get()
    assert (account.name, account.currencies, account.cut_over) == ("House bank", ["EUR", "USD"], date(2026, 1, 1))
    assert str(account.tolerance_limit) == "0.50"
    assert account.scope == {"owned": True}
    assert list(account.rule_places.values_list("rule_id", flat=True)) == rules[::-1]
    assert [event.verb for event in Event.objects.filter(kind="account").order_by("id")] == [
        "account created",
        "account rules changed",
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "This field is required"),
        ({"time_zone": "Mars/Olympus"}, "Expected the name of a time zone"),
        ({"currencies": "EUR, EURO"}, "EURO: a currency has three letters"),
        ({"scope": "filter"}, "Name at least one balance or source"),
        ({"tolerance": "-1"}, "greater than or equal to 0"),
        ({"tolerance": "abc"}, "Enter a number"),
        ({"cut_over": "31.02.2026"}, "Enter a valid date"),
        ({"strategy": "one_to_many", "grouping": "referenc"}, "This strategy cannot group by referenc; expected"),
        ({"strategy": "many_to_one", "grouping": "destination"}, "cannot group by destination"),
    ],
)
def test_a_setting_that_does_not_hold_is_said_and_nothing_is_stored(client, changed, message):
    response = client.post("/accounts/new/", {**FORM, **changed})
    assert response.status_code == 422
    assert message in response.content.decode()
    assert not Account.objects.exists()


def test_two_accounts_cannot_have_one_name(client, account):
    response = client.post("/accounts/new/", FORM)
    assert "already an account named &#x27;House bank&#x27;" in response.content.decode()
    assert Account.objects.count() == 1


def test_a_change_is_stored_and_written_to_the_audit_trail(client, account):
    client.post(f"/accounts/{account.pk}/", {**FORM, "scope": "filter", "sources": "stripe, adyen", "tolerance": ""})
    account.refresh_from_db()
    assert account.scope == {"sources": ["stripe", "adyen"]}
    assert account.tolerance_limit is None
    event = Event.objects.get(verb="account changed")
    assert (event.before or {})["scope"] == {"owned": True}
    assert (event.after or {})["scope"] == {"sources": ["stripe", "adyen"]}
    assert "name" not in (event.after or {})  # it stayed what it was


def test_saving_what_is_there_writes_no_event(client, account):
    client.post(f"/accounts/{account.pk}/", FORM)
    events = Event.objects.count()
    client.post(f"/accounts/{account.pk}/", FORM)
    assert Event.objects.count() == events


def test_the_form_shows_the_account_as_it_stands(client, account):
    client.post(f"/accounts/{account.pk}/", FORM)
    page = client.get(f"/accounts/{account.pk}/").content.decode()
    for text in ('value="DE02120300000000202051"', 'value="Europe/Berlin"', 'value="EUR, USD"', 'value="2026-01-01"'):
        assert text in page


def test_rules_are_reordered_without_javascript_and_nothing_is_saved(client, account, rules):
    response = client.post(
        f"/accounts/{account.pk}/", {**FORM, "rules": rules, "rule_order": rules, "move": f"down {rules[0]}"}
    )
    page = response.content.decode()
    assert page.index(f'value="{rules[1]}"') < page.index(f'value="{rules[0]}"')
    assert not AccountRule.objects.exists()


@pytest.mark.parametrize("path", ["/accounts/new/", "/reconcile/"])
def test_the_enter_key_moves_no_rule(client, account, rules, path):
    page = client.get(path).content.decode()
    form = page[page.index("<main") :]
    assert 0 < form.index('<button class="visually-hidden"') < form.index('name="move"')


def test_an_account_without_a_scope_says_so_in_the_list(client, account):
    Account.objects.update(scope=None)
    assert "Not chosen yet" in client.get("/settings/").content.decode()
