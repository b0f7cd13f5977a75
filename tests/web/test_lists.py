"""The lists of ledger entries, statements and events: search, filters, pages, fragments, query counts."""

from __future__ import annotations

import re
from datetime import date

import pytest

from recon.models import LedgerEntry, LedgerImport, LoadState, StatementLine, Via
from recon.usecases.events import Actor, record


def shown(response) -> list[str]:
    """The references on a page, in order."""
    return re.findall(r">(INV-\d{4})<", response.content.decode())


def fragment(client, url: str, target: str):
    return client.get(url, headers={"HX-Request": "true", "HX-Target": target})


def test_the_ledger_lists_newest_entries_first(client, make_entries):
    make_entries(3)
    assert shown(client.get("/ledger/")) == ["INV-0002", "INV-0001", "INV-0000"]


def test_an_empty_ledger_says_what_to_do(client):
    assert "The ledger is empty" in client.get("/ledger/").content.decode()


def test_pages_of_the_ledger_miss_no_entry_and_repeat_none(client, make_entries):
    make_entries(120)
    seen, url = [], "/ledger/"
    while url:
        response = client.get(url)
        seen += shown(response)
        following = re.search(r'rel="next" href="([^"]+)"', response.content.decode())
        url = f"/ledger/{following.group(1)}" if following else ""
    assert seen == [f"INV-{place:04}" for place in reversed(range(120))]


def test_the_next_page_keeps_the_filters(client, make_entries):
    make_entries(60)
    page = client.get("/ledger/", {"currency": "EUR"}).content.decode()
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following
    assert "currency=EUR" in following.group(1)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "inv-0001"}, 1),  # a reference in any letter case
        ({"q": " INV-000 "}, 2),  # a part of it
        ({"q": "miete märz"}, 1),  # the description, white space and case folded
        ({"q": "txn_7"}, 1),  # the file's own id
        ({"q": "152.75"}, 1),  # an amount
        ({"q": "1,000.5"}, 1),  # an amount with fewer decimal places than stored, and the other sign
        ({"q": "NaN"}, 0),
        ({"q": "1E400"}, 0),  # a number beyond any amount is looked for, and not found
        ({"currency": "usd"}, 1),
        ({"booked_from": "2026-03-02"}, 1),
        ({"booked_until": "2026-03-01"}, 2),
        ({"state": "open"}, 3),
        ({"state": "matched"}, 0),
        ({"q": "inv-0001", "currency": "GBP"}, 0),
    ],
)
def test_search_and_filters_narrow_the_ledger(client, make_entries, query, found):
    make_entries(2, booking_date=date(2026, 3, 1), units=1, currency="EUR")
    LedgerEntry.objects.filter(reference="INV-0000").update(units=-100050, external_id="txn_7")
    (other,) = make_entries(1, currency="USD", reference_key="rent", description_key="miete märz 2026")
    assert other.units == 15275
    response = client.get("/ledger/", query)
    assert response.content.decode().count('<tr class="linked">') == found


def test_a_filter_that_cannot_be_read_says_so_and_hides_nothing(client, make_entries):
    make_entries(1)
    page = client.get("/ledger/", {"currency": "E1", "after": "x", "account": "99"})
    assert "Three letters, such as EUR." in page.content.decode()
    assert shown(page) == ["INV-0000"]


def test_the_ledger_list_as_a_fragment_is_only_the_list(client, make_entries):
    make_entries(1)
    html = fragment(client, "/ledger/", "ledger-rows").content.decode()
    assert html.strip().startswith('<div id="ledger-rows">')
    assert "<html" not in html


def test_entries_of_an_unfinished_import_are_not_shown(client, make_entries):
    LedgerImport.objects.create(number=7, name="big.csv", sha256="0" * 64, format="csv", state=LoadState.LOADING)
    make_entries(1, import_number=7)
    assert "The ledger is empty" in client.get("/ledger/").content.decode()


def test_a_page_of_the_ledger_costs_the_same_whatever_it_shows(
    client, make_entries, account, django_assert_num_queries
):
    make_entries(60, account_id=account.pk)
    with django_assert_num_queries(7):  # session, user, imports, entries, claims, accounts, accounts of the filter
        client.get("/ledger/")


def test_an_entry_shows_what_was_said_and_what_settled_it(client, make_entries, make_statement, settle):
    make_statement(1)
    line = StatementLine.objects.get()
    (entry,) = make_entries(1, extra='{"gross": 100.10, "batch": {"id": 3}}', description="Blue chair")
    settle(line, entry)
    page = client.get(f"/ledger/{entry.pk}/").content.decode()
    assert "Blue chair" in page
    assert "100.10" in page  # digits as in the file
    assert "{&quot;id&quot;: 3}" in page
    assert "Confirmed" in page
    assert f'href="/statements/lines/{line.pk}/"' in page
    assert fragment(client, f"/ledger/{entry.pk}/", "panel-body").content.decode().strip().startswith("<div")


def test_a_line_shows_the_entry_that_settled_it(client, make_entries, make_statement, settle):
    made = make_statement(1)
    line = StatementLine.objects.get()
    (entry,) = make_entries(1)
    settle(line, entry)
    page = client.get(f"/statements/lines/{line.pk}/").content.decode()
    assert f"Line 1 of {made.name}" in page
    assert f'href="/ledger/{entry.pk}/"' in page


def test_statements_are_listed_with_their_account(client, make_statement):
    make_statement(2)
    page = client.get("/statements/").content.decode()
    assert "march.csv" in page
    assert "House bank" in page
    assert "none yet" in page


@pytest.mark.parametrize(("query", "found"), [({"q": "MARCH"}, 1), ({"q": "april"}, 0), ({"state": "loading"}, 0)])
def test_filters_narrow_the_statements(client, make_statement, query, found):
    make_statement(1)
    assert client.get("/statements/", query).content.decode().count('<tr class="linked">') == found


def test_a_statement_shows_its_lines_in_file_order_by_pages(client, make_statement):
    made = make_statement(70)
    page = client.get(f"/statements/{made.pk}/")
    assert shown(page) == [f"INV-{place:04}" for place in range(50)]
    rest = fragment(client, f"/statements/{made.pk}/?after=50", "statement-lines")
    assert shown(rest) == [f"INV-{place:04}" for place in range(50, 70)]


def test_the_balance_check_says_by_how_much_a_statement_is_off(client, make_statement):
    made = make_statement(2)  # two lines of 152.75
    made.balances.create(kind="opening", units=10000, currency="EUR")
    made.balances.create(kind="closing", units=40551, currency="EUR")
    page = client.get(f"/statements/{made.pk}/").content.decode()
    assert "Does not balance" in page
    assert ">0.01 <" in page


def test_totals_of_the_largest_amounts_are_exact(client, make_statement):
    made = make_statement(20)
    StatementLine.objects.update(units=-(10**18 - 1))  # together far beyond a 64-bit integer
    assert ">199,999,999,999,999,999.80<" in client.get(f"/statements/{made.pk}/").content.decode()


def test_row_errors_are_listed_with_line_column_found_and_expected(client, make_statement):
    made = make_statement(1)
    made.row_errors.create(line=3, column="amount", found="12,3.4", expected="an amount", message="two separators")
    page = client.get(f"/statements/{made.pk}/").content.decode()
    for text in (">3<", "amount", "12,3.4", "an amount", "two separators"):
        assert text in page


@pytest.mark.parametrize("url", ["/ledger/999/", "/statements/lines/999/", "/statements/upload_no/"])
def test_an_unknown_record_is_not_found(client, url):
    assert client.get(url).status_code == 404


def test_a_statement_without_a_file_has_nothing_to_download(client, make_statement):
    assert client.get(f"/statements/{make_statement(1).pk}/file/").status_code == 404


def test_the_audit_trail_says_who_did_what_and_what_changed(client, alice, account):
    record(
        Actor(alice, Via.SCREEN), "account changed", "account", account.pk,
        account_id=account.pk, before={"kind": "asset", "name": "A"}, after={"kind": "liability", "name": "A"},
    )  # fmt: skip
    page = client.get("/audit/").content.decode()
    assert "Account changed" in page
    assert "alice" in page
    assert "<td>asset</td><td>liability</td>" in page
    assert '<th scope="row">name</th>' not in page  # it stayed what it was
    assert "No event meets" in client.get("/audit/", {"kind": "run"}).content.decode()


def test_the_audit_trail_costs_the_same_whatever_it_shows(client, alice, account, django_assert_num_queries):
    for _ in range(10):
        record(Actor(alice, Via.SCREEN), "account changed", "account", account.pk, account_id=account.pk)
    with django_assert_num_queries(5):  # session, user, events with their actors, accounts, accounts of the filter
        client.get("/audit/")


@pytest.mark.parametrize("url", ["/", "/ledger/", "/statements/", "/audit/"])
def test_a_page_wants_a_signed_in_person(db, url, client):
    client.logout()
    assert client.get(url).headers["Location"] == f"/login/?next={url}"
