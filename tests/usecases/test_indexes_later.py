"""Indexes that a large load leaves out until people see its results: whatever happens in between, rows are right and
the indexes come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pyarrow as pa
import pytest
from django.db import IntegrityError, connection, transaction

from recon import errands
from recon.models import (
    LedgerEntry,
    LoadState,
    Match,
    MatchingRun,
    MatchRow,
    OpenItem,
    RunState,
    Statement,
    StatementLine,
)
from recon.usecases.bulk import apart, apart_indexes, later
from recon.usecases.bulk.afterwards import indexes_afterwards
from recon.usecases.bulk.alongside import alongside
from recon.usecases.bulk.apart_columns import unseen_checks
from recon.usecases.bulk.apart_indexes import make_missing, make_what_is_missing, rows_without_index
from recon.usecases.bulk.apart_tables import RANGE, tables_apart
from recon.usecases.bulk.later import noted
from recon.usecases.bulk.rows import load_rows
from recon.usecases.errors import Refused
from recon.usecases.imports.importing import discard_statement
from recon.usecases.imports.reissues import move_lines
from recon.usecases.integrity import violations
from recon.usecases.runs import pushdown
from recon.usecases.runs.lookups import LOOKED_UP_BY
from recon.usecases.runs.undo import reverse_run
from tests.cast import actor
from tests.usecases.test_apart import indexes, outcome, rows

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has such tables")

TABLE = "recon_statementline_1_2"


class KilledError(Exception):
    pass


@pytest.fixture
def always_apart(monkeypatch, db):
    monkeypatch.setattr(apart, "APART_FROM", 1)


@pytest.fixture
def committed(monkeypatch, transactional_db):
    """What others see too; with what rolling back would do."""
    monkeypatch.setattr(apart, "APART_FROM", 1)
    yield
    with connection.cursor() as cursor:
        for table in (each.name for model in RANGE for each in tables_apart(model)):
            cursor.execute(f"DROP TABLE {table}")


def all_there() -> bool:
    return not any(apart_indexes._incomplete(model) for model in RANGE)


def test_only_unique_ones_are_made_before_the_rows_are_seen(always_apart):
    complete = indexes("recon_statementline")
    with indexes_afterwards():
        with indexes_afterwards():
            load_rows(StatementLine, rows(1, 2))
        assert StatementLine.objects.count() == 2
        assert indexes(TABLE) == complete - 2  # nor that of positions, which are in step with the ids
        twice = rows(11, 2).set_column(5, "position", pa.array([1, 1], pa.int64()))
        with pytest.raises(IntegrityError), transaction.atomic():
            load_rows(StatementLine, twice)
    assert indexes(TABLE) == complete
    assert all_there()


def test_what_checks_say_holds_before_the_database_has_looked_at_every_row(always_apart):
    with indexes_afterwards():
        with pytest.raises(IntegrityError, match="line_currency_shape"), transaction.atomic():
            load_rows(StatementLine, rows(1, 2, currency="eur"))
        with pytest.raises(IntegrityError, match="line_position_from_one"), transaction.atomic():
            load_rows(StatementLine, rows(1, 2).set_column(5, "position", pa.array([1, 0], pa.int64())))
        load_rows(StatementLine, rows(1, 2))
        with connection.cursor() as cursor:
            assert "own_line_currency_shape" in unseen_checks(cursor, TABLE)
        with pytest.raises(IntegrityError, match="line_currency_shape"), transaction.atomic():
            StatementLine.objects.filter(pk=1).update(currency="eur")
        assert not all_there()
    with connection.cursor() as cursor:
        assert not unseen_checks(cursor, TABLE)
    assert all_there()


def test_a_position_is_there_once_before_its_index_is_and_can_change_after_it(always_apart):
    with indexes_afterwards():
        load_rows(StatementLine, rows(1, 3))
        with pytest.raises(IntegrityError, match="in_step"), transaction.atomic():
            StatementLine.objects.filter(pk=1).update(position=2)
        move_lines([(1, 5)], 8)  # a new issue takes a line over meanwhile
        with pytest.raises(IntegrityError, match="recon_statementline_1_3_"), transaction.atomic():
            StatementLine.objects.filter(pk=2).update(position=3)
    assert [*StatementLine.objects.order_by("pk").values_list("statement_number", "position")] == [
        (8, 5),
        (7, 2),
        (7, 3),
    ]
    assert indexes("recon_statementline_1_3") == indexes("recon_statementline")
    assert all_there()


def make_and_leave() -> None:
    make_missing(StatementLine)
    connection.close()


def test_a_check_that_stood_for_an_index_goes_when_nobody_reads_the_table(committed, caplog):
    with indexes_afterwards():
        load_rows(StatementLine, rows(1, 2))
        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            assert StatementLine.objects.count() == 2
            pool.submit(copy_context().run, make_and_leave).result()
            assert "another time" in caplog.text
        assert indexes(TABLE) == indexes("recon_statementline")
        assert not all_there()
    assert all_there()


def test_a_new_issue_waits_for_who_reads_what_was_loaded_a_moment_ago(committed):
    def replace_and_leave() -> None:
        try:
            move_lines([(1, 5)], 8)
        finally:
            connection.close()

    with indexes_afterwards():
        load_rows(StatementLine, rows(1, 2))
        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            assert StatementLine.objects.count() == 2
            with pytest.raises(Refused, match="try again"):
                pool.submit(copy_context().run, replace_and_leave).result()
    move_lines([(1, 5)], 8)
    assert StatementLine.objects.get(statement_number=8).position == 5


def test_they_are_made_if_what_came_between_went_wrong(always_apart):
    def loaded_and_killed() -> None:
        with indexes_afterwards():
            load_rows(StatementLine, rows(1, 2))
            raise KilledError

    with pytest.raises(KilledError):
        loaded_and_killed()
    assert indexes(TABLE) == indexes("recon_statementline")


def test_a_table_that_is_gone_by_then_is_forgotten(always_apart):
    with indexes_afterwards():
        load_rows(StatementLine, rows(1, 2))
        apart.drop_apart(StatementLine, 1, 2)
    assert tables_apart(StatementLine) == []


def test_so_many_rows_that_others_would_wait_for_long_are_indexed_at_once(always_apart, monkeypatch):
    monkeypatch.setattr(later, "MOST_INDEXED", 1)
    with indexes_afterwards():
        load_rows(StatementLine, rows(1, 2))
        assert indexes(TABLE) == indexes("recon_statementline")


def test_loads_on_another_connection_leave_them_too(committed):
    with indexes_afterwards():
        alongside(
            lambda: load_rows(StatementLine, rows(1, 2)),
            lambda: load_rows(StatementLine, rows(11, 2).set_column(3, "statement_number", pa.repeat(8, 2))),
        )
        assert not all_there()
    assert all_there()


def run_of_one_killed_before_its_indexes(practised, name: str) -> MatchingRun:
    with noted() as left:
        run = practised(name)
    assert {each.model for each in left} >= {*RANGE} - {OpenItem}  # of which it leaves too few
    assert not all_there()
    return run


def test_what_a_killed_process_has_left_the_worker_makes(practised, always_apart):
    run_of_one_killed_before_its_indexes(practised, "Killed")
    assert list(violations()) == []
    assert rows_without_index(LedgerEntry, LOOKED_UP_BY) > 0
    assert make_what_is_missing in {errand.do for errand in errands.ERRANDS}
    make_what_is_missing()
    assert all_there()
    assert rows_without_index(LedgerEntry, LOOKED_UP_BY) == 0


def test_the_worker_leaves_a_run_at_work_alone(practised, always_apart):
    run = run_of_one_killed_before_its_indexes(practised, "Killed")
    MatchingRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING)
    make_what_is_missing()
    assert not all_there()


def test_results_are_the_same_without_them(practised, always_apart, monkeypatch, alice):
    """Another run of such an account, its reversal, and taking its statement back, in the moment before they come."""
    first = run_of_one_killed_before_its_indexes(practised, "First")
    usual = outcome(first)
    with noted():
        reverse_run(actor(alice), first)
        assert list(violations()) == []
        second = practised("Second")
        assert outcome(second) == usual
    statement = Statement.objects.get(pk=first.statement_id)
    discard_statement(actor(alice), statement)
    statement.refresh_from_db()
    assert statement.state == LoadState.DISCARDED
    assert not apart_indexes._incomplete(MatchRow)  # it has asked for them
    assert Match.objects.filter(run_number=first.number).exists()
    assert list(violations()) == []


@pytest.mark.parametrize(("rows_a_microsecond", "narrowed"), [(1_000_000, True), (0.0001, False)])
def test_look_ups_that_would_go_through_too_many_rows_are_not_made(
    practised, always_apart, monkeypatch, rows_a_microsecond, narrowed
):
    """As long as a table has no index, reading all entries is sooner done than looking for many in it."""
    for name, value in {"SMALL": 1, "LOOK_UP": 0, "PROBE": 0, "LOOKED_THROUGH": rows_a_microsecond}.items():
        monkeypatch.setattr(pushdown, name, value)
    run = run_of_one_killed_before_its_indexes(practised, "Killed")
    assert bool(run.explanation["rows"].get("narrowed")) == narrowed
    assert run.lines_matched


def test_whoever_changes_rows_is_not_waited_for_long(committed, monkeypatch, caplog):
    monkeypatch.setattr(apart_indexes, "PATIENCE", "50ms")
    with noted():
        load_rows(StatementLine, rows(1, 2))

    def as_others() -> None:
        try:
            make_what_is_missing()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        StatementLine.objects.filter(pk=1).update(superseded=True)
        pool.submit(as_others).result(10)
    assert "made another time" in caplog.text
    assert not all_there()
    make_what_is_missing()
    assert all_there()


def test_two_who_make_the_same_indexes_do_not_meet(committed):
    with noted():
        load_rows(StatementLine, rows(1, 2))

    def as_others() -> None:
        try:
            apart_indexes.complete_later(StatementLine, TABLE)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(as_others) for _ in range(3)]:
            done.result(10)
    assert all_there()
    assert indexes(TABLE) == indexes("recon_statementline")
