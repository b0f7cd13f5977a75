"""Rules are written in a real browser: with the keyboard alone, by dragging, and without JavaScript."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.slow]

PREPARE = """
from django.contrib.auth.models import User
from rules.authoring import OnScreen
from rules.gallery import seed_examples
from tests.cast import make_account, make_entries, make_statement, row
alice = User.objects.create_user("alice", password="alice-password-1")
seed_examples(OnScreen(alice))
account = make_account("Main account")
rows = [row(n, f"{10 + n}.00", f"2026-03-{n:02}", f"INV-10{n:02}") for n in range(1, 29)]
make_entries(account, rows)
make_statement(account, rows)
"""


@pytest.fixture(scope="module")
def site(start_site) -> str:
    """A site with the three example rules and one statement."""
    return start_site(PREPARE)


def signed_in(chromium: Browser, site: str, **settings) -> Page:
    page = chromium.new_context(base_url=site, **settings).new_page()
    page.set_default_timeout(20_000)
    page.goto("/login/?next=/rules/")
    page.fill("[name=username]", "alice")
    page.fill("[name=password]", "alice-password-1")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/rules/")
    return page


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is on the element: a person without a mouse gets there, too."""
    for _ in range(200):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def replace_text(page: Page, selector: str, text: str) -> None:
    tab_to(page, selector)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def answer_late(route: Route, request: Request) -> None:
    request.frame.page.wait_for_timeout(300)
    route.continue_()


def numbers(page: Page) -> list[str]:
    return page.locator(".criterion-sentence").all_inner_texts()


def test_a_rule_is_built_previewed_reordered_saved_restored_and_exported_with_the_keyboard(chromium, site):
    page = signed_in(chromium, site)
    tab_to(page, "a[href='/rules/new/']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/rules/new/")
    expect(page.locator("#rule-name")).to_be_focused()
    page.keyboard.type("By keyboard")
    replace_text(page, "#c1-allowable_drift", "0.01")
    expect(page.locator("#c1-sentence")).to_contain_text("at most 0.01 apart")

    tab_to(page, "#add-reference")
    page.keyboard.press("Enter")
    expect(page.locator("#c2-operator")).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator("#c2-sentence")).to_contain_text("Statement reference contains ledger reference")

    tab_to(page, "#add-date")
    page.keyboard.press("Enter")
    expect(page.locator("#c3-operator")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#c3-value")).to_be_visible()
    expect(page.locator("#c3-operator")).to_be_focused()
    replace_text(page, "#c3-value", "2d")
    expect(page.locator("#rule-preview")).to_contain_text("Would match 28 of 28 lines")

    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator(".criterion-number + p").nth(1)).to_contain_text("is within 2 days")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/rules/rule_*/")
    assert [text.split()[1] for text in numbers(page)] == ["amount", "date", "reference"]
    first = page.locator("#messages").inner_text()
    assert "created" in first

    replace_text(page, "#c1-allowable_drift", "5")
    page.keyboard.press("Enter")
    expect(page.locator("#messages")).to_contain_text("Saved as version 2")
    tab_to(page, "a.btn[href$='/versions/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/versions/")
    tab_to(page, "button[aria-label='Restore version 1']")
    page.keyboard.press("Enter")
    expect(page.locator("#messages")).to_contain_text("Version 1 is restored as version 3")
    tab_to(page, "a[href$='/export/']")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    exported = json.loads(download.value.path().read_text())
    assert exported["name"] == "By keyboard"
    assert [each["field"] for each in exported["criteria"]] == ["amount", "date", "reference"]
    assert exported["criteria"][0]["allowable_drift"] == 0.01


def test_criteria_are_reordered_by_dragging(chromium, site):
    page = signed_in(chromium, site)
    page.get_by_role("link", name="Same amount within two days").click()
    assert [text.split()[1] for text in numbers(page)] == ["amount", "date"]
    grip, target = page.locator("[data-grip]").nth(1), page.locator("[data-item]").nth(0)
    grip.hover()
    page.mouse.down()
    box = target.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 4, steps=8)
    page.mouse.up()
    expect(page.locator(".criterion-number + p").nth(0)).to_contain_text("date")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#messages")).to_contain_text("Saved as version 2")
    assert [text.split()[1] for text in numbers(page)] == ["date", "amount"]


def test_a_rule_goes_down_its_accounts_rules_by_keyboard_alone(chromium, site):
    page = signed_in(chromium, site)
    page.goto("/rules/sets/")
    page.get_by_role("link", name="Main account").click()
    for _ in range(3):
        count = page.locator("[data-item]").count()
        page.get_by_role("button", name="Add at the end").click()
        expect(page.locator("[data-item]")).to_have_count(count + 1)
    names = page.locator(".place-text > a").all_inner_texts()
    tab_to(page, ".place:first-child .place-text > a")
    for place in (2, 3):  # the keyboard stays on the rule that moves
        page.keyboard.press("Alt+ArrowDown")
        expect(page.locator(f".place:nth-child({place}) .place-text > a")).to_be_focused()
    assert page.locator(".place-text > a").all_inner_texts() == [*names[1:], names[0]]


def test_inputs_follow_field_and_operator_without_a_page_reload(chromium, site):
    page = signed_in(chromium, site)
    page.goto("/rules/new/")
    page.evaluate("window.samePage = true")
    page.select_option("#c1-field", "description")
    expect(page.locator("#c1-operator option[value=similar]")).to_have_count(1)
    page.select_option("#c1-operator", "contains")
    page.select_option("#c1-against", "fixed")
    expect(page.locator("#c1-value")).to_be_visible()
    page.fill("#c1-value", "INV-")
    expect(page.locator("#c1-sentence")).to_have_text("Statement description contains “INV-”")
    page.get_by_role("button", name="Duplicate criterion 1").click()
    expect(page.locator("[data-item]")).to_have_count(2)
    page.get_by_role("button", name="Remove criterion 1").click()
    expect(page.locator("[data-item]")).to_have_count(1)
    assert page.evaluate("window.samePage") is True


def test_nothing_is_lost_by_clicking_and_typing_faster_than_the_server_answers(chromium, site):
    page = signed_in(chromium, site)
    page.goto("/rules/new/")
    page.fill("#rule-name", "In a hurry")
    page.evaluate("document.getElementById('c1-allowable_drift').focus()")
    page.route("**/rules/new/", answer_late)
    page.evaluate(
        """() => {
            for (const field of ["date", "reference", "currency"]) document.getElementById(`add-${field}`).click();
        }"""
    )
    page.locator("#c1-allowable_drift").press_sequentially("0.05")  # while the first answer is awaited
    expect(page.locator("[data-item]")).to_have_count(4)
    expect(page.locator("#c1-allowable_drift")).to_have_value("0.05")
    page.locator("#c4-operator").focus()
    for key in ("Alt+ArrowUp", "Alt+ArrowUp"):  # a second press before the answer to the first
        page.keyboard.press(key)
    page.keyboard.press("Control+s")  # and saved before the answer to the second
    page.keyboard.press("Control+s")
    page.wait_for_url("**/rules/rule_*/")
    assert [text.split()[1] for text in numbers(page)] == ["amount", "currency", "date", "reference"]
    page.goto("/rules/?q=hurry")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_rule_is_written_without_javascript(chromium, site):
    page = signed_in(chromium, site, java_script_enabled=False)
    page.goto("/rules/new/")
    page.fill("#rule-name", "Without JavaScript")
    page.click("#add-date")
    page.select_option("#c2-operator", "within_range")
    page.locator("#c2").get_by_role("button", name="Show its inputs").click()
    page.fill("#c2-value", "3d")
    page.click("#c2-up")
    page.get_by_role("button", name="Create rule").click()
    expect(page.locator("#messages")).to_contain_text("created")
    assert numbers(page) == ["Statement date is within 3 days of ledger date", "Statement amount equals ledger amount"]
