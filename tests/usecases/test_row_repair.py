"""Rows that could not be read: kept, put right by the reader of their file, or set aside."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from recon.models import Event, LoadState, OpenItem, RunKind, Side, StatementLine, StatementRowError
from recon.usecases.accounts.scope import create_account
from recon.usecases.errors import Refused
from recon.usecases.imports.discrepancies import discrepancies
from recon.usecases.imports.facts import statement_facts
from recon.usecases.imports.importing import import_statement
from recon.usecases.imports.repair import cells_of, repair_row, set_aside
from recon.usecases.integrity import violations
from recon.usecases.runs.execution import execute_taken
from recon.usecases.runs.lease import take_lease
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_REFERENCE, make_rule

GERMAN = """Buchungstag;Verwendungszweck;Umsatz;Währung
02.03.2026;INV-1 Blauer Stuhl;1.152,75;EUR
31.02.2026;INV-2 Kein Tag;-20,00;EUR
04.03.2026;INV-3 Keine Zahl;12,3.4;EUR
05.03.2026;INV-4;-5,00;EUR
""".encode()


@pytest.fixture
def account(by, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return create_account(by, name="Bank", scope={"owned": True})


@pytest.fixture
def statement(by, account):
    return import_statement(by, account, GERMAN, "umsatz.csv", good_rows_only=True)


def the_error(statement, line):
    return StatementRowError.objects.select_related("statement__account").get(statement=statement, line=line)


def test_a_row_is_put_right_and_becomes_a_line_of_the_same_statement(by, statement):
    error = the_error(statement, 3)
    cells = cells_of(error)
    assert [(cell.column, cell.text, cell.is_wrong) for cell in cells if cell.is_wrong] == [
        ("Buchungstag", "31.02.2026", True)
    ]
    line = repair_row(by, error, {**error.cells, "Buchungstag": "28.02.2026"})
    assert (line.statement_number, line.position) == (statement.number, 3)
    assert (line.amount, line.booking_date, line.currency) == (Decimal("-20.00"), date(2026, 2, 28), "EUR")
    assert (line.reference_key or line.description_key) == "inv-2 kein tag"
    statement.refresh_from_db()
    assert statement.record_count == 3
    (facts,) = statement_facts(statement)
    assert (facts.lines, facts.money_in, facts.money_out) == (3, Decimal("1152.75"), Decimal("25.00"))
    event = Event.objects.get(verb="row repaired")
    assert event.before
    assert event.after
    assert (event.before["found"], event.after["amount"]) == ("31.02.2026", "-20.00")
    assert not list(violations())


def test_what_still_cannot_be_read_stays_a_bad_row(by, statement):
    error = the_error(statement, 4)
    with pytest.raises(Refused, match=r"Umsatz: found '12,3\.5', expected") as refused:
        repair_row(by, error, {**error.cells, "Umsatz": "12,3.5"})
    assert refused.value.row_errors[0].column == "Umsatz"
    assert StatementLine.objects.count() == 2


def test_a_row_becomes_a_line_once(by, statement):
    error = the_error(statement, 4)
    right = {**error.cells, "Umsatz": "12,34"}
    repair_row(by, error, right)
    with pytest.raises(Refused, match="became line 3"):
        repair_row(by, error, right)
    assert StatementLine.objects.count() == 3


def test_a_row_that_is_no_booking_is_set_aside_with_a_reason(by, statement):
    error = the_error(statement, 4)
    with pytest.raises(Refused, match="Say why"):
        set_aside(by, error, "")
    set_aside(by, error, "A note of the bank")
    error.refresh_from_db()
    assert (error.settled_why, error.line_position, error.settled_by) == ("A note of the bank", None, by.user)


def test_bad_rows_are_a_discrepancy_until_all_are_settled(by, statement):
    assert "2 rows of umsatz.csv could not be read" in discrepancies().get().text
    error = the_error(statement, 3)
    repair_row(by, error, {**error.cells, "Buchungstag": "28.02.2026"})
    assert "1 row of umsatz.csv could not be read" in discrepancies().get().text
    set_aside(by, the_error(statement, 4), "A note of the bank")
    assert not discrepancies().exists()


def test_a_repaired_row_makes_the_balance_add_up(by, account):
    broken = b""":20:X
:25:1234567890
:28C:1/1
:60F:C260101EUR100,00
:61:2601150115C10,00NTRFA
:61:2601160116CXX,00NTRFB
:62F:C260131EUR115,00
-
"""
    statement = import_statement(by, account, broken, "jan.sta", good_rows_only=True)
    assert sorted(each.kind for each in discrepancies()) == ["balance_differs", "unread_rows"]
    error = StatementRowError.objects.select_related("statement__account").get()
    typed = {"date": "2026-01-16", "amount": "5.00", "currency": "EUR", "reference": "B", "description": ""}
    line = repair_row(by, error, typed)
    assert (line.amount, line.reference) == (Decimal("5.00"), "B")
    assert not discrepancies().exists()
    assert [facts.verdict for facts in statement_facts(type(statement).objects.get(pk=statement.pk))] == ["ok"]


def test_a_typed_row_needs_a_currency(by, account):
    broken = b":20:X\n:25:1\n:28C:1/1\n:60F:C260101EUR1,00\n:61:2601160116CXX,00NTRFB\n:61:2601160116C5,00NTRFB\n:62F:C260131EUR6,00\n-\n"  # noqa: E501 - a file
    import_statement(by, account, broken, "jan.sta", good_rows_only=True)
    error = StatementRowError.objects.select_related("statement__account").get()
    with pytest.raises(Refused, match="currency"):
        repair_row(by, error, {"date": "2026-01-16", "amount": "5.00"})


def test_a_row_repaired_after_a_real_run_is_an_open_item(by, account, statement):
    start_run(by, account, statement, [make_rule("Same", SAME_REFERENCE)], kind=RunKind.INSTANT, is_dry_run=False)
    error = the_error(statement, 4)
    line = repair_row(by, error, {**error.cells, "Umsatz": "12,34"})
    item = OpenItem.objects.get(side=Side.STATEMENT, row_id=line.pk)
    assert (item.amount, item.reason) == (Decimal("12.34"), "arrived_late")
    assert not list(violations())


def test_a_row_repaired_while_a_real_run_is_at_work_is_an_open_item(by, account, statement):
    """The run has perhaps read the statement before."""
    run = start_run(by, account, statement, [make_rule("Same", SAME_REFERENCE)], kind=RunKind.BATCH, is_dry_run=False)
    taken = take_lease(run.run_id)
    assert taken is not None
    error = the_error(statement, 4)
    line = repair_row(by, error, {**error.cells, "Umsatz": "12,34"})
    item = OpenItem.objects.get(side=Side.STATEMENT, row_id=line.pk)
    assert item.reason == "arrived_late"
    execute_taken(taken)
    item.refresh_from_db()
    assert (item.state, item.reason, item.run_number) == ("open", "no_candidate", run.number)
    assert not list(violations())


def test_rows_of_a_statement_that_is_gone_are_history(by, statement):
    statement.state = LoadState.DISCARDED
    statement.save(update_fields=["state"])
    error = the_error(statement, 4)
    with pytest.raises(Refused, match="its rows are history"):
        set_aside(by, error, "A note")


def test_more_bad_rows_than_can_be_kept_are_not_left_out(by, account):
    rows = "\n".join(f"2026-13-01;{number};1,00" for number in range(10_005))
    text = f"Datum;Text;Betrag EUR\n2026-01-02;Gut;-1,00\n{rows}\n".encode()
    mapping = {"columns": {"booking_date": "Datum", "amount": "Betrag EUR"}, "sign": "as_given"}
    with pytest.raises(Refused, match="Too many rows cannot be read"):
        import_statement(by, account, text, "bad.csv", mapping=mapping, good_rows_only=True)
