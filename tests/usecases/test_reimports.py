"""Files that come again: rows that are there already, new issues of a statement, a ledger that changed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection

from recon.models import (
    Claim,
    Discrepancy,
    Event,
    ItemState,
    LedgerEntry,
    LoadState,
    Match,
    MatchState,
    OpenItem,
    RunKind,
    Side,
    Statement,
    StatementLine,
)
from recon.usecases.accounts.closing import close_period
from recon.usecases.accounts.scope import create_account, lines_in_scope
from recon.usecases.errors import Refused
from recon.usecases.imports.importing import (
    NothingNew,
    Prepared,
    import_ledger,
    import_statement,
    prepare,
    preview,
    store_statement,
)
from recon.usecases.imports.reissues import differing, shares
from recon.usecases.imports.taking_back import discard_statement
from recon.usecases.integrity import violations
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, make_rule

HEADER = "id,amount,date,currency,reference,description,source\n"


def rows(*texts: str) -> bytes:
    return (HEADER + "\n".join(texts) + "\n").encode()


MARCH = (
    "b1,100.00,2026-03-02,EUR,INV-1,Chair,bank",
    "b2,-20.00,2026-03-03,EUR,INV-2,Refund,bank",
    "b3,70.00,2026-03-04,EUR,INV-3,Lamp,bank",
)
REISSUED = (
    "b1,100.00,2026-03-02,EUR,INV-1,Chair,bank",
    "b9,5.00,2026-03-02,EUR,INV-9,Forgotten,bank",
    "b3,75.00,2026-03-04,EUR,INV-3,Lamp,bank",
)
BOOKS = (
    "e1,100.00,2026-03-02,EUR,INV-1,Chair,books",
    "e2,-20.00,2026-03-03,EUR,INV-2,Refund,books",
    "e3,70.00,2026-03-04,EUR,INV-3,Lamp,books",
)


@pytest.fixture
def account(by, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return create_account(by, name="Bank", scope={"owned": True})


@pytest.fixture
def march(by, account):
    return import_statement(by, account, rows(*MARCH), "march.csv")


def reconciled(by, account, statement):
    rule = make_rule("Same", SAME_REFERENCE, SAME_AMOUNT)
    return start_run(by, account, statement, [rule], is_dry_run=False, kind=RunKind.INSTANT)


# --- lines that are there already -------------------------------------------------------------------------------


def test_lines_that_are_there_are_left_out_and_the_others_imported(by, account, march):
    longer = rows(*MARCH, "b4,1.00,2026-03-05,EUR,INV-4,New,bank")
    statement = import_statement(by, account, longer, "longer.csv", repeats="skip")
    assert [line.external_id for line in StatementLine.objects.filter(statement_number=statement.number)] == ["b4"]
    assert statement.skipped == {"lines": 3, "net": {"EUR": "150.00"}}
    assert statement.record_count == 1
    assert not list(violations())


def test_a_file_of_which_nothing_is_new_is_skipped_and_that_is_on_the_record(by, account, march):
    with pytest.raises(NothingNew, match=r"All 3 lines of again\.csv are there already"):
        import_statement(by, account, rows(*MARCH), "again.csv", repeats="skip")
    assert Statement.objects.count() == 1
    assert Event.objects.get(verb="statement skipped").after == {"name": "again.csv", "rows": 3}


@pytest.mark.parametrize(
    ("fresh", "known", "alike"),
    [
        (["b1,100.00,2026-03-02,EUR,INV-1,Chair,bank"], [1], 0),
        (["b1,100.00,2026-03-02,EUR,INV-1,Another text,bank"], [1], 0),  # the bank's own id says it is the same
        (["b8,100.00,2026-03-02,EUR,INV-1,Chair,bank"], [], 1),  # all the same but for the id
        ([",100.00,2026-03-02,EUR,INV-1,Chair,bank"], [1], 0),  # no id to tell it apart
        (["b1,100.00,2026-03-02,EUR,INV-1,Chair,bank"] * 2, [1], 0),  # banks repeat ids: the second is new
        (["b8,100.00,2026-03-02,EUR,INV-1,Table,bank"], [], 0),
    ],
)
def test_only_a_line_that_is_surely_there_is_left_out(by, account, march, fresh, known, alike):
    found = preview(rows(*fresh), "fresh.csv", account, Side.STATEMENT).known
    assert (found.positions.to_pylist(), found.alike) == (known, alike)


def test_two_people_who_import_the_same_file_at_once_import_it_once(by, account):
    first, second = (prepare(account, Side.STATEMENT, rows(*MARCH), "march.csv") for _ in range(2))
    store_statement(by, account, first)
    with pytest.raises(Refused, match=r"Another file was imported while this one was on its way\. This very file"):
        store_statement(by, account, second)
    assert (Statement.objects.count(), StatementLine.objects.count()) == (1, 3)


def test_a_double_click_on_import_all_the_same_imports_once_more_not_twice(by, account, march):
    first, second = (prepare(account, Side.STATEMENT, rows(*MARCH), "m.csv", repeats="import") for _ in range(2))
    store_statement(by, account, first)
    with pytest.raises(Refused, match="Another file was imported"):
        store_statement(by, account, second)
    assert StatementLine.objects.count() == 6


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="the test's SQLite lives in memory, where threads lock each other out"
)
@pytest.mark.django_db(transaction=True)
def test_of_two_imports_at_the_same_moment_one_is_stored(by, account):
    """Two browser tabs: both have looked, both press Import; each thread has a connection of its own."""
    prepared = [prepare(account, Side.STATEMENT, rows(*MARCH), "march.csv") for _ in range(2)]
    together = threading.Barrier(2)

    def store(one: Prepared) -> str:
        together.wait(timeout=10)
        try:
            store_statement(by, account, one)
        except Refused as refused:
            return refused.message
        finally:
            connection.close()
        return "stored"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(store, prepared))
    assert [answer.partition(".")[0] for answer in answers] == [
        "Another file was imported while this one was on its way", "stored",
    ]  # fmt: skip
    assert (Statement.objects.count(), StatementLine.objects.count()) == (1, 3)


def test_files_of_other_days_may_arrive_at_once(by, account):
    other = prepare(account, Side.STATEMENT, rows("c1,3.00,2026-04-01,EUR,X,April,bank"), "april.csv")
    import_statement(by, account, rows(*MARCH), "march.csv")
    assert store_statement(by, account, other).record_count == 1


# --- new issues -------------------------------------------------------------------------------------------------


def test_a_new_issue_keeps_what_is_the_same_and_supersedes_the_rest(by, account, march):
    import_ledger(by, account, rows(*BOOKS), "books.csv")
    reconciled(by, account, march)
    kept = StatementLine.objects.get(external_id="b1")
    match_of_kept = Claim.objects.get(side=Side.STATEMENT, row_id=kept.pk).match_id

    issue = import_statement(by, account, rows(*REISSUED), "march-2.csv", repeats="replace", replaces=march)

    march.refresh_from_db()
    assert (march.state, issue.state, issue.supersedes) == (LoadState.SUPERSEDED, LoadState.READY, march)
    moved = StatementLine.objects.get(pk=kept.pk)
    assert (moved.statement_number, moved.position) == (issue.number, 1)
    assert Claim.objects.get(side=Side.STATEMENT, row_id=kept.pk).match_id == match_of_kept
    lines = StatementLine.objects.filter(statement_number=issue.number).order_by("position")
    assert [(line.external_id, line.amount) for line in lines] == [
        ("b1", Decimal("100.00")), ("b9", Decimal("5.00")), ("b3", Decimal("75.00")),
    ]  # fmt: skip
    old = StatementLine.objects.filter(statement_number=march.number)
    assert [(line.external_id, line.superseded) for line in old.order_by("position")] == [("b2", True), ("b3", True)]
    assert Match.objects.filter(state=MatchState.UNDONE).count() == 2
    assert {event.why for event in Event.objects.filter(verb="match undone")} == {
        "march.csv was replaced by march-2.csv"
    }
    open_lines = OpenItem.objects.unresolved().filter(side=Side.STATEMENT).values_list("row_id", flat=True)
    assert set(open_lines) == set(lines.exclude(pk=kept.pk).values_list("pk", flat=True))
    assert not list(violations())


def test_a_new_issue_taken_back_gives_its_predecessor_its_place_and_matches_back(by, account, march):
    import_ledger(by, account, rows(*BOOKS), "books.csv")
    reconciled(by, account, march)
    before = list(StatementLine.objects.order_by("pk").values("pk", "position", "statement_number", "superseded"))
    kept = StatementLine.objects.get(external_id="b1")
    issue = import_statement(by, account, rows(*REISSUED), "march-2.csv", repeats="replace", replaces=march)

    discard_statement(by, issue, why="the wrong file")

    march.refresh_from_db()
    issue.refresh_from_db()
    assert (march.state, issue.state, issue.supersedes) == (LoadState.READY, LoadState.DISCARDED, None)
    lines = StatementLine.objects.filter(statement_number=march.number)
    assert list(lines.order_by("pk").values("pk", "position", "statement_number", "superseded")) == before
    assert Claim.objects.filter(side=Side.STATEMENT).values_list("row_id", flat=True).get() == kept.pk
    open_lines = OpenItem.objects.unresolved().filter(side=Side.STATEMENT).values_list("row_id", flat=True)
    assert set(open_lines) == set(lines.exclude(pk=kept.pk).values_list("pk", flat=True))
    assert Event.objects.get(verb="statement restored").why == "the wrong file"
    assert not list(violations())
    again = reconciled(by, account, march)
    assert (again.lines_total, Claim.objects.filter(side=Side.STATEMENT).count()) == (2, 3)


def test_a_new_issue_is_not_taken_back_while_a_line_of_its_own_is_matched(by, account, march):
    import_ledger(by, account, rows("e9,5.00,2026-03-02,EUR,INV-9,Forgotten,books"), "books.csv")
    issue = import_statement(by, account, rows(*REISSUED), "march-2.csv", repeats="replace", replaces=march)
    reconciled(by, account, issue)
    with pytest.raises(Refused, match=r"1 rows of march-2\.csv are matched; unmatch them first"):
        discard_statement(by, issue)
    march.refresh_from_db()
    assert march.state == LoadState.SUPERSEDED
    assert not list(violations())


def test_superseded_lines_take_part_in_nothing(by, account, march):
    import_statement(by, account, rows(*REISSUED), "march-2.csv", repeats="replace", replaces=march)
    assert set(lines_in_scope(account).values_list("external_id", flat=True)) == {"b1", "b3", "b9"}
    import_ledger(by, account, rows(*BOOKS), "books.csv")
    run = start_run(
        by,
        account,
        None,
        [make_rule("Same", SAME_REFERENCE)],
        is_dry_run=False,
        kind=RunKind.INSTANT,
        with_open_lines=True,
    )
    assert run.lines_total == 3
    again = preview(rows(MARCH[1]), "refund.csv", account, Side.STATEMENT)
    assert not len(again.known.positions)


def test_the_comparison_says_what_is_same_changed_missing_and_new(account, march):
    prepared = prepare(account, Side.STATEMENT, rows(*REISSUED), "m.csv", repeats="replace", replaces=march)
    found = prepared.replaces
    assert found is not None
    assert (found.same, found.changed, found.missing, found.new) == (1, 1, 1, 1)
    assert [(share.kind, share.count, share.net) for share in shares(found)] == [
        ("same", 1, Decimal("100.00")), ("changed", 1, Decimal("75.00")), ("missing", 1, Decimal("-20.00")),
        ("new", 1, Decimal("5.00")),
    ]  # fmt: skip
    changed = differing(found, 10)[0]
    assert changed.old
    assert changed.new
    assert (changed.old.amount, changed.new["amount"]) == (Decimal("70.00"), Decimal("75.00"))


def test_identical_lines_of_both_issues_stay_as_many_as_they_are(by, account):
    twins = ["b1,9.00,2026-03-02,EUR,T,Twin,bank"] * 3
    old = import_statement(by, account, rows(*twins), "twins.csv")
    issue = import_statement(by, account, rows(*twins[:2]), "two.csv", repeats="replace", replaces=old)
    assert StatementLine.objects.filter(statement_number=issue.number, superseded=False).count() == 2
    assert StatementLine.objects.filter(statement_number=old.number, superseded=True).count() == 1


def test_a_statement_is_not_replaced_while_a_run_is_at_work(by, account, march):
    run = start_run(by, account, march, [make_rule("Same", SAME_REFERENCE)], is_dry_run=False, kind=RunKind.BATCH)
    with pytest.raises(Refused, match=f"Run {run.number} of Bank is queued"):
        import_statement(by, account, rows(*REISSUED), "m.csv", repeats="replace", replaces=march)
    assert Statement.objects.count() == 1


def test_a_statement_is_replaced_once(by, account, march):
    first, second = (
        prepare(account, Side.STATEMENT, rows(*REISSUED), "m.csv", repeats="replace", replaces=march) for _ in range(2)
    )
    store_statement(by, account, first)
    with pytest.raises(Refused):
        store_statement(by, account, second)
    assert Statement.objects.count() == 2


def test_a_file_that_says_the_same_replaces_nothing(by, account, march):
    with pytest.raises(Refused, match="there is nothing to replace"):
        import_statement(by, account, rows(*MARCH), "m.csv", repeats="replace", replaces=march)


# --- a ledger that comes again ----------------------------------------------------------------------------------


@pytest.fixture
def books(by, account):
    return import_ledger(by, account, rows(*BOOKS), "books.csv")


CHANGED_BOOKS = (BOOKS[0], BOOKS[1].replace("-20.00", "-25.00"), "e4,1.00,2026-03-05,EUR,INV-4,New,books")


def test_entries_that_are_the_same_are_left_out_without_asking(by, account, books):
    longer = rows(*BOOKS, "e4,1.00,2026-03-05,EUR,INV-4,New,books")
    imported = import_ledger(by, account, longer, "longer.csv")
    assert imported.record_count == 1
    assert LedgerEntry.objects.count() == 4
    assert not list(violations())


def test_a_changed_entry_needs_a_decision(by, account, books):
    with pytest.raises(Refused, match="1 entry of the ledger changed in this file"):
        import_ledger(by, account, rows(*CHANGED_BOOKS), "changed.csv")
    import_ledger(by, account, rows(*CHANGED_BOOKS), "changed.csv", repeats="skip")
    assert LedgerEntry.objects.get(external_id="e2").amount == Decimal("-20.00")
    assert LedgerEntry.objects.count() == 4


def test_a_changed_entry_that_is_not_matched_is_updated_if_somebody_says_so(by, account, books):
    import_ledger(by, account, rows(*CHANGED_BOOKS), "changed.csv", repeats="update")
    entry = LedgerEntry.objects.get(external_id="e2")
    assert (entry.amount, entry.import_number) == (Decimal("-25.00"), books.number)
    event = Event.objects.get(verb="entry updated")
    assert (event.before, event.after) == ({"amount": "-20.00"}, {"amount": "-25.00"})
    assert not Discrepancy.objects.exists()
    assert not list(violations())


@pytest.mark.parametrize("repeats", ["update", "skip"])
def test_a_changed_entry_that_is_matched_is_never_overwritten(by, account, march, books, repeats):
    reconciled(by, account, march)
    import_ledger(by, account, rows(*CHANGED_BOOKS), "changed.csv", repeats=repeats)
    entry = LedgerEntry.objects.get(external_id="e2")
    assert entry.amount == Decimal("-20.00")
    discrepancy = Discrepancy.objects.open().get()
    assert (discrepancy.entry_id, discrepancy.detail) == (
        entry.pk, {"amount": {"before": "-20.00", "after": "-25.00"}},
    )  # fmt: skip
    assert "the books now say otherwise: amount -20.00, now -25.00" in discrepancy.text


def test_an_open_item_follows_its_entry(by, account, books):
    statement = import_statement(by, account, rows("b1,1.00,2026-03-05,EUR,NONE,None,bank"), "one.csv")
    reconciled(by, account, statement)
    import_ledger(by, account, rows(*CHANGED_BOOKS), "changed.csv", repeats="update")
    item = OpenItem.objects.get(row_id=LedgerEntry.objects.get(external_id="e2").pk, side=Side.LEDGER)
    assert (item.amount, item.state) == (Decimal("-25.00"), ItemState.OPEN)
    assert not list(violations())


def test_closed_days_are_kept_as_they_are_also_by_a_new_issue(by, account, march):
    import_ledger(by, account, rows(*BOOKS), "books.csv")
    reconciled(by, account, march)
    close_period(by, account, date(2026, 3, 31))
    without_the_refund = rows(MARCH[0], MARCH[2])
    with pytest.raises(Refused, match=r"march\.csv reaches into a closed period"):
        import_statement(by, account, without_the_refund, "march-2.csv", repeats="replace", replaces=march)
    assert lines_in_scope(account).count() == 3
    assert Claim.objects.filter(side=Side.STATEMENT).count() == 3
    assert not list(violations())


def test_no_run_is_started_on_a_statement_that_was_just_replaced(by, account, march):
    import_statement(by, account, rows(*REISSUED), "march-2.csv", repeats="replace", replaces=march)
    with pytest.raises(Refused, match="was replaced or taken back"):
        reconciled(by, account, march)  # the page still shows it as it was
