"""Large loads into SQLite: indexes go and come back, keys hold, and whoever is killed in between leaves no harm."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from recon import errands
from recon.models import LedgerEntry, Match, OpenItem, RunKind, RunState, StatementLine
from recon.usecases.bulk import apart, embedded_indexes, embedded_load, giving_up
from recon.usecases.bulk import rows as bulk
from recon.usecases.bulk.afterwards import indexes_afterwards
from recon.usecases.bulk.embedded_indexes import mend_indexes
from recon.usecases.bulk.laid_out import LONGEST_TEXT
from recon.usecases.bulk.rows import load_pieces, load_rows
from recon.usecases.events import Actor
from recon.usecases.imports.rows import tidy_up_after_loads
from recon.usecases.integrity import violations
from recon.usecases.runs.execution import execute_run
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import reverse_run
from tests import migrated

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite is loaded like this")


class ClickedCancelError(Exception):
    """Somebody wants a load to stop."""


@pytest.fixture
def always_large(monkeypatch, db):
    """Even a few rows are a large load."""
    monkeypatch.setattr(embedded_indexes, "ASIDE_FROM", 1)


def rows(count: int, first: int = 1) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "units": pa.array(numbers, pa.int64()),
            "currency": pa.repeat("EUR", count),
            "statement_number": pa.repeat(7, count),
            "account_id": pa.repeat(1, count),
            "position": pa.array(numbers, pa.int64()),
            "description": pa.array([None if number == first else "it's 100% odd ?1" for number in numbers]),
        }
    )


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize("count", [1, 199, 200, 201, 1_003])
@pytest.mark.parametrize("converted", [150, 20_000])
def test_all_rows_arrive_however_many_fit_into_a_statement(always_large, monkeypatch, count, converted):
    monkeypatch.setattr(embedded_load, "CONVERTED", converted)
    load_rows(StatementLine, rows(count), chunk=500)
    stored = StatementLine.objects.order_by("id").values_list("units", "currency", "description", "superseded")
    assert list(stored) == [(n, "EUR", "it's 100% odd ?1" if n > 1 else None, False) for n in range(1, count + 1)]


@pytest.fixture
def laid_out(monkeypatch, transactional_db):
    """Even a few rows are laid out, outside a transaction."""
    monkeypatch.setattr(embedded_indexes, "ASIDE_FROM", 1)
    monkeypatch.setattr(embedded_load, "LAID_OUT_FROM", 1)


def test_rows_that_are_laid_out_arrive_as_others_do(laid_out, monkeypatch):
    taken_over = in_order(monkeypatch, embedded_load, "_take_over")
    monkeypatch.setattr(embedded_load, "CONVERTED", 50)
    texts = ["even", "texts", None, "", "much longer than others", "x" * (LONGEST_TEXT + 1), "it's 100% odd ?1"]
    given = rows(350).set_column(6, "description", pa.array([texts[number // 50] for number in range(350)]))
    given = given.append_column("booking_date", pa.array([date(2026, 1, 1 + n % 28) for n in range(350)], pa.date32()))
    load_rows(StatementLine, given, chunk=50)
    columns = ["id", "units", "currency", "description", "booking_date"]
    assert list(StatementLine.objects.order_by("id").values(*columns)) == given.select(columns).to_pylist()
    assert taken_over == [50] * 6  # all but the ones with a text that is too long


def test_keys_hold_for_rows_that_are_laid_out_and_what_was_stored_before_stays(laid_out):
    given = rows(300)
    twice = pa.array([*range(1, 300), 1], pa.int64())
    with pytest.raises(IntegrityError):
        load_rows(StatementLine, given.set_column(given.column_names.index("position"), "position", twice), chunk=100)
    assert StatementLine.objects.count() == 200
    StatementLine.objects.all().delete()
    load_rows(StatementLine, given)  # nothing is left of the first attempt that would be in the way
    assert StatementLine.objects.count() == 300


def test_what_the_database_checks_it_checks_of_rows_that_are_laid_out(laid_out):
    given = rows(300)
    with pytest.raises(IntegrityError, match="line_currency_shape"):
        load_rows(StatementLine, given.set_column(2, "currency", pa.array(["EUR"] * 299 + ["eur"])))
    assert StatementLine.objects.count() == 0


def beside() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA database_list")
        return {name for _, name, _ in cursor.fetchall()} - {"main", "temp"}


def test_rows_are_laid_out_within_a_transaction_too_as_long_as_there_is_room(laid_out, monkeypatch):
    taken_over = in_order(monkeypatch, embedded_load, "_take_over")
    with transaction.atomic():
        load_rows(StatementLine, rows(9), chunk=1)
        load_rows(StatementLine, rows(10, first=10), chunk=1)
        load_rows(StatementLine, rows(10, first=20), chunk=1)
        load_rows(StatementLine, rows(10, first=30), chunk=1)
    assert taken_over == [2, 2, 2, 2, 1, 2, 2, 2]  # the rest came as values
    assert list(StatementLine.objects.order_by("id").values_list("id", "units")) == [(n, n) for n in range(1, 40)]
    assert beside() == set()


def test_what_a_transaction_that_was_rolled_back_has_laid_out_the_next_load_lets_go(laid_out):
    with transaction.atomic():
        load_rows(StatementLine, rows(10))
        transaction.set_rollback(True)
    assert beside()
    assert not StatementLine.objects.exists()
    load_rows(StatementLine, rows(10))
    assert StatementLine.objects.count() == 10
    assert beside() == set()


def in_order(monkeypatch, module, name: str) -> list[int]:
    """How many rows each call of a function was for."""
    original, heard = getattr(module, name), list[int]()

    def listening(statement, same, count):
        heard.append(count)
        return original(statement, same, count)

    monkeypatch.setattr(module, name, listening)
    return heard


def test_indexes_are_away_between_the_pieces_and_back_at_the_end(always_large):
    before, meanwhile = indexes(), list[set[str]]()
    load_rows(StatementLine, rows(10), chunk=4, progress=lambda done: meanwhile.append(before - indexes()))
    assert meanwhile == [{"line_account_date"}] * 3
    assert indexes() == before


def test_they_stay_where_the_table_holds_much_more_already(always_large):
    load_rows(StatementLine, rows(10))
    meanwhile: list[set[str]] = []
    load_rows(StatementLine, rows(4, first=11), progress=lambda done: meanwhile.append(indexes()))
    assert meanwhile == [indexes()]


def test_rows_that_come_in_pieces_are_a_large_load_too(always_large):
    before = indexes()
    pieces = (rows(5, first=1 + 5 * place).drop_columns(["statement_number", "position"]) for place in range(3))
    shaped = (piece.append_column("created_at", pa.repeat(NOW, 5)) for piece in pieces)
    assert load_pieces(LedgerEntry, shaped) == 15
    assert LedgerEntry.objects.count() == 15
    assert indexes() == before


NOW = pa.scalar(0, pa.timestamp("us", tz="UTC"))


@pytest.mark.parametrize("broken", ["position", "id"])
def test_keys_hold_during_the_load(always_large, broken):
    given = rows(300)
    twice = pa.array([*range(1, 300), 1], pa.int64())
    with pytest.raises(IntegrityError):
        load_rows(StatementLine, given.set_column(given.column_names.index(broken), broken, twice))
    assert StatementLine.objects.count() == 0


def test_what_a_load_that_failed_left_out_is_made_by_the_next_that_looks(always_large):
    before = indexes()

    def cancelled(done: int) -> None:
        raise ClickedCancelError

    with pytest.raises(ClickedCancelError):
        load_rows(StatementLine, rows(10), chunk=4, progress=cancelled)
    assert before - indexes() == {"line_account_date"}
    mend_indexes()
    assert indexes() == before


def test_a_load_can_be_stopped_while_an_index_is_made(always_large, monkeypatch):
    monkeypatch.setattr(giving_up, "_ASK_EVERY", 0)
    monkeypatch.setattr(giving_up, "_STEPS", 1)
    heard: list[int] = []

    def cancelled(done: int) -> None:
        heard.append(done)
        if len(heard) > 1:
            raise ClickedCancelError

    with pytest.raises(ClickedCancelError):
        load_rows(StatementLine, rows(10), progress=cancelled)
    assert heard == [10, 10]
    assert "line_account_date" not in indexes()
    mend_indexes()
    assert "line_account_date" in indexes()


def test_the_indexes_of_several_loads_are_made_when_all_are_over(always_large):
    before = indexes()
    with indexes_afterwards():
        with indexes_afterwards():
            load_rows(StatementLine, rows(4))
        load_rows(StatementLine, rows(4, first=5))
        mend_indexes()
        assert before - indexes() == {"line_account_date"}
    assert indexes() == before


def test_they_are_made_if_what_came_between_went_wrong(always_large):
    before = indexes()

    def loaded_and_cancelled() -> None:
        with indexes_afterwards():
            load_rows(StatementLine, rows(4))
            raise ClickedCancelError

    with pytest.raises(ClickedCancelError):
        loaded_and_cancelled()
    assert indexes() == before


def test_what_a_killed_process_left_out_the_worker_makes(always_large):
    before = indexes()
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX line_account_date")
    assert tidy_up_after_loads in {errand.do for errand in errands.ERRANDS}
    tidy_up_after_loads()
    assert indexes() == before


@pytest.mark.parametrize("table", ["recon_claim", "recon_matchrow"])
def test_what_is_nothing_but_its_key_is_kept_once(table, db):
    """If this fails after a migration: Django has made the table anew; see migration 0017."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [table])
        assert cursor.fetchone()[0].endswith("WITHOUT ROWID")


def test_a_run_whose_loads_are_all_large_comes_to_the_same(practised, monkeypatch):
    usual, before = practised("Usual"), indexes()
    monkeypatch.setattr(embedded_indexes, "ASIDE_FROM", 1)
    run = practised("Large")
    assert (run.lines_matched, run.totals) == (usual.lines_matched, usual.totals)
    assert list(violations()) == []
    assert indexes() == before


def test_a_large_reversal_and_a_large_run_after_it_come_to_the_same(practised, monkeypatch):
    def there_and_back(name: str) -> list[tuple[str, str, int]]:
        run = practised(name)
        reverse_run(Actor.command(), run)
        again = [used.version for used in run.run_rules.all()]
        second = start_run(Actor.command(), run.account, run.statement, again, kind=RunKind.BATCH, is_dry_run=False)
        execute_run(second.run_id)
        items = OpenItem.objects.filter(account_id=run.account_id).values_list("state", "reason")
        return sorted((*kind, count) for kind, count in Counter(items).items())

    usual, before = there_and_back("Usual"), indexes()
    monkeypatch.setattr(embedded_indexes, "ASIDE_FROM", 1)
    monkeypatch.setattr(embedded_indexes, "MOST_HELD", 100)
    monkeypatch.setattr(apart, "APART_FROM", 1)
    taken_away = whose_indexes_go(monkeypatch)
    assert there_and_back("Large") == usual
    assert {OpenItem, Match} <= taken_away
    assert list(violations()) == []
    assert indexes() == before


def whose_indexes_go(monkeypatch) -> set[type]:
    """The models whose indexes were taken away in a transaction that changed them."""
    taken, original = set[type](), embedded_indexes._take_away_indexes

    def listening(model):
        taken.add(model)
        original(model)

    monkeypatch.setattr(embedded_indexes, "_take_away_indexes", listening)
    return taken


def test_indexes_are_there_again_if_a_large_change_is_rolled_back(laid_out):
    before, meanwhile = indexes(), set[str]()

    def change() -> None:
        with transaction.atomic(), embedded_indexes.large_change(StatementLine, 5):
            meanwhile.update(indexes())
            raise ClickedCancelError

    with pytest.raises(ClickedCancelError):
        change()
    assert before - meanwhile == {"line_account_date"}
    assert indexes() == before


def test_a_run_that_is_cut_off_while_it_loads_leaves_all_indexes(practised, always_large, monkeypatch):
    first, before, meanwhile = practised("Cut off"), indexes(), list[set[str]]()
    monkeypatch.setattr(embedded_indexes, "MOST_HELD", 100)
    rules = [used.version for used in first.run_rules.all()]
    run = start_run(Actor.command(), first.account, first.statement, rules, kind=RunKind.BATCH, is_dry_run=True)

    def cut_off(*arguments) -> None:
        meanwhile.append(before - indexes())
        raise ClickedCancelError

    monkeypatch.setattr(bulk, "insert_rows", cut_off)
    execute_run(run.run_id)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert meanwhile == [{"unmatched_reason"}]
    assert indexes() == before


IMPORT = """
import os, signal, sys
import django
django.setup()
from recon.usecases.bulk import embedded_indexes
from recon.usecases.events import Actor
from recon.usecases.imports.importing import import_ledger
embedded_indexes.ASIDE_FROM = 1
def progress(done):
    if sys.argv[2] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
import_ledger(Actor.command(), None, open(sys.argv[1], "rb").read(), "ledger.csv", progress=progress)
"""


@pytest.mark.server
@pytest.mark.slow
def test_a_process_killed_in_the_middle_leaves_no_row_and_the_next_one_all_indexes(tmp_path: Path):
    file = tmp_path / "ledger.csv"
    lines = [f"E{n},{n}.00,2026-01-05,EUR,REF{n}" for n in range(1, 501)]
    file.write_text("\n".join(["id,amount,date,currency,reference", *lines]))
    database = tmp_path / "db.sqlite3"
    env = {
        **os.environ, "DATABASE_URL": f"sqlite:///{database}", "TIEOUT_DATA_DIR": str(tmp_path / "var"),
        "DJANGO_SETTINGS_MODULE": "recon.settings",
    }  # fmt: skip

    def run(*arguments: str) -> int:
        return subprocess.run([sys.executable, *arguments], env=env, cwd=settings.BASE_DIR).returncode

    def value(sql: str):
        with sqlite3.connect(database) as own:
            return own.execute(sql).fetchone()[0]

    shutil.copy(migrated.sqlite(), database)
    every_index = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'recon_ledgerentry'"
    before = value(every_index)
    assert run("-c", IMPORT, str(file), "dies") == -signal.SIGKILL
    assert value(every_index) < before
    assert value("SELECT count(*) FROM recon_ledgerimport WHERE state = 'ready'") == 0
    assert run("-c", IMPORT, str(file), "lives") == 0
    assert value(every_index) == before
    assert value("SELECT count(*) FROM recon_ledgerentry") == 500
    assert value("SELECT count(*) FROM recon_ledgerimport") == 1
