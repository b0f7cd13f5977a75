"""Claims of a large run have a table of their own; a row part is claimed once all the same, whoever meets there."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, product

import pyarrow as pa
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from recon.models import Claim, LedgerEntry, OpenItem, RunKind, RunState, Side, StatementLine, reserve_ids
from recon.usecases.bulk import apart
from recon.usecases.bulk.apart import merge_apart
from recon.usecases.bulk.apart_indexes import mend_indexes
from recon.usecases.bulk.apart_tables import tables_apart
from recon.usecases.bulk.moved import moved_apart
from recon.usecases.bulk.rows import load_rows
from recon.usecases.errors import Refused
from recon.usecases.integrity import violations
from recon.usecases.review.decisions import assign, confirm_match
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs import claims as claims_of_runs
from recon.usecases.runs import execution
from recon.usecases.runs.claims import ClaimedError, claim_rows, join_claims, load_claims
from recon.usecases.runs.execution import execute_run
from recon.usecases.runs.lease import StoppedError
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, lines, make_account, make_entries, make_rule, make_statement, row
from tests.usecases.test_review import suggest

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has such tables")

FEW, MANY = 1, 3
"""Rows of a small run, and of one that is large here."""

match_ids = count(1, 10)


@pytest.fixture(autouse=True)
def three_are_many(monkeypatch):
    monkeypatch.setattr(apart, "APART_FROM", MANY)


def claims(rows: int, *, account: int = 1, first: int = 1, side: int = 0) -> pa.Table:
    """Of the rows from `first` on, in one match that nobody else has made."""
    return pa.table(
        {
            "match_id": pa.array([next(match_ids)] * rows, pa.int64()),
            "side": pa.array([side] * rows, pa.int16()),
            "row_id": pa.array(range(first, first + rows), pa.int64()),
            "part": pa.array([0] * rows, pa.int32()),
            "account_id": pa.array([account] * rows, pa.int64()),
        }
    )


def unheard(rows: int) -> None:
    """Nobody follows."""


class Somebody:
    """With a connection and a transaction of their own; what they do is a future."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.transaction = transaction.atomic()
        self.pool.submit(self.transaction.__enter__).result(60)

    def claims(self, rows: pa.Table):
        return self.pool.submit(claim_rows, rows, unheard)

    def ends(self, *, well: bool = True) -> None:
        error = None if well else ValueError()
        self.pool.submit(self.transaction.__exit__, type(error) if error else None, error, None).result(60)

    def leaves(self) -> None:
        self.pool.submit(lambda: connection.close()).result(60)
        self.pool.shutdown()


@contextmanager
def two():
    people = Somebody(), Somebody()
    try:
        yield people
    finally:
        for each in people:
            each.leaves()


def asked(*statements: str) -> None:
    with connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


def until_somebody_waits(people: int = 1) -> None:
    """For a lock in this database: tests in other processes have others on the same server."""
    deadline = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND datname = current_database()"
            )
            if cursor.fetchone()[0] >= people:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_of_two_who_claim_a_row_at_once_exactly_one_has_it(no_tables_left):
    """Small or large, whichever comes first, and whether that one keeps it or gives up."""
    for account, (ours, theirs, kept) in enumerate(product((FEW, MANY), (FEW, MANY), (True, False)), start=1):
        with two() as (first, second):
            first.claims(claims(ours, account=account)).result(60)
            waiting = second.claims(claims(theirs, account=account))
            until_somebody_waits()
            first.ends(well=kept)
            if kept:
                with pytest.raises(ClaimedError):
                    waiting.result(60)
            else:
                waiting.result(60)
            second.ends(well=not kept)
        assert Claim.objects.filter(account_id=account).count() == (ours if kept else theirs)
    large = [(MANY, MANY, True), (MANY, MANY, False), (MANY, FEW, True), (FEW, MANY, False)]
    assert len(tables_apart(Claim)) == len(large)


def test_the_first_to_join_has_the_row_whoever_loaded_first(no_tables_left):
    with two() as (first, second):
        earlier = first.pool.submit(load_claims, claims(MANY), unheard).result(60)
        second.claims(claims(MANY)).result(60)
        second.ends()
        with pytest.raises(ClaimedError):
            first.pool.submit(join_claims, earlier).result(60)
        first.ends(well=False)
    assert Claim.objects.count() == MANY


def test_waiting_for_others_can_be_given_up(no_tables_left):
    def no_longer() -> None:
        raise StoppedError

    with two() as (first, second):
        first.claims(claims(FEW)).result(60)
        waiting = second.pool.submit(load_claims, claims(MANY), unheard).result(60)
        with pytest.raises(StoppedError):
            second.pool.submit(join_claims, waiting, no_longer).result(60)
        second.ends(well=False)
        first.ends()
    assert Claim.objects.count() == FEW
    assert tables_apart(Claim) == []


def test_only_who_claims_in_the_account_of_a_large_run_waits_for_it(no_tables_left):
    with two() as (first, second):
        first.claims(claims(FEW)).result(60)
        second.claims(claims(FEW, first=2)).result(60)
        second.claims(claims(MANY, account=2)).result(60)
        first.claims(claims(FEW, account=3)).result(60)
        first.ends()
        second.ends()
    assert Claim.objects.count() == FEW + FEW + MANY + FEW


def test_what_one_table_has_no_other_takes(db):
    """Among rows that lie between each other's."""
    claim_rows(claims(MANY, first=10), unheard)
    claim_rows(claims(MANY, first=10, side=1), unheard)
    claim_rows(claims(MANY, first=10, account=2), unheard)
    claim_rows(claims(FEW, first=5), unheard)
    claim_rows(claims(FEW, first=20), unheard)
    between = claims(MANY).set_column(2, "row_id", pa.array([4, 13, 30], pa.int64()))
    claim_rows(between, unheard)
    assert len(tables_apart(Claim)) == 4
    before = Claim.objects.count()
    for taken in (5, 10, 13, 20):
        with pytest.raises(ClaimedError):
            claim_rows(claims(FEW, first=taken), unheard)
        with pytest.raises(ClaimedError):
            claim_rows(claims(MANY).set_column(2, "row_id", pa.array([6, taken, 40], pa.int64())), unheard)
    with pytest.raises(ClaimedError):
        claim_rows(claims(MANY).set_column(2, "row_id", pa.array([50, 51, 51], pa.int64())), unheard)
    assert Claim.objects.count() == before


def test_a_table_of_one_accounts_whole_rows_has_a_key_of_side_and_row(db):
    """Others, and what several become, have the whole key."""
    claim_rows(claims(MANY, first=1), unheard)
    claim_rows(claims(MANY, first=11, account=2), unheard)
    parts = claims(MANY, first=21).set_column(3, "part", pa.array([1, 1, 2], pa.int32()))
    claim_rows(parts, unheard)
    assert [keys(each.name) for each in tables_apart(Claim)] == [
        ["(side, row_id)"], ["(side, row_id)"], ["(account_id, side, row_id, part)"],
    ]  # fmt: skip
    mend_indexes()
    assert keys(tables_apart(Claim)[0].name) == ["(side, row_id)"]
    merge_apart(Claim, tables_apart(Claim))
    assert [keys(each.name) for each in tables_apart(Claim)] == [["(account_id, side, row_id, part)"]]


def test_accounts_are_locked_in_their_order_whichever_row_comes_first(no_tables_left):
    several = claims(MANY).set_column(4, "account_id", pa.array([2, 1, 3], pa.int64()))
    with two() as (first, second):
        first.claims(claims(FEW, account=1, first=9)).result(60)
        waiting = second.claims(several)
        until_somebody_waits()
        first.claims(claims(FEW, account=2, first=9)).result(60)  # nobody has that yet
        first.ends()
        waiting.result(60)
        second.ends()
    assert Claim.objects.count() == 2 * FEW + MANY


def keys(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass", [table])
        return [definition.partition(" USING btree ")[2] for (definition,) in cursor.fetchall()]


def test_merged_tables_refuse_what_each_had(db):
    claim_rows(claims(MANY, first=1), unheard)
    claim_rows(claims(MANY, first=11, account=2), unheard)
    claim_rows(claims(MANY, first=21), unheard)
    merge_apart(Claim, tables_apart(Claim))
    (only,) = tables_apart(Claim)
    assert Claim.objects.count() == 3 * MANY
    for account, taken in ((1, 2), (2, 12), (1, 23)):
        with pytest.raises(ClaimedError):
            claim_rows(claims(FEW, account=account, first=taken), unheard)
        with pytest.raises(ClaimedError):
            claim_rows(claims(MANY, account=account, first=taken), unheard)
    Claim.objects.filter(account_id=2).delete()
    claim_rows(claims(MANY, first=11, account=2), unheard)
    assert tables_apart(Claim)[0].name == only.name


def test_what_is_claimed_is_never_changed_and_a_table_that_has_joined_is_complete(db):
    claim_rows(claims(MANY), unheard)
    (table,) = tables_apart(Claim)
    for sql in (
        "UPDATE recon_claim SET row_id = row_id + 1",
        f"UPDATE {table.name} SET row_id = row_id + 1",
        f"INSERT INTO {table.name} (account_id, side, row_id, part, match_id) VALUES (1, 0, 7, 0, {table.first})",
    ):
        with pytest.raises(DatabaseError, match="is never changed"), transaction.atomic():
            connection.cursor().execute(sql)


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_claims_are_not_added_by_who_would_not_see_what_others_have(no_tables_left, rows):
    with transaction.atomic():
        connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(DatabaseError, match="READ COMMITTED"):
            claim_rows(claims(rows), unheard)
    assert not Claim.objects.exists()


def test_a_row_part_claimed_in_two_tables_is_found(db):
    def join_unseen(model, name):
        connection.cursor().execute(f"ALTER TABLE {name} INHERIT recon_claim")

    claim_rows(claims(FEW), unheard)
    load_rows(Claim, claims(MANY), join=join_unseen)
    found = {(each.check, each.record) for each in violations()}
    assert ("no row part is claimed twice in an account", "statement line 1/0") in found


def test_who_reads_while_tables_are_merged_finds_every_row(no_tables_left):
    """A query that knew the old tables and waited for them would find neither these nor the new one."""
    for first in (1, 11):
        load_rows(Claim, claims(MANY, first=first))
    with two() as (merger, reader):
        merger.pool.submit(merge_apart, Claim, tables_apart(Claim)).result(60)
        waiting = reader.pool.submit(Claim.objects.count)
        until_somebody_waits()
        merger.ends()
        assert waiting.result(60) == 2 * MANY
        reader.ends()
    assert len(tables_apart(Claim)) == 1


def test_a_run_that_matches_for_the_last_time_keeps_others_from_claiming_its_rows(by, last_time):
    run, line_id = last_time()
    with at_work(run) as (somebody, read_on):
        late = somebody.claims(claims(FEW, account=run.account_id, first=line_id))
        until_somebody_waits(2)
        read_on()
        with pytest.raises(ClaimedError):
            late.result(60)
        somebody.ends(well=False)
    run.refresh_from_db()
    assert (run.state, run.lines_matched) == (RunState.COMPLETED, 2)
    assert list(violations()) == []
    with two() as (somebody, _):
        somebody.claims(claims(FEW, account=run.account_id, first=1_000_000)).result(60)  # is kept from it no more
        somebody.ends(well=False)


@pytest.mark.parametrize("options", [{}, {"strategy": "one_to_many", "grouping": "reference"}])
@pytest.mark.parametrize("decide", ["confirm", "match"])
def test_a_person_who_waits_for_such_a_run_holds_nothing_that_it_needs(by, last_time, decide, options):
    """A suggestion that it withdraws, or the account, which it holds for a moment where it reads groups."""
    run, line_id = last_time(**options)
    line, entry = StatementLine.objects.get(pk=line_id), LedgerEntry.objects.order_by("pk")[0]
    (suggestion,) = suggest(run.account, (line, entry))
    decisions = {
        "confirm": lambda: confirm_match(by, suggestion),
        "match": lambda: match_by_hand(by, run.account, [line.pk], [entry.pk]),
    }
    with at_work(run) as (somebody, read_on):
        # Who has waited for a second without a deadlock does not look for one any more: the run would find it.
        somebody.pool.submit(asked, "SET LOCAL deadlock_timeout = '1h'").result(60)
        late = somebody.pool.submit(decisions[decide])
        until_somebody_waits(2)
        read_on()
        with pytest.raises(Refused, match=r"withdrawn|no longer open|has taken one"):
            late.result(60)
        somebody.ends(well=False)
    run.refresh_from_db()
    assert (run.error, run.state, run.lines_matched) == ("", RunState.COMPLETED, 2)
    assert Claim.objects.count() == 2 * 2


def test_a_person_does_not_wait_for_ever_for_a_run_that_claims(by, last_time, monkeypatch):
    monkeypatch.setattr(claims_of_runs, "PATIENCE", "50ms")
    run, line_id = last_time()
    with at_work(run) as (somebody, read_on):
        entry = LedgerEntry.objects.order_by("pk")[0]
        late = somebody.pool.submit(match_by_hand, by, run.account, [line_id], [entry.pk])
        with pytest.raises(Refused, match="try again when it is over"):
            late.result(60)
        somebody.ends(well=False)
        read_on()
    run.refresh_from_db()
    assert run.lines_matched == 2


def test_an_item_that_a_run_moves_meanwhile_is_changed_where_it_is_then(by, alice, no_tables_left):
    account = make_account("Busy")
    make_statement(account, [row(day, f"{day}.00") for day in range(1, MANY + 1)])
    items = OpenItem.objects.bulk_create(
        OpenItem(
            id=reserve_ids(OpenItem, 1), account_id=account.pk, side=Side.STATEMENT, row_id=line.pk, part=0,
            units=line.units, scale=2, currency="EUR", opened_at=timezone.now(), reason="no_candidate",
        )
        for line in StatementLine.objects.all()
    )  # fmt: skip
    with two() as (run, person):
        run.pool.submit(move_items, reserve_ids(OpenItem, 1)).result(60)
        late = person.pool.submit(assign, by, items[0], alice)
        until_somebody_waits()
        run.ends()
        late.result(60)
        person.ends()
    assert len(tables_apart(OpenItem)) == 1
    assert OpenItem.objects.get(owner=alice).pk == items[0].pk


def move_items(own_id: int) -> None:
    columns = apart.columns_of(OpenItem)
    with moved_apart(OpenItem, own_id) as name:
        asked(
            f"WITH gone AS (DELETE FROM recon_openitem RETURNING *) INSERT INTO {name} ({columns})"
            f" SELECT {columns} FROM gone"
        )


@pytest.fixture
def last_time(by, no_tables_left, monkeypatch):
    """A run that has one go, and the id of one of its lines."""
    monkeypatch.setattr(execution, "MATCHINGS", 1)

    def start(**options):
        account = make_account("Busy")
        rows = [row(day, f"{day}.00", reference=f"R{day}") for day in (1, 2)]
        make_entries(account, rows)
        statement = make_statement(account, rows)
        rule = make_rule("Amounts", SAME_AMOUNT)
        run = start_run(by, account, statement, [rule], kind=RunKind.BATCH, is_dry_run=False, **options)
        return run, lines(statement)[0].pk

    return start


@contextmanager
def at_work(run):
    """Somebody, while the run waits to read its lines, and what lets it read them. The run is over at the end."""
    with ThreadPoolExecutor(1) as worker, two() as (somebody, other):
        other.pool.submit(asked, "LOCK TABLE recon_statementline IN ACCESS EXCLUSIVE MODE").result(60)
        done = worker.submit(execute_run, run.run_id)
        until_somebody_waits()
        yield somebody, other.ends
        done.result(60)
        worker.submit(lambda: connection.close()).result(60)
