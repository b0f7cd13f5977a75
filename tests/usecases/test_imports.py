"""Files become statements and ledger entries: whole, once, and with what there is to know said first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from recon.models import (
    Claim,
    Event,
    ImportProfile,
    ItemState,
    LedgerEntry,
    LedgerImport,
    LoadState,
    Match,
    MatchRow,
    MatchState,
    OpenItem,
    Side,
    StagedFile,
    Statement,
    StatementLine,
    Via,
    reserve_ids,
)
from recon.usecases.accounts.scope import create_account, entries_in_scope
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.imports.files import KEEP_STAGED
from recon.usecases.imports.importing import (
    discard_statement,
    import_ledger,
    import_pasted,
    import_statement,
    preview,
    reverse_ledger_import,
    stage_file,
)
from recon.usecases.imports.rows import only_load

BLNK = """id,amount,date,description,currency,reference,source
ext_1,100.00,2026-01-05,Order  Ä1,USD,INV-001,stripe
ext_2,-20.50,2026-01-06,Refund,USD,,
ext_3,100.00,2026-01-05,Order  Ä1,USD,INV-001,stripe
""".encode()


@pytest.fixture
def by(alice) -> Actor:
    return Actor(alice, Via.SCREEN)


@pytest.fixture
def account(by):
    return create_account(by, name="Shop bank", scope={"owned": True})


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"
    return settings.MEDIA_ROOT


def test_a_statement_file_becomes_lines(by, account):
    statement = import_statement(by, account, BLNK, "january.csv", label="processor")
    lines = list(StatementLine.objects.filter(statement_number=statement.number))
    assert [(each.position, each.external_id, each.amount, each.currency) for each in lines] == [
        (1, "ext_1", Decimal("100.00"), "USD"),
        (2, "ext_2", Decimal("-20.50"), "USD"),
        (3, "ext_3", Decimal("100.00"), "USD"),
    ]
    assert [each.source for each in lines] == ["stripe", "processor", "stripe"]
    assert (lines[0].description_key, lines[0].reference_key) == ("order ä1", "inv-001")
    assert (statement.state, statement.record_count, statement.format) == (LoadState.READY, 3, "csv")
    assert (statement.period_start, statement.period_end) == (date(2026, 1, 5), date(2026, 1, 6))


def test_the_original_is_kept_once(by, account, files):
    first = import_statement(by, account, BLNK, "a.csv")
    second = import_statement(by, account, BLNK, "b.csv", repeats="import")
    assert first.file.name == second.file.name
    assert Path(first.file.path).read_bytes() == BLNK
    assert sum(path.is_file() for path in files.rglob("*")) == 1


def test_an_import_is_on_the_record(by, account, alice):
    statement = import_statement(by, account, BLNK, "january.csv")
    event = Event.objects.get(verb="statement imported")
    assert (event.object_id, event.actor, event.account_id) == (statement.pk, alice, account.pk)
    assert event.after is not None
    assert event.after["totals"] == ["3 lines in USD: 200.00 in, 20.50 out, net +179.50"]


BAD_FILES = {
    "an empty file": b"",
    "a binary file": bytes(range(256)) * 64,
    "a file without an amount column": b"id,date,reference\n1,2026-01-05,A\n",
    "an amount with a stray comma": b'id,amount,date,currency\n1,10.00,2026-01-05,EUR\n2,"12,3.4",2026-01-05,EUR\n',
    "a day that does not exist": b"id,amount,date,currency\n1,10.00,04.02.2025,EUR\n2,10.00,31.02.2025,EUR\n",
    "an amount of forty digits": b"id,amount,date,currency\n1," + b"9" * 40 + b",2026-01-05,EUR\n",
    "a currency of no known shape": b"id,amount,date,currency\n1,10.00,2026-01-05,EURO$\n",
}


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_and_nothing_is_stored(by, account, bad):
    with pytest.raises(Refused) as refused:
        import_statement(by, account, bad, "bad.csv")
    assert len(refused.value.message) > 10
    assert refused.value.row_errors
    assert (Statement.objects.count(), StatementLine.objects.count()) == (0, 0)


def test_good_rows_are_imported_if_somebody_says_so_and_the_bad_ones_stay_with_them(by, account):
    bad = BAD_FILES["a day that does not exist"]
    statement = import_statement(by, account, bad, "february.csv", good_rows_only=True, accepting={"sign"})
    assert statement.record_count == StatementLine.objects.count() == 1
    error = statement.row_errors.get()
    assert (error.line, error.found) == (3, "31.02.2025")
    assert "31.02.2025" in error.raw


def test_a_question_that_the_file_leaves_open_is_asked_not_guessed(by, account):
    card = b"amount,date,currency\n10.00,2026-01-05,EUR\n"
    with pytest.raises(Refused, match="Are positive amounts money in or money out"):
        import_statement(by, account, card, "card.csv")
    assert Statement.objects.count() == 0
    import_statement(by, account, card, "card.csv", mapping={"sign": "inverted"})
    assert StatementLine.objects.get().amount == Decimal("-10.00")


def test_the_same_file_twice_needs_a_decision(by, account):
    import_statement(by, account, BLNK, "january.csv")
    with pytest.raises(Refused, match=r"imported before, as january\.csv"):
        import_statement(by, account, BLNK, "again.csv")
    assert Statement.objects.count() == 1
    import_statement(by, account, BLNK, "again.csv", repeats="import")
    assert StatementLine.objects.count() == 6


def test_another_account_may_import_the_same_file(by, account):
    import_statement(by, account, BLNK, "january.csv")
    other = create_account(by, name="Other", scope={})
    assert import_statement(by, other, BLNK, "january.csv").record_count == 3


def csv(*rows: str) -> bytes:
    return "\n".join(["amount,date,currency,reference", *rows]).encode()


@pytest.mark.parametrize(
    ("rows", "repeated"),
    [
        (["10.00,2026-01-05,EUR,A"], 1),
        (["10.0,2026-01-05,EUR,A"], 1),  # the same money, written differently
        (["10.00,2026-01-05,EUR,B"], 0),
        (["10.01,2026-01-05,EUR,A"], 0),
        (["10.00,2026-01-06,EUR,A"], 0),
        (["10.00,2026-01-05,USD,A"], 0),
        (["10.00,2026-01-05,EUR,A"] * 3, 2),  # two are stored: the third is new
        (["5.00,2026-01-05,EUR,"], 1),  # no reference on either side
    ],
)
def test_rows_that_are_already_there_are_counted(by, account, rows, repeated):
    stored = csv("10.00,2026-01-05,EUR,A", "10.00,2026-01-05,EUR,A", "5.00,2026-01-05,EUR,")
    import_statement(by, account, stored, "first.csv", accepting={"sign"})
    found = preview(csv(*rows), "second.csv", account, Side.STATEMENT)
    assert sum(each.rows for each in found.repeats) == repeated


def test_a_preview_says_totals_and_stores_nothing(by, account):
    found = preview(BLNK, "january.csv", account, Side.STATEMENT)
    assert found.totals == ("3 lines in USD: 200.00 in, 20.50 out, net +179.50",)
    assert found.reading.header[:2] == ("id", "amount")
    assert (found.announcements, Statement.objects.count()) == ((), 0)


def test_a_running_balance_that_the_amounts_do_not_make_is_announced(by, account):
    text = (
        "Date,Description,Amount,Balance\n2026-01-05,A,-5.00,{}\n2026-01-06,B,7.00,102.00\n2026-01-07,C,-2.00,100.00\n"
    )
    followed = preview(text.format("95.00").encode(), "a.csv", account, Side.STATEMENT)
    assert followed.announcements == ()
    stray = text.replace("102.00", "999.00").format("95.00").encode()
    [announcement] = preview(stray, "a.csv", account, Side.STATEMENT).announcements
    assert announcement.kind == "no_balance_check"
    assert "“Balance” does not go up and down with the amounts" in announcement.text


def test_fees_that_come_off_the_amounts_are_announced(by, account):
    text = b"Date,Description,Amount,Fee,Balance\n2026-01-05,A,-5.00,1.00,94.00\n2026-01-06,B,-7.00,1.00,86.00\n"
    found = preview(text, "a.csv", account, Side.STATEMENT)
    assert [each.text for each in found.announcements] == [
        "Every line is its amount less the fee of the column “Fee”."
    ]
    assert found.reading.lines["units"].to_pylist() == [-600, -800]


PROCESSOR = """Date,Type,Status,Transaction ID,Gross,Fee,Net,Currency
2026-03-01,Payment,Completed,PAY-7F3A9912,100.00,-3.20,96.80,EUR
2026-03-02,Payment,Completed,PAY-7F3A9913,50.00,-1.75,48.25,EUR
2026-03-03,Refund,Completed,REF-1A2B3C4D,-20.00,0.00,-20.00,EUR
"""


@pytest.mark.parametrize("side", [Side.STATEMENT, Side.LEDGER])
def test_a_file_whose_rows_have_an_id_and_no_reference_says_so_and_takes_the_id_if_told(by, account, side):
    found = preview(PROCESSOR.encode(), "march.csv", account, side)
    [told] = [each for each in found.announcements if each.kind == "no_reference"]
    assert told.rows == 3
    assert told.text.startswith("No column is read as the reference: a rule on references finds none of these rows.")
    assert "“Transaction ID”" in told.text
    assert found.reading.lines["reference"].null_count == 3  # nothing is taken for one unasked
    assert found.reading.mapping
    mapping = found.reading.mapping.to_dict()
    both = {**mapping, "columns": {**mapping["columns"], "reference": "Transaction ID"}}
    followed = preview(PROCESSOR.encode(), "march.csv", account, side, both)
    assert "no_reference" not in {each.kind for each in followed.announcements}
    assert followed.reading.lines["reference"].to_pylist() == followed.reading.lines["external_id"].to_pylist()


def test_a_column_of_references_that_is_empty_is_told_by_its_name(by, account):
    rows = b"id,amount,date,currency,reference\n1,10.00,2026-01-05,EUR,\n2,-3.00,2026-01-06,EUR,\n"
    [told] = preview(rows, "a.csv", account, Side.STATEMENT).announcements
    assert told.text.startswith("The column “reference”, read as the reference, is empty: a rule on references")


def test_an_overlapping_period_is_announced(by, account):
    import_statement(
        by, account, csv("1.00,2026-01-01,EUR,A", "1.00,2026-01-31,EUR,B"), "january.csv", accepting={"sign"}
    )
    found = preview(csv("1.00,2026-01-31,EUR,C"), "rest.csv", account, Side.STATEMENT)
    assert [each.kind for each in found.announcements] == ["same_period"]


def test_a_chosen_mapping_is_remembered_for_the_account(by, account):
    german = b"Datum;Wert A;Wert B;Zweck\n05.01.2026;1,00;2,00;Miete\n"
    columns = {"booking_date": "Datum", "amount": "Wert B", "description": "Zweck"}
    import_statement(
        by, account, german, "jan.csv", mapping={"columns": columns, "currency": "EUR", "sign": "as_given"}
    )
    account.refresh_from_db()
    assert ImportProfile.objects.get() == account.statement_profile
    later = german.replace(b"2,00", b"3,00")
    import_statement(by, account, later, "feb.csv")
    amounts = StatementLine.objects.order_by("id").values_list("units", flat=True)
    assert list(amounts) == [200, 300]


def test_a_remembered_mapping_gives_way_to_a_new_layout(by, account):
    test_a_chosen_mapping_is_remembered_for_the_account(by, account)
    assert import_statement(by, account, BLNK, "new-layout.csv").record_count == 3


def test_a_mapping_that_makes_no_sense_is_refused(by, account):
    with pytest.raises(Refused, match="unknown column role 'betrag'"):
        import_statement(by, account, BLNK, "january.csv", mapping={"columns": {"betrag": "amount"}})


LEDGER = b"""id,amount,date,description,currency,reference,source,destination,status
txn_1,100.00,2026-01-04,Order,USD,INV-001,customers,bank,APPLIED
txn_2,7.00,2026-01-04,Waiting,USD,INV-002,customers,bank,QUEUED
txn_3,8.00,2026-01-04,Done,USD,INV-003,customers,bank,posted
"""


def test_a_ledger_file_becomes_entries_of_its_account(by, account):
    imported = import_ledger(by, account, LEDGER, "books.csv")
    entries = LedgerEntry.objects.order_by("id")
    assert [(each.external_id, each.status) for each in entries] == [
        ("txn_1", "APPLIED"),
        ("txn_2", "QUEUED"),
        ("txn_3", "APPLIED"),
    ]
    assert {(each.account_id, each.import_number) for each in entries} == {(account.pk, imported.number)}
    candidates = entries_in_scope(account).order_by("id").values_list("external_id", flat=True)
    assert list(candidates) == ["txn_1", "txn_3"]


def test_entries_that_will_take_part_in_no_run_are_announced(by, account):
    found = preview(LEDGER, "books.csv", account, Side.LEDGER)
    assert [(each.kind, each.rows) for each in found.announcements] == [("not_final", 1)]


def test_a_ledger_import_can_be_taken_back_until_something_of_it_is_matched(by, account):
    imported = import_ledger(by, account, LEDGER, "books.csv")
    entry = LedgerEntry.objects.order_by("id")[0]
    claim = Claim.objects.create(account_id=account.pk, side=Side.LEDGER, row_id=entry.pk, match_id=1)
    with pytest.raises(Refused, match="1 rows of books"):
        reverse_ledger_import(by, imported)
    assert LedgerEntry.objects.count() == 3
    claim.delete()
    reverse_ledger_import(by, imported, why="wrong month")
    assert (LedgerEntry.objects.count(), LedgerImport.objects.get().state) == (0, LoadState.DISCARDED)
    assert Event.objects.get(verb="ledger import reversed").why == "wrong month"
    with pytest.raises(Refused, match="discarded"):
        reverse_ledger_import(by, imported)


def test_what_runs_reported_stays_for_their_history(by, account):
    statement = import_statement(by, account, BLNK, "january.csv")
    suggested, open_line, unseen = StatementLine.objects.order_by("id")
    match = Match.objects.create(
        id=reserve_ids(Match, 1), account_id=account.pk, origin="rule", state=MatchState.SUGGESTED, currency="USD",
        scale=2, line_units=10000, entry_units=10000, created_at=timezone.now(),
    )  # fmt: skip
    MatchRow.objects.create(match_id=match.pk, side=Side.STATEMENT, row_id=suggested.pk, units=10000)
    item = OpenItem.objects.create(
        id=reserve_ids(OpenItem, 1), account_id=account.pk, side=Side.STATEMENT, row_id=open_line.pk, units=-2050,
        currency="USD", opened_at=timezone.now(),
    )  # fmt: skip
    discard_statement(by, statement)
    match.refresh_from_db()
    item.refresh_from_db()
    assert (match.state, item.state) == (MatchState.WITHDRAWN, ItemState.RESOLVED)
    assert not StatementLine.objects.filter(pk=unseen.pk).exists()
    assert StatementLine.objects.count() == 2


def test_pasted_rows_are_a_statement(by, account):
    text = import_pasted(by, account, "amount\tdate\tcurrency\treference\n1.50\t2026-01-05\tEUR\tA\n")
    rows = import_pasted(
        by,
        account,
        [{"id": "x", "amount": Decimal("0.10"), "date": "2026-01-05", "currency": "EUR", "reference": "A"}],
        label="typed",
    )
    assert (text.record_count, rows.record_count, rows.source) == (1, 1, "typed")
    assert StatementLine.objects.get(statement_number=rows.number).amount == Decimal("0.10")


def test_more_pasted_rows_than_an_instant_run_takes_are_refused(by, account, settings):
    settings.INSTANT_LIMIT = 1
    with pytest.raises(Refused, match="2 rows were pasted; at most 1"):
        import_pasted(by, account, "amount,date,currency\n1.00,2026-01-05,EUR\n2.00,2026-01-05,EUR\n")


def test_a_staged_file_is_previewed_imported_and_forgotten_after_a_day(by, account, files):
    staged = stage_file(by, SimpleUploadedFile("january.csv", BLNK))
    assert preview(staged, staged.name, account, Side.STATEMENT).reading.lines.num_rows == 3
    assert import_statement(by, account, staged, staged.name).record_count == 3
    StagedFile.objects.update(created_at=timezone.now() - KEEP_STAGED * 2)
    stage_file(by, SimpleUploadedFile("other.csv", BLNK))
    assert [each.name for each in StagedFile.objects.all()] == ["other.csv"]
    assert len(list((files / "staged").iterdir())) == 1


def test_a_file_over_the_limit_is_refused_before_it_is_staged(by, settings):
    settings.MAX_UPLOAD_BYTES = 10
    with pytest.raises(Refused, match="at most 10"):
        stage_file(by, SimpleUploadedFile("big.csv", BLNK))
    assert StagedFile.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_load_that_was_cut_off_leaves_nothing_behind(by, account):
    Statement.objects.create(number=77, account=account, name="cut.csv", sha256="0", format="csv")
    StatementLine.objects.create(id=1, statement_number=77, account_id=account.pk, position=1, units=1, currency="EUR")
    with only_load():
        assert (Statement.objects.count(), StatementLine.objects.count()) == (0, 0)
    assert (django_settings.DATA_DIR / "loading.lock").exists()


@pytest.mark.django_db(transaction=True)
def test_an_import_that_fails_while_loading_leaves_nothing_behind(by, account):
    def fall_over(rows: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        import_statement(by, account, BLNK, "january.csv", progress=fall_over)
    assert (Statement.objects.count(), StatementLine.objects.count()) == (0, 0)
    assert import_statement(by, account, BLNK, "january.csv").record_count == 3


BATCH = b"""<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt>
<Id>1</Id><Acct><Id><IBAN>DE02120300000000202051</IBAN></Id></Acct><Ntry><Amt Ccy="EUR">30.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-01-05</Dt></BookgDt><NtryDtls>
<TxDtls><Refs><EndToEndId>A</EndToEndId></Refs><Amt Ccy="EUR">10.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>
<TxDtls><Refs><EndToEndId>B</EndToEndId></Refs><Amt Ccy="EUR">20.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>
</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"""
PAYOUTS = b"""date,description,gross,fee,net,currency
2026-01-01,Order 1,100.00,-3.00,97.00,EUR
2026-01-02,Refund,-10.00,0.00,-10.00,EUR
"""


@pytest.mark.parametrize(
    ("choice", "file", "name", "units"),
    [
        ({}, BATCH, "batch.xml", [3000]),
        ({"split_batches": True}, BATCH, "batch.xml", [1000, 2000]),
        ({}, PAYOUTS, "payouts.csv", [10000, -1000]),
        ({"amount_column": "net"}, PAYOUTS, "payouts.csv", [9700, -1000]),
    ],
)
def test_the_account_says_whether_batches_are_split_and_which_amount_reconciles(by, choice, file, name, units):
    account = create_account(by, name="Processor", scope={}, **choice)
    statement = import_statement(by, account, file, name)
    lines = StatementLine.objects.filter(statement_number=statement.number).order_by("position")
    assert list(lines.values_list("units", flat=True)) == units


def test_the_accounts_choice_of_gross_or_net_outlives_a_remembered_profile(by):
    account = create_account(by, name="Processor", scope={})
    mapping = preview(PAYOUTS, "payouts.csv", account, Side.STATEMENT).reading.mapping
    assert mapping
    import_statement(by, account, PAYOUTS, "payouts.csv", mapping=mapping.to_dict())
    account.amount_column = "net"
    account.save(update_fields=["amount_column"])
    found = preview(PAYOUTS, "payouts.csv", account, Side.STATEMENT)
    assert (found.reading.lines["units"].to_pylist(), found.profile) == ([9700, -1000], account.statement_profile)
