"""A file with everything wrong with it, the way a person works it: mapping, bad rows, repair, balance, new issue."""

from __future__ import annotations

import pytest
from playwright.sync_api import FilePayload, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.slow]

PREPARE = """
from django.contrib.auth.models import User
from recon.models import Via
from recon.usecases.accounts.settings import save_account
from recon.usecases.events import Actor
alice = User.objects.create_user("alice", password="alice-password-1")
save_account(Actor(alice, Via.SCREEN), None, {"name": "Sparkasse", "scope": {"owned": True}}, [])
"""

UMSATZ = """Kontoauszug;;;
Anfangssaldo;;100,00;
Tag;Notiz;Bewegung;Waehrung
02.03.2026;INV-1 Stuhl;52,75;EUR
31.02.2026;INV-2 kein Tag;-20,00;EUR
04.03.2026;INV-3 keine Zahl;12,3.4;EUR
05.03.2026;INV-4 Lampe;-5,00;EUR
Endsaldo;;140,09;
"""
REISSUE = """Tag;Notiz;Bewegung;Waehrung
02.03.2026;INV-1 Stuhl;52,75;EUR
28.02.2026;INV-2 kein Tag;-20,00;EUR
05.03.2026;INV-4 Lampe;-6,00;EUR
"""


def upload(page: Page, name: str, text: str) -> None:
    page.goto("/statements/upload/")
    file: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": text.encode("latin-1")}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="See what is read").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)


def map_columns(page: Page) -> None:
    """Nothing in this file is called an amount: the columns are named by hand, and the preview follows at once."""
    preview = page.locator("#import-preview")
    expect(preview).to_contain_text("No column of amounts was found")
    columns = {"amount": "Bewegung", "booking_date": "Tag", "currency": "Waehrung", "description": "Notiz"}
    for role, column in columns.items():
        with page.expect_response("**/statements/upload/**"):  # a person looks at the preview before going on
            page.locator(f"#column-{role}").select_option(column)
        expect(page.locator(f"#column-{role}")).to_have_value(column)
        page.wait_for_load_state("networkidle")
    expect(preview).to_contain_text("INV-1 Stuhl")
    expect(preview).to_contain_text("2 lines in EUR: 52.75 in, 5.00 out, net +47.75")
    expect(preview).to_contain_text("Rows that cannot be read")
    page.get_by_role("button", name="Import the 2 good rows").click()
    expect(page.locator("#messages")).to_contain_text("2 lines of umsatz.csv imported.")


def repair_both_rows(page: Page) -> None:
    expect(page.locator("#unread-rows")).to_contain_text("31.02.2026")
    page.locator("#unread-rows").get_by_role("link", name="Repair").first.click()
    page.locator("input.is-invalid").fill("28.02.2026")
    page.locator("input.is-invalid").blur()
    expect(page.locator("#row-repair")).to_contain_text("It becomes")
    page.get_by_role("button", name="Add it as a line").click()
    expect(page.locator("#messages")).to_contain_text("1 is left")
    page.locator("input.is-invalid").fill("12,34")
    page.locator("input.is-invalid").blur()
    expect(page.locator("#row-repair")).to_contain_text("It becomes")
    page.get_by_role("button", name="Add it as a line").click()
    expect(page.locator("#messages")).to_contain_text("That was the last.")
    expect(page.locator("#unread-rows")).to_have_count(0)


def replace_it(page: Page) -> None:
    upload(page, "umsatz-2.csv", REISSUE)
    expect(page.locator("#import-preview")).to_contain_text("by the import profile “Sparkasse: statement files”")
    page.get_by_label("Take the file for a new issue").check()
    expect(page.locator("#import-choice")).to_contain_text("umsatz.csv beside umsatz-2.csv")
    page.get_by_role("button", name="Replace umsatz.csv").click()
    expect(page.locator("#messages")).to_contain_text("umsatz-2.csv has replaced umsatz.csv; it has 3 lines.")


def test_from_a_broken_file_to_a_statement_that_ties(start_site, open_page):
    with open_page(start_site(PREPARE)) as page:
        upload(page, "umsatz.csv", UMSATZ)
        map_columns(page)
        expect(page.locator("main")).to_contain_text("The balance does not add up in EUR")
        repair_both_rows(page)
        expect(page.locator("main")).to_contain_text("Balances")
        page.goto("/statements/discrepancies/")
        expect(page.locator("main")).to_contain_text("Nothing is wrong with the files")
        replace_it(page)
        page.get_by_role("link", name="umsatz.csv").first.click()
        expect(page.locator("main")).to_contain_text("This statement was replaced by")
