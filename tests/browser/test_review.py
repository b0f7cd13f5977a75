"""Review with the keyboard alone, and the page of the API: in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.slow]

PREPARE = """
from django.contrib.auth.models import User
from recon.models import RunKind
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_entries, make_rule, make_statement, row
alice = User.objects.create_user("alice", password="alice-password-1")
account = make_account()
alike = [row(n, "30.00", reference="A-3", description=text) for n, text in ((1, "first"), (2, "second"))]
make_entries(account, [*alike, row(3, "7.00", "2026-02-01", reference="L-7")])
sent = [row(1, "30.00", reference="A-3"), row(2, "7.00", reference="S-7"), row(3, "9.00")]
statement = make_statement(account, sent)
start_run(actor(alice), account, statement, [make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)],
          kind=RunKind.INSTANT, is_dry_run=False)
"""


@pytest.fixture(scope="module")
def site(start_site) -> str:
    return start_site(PREPARE)


def choose(page, text: str) -> None:
    """Press j until the row is reached, then x."""
    row = page.locator("tr.linked:focus-within")
    for _ in range(12):
        page.keyboard.press("j")
        if text in row.inner_text():
            page.keyboard.press("x")
            return
    raise AssertionError(f"j does not reach {text}")


def test_what_is_open_is_worked_with_the_keyboard_alone(site, open_page):
    with open_page(site) as page:
        page.goto("/review/")
        expect(page.locator("#review-keys")).to_be_hidden()
        page.keyboard.press("?")
        expect(page.locator("#review-keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#review-keys")).to_be_hidden()

        page.keyboard.press("j")
        page.keyboard.press("r")  # the suggestion one is at
        expect(page.locator("#messages")).to_contain_text("1 match rejected")

        choose(page, "S-7")
        choose(page, "L-7")
        expect(page.locator("#match-tie button")).to_be_enabled()
        page.keyboard.press("Enter")
        expect(page.locator("#messages")).to_contain_text("Matched by hand")
        page.keyboard.press("u")
        expect(page.locator("#messages")).to_contain_text("is undone; its rows are open again")

        page.keyboard.press("/")
        expect(page.locator("#search")).to_be_focused()


def test_an_item_is_noted_and_split_from_its_row(site, open_page):
    with open_page(site) as page:
        page.goto("/review/")
        choose(page, "S-7")
        page.keyboard.press("n")
        expect(page.locator("#panel-body [name=comment]").first).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#panel")).to_be_hidden()
        choose(page, "S-7")
        page.keyboard.press("s")
        amount = page.locator("#panel-body [name=amount]")
        expect(amount).to_be_focused()
        amount.fill("2.50")
        page.keyboard.press("Enter")
        expect(page.locator("#messages")).to_contain_text("4.50 EUR remain as its next part")
        expect(page.locator("main")).to_contain_text("part 2")


def test_the_api_is_read_and_tried_in_the_browser(site, open_page):
    with open_page(site) as page:
        page.goto("/settings/")
        page.get_by_role("link", name="The API").click()
        tag = page.locator("#operations-tag-About")
        expect(tag).to_be_visible(timeout=30_000)
        tag.click()
        me = page.locator("#operations-About-get_caller")
        me.locator("button").first.click()
        me.get_by_role("button", name="Try it out").click()
        me.get_by_role("button", name="Execute").click()
        expect(me.locator(".responses-table.live-responses-table")).to_contain_text("alice")
