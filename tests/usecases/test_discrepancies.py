"""What is wrong with imported files: balances, gaps, overlaps, strange accounts; opened, resolved, kept."""

from __future__ import annotations

import pytest

from recon.models import Discrepancy, DiscrepancyKind, Event, Statement
from recon.usecases.accounts.scope import create_account
from recon.usecases.errors import Refused
from recon.usecases.imports.continuity import joint, span_of
from recon.usecases.imports.discrepancies import discrepancies, other_account, reopen_discrepancy, resolve_discrepancy
from recon.usecases.imports.facts import statement_facts, worst_verdict
from recon.usecases.imports.importing import discard_statement, import_statement


def mt940(
    number: int, opening: str, closing: str, *amounts: str, month: str = "01", account: str = "70090100/1234567890"
) -> bytes:
    """A statement of one month; amounts with a comma, minus for debits."""
    lines = [
        f":61:26{month}15{month}15{'D' if amount.startswith('-') else 'C'}{amount.lstrip('-')}NTRFREF{place}\n:86:Text"
        for place, amount in enumerate(amounts)
    ]
    return "\n".join(
        [":20:STARTUMS", f":25:{account}", f":28C:{number:05}/001", f":60F:C26{month}01EUR{opening}", *lines,
         f":62F:C26{month}28EUR{closing}", "-", ""]
    ).encode()  # fmt: skip


@pytest.fixture
def account(by, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return create_account(by, name="Bank", scope={"owned": True})


def kinds() -> list[str]:
    return [each.kind for each in discrepancies().order_by("id")]


def test_a_statement_that_balances_and_follows_the_one_before_is_nobodys_business(by, account):
    import_statement(by, account, mt940(1, "100,00", "90,00", "-10,00"), "jan.sta")
    second = import_statement(by, account, mt940(2, "90,00", "95,00", "5,00", month="02"), "feb.sta")
    assert not discrepancies().exists()
    assert worst_verdict(statement_facts(second)) == "ok"
    found = joint(account, span_of(second), second)
    assert (found.verdict, found.text) == ("follows", "It opens with what jan.sta closed with: 90.00 EUR.")


def test_a_statement_that_does_not_balance_is_kept_and_somebody_must_look(by, account):
    statement = import_statement(by, account, mt940(1, "100,00", "91,00", "-10,00"), "jan.sta")
    assert statement.record_count == 1
    found = Discrepancy.objects.get()
    assert found.kind == DiscrepancyKind.BALANCE
    assert "opening 100.00 and movements -10.00 make 90.00, but it closes with 91.00 (+1.00)" in found.text
    assert Event.objects.get(verb="discrepancy opened").object_id == str(found.pk)


def test_a_missing_statement_leaves_a_gap_until_it_arrives(by, account):
    import_statement(by, account, mt940(1, "100,00", "90,00", "-10,00"), "jan.sta")
    import_statement(by, account, mt940(3, "95,00", "96,00", "1,00", month="03"), "mar.sta")
    assert kinds() == ["gap"]
    assert "opens with 95.00 EUR, but jan.sta closed with 90.00" in Discrepancy.objects.get().text
    february = import_statement(by, account, mt940(2, "90,00", "95,00", "5,00", month="02"), "feb.sta")
    assert kinds() == []
    assert Discrepancy.objects.get().resolution == "It no longer holds."
    discard_statement(by, february)
    assert kinds() == ["gap"]


def test_several_statements_of_one_file_are_checked_one_by_one(by, account):
    both = mt940(1, "100,00", "90,00", "-9,00") + mt940(2, "90,00", "94,00", "5,00", month="02")
    statement = import_statement(by, account, both, "both.sta")  # off by -1 and by +1: together they would balance
    assert [facts.verdict for facts in statement_facts(statement)] == ["differs", "differs"]
    assert kinds() == ["balance_differs", "balance_differs"]


def test_an_overlap_that_was_not_cut_is_looked_at(by, account):
    header = b"id,amount,date,currency,reference,description,source\n"
    import_statement(by, account, header + b"1,1.00,2026-01-01,EUR,A,x,b\n2,1.00,2026-01-31,EUR,B,x,b\n", "jan.csv")
    import_statement(by, account, header + b"3,7.00,2026-01-15,EUR,C,x,b\n4,-7.00,2026-02-15,EUR,C,x,b\n", "mid.csv")
    assert kinds() == ["overlap"]


def test_a_discrepancy_stands_only_with_a_reason_and_can_come_back(by, account, alice):
    import_statement(by, account, mt940(1, "100,00", "91,00", "-10,00"), "jan.sta")
    found = Discrepancy.objects.get()
    with pytest.raises(Refused, match="Say why"):
        resolve_discrepancy(by, found, " ")
    resolved = resolve_discrepancy(by, found, "The bank's own mistake, corrected in February.")
    assert (resolved.resolved_by, kinds()) == (alice, [])
    with pytest.raises(Refused, match="resolved already"):
        resolve_discrepancy(by, found, "Again")
    # What a person has let stand is not opened anew by the next import.
    import_statement(by, account, mt940(2, "91,00", "95,00", "4,00", month="02"), "feb.sta")
    assert kinds() == []
    reopen_discrepancy(by, resolved)
    assert kinds() == ["balance_differs"]


def test_a_statement_that_is_taken_back_leaves_no_discrepancy(by, account):
    statement = import_statement(by, account, mt940(1, "100,00", "91,00", "-10,00"), "jan.sta")
    discard_statement(by, statement)
    assert kinds() == []


def test_a_new_issue_that_balances_closes_what_its_predecessor_left(by, account):
    wrong = import_statement(by, account, mt940(1, "100,00", "90,00", "-9,00"), "jan.sta")
    right = mt940(1, "100,00", "90,00", "-10,00")
    import_statement(by, account, right, "jan-2.sta", repeats="replace", replaces=wrong)
    assert kinds() == []


def test_a_statement_of_the_same_number_and_days_needs_a_decision(by, account):
    import_statement(by, account, mt940(1, "100,00", "90,00", "-10,00"), "jan.sta")
    with pytest.raises(Refused, match=r"Statement no\. 00001/001 is there already, as jan\.sta"):
        import_statement(by, account, mt940(1, "100,00", "88,00", "-12,00"), "jan-2.sta")
    assert Statement.objects.count() == 1


@pytest.mark.parametrize(
    ("number", "is_strange"),
    [
        ("70090100/1234567890", False),  # bank code and account number, both inside the IBAN
        ("DE02 7009 0100 1234 5678 90", False),
        ("1234567890", False),
        ("DE02700901009999999999", True),
        ("", False),
    ],
)
def test_a_file_of_another_account_is_said(by, number, is_strange):
    account = create_account(by, name="House bank", number="DE02 7009 0100 1234 5678 90")
    assert bool(other_account(account, number)) == is_strange


def test_programs_may_upload_in_any_order(by, settings, tmp_path):
    from recon.usecases.accounts.scope import builtin_account

    settings.MEDIA_ROOT = tmp_path
    for _ in range(2):
        import_statement(by, builtin_account(), mt940(1, "100,00", "90,00", "-10,00"), "a.sta", repeats="import")
    assert kinds() == []
