"""The main job the way a person does it: from a rule to a reversed run, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import FilePayload, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.server]

PREPARE = """
from django.contrib.auth.models import User
from recon.models import Via
from recon.usecases.accounts.settings import save_account
from recon.usecases.events import Actor
from recon.usecases.imports.importing import import_ledger
alice = User.objects.create_user("alice", password="alice-password-1")
by = Actor(alice, Via.SCREEN)
account = save_account(by, None, {"name": "House bank", "scope": {"owned": True}}, [])
rows = ["id,date,amount,currency,reference,description"]
rows += [f"L{n},2026-03-{n:02},{n}.50,EUR,INV-{n:02},Order {n}" for n in range(1, 11)]
rows += ["L11,2026-03-12,-5.00,EUR,INV-11,Refund"]
rows += ["L20,2026-03-15,20.00,EUR,INV-20,First try", "L21,2026-03-17,20.00,EUR,INV-20,Second try"]
rows += ["L30,2026-03-20,98.50,EUR,INV-30,Typed with a slip"]
import_ledger(by, account, chr(10).join(rows).encode(), "books.csv")
"""

LINES = "\n".join(
    [
        "Buchungstag;Zeichen;Betrag;Währung",
        *(f"{n:02}.03.2026;INV-{n:02};{n},50;EUR" for n in range(1, 11)),
        "12.03.2026;INV-11;-5,00;EUR",
        "16.03.2026;INV-20;20,00;EUR",  # two entries are as good as each other: suggested
        "20.03.2026;INV-3O;99,00;EUR",  # a typo and a fee: left to a person
    ]
)


def figures(page: Page) -> list[str]:
    return page.locator(".figure-value").all_inner_texts()


def build_a_rule(page: Page) -> None:
    page.goto("/rules/new/")
    page.locator("#rule-name").fill("Amount, reference and date")
    page.locator("#c1-allowable_drift").fill("0.01")
    page.locator("#add-reference").click()
    expect(page.locator("#c2-operator")).to_be_visible()
    page.locator("#add-date").click()
    page.wait_for_load_state("networkidle")  # a person reads before going on
    page.locator("#c3-operator").select_option("within_range")
    # The preview and the verdicts follow the keys by half a second: who leaves meanwhile ends them on the way.
    with page.expect_response("**/rules/preview/**"), page.expect_response("**/rules/try/**"):
        page.locator("#c3-value").fill("2d")
    page.get_by_role("button", name="Create rule").click()
    expect(page.locator("#messages")).to_contain_text("created")


def upload_and_try(page: Page) -> None:
    page.goto("/reconcile/")
    file: FilePayload = {"name": "umsatz.csv", "mimeType": "text/csv", "buffer": LINES.encode("latin-1")}
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator("#import-preview")).to_contain_text("13 lines in EUR")
    page.locator("#column-reference").select_option("Zeichen")
    expect(page.locator("#import-preview tbody").last).to_contain_text("INV-01")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Dry run")


def read_a_reason(page: Page) -> None:
    page.get_by_role("link", name="Matches").first.click()
    page.locator("#run-matches tbody a").first.click()
    expect(page.locator("#panel")).to_contain_text("Why this is a match")
    expect(page.locator("#panel")).to_contain_text("INV-01")
    page.locator("#panel").get_by_role("button", name="Close").click()


def test_from_a_rule_to_a_reversed_run(start_site, open_page):
    with open_page(start_site(PREPARE)) as page:
        build_a_rule(page)
        upload_and_try(page)
        tried = figures(page)
        assert tried[:3] == ["11", "1", "1"]  # matched, suggested, unmatched lines
        read_a_reason(page)

        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("Dry run")
        assert figures(page) == tried

        page.get_by_role("link", name="Suggestions").first.click()
        page.locator("#run-matches input[type=checkbox]").first.check()
        page.get_by_role("button", name="Confirm chosen").click()
        expect(page.locator("#messages")).to_contain_text("confirmed")

        page.get_by_role("link", name="Unmatched").first.click()
        page.locator("#lines").get_by_role("checkbox", name="Choose INV-3O").check()
        page.locator("#entries").get_by_role("checkbox", name="Choose INV-30").check()
        expect(page.locator("#match-tie")).to_contain_text("0.50")
        page.get_by_label("Difference").select_option("fee")
        page.get_by_role("button", name="Match selected").click()
        expect(page.locator("#lines").get_by_role("img", name="matched since")).to_be_visible()

        page.get_by_role("link", name="Reverse run").click()
        page.get_by_label("Undo these too").check()
        page.get_by_role("button", name="Reverse run").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Reversed")
        page.goto("/ledger/?state=matched")
        expect(page.locator("#ledger-rows")).to_contain_text("No entry meets these filters")
