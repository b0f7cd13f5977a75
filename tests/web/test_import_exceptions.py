"""What comes again, what is wrong and what can be repaired, on the pages."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recon.models import (
    Account,
    Discrepancy,
    ImportProfile,
    LoadState,
    StagedFile,
    Statement,
    StatementLine,
    StatementRowError,
)
from recon.usecases.imports.repair import cells_of

HEADER = "id,date,amount,currency,reference,description,source\n"
MARCH = (
    HEADER
    + """1,2026-03-02,152.75,EUR,INV-1,Blue chair,bank
2,2026-03-03,-20.00,EUR,INV-2,Refund,bank
"""
)
BROKEN = MARCH + "3,2026-02-31,5.00,EUR,INV-3,No such day,bank\n"
REISSUE = MARCH.replace("-20.00", "-25.00") + "4,2026-03-04,1.00,EUR,INV-4,New,bank\n"


@pytest.fixture
def upload(client, account, settings, tmp_path):
    """Upload a file for the account and return the address of its preview."""
    settings.MEDIA_ROOT = tmp_path

    def send(text: str, name: str = "march.csv", side: str = "statements") -> str:
        file = SimpleUploadedFile(name, text.encode())
        response = client.post(f"/{side}/upload/", {"file": file, "account": account.pk})
        assert response.status_code == 302
        location: str = response.headers["Location"]
        return location

    return send


@pytest.fixture
def imported(client, account, upload):
    """A file that was imported on the page."""

    def store(text: str, name: str = "march.csv", **given: str) -> Statement:
        data = {"action": "import", "account": account.pk, "account_was": account.pk, **given}
        response = client.post(upload(text, name), data)
        assert response.status_code == 302, response.content.decode()
        return Statement.objects.latest("number")

    return store


def test_lines_that_are_there_are_left_out_by_choice(client, account, upload, imported):
    imported(MARCH)
    url = upload(MARCH + "3,2026-03-04,1.00,EUR,INV-3,New,bank\n", "longer.csv")
    page = client.get(url).content.decode()
    assert "Leave out 2 lines that the account has already, import the other 1" in page
    assert "Choose above what becomes of rows that are there already." in page
    response = client.post(url, {"action": "import", "account": account.pk, "repeats": "skip"}, follow=True)
    html = response.content.decode()
    assert "1 line of longer.csv imported; 2 that were there already left out." in html
    assert "2 of these lines were there already and are left out" in html
    assert StatementLine.objects.count() == 3


def test_a_file_that_is_skipped_is_dropped(client, account, upload, imported):
    imported(MARCH)
    response = client.post(upload(MARCH), {"action": "import", "account": account.pk, "repeats": "skip"}, follow=True)
    assert "All 2 lines of march.csv are there already; nothing was imported." in response.content.decode()
    assert not StagedFile.objects.exists()


def test_a_new_issue_is_compared_before_it_replaces_anything(client, account, upload, imported):
    old = imported(MARCH)
    url = upload(REISSUE, "march-2.csv")
    chosen = {"account": account.pk, "account_was": account.pk, "repeats": "replace", "replaces": old.pk}
    page = client.post(
        url, chosen, headers={"HX-Request": "true", "HX-Target": "import-preview"}
    ).content.decode()  # fmt: skip
    assert "march.csv beside march-2.csv" in page
    assert "no confirmed match is touched" in page
    assert "-25.00" in page
    assert Statement.objects.get().state == LoadState.READY
    html = client.post(url, {**chosen, "action": "import"}, follow=True).content.decode()
    assert "march-2.csv has replaced march.csv; it has 3 lines." in html
    assert "This statement was replaced by" in client.get(f"/statements/{old.pk}/").content.decode()


def test_sending_an_import_twice_imports_once(client, account, upload):
    url = upload(MARCH)
    data = {"action": "import", "account": account.pk}
    client.post(url, data)
    second = client.post(url, data, follow=True)
    assert "This upload is no longer waiting" in second.content.decode()
    assert Statement.objects.count() == 1


def test_another_account_on_the_page_is_read_by_its_own_profile(client, account, upload):
    other = Account.objects.create(name="Other bank", scope={"owned": True})
    mapping = {"columns": {"booking_date": "date", "amount": "amount", "description": "reference"}, "sign": "inverted"}
    other.statement_profile = ImportProfile.objects.create(name="Inverted", mapping=mapping)
    other.save(update_fields=["statement_profile"])
    url = upload(MARCH)
    carried = json.dumps({"columns": {"amount": "amount"}})
    page = client.post(url, {"account": other.pk, "account_was": account.pk, "mapping": carried}).content.decode()
    assert "by the import profile “Inverted”" in page
    assert "20.00 in, 152.75 out" in page


def test_a_profile_can_be_chosen_on_the_page(client, account, upload):
    mapping = {"columns": {"booking_date": "date", "amount": "amount"}, "sign": "inverted"}
    profile = ImportProfile.objects.create(name="Inverted", mapping=mapping)
    data = {"account": account.pk, "account_was": account.pk, "profile": profile.pk, "profile_was": ""}
    page = client.post(upload(MARCH), data).content.decode()
    assert "20.00 in, 152.75 out" in page


# --- bad rows ---------------------------------------------------------------------------------------------------


@pytest.fixture
def error(imported) -> StatementRowError:
    imported(BROKEN, action="import_good_rows")
    return StatementRowError.objects.select_related("statement").get()


def cells(error: StatementRowError, **changed: str) -> dict[str, str]:
    """The numbered fields of the page."""
    return {
        f"cell_{place}": changed.get(cell.column, cell.text) for place, cell in enumerate(cells_of(error), start=1)
    }


def test_a_bad_row_is_repaired_on_its_page(client, error):
    statement = client.get(f"/statements/{error.statement_id}/").content.decode()
    url = f"/statements/{error.statement_id}/rows/{error.pk}/"
    assert url in statement
    assert "1 row of march.csv could not be read and wait" in statement
    page = client.get(url).content.decode()
    assert 'value="2026-02-31" aria-invalid="true"' in page
    tried = client.post(
        url, cells(error, date="2026-02-28") | {"action": "try"},
        headers={"HX-Request": "true", "HX-Target": "row-repair"},
    ).content.decode()  # fmt: skip
    assert tried.strip().startswith('<div id="row-repair"')
    assert "It becomes" in tried
    assert StatementLine.objects.count() == 2
    done = client.post(url, cells(error, date="2026-02-28") | {"action": "repair"}, follow=True).content.decode()
    assert "Line 4 is repaired: it is no. 3 now. That was the last." in done
    assert "Rows that were repaired or set aside" in done


def test_what_is_still_wrong_is_said_beside_the_value(client, error):
    url = f"/statements/{error.statement_id}/rows/{error.pk}/"
    response = client.post(url, cells(error, amount="12,3.4", date="2026-02-28") | {"action": "repair"})
    assert response.status_code == 422
    html = response.content.decode()
    assert "column amount: found &#x27;12,3.4&#x27;" in html
    assert 'value="12,3.4" aria-invalid="true"' in html
    assert StatementLine.objects.count() == 2


def test_a_bad_row_is_set_aside_with_a_reason(client, error):
    url = f"/statements/{error.statement_id}/rows/{error.pk}/"
    assert client.post(url, {"action": "set_aside", "why": ""}).status_code == 422
    client.post(url, {"action": "set_aside", "why": "A note"})
    assert "It was set aside: A note" in client.get(url).content.decode()


def test_all_bad_rows_are_set_aside_at_once(client, error):
    client.post(f"/statements/{error.statement_id}/rows/set-aside/", {"why": "Notes of the bank"})
    error.refresh_from_db()
    assert error.settled_why == "Notes of the bank"


# --- discrepancies ----------------------------------------------------------------------------------------------


def test_a_discrepancy_is_seen_everywhere_and_resolved_with_a_reason(client, error, account):
    found = Discrepancy.objects.get()
    for page in ("/statements/", f"/review/?account={account.pk}"):
        assert "1 discrepancy of imported files waits for somebody." in client.get(page).content.decode()
    url = f"/statements/discrepancies/{found.pk}/resolve/"
    back = "/statements/discrepancies/"
    assert "Say why this may stand" in client.post(url, {"why": "", "back": back}, follow=True).content.decode()
    assert "Resolved." in client.post(url, {"why": "Known", "back": back}, follow=True).content.decode()
    assert "Nothing is wrong with the files" in client.get(back).content.decode()
    assert "Known" in client.get(f"{back}?state=resolved").content.decode()
    client.post(url, {"action": "reopen", "back": back})
    assert Discrepancy.objects.open().count() == 1


def test_the_list_of_discrepancies_costs_the_same_for_many(client, account, error, django_assert_max_num_queries):
    Discrepancy.objects.bulk_create(
        Discrepancy(kind="gap", account=account, statement=error.statement, text=f"Gap {n}") for n in range(40)
    )
    with django_assert_max_num_queries(8):
        page = client.get("/statements/discrepancies/").content.decode()
    assert "Gap 39" in page


# --- import profiles --------------------------------------------------------------------------------------------


def test_profiles_are_renamed_exported_deleted_and_brought_in(client, alice):
    mapping = {"columns": {"booking_date": "date", "amount": "amount"}}
    profile = ImportProfile.objects.create(name="Old", mapping=mapping)
    url = f"/settings/import-profiles/{profile.pk}"
    client.post(f"{url}/rename/", {"name": "My bank"})
    exported = client.get(f"{url}/profile.json")
    assert exported.headers["Content-Disposition"] == "attachment; filename*=UTF-8''My%20bank.json"
    client.post(f"{url}/delete/")
    assert not ImportProfile.objects.exists()
    file = SimpleUploadedFile("profile.json", exported.content)
    page = client.post("/settings/import-profiles/", {"file": file}, follow=True).content.decode()
    assert "The import profile My bank is here." in page
    assert ImportProfile.objects.get().mapping == mapping


def test_a_file_that_is_no_profile_is_refused(client):
    response = client.post("/settings/import-profiles/", {"file": SimpleUploadedFile("x.json", b"[1]")})
    assert response.status_code == 422
    assert "This is no import profile" in response.content.decode()


def test_the_account_page_shows_the_chain_of_statements(client, account, imported, django_assert_max_num_queries):
    imported(MARCH)
    imported(MARCH.replace("2026-03", "2026-04").replace("1,", "11,", 1), "april.csv", repeats="import")
    with django_assert_max_num_queries(16):
        page = client.get(f"/accounts/{account.pk}/").content.decode()
    assert page.index("april.csv</a>") < page.index("march.csv</a>")
    assert "After the one before" in page


def test_a_page_of_more_bad_rows_than_can_be_kept_stays_small_and_imports_nothing(client, account, upload):
    bad = "".join(f"{n},2026-02-31,-1.00,EUR,R{n},x,bank\n" for n in range(10_050))
    url = upload(MARCH + bad)
    named = {"booking_date": "date", "amount": "amount", "currency": "currency"}
    mapping = json.dumps({"columns": named, "sign": "as_given"})
    columns = {f"column_{role}": name for role, name in named.items()}
    data = {"account": account.pk, "account_was": account.pk, "mapping": mapping, **columns}
    page = client.post(url, data).content.decode()
    assert "over 10,000" in page
    assert "the first 100 are shown" in page
    assert len(page) < 120_000
    refused = client.post(url, {**data, "action": "import_good_rows"})
    assert "Too many rows cannot be read to keep them for repair" in refused.content.decode()
    assert not Statement.objects.exists()


def mt940_of(number: str, amount: str) -> str:
    return (
        f":20:X\n:25:{number}\n:28C:1/1\n:60F:C260301EUR0,00\n:61:2603020302C{amount}NTRFREF\n"
        f":62F:C260331EUR{amount}\n-\n"
    )


def test_of_a_file_with_several_accounts_one_is_chosen_and_remembered(client, account, upload):
    url = upload(mt940_of("111111", "10,00") + mt940_of("222222", "20,00"), "both.sta")
    page = client.get(url).content.decode()
    assert "Which one is meant?" in page
    data = {"account": account.pk, "account_was": account.pk, "account_number": "222222"}
    page = client.post(url, data).content.decode()
    assert "1 line in EUR: 20.00 in, 0.00 out" in page
    account.refresh_from_db()
    assert account.number == ""
    client.post(url, {**data, "action": "import"})
    account.refresh_from_db()
    assert (account.number, StatementLine.objects.get().units) == ("222222", 2000)


TWO_ACCOUNTS = (
    "Account,Date,Text,Amount,Balance,Currency\n1111-11,2026-03-02,A,-1.00,9.00,EUR\n222222,2026-03-02,B,5.00,105.00,EUR\n"
    "111111,2026-03-03,C,2.50,11.50,EUR\n222222,2026-03-03,D,-7.00,98.00,EUR\n"
)


def test_of_a_table_with_several_accounts_all_rows_or_those_of_one_are_taken(client, account, upload):
    url = upload(TWO_ACCOUNTS, "both.csv")
    page = client.get(url).content.decode()
    assert "Which of them are meant?" in page
    assert "4 lines in EUR" in page
    data = {"account": account.pk, "account_was": account.pk, "account_number": "222222"}
    page = client.post(url, data).content.decode()
    assert "2 lines in EUR: 5.00 in, 7.00 out" in page
    assert "2 rows left out: of another account" in page
    client.post(url, {**data, "action": "import"})
    account.refresh_from_db()
    [statement] = account.statements.all()
    assert (account.number, statement.account_number, statement.record_count) == ("222222", "222222", 2)
    assert [each["closing"] for each in statement.sections] == ["98.00"]


BOOKS = "date,text,debit,credit,currency\n2026-03-02,Sale,100.00,,EUR\n2026-03-03,Rent,,40.00,EUR\n"


@pytest.mark.parametrize(
    ("kind", "said", "label"),
    [
        ("asset", "2 entries in EUR: 100.00 in, 40.00 out", "Debit (money in)"),
        ("liability", "2 entries in EUR: 40.00 in, 100.00 out", "Money out (debit)"),
    ],
)
def test_the_preview_of_a_ledger_says_what_debit_means(client, account, upload, kind, said, label):
    account.kind = kind
    account.save(update_fields=["kind"])
    page = client.get(upload(BOOKS, "books.csv", "ledger")).content.decode()
    assert said in page
    assert label in page
    assert f"In the books of a{'n asset' if kind == 'asset' else ' liability'} account" in page


def test_a_file_with_rows_of_several_accounts_says_so_before_it_is_stored(client, account, upload):
    rows = "Account,Date,Text,Amount,Currency\n111,2026-03-02,A,1.00,EUR\n222,2026-03-03,B,2.00,EUR\n"
    page = client.get(upload(rows)).content.decode()
    assert f"names several accounts (111, 222); all its rows would be stored for {account.name}." in page
