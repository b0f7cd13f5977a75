"""The search box."""

from __future__ import annotations

import pytest

from recon.usecases.search import search


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("house", ["Account"]),
        ("march", ["Statement"]),
        ("inv-000", ["Ledger entry", "Ledger entry", "Statement line"]),  # beginnings of references
        ("-0000", []),  # not what stands inside them
        ("152.75", ["Ledger entry", "Ledger entry", "Statement line"]),
        ("i", []),  # one letter is no question
        ("recon_", []),
        ("   ", []),
    ],
)
def test_what_is_found(account, make_entries, make_statement, text, found):
    make_entries(2)
    make_statement(1)
    assert [hit.kind for hit in search(text)] == found


def test_a_record_is_found_by_its_whole_id(make_statement):
    statement = make_statement(1)
    assert [hit.key for hit in search(statement.pk)] == [statement.pk]


def test_the_page_and_the_list_under_the_box_show_the_same_hits(client, make_entries):
    (entry,) = make_entries(1)
    link = f'href="/ledger/{entry.pk}/"'
    assert link in client.get("/search/", {"q": "INV-0000"}).content.decode()
    under = client.get("/search/", {"q": "INV-0000"}, headers={"HX-Request": "true", "HX-Target": "search-results"})
    assert link in under.content.decode()
    assert "<html" not in under.content.decode()


def test_finding_nothing_is_said(client):
    assert "Nothing begins with or is called" in client.get("/search/", {"q": "nowhere"}).content.decode()
