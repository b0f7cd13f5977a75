"""Every page in a real browser: light and dark, wide and narrow, read by axe, silent under the security policy."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.slow]

PREPARE = """
import json
from django.contrib.auth.models import User
from recon.models import Account, RunKind, Via
from recon.usecases.accounts.settings import save_account
from recon.usecases.events import Actor
from recon.usecases.imports.importing import import_ledger, import_pasted, import_statement
from recon.usecases.rules.choice import versions_to_run
from recon.usecases.runs.starting import start_run
from rules.authoring import OnScreen, create_rule
alice = User.objects.create_user("alice", password="alice-password-1")
by = Actor(alice, Via.SCREEN)
exact = [{"field": "amount", "operator": "eq"}, {"field": "reference", "operator": "eq"}]
rule = create_rule(OnScreen(alice), json.dumps({"name": "Exact", "criteria": exact}))
account = save_account(by, None, {"name": "House bank", "scope": {"owned": True}}, [rule.pk])
header = "id,date,amount,currency,reference,description,source\\n"
rows = [f"{n},2026-03-{n % 27 + 1:02},{n}.50,EUR,INV-{n:04},Order {n},bank" for n in range(1, 61)]
import_ledger(by, account, (header + "\\n".join(rows)).encode(), "books.csv")
lines = [row.replace(".50,", ".49,") if n % 9 == 0 else row for n, row in enumerate(rows)]
statement = import_pasted(by, account, header + "\\n".join(lines))
from recon.usecases.outside.webhooks import create_endpoint
create_endpoint(by, "https://example.com/hooks/tieout", ["period.closed"])
from recon.usecases.outside.connectors import create_connector
create_connector(by, url="https://blnk.example.com", key="key", name="Blnk")
start_run(by, account, statement, versions_to_run([rule.pk]), kind=RunKind.INSTANT, is_dry_run=False)
april = header + "900,2026-04-01,5.00,EUR,X,Y,bank\\n901,2026-04-31,-5.00,EUR,X,No such day,bank\\n"
mapping = {"columns": {"booking_date": "date", "amount": "amount", "currency": "currency"}, "sign": "as_given"}
import_statement(by, account, april.encode(), "april.csv", good_rows_only=True, mapping=mapping)
"""

PAGES = {
    "overview": "/",
    "statements": "/statements/",
    "a statement": "first of /statements/",
    "a bad row": "first of /statements/ rows/1/",
    "discrepancies": "/statements/discrepancies/",
    "upload": "/statements/upload/",
    "new reconciliation": "/reconcile/",
    "ledger": "/ledger/",
    "a ledger entry": "first of /ledger/",
    "ledger import": "/ledger/upload/",
    "ledger imports": "/ledger/imports/",
    "open items": "/open-items/",
    "runs": "/runs/",
    "a run": "first of /runs/",
    "its matches": "first of /runs/ matches/",
    "its unmatched rows": "first of /runs/ unmatched/",
    "review": "/review/",
    "rules": "/rules/",
    "rule sets": "/rules/sets/",
    "a rule": "first of /rules/",
    "its versions": "first of /rules/ versions/",
    "a rule set": "first of /rules/sets/",
    "a new rule": "/rules/new/?gallery=invoice-number-in-text",
    "gallery": "/rules/gallery/",
    "import of rules": "/rules/import/",
    "a suggested rule": "/rules/suggest/",
    "settings": "/settings/",
    "import profiles": "/settings/import-profiles/",
    "an account": "first of /settings/",
    "a new account": "/accounts/new/",
    "periods": "first of /settings/ periods/",
    "connectors": "/settings/connectors/",
    "a connector": "first of /settings/connectors/",
    "a new connector": "/settings/connectors/new/",
    "webhooks": "/settings/webhooks/",
    "a webhook": "first of /settings/webhooks/",
    "a new webhook": "/settings/webhooks/new/",
    "API keys": "/settings/api-keys/",
    "a new key": "/settings/api-keys/new/",
    "reports": "/reports/?as_at=2026-04-30",
    "rows of a report": "/reports/rows/?side=1&standing=all",
    "differences of a report": "/reports/differences/",
    "audit": "/audit/",
    "search": "/search/?q=inv",
    "not found": "/nothing/",
}


@pytest.fixture(scope="module")
def site(start_site) -> str:
    return start_site(PREPARE)


def go(page, where: str) -> None:
    if where.startswith("first of "):
        listed, _, below = where.removeprefix("first of ").partition(" ")
        page.goto(listed)
        page.goto(page.locator("main tbody tr a").first.get_attribute("href") + below)
    else:
        page.goto(where)


looks = pytest.mark.skipif(connection.vendor == "postgresql", reason="the same pages look the same")

# In the dark only the colours are other ones, and these pages show all of them.
DARK = ("overview", "a statement", "new reconciliation", "ledger", "a run", "its unmatched rows", "a rule", "reports")


def serious(page, **options) -> list[tuple[str, list[str]]]:
    """What axe finds that keeps people from using the page: the rule, and where it is broken."""
    violations = Axe().run(page, options=options or None).response["violations"]
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in violations
        if each["impact"] in {"serious", "critical"}
    ]


@looks
def test_axe_finds_nothing_serious_on_any_page(site, open_page):
    found = {}
    with open_page(site, color_scheme="light", reduced_motion="reduce") as page:
        for name, where in PAGES.items():
            go(page, where) if name != "not found" else None
            found[name] = serious(page)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_no_page_is_wider_than_a_phone(site, open_page):
    wide = []
    with open_page(site, viewport={"width": 390, "height": 844}) as page:
        for name, where in PAGES.items():
            go(page, where) if name != "not found" else None
            if page.evaluate("document.documentElement.scrollWidth") > 390:
                wide.append(name)
    assert wide == []


@looks
def test_axe_finds_enough_contrast_in_the_dark(site, open_page):
    with open_page(site, color_scheme="dark", reduced_motion="reduce") as page:
        found = {}
        for name in DARK:
            go(page, PAGES[name])
            found[name] = serious(page, runOnly=["color-contrast"])
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_the_theme_is_chosen_once_and_stays(site, open_page):
    with open_page(site, color_scheme="light") as page:
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        page.goto("/ledger/")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_a_row_opens_in_the_side_panel_and_leads_to_its_page(site, open_page):
    with open_page(site) as page:
        page.goto("/ledger/")
        page.get_by_role("link", name="INV-0060").click()
        expect(page.locator("#panel")).to_contain_text("Order 60")
        page.get_by_role("link", name="Open as page").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("INV-0060")


def test_filters_narrow_a_list_without_a_reload_and_live_in_the_address(site, open_page):
    with open_page(site) as page:
        page.goto("/ledger/")
        page.evaluate("window.unchanged = true")
        page.get_by_label("Search", exact=True).fill("inv-0007")
        expect(page.locator("#ledger-rows tbody tr")).to_have_count(1)
        expect(page).to_have_url(re.compile(r"q=inv-0007"))
        assert page.evaluate("window.unchanged")
        page.reload()
        expect(page.locator("#ledger-rows tbody tr")).to_have_count(1)


def test_ctrl_k_finds_a_record_from_anywhere(site, open_page):
    with open_page(site) as page:
        page.goto("/audit/")
        page.keyboard.press("Control+k")
        page.keyboard.type("INV-0042")
        page.locator("#search-results").get_by_role("link").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("INV-0042")


def test_rules_of_a_run_are_moved_with_the_keyboard(site, open_page):
    with open_page(site) as page:
        page.goto("/rules/")
        page.goto("/reconcile/")
        chips = page.locator(".chip")
        expect(chips).to_have_count(1)
        page.get_by_role("button", name="Move Exact down").press("Enter")
        expect(page).to_have_url(re.compile("/reconcile/$"))
        expect(chips.first).to_contain_text("Exact")
