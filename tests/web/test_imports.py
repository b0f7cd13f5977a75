"""Files on their way in, on the pages: preview, mapping, row errors, questions, repeats, import, taking back."""

from __future__ import annotations

import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from recon.forms.imports import posted_mapping
from recon.models import (
    ImportProfile,
    LedgerEntry,
    LedgerImport,
    StagedFile,
    Statement,
    StatementLine,
    StatementRowError,
)

CLEAN = b"""id,date,amount,currency,reference,description,source
1,2026-03-02,152.75,EUR,INV-1,Blue chair,bank
2,2026-03-03,-20.00,EUR,INV-2,Refund,bank
"""
BROKEN = (
    CLEAN
    + b"""3,2026-02-31,5.00,EUR,INV-3,No such day,bank
4,2026-03-04,"12,3.4",EUR,INV-4,No such number,bank
"""
)
GERMAN = """Buchungstag;Zweck;Umsatz;Währung
02.03.2026;INV-1 Blauer Stuhl;1.152,75;EUR
13.03.2026;INV-2;-20,00;EUR
""".encode("latin-1")
CARDS = b"Date;Text;Amount;Currency\n2026-03-02;Chair;152.75;EUR\n2026-03-03;Table;20.00;EUR\n"


@pytest.fixture
def uploaded(client, account, settings, tmp_path):
    """Upload a file for the account and return the address of its preview."""
    settings.MEDIA_ROOT = tmp_path

    def upload(content: bytes, name: str = "march.csv", side: str = "statements", **fields: object) -> str:
        file = SimpleUploadedFile(name, content)
        response = client.post(f"/{side}/upload/", {"file": file, "account": account.pk, **fields})
        assert response.status_code == 302, response.content.decode()
        return response.headers["Location"]

    return upload


def carried_mapping(page: str) -> str:
    found = re.search(r'name="mapping" value="([^"]*)"', page)
    assert found
    return found.group(1).replace("&quot;", '"')


def test_a_preview_stores_nothing_and_says_what_would_be_stored(client, uploaded):
    page = client.get(uploaded(CLEAN)).content.decode()
    assert "2 lines in EUR: 152.75 in, 20.00 out, net +132.75" in page
    assert "Blue chair" in page
    assert "Import 2 lines" in page
    assert not Statement.objects.exists()


def test_an_import_shows_the_statement_and_keeps_the_original(client, uploaded, account):
    response = client.post(uploaded(CLEAN), {"action": "import", "account": account.pk})
    statement = Statement.objects.get()
    assert response.headers["Location"] == f"/statements/{statement.pk}/"
    page = client.get(response.headers["Location"]).content.decode()
    assert "2 lines of march.csv imported." in page
    original = client.get(f"/statements/{statement.pk}/file/")
    assert b"".join(original.streaming_content) == CLEAN
    assert not StagedFile.objects.exists()


def test_a_file_of_another_layout_is_read_and_its_mapping_is_remembered(client, uploaded, account):
    url = uploaded(GERMAN, "umsatz.csv")
    page = client.get(url).content.decode()
    assert "parted by semicolon" in page
    assert "1,152.75" in page
    mapping = json.loads(carried_mapping(page))
    assert mapping["columns"]["amount"] == "Umsatz"
    columns = {f"column_{role}": name for role, name in mapping["columns"].items()}
    client.post(url, {"action": "import", "account": account.pk, "mapping": json.dumps(mapping), **columns})
    assert sorted(StatementLine.objects.values_list("units", flat=True)) == [-2000, 115275]
    assert ImportProfile.objects.get().mapping["columns"]["amount"] == "Umsatz"


def test_a_changed_mapping_is_previewed_as_a_fragment(client, uploaded, account):
    url = uploaded(CLEAN)
    mapping = carried_mapping(client.get(url).content.decode())
    response = client.post(
        url,
        {
            "account": account.pk, "mapping": mapping, "column_amount": "amount", "column_booking_date": "date",
            "column_currency": "currency", "column_reference": ["reference"],
            "column_description": ["source", "description"],
        },
        headers={"HX-Request": "true", "HX-Target": "import-preview"},
    )  # fmt: skip
    html = response.content.decode()
    assert html.strip().startswith('<div id="import-preview"')
    assert "bank Blue chair" in html


def test_rows_that_cannot_be_read_are_named_before_anything_is_stored(client, uploaded, account):
    url = uploaded(BROKEN)
    page = client.get(url).content.decode()
    assert "2026-02-31" in page
    assert "12,3.4" in page
    assert "Import the 2 good rows" in page
    refused = client.post(url, {"action": "import", "account": account.pk})
    assert refused.status_code == 422
    assert "Nothing was stored." in refused.content.decode()
    assert not Statement.objects.exists()


def test_the_good_rows_are_imported_and_the_others_kept_for_repair(client, uploaded, account):
    client.post(uploaded(BROKEN), {"action": "import_good_rows", "account": account.pk})
    assert StatementLine.objects.count() == 2
    assert set(StatementRowError.objects.values_list("found", flat=True)) == {"2026-02-31", "12,3.4"}


def test_what_a_file_does_not_say_is_asked_and_the_answer_counts(client, uploaded, account):
    url = uploaded(CARDS)
    page = client.get(url).content.decode()
    assert "Are positive amounts money in or money out?" in page
    mapping = carried_mapping(page)
    assert "sign" not in json.loads(mapping)
    assert " selected>money in<" not in page  # or a change anywhere in the form would answer
    unanswered = client.post(url, {"action": "import", "account": account.pk, "mapping": mapping})
    assert unanswered.status_code == 422
    client.post(url, {"action": "import", "account": account.pk, "mapping": mapping, "answer_sign": "inverted"})
    assert sorted(StatementLine.objects.values_list("units", flat=True)) == [-15275, -2000]


def test_which_mark_is_money_in_is_asked_and_the_answer_counts(client, uploaded, account):
    rows = b"Date,Amount,Currency,W/D\n2026-03-13,12.50,EUR,D\n2026-03-14,350.00,EUR,W\n"
    url = uploaded(rows, "marks.csv")
    page = client.get(url).content.decode()
    assert "W is money in, D is money out" in page
    asked = {"action": "import", "account": account.pk, "mapping": carried_mapping(page), "column_sign": "W/D"}
    asked |= {"column_booking_date": "Date", "column_amount": "Amount", "column_currency": "Currency"}
    assert client.post(url, asked).status_code == 422
    client.post(url, {**asked, "answer_plus_words": "W"})
    assert sorted(StatementLine.objects.values_list("units", flat=True)) == [-1250, 35000]


def test_whole_numbers_of_json_are_asked_about_and_the_answer_counts(client, uploaded, account):
    rows = [{"date": f"2026-03-0{day}", "amount": -1050 * day, "currency": "EUR"} for day in (1, 2, 3)]
    url = uploaded(json.dumps(rows).encode(), "rows.json")
    page = client.get(url).content.decode()
    assert "cents: 1050 is 10.50" in page
    asked = {"action": "import", "account": account.pk, "mapping": carried_mapping(page), "in_cents": ""}
    assert 'value="no" selected' not in page  # or the form would answer by itself
    assert client.post(url, asked).status_code == 422
    client.post(url, {**asked, "answer_in_cents": "true"})
    assert sorted(StatementLine.objects.values_list("units", flat=True)) == [-3150, -2100, -1050]


def test_a_file_seen_before_is_announced_and_imported_again_only_on_ones_word(client, uploaded, account):
    client.post(uploaded(CLEAN), {"action": "import", "account": account.pk})
    url = uploaded(CLEAN)
    assert "This very file was imported before" in client.get(url).content.decode()
    assert client.post(url, {"action": "import", "account": account.pk}).status_code == 422
    client.post(url, {"action": "import", "account": account.pk, "repeats": "import"})
    assert Statement.objects.count() == 2


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"\x00\x01\x02PNG\xff\xd8\x00", "photo.csv", "cannot be read"),
        (b"date,reference\n2026-03-02,INV-1\n", "march.csv", "No column of amounts was found."),
    ],
)
def test_a_file_that_cannot_be_read_says_why(client, uploaded, content, name, message):
    page = client.get(uploaded(content, name)).content.decode()
    assert message in page
    assert not Statement.objects.exists()


def test_a_table_without_a_known_amount_can_still_be_mapped(client, uploaded, account):
    url = uploaded(b"date,reference,worth\n2026-03-02,INV-1,about twelve\n", "odd.csv")
    page = client.get(url).content.decode()
    assert 'name="column_amount"' in page
    assert re.search(r"<option[^>]*>worth</option>", page)


@pytest.mark.parametrize("content", [b"", None])
def test_an_upload_without_content_is_refused(client, account, content):
    fields = {"account": account.pk} if content is None else {"file": SimpleUploadedFile("empty.csv", content)}
    assert client.post("/statements/upload/", fields).status_code == 422
    assert not StagedFile.objects.exists()


def test_a_statement_needs_an_account(client, uploaded):
    response = client.post(uploaded(CLEAN).split("?")[0], {"action": "import"})
    assert "Choose the account this statement is of." in response.content.decode()


def test_somebody_elses_staged_file_is_not_found(uploaded, bob):
    stranger = Client()
    stranger.force_login(bob)
    url = uploaded(CLEAN)
    assert stranger.get(url).headers["Location"] == "/statements/"
    assert "no longer waiting" in stranger.get("/statements/").content.decode()


def test_a_ledger_file_is_imported_for_the_account_and_taken_back(client, uploaded, account):
    response = client.post(uploaded(CLEAN, side="ledger"), {"action": "import", "account": account.pk})
    assert response.headers["Location"] == "/ledger/imports/"
    assert set(LedgerEntry.objects.values_list("account_id", flat=True)) == {account.pk}
    page = client.get("/ledger/imports/").content.decode()
    assert "2 entries of march.csv added to the ledger." in page
    client.post(f"/ledger/imports/{LedgerImport.objects.get().pk}/reverse/")
    assert not LedgerEntry.objects.exists()
    assert "Taken back" in client.get("/ledger/imports/").content.decode()


def test_a_ledger_with_bad_rows_is_not_stored_in_part(client, uploaded, account):
    url = uploaded(BROKEN, side="ledger")
    assert "is not stored in part" in client.get(url).content.decode()
    client.post(url, {"action": "import", "account": account.pk})
    assert not LedgerEntry.objects.exists()


def test_a_statement_is_taken_back_unless_a_line_is_matched(client, make_statement, make_entries, settle):
    kept, gone = make_statement(1), make_statement(1)
    line = StatementLine.objects.get(statement_number=kept.number)
    settle(line, make_entries(1)[0])
    refused = client.post(f"/statements/{kept.pk}/discard/", follow=True)
    assert "are matched; unmatch them first" in refused.content.decode()
    client.post(f"/statements/{gone.pk}/discard/")
    assert list(StatementLine.objects.all()) == [line]


def test_another_delimiter_makes_other_columns(rf):
    data = rf.post("/", {
        "mapping": json.dumps({"delimiter": ",", "columns": {"amount": "a"}}), "delimiter": ";", "column_amount": "a",
    }).POST  # fmt: skip
    assert posted_mapping(data) == {"delimiter": ";", "columns": {}}


@pytest.mark.parametrize("mapping", ["", "{", "[1]", "null"])
def test_a_mapping_that_is_none_leaves_the_reading_to_the_file(rf, mapping):
    assert posted_mapping(rf.post("/", {"mapping": mapping}).POST) is None
