"""A load with a table of its own is a load like any other to whoever reads, changes or deletes its rows."""

from __future__ import annotations

from importlib import import_module

import pyarrow as pa
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from recon import errands
from recon.models import Claim, LedgerEntry, Match, MatchRow, OpenItem, StatementLine, UnmatchedItem
from recon.usecases.bulk import apart
from recon.usecases.bulk.apart import drop_apart
from recon.usecases.bulk.apart_indexes import mend_indexes
from recon.usecases.bulk.apart_tables import RANGE, tables_apart
from recon.usecases.bulk.rows import arrow_schema, load_pieces, load_rows
from recon.usecases.integrity import violations
from recon.usecases.review import open_items
from recon.usecases.runs import undo
from recon.usecases.runs.leftovers import discard
from recon.usecases.runs.lookups import SCALES, stored_scales
from recon.usecases.runs.undo import reverse_run
from tests.cast import actor

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has such tables")


@pytest.fixture
def always_apart(monkeypatch, db):
    """Even a single row gets a table of its own."""
    monkeypatch.setattr(apart, "APART_FROM", 1)


def rows(first: int, count: int, currency: str = "EUR") -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "units": pa.array(numbers, pa.int64()),
            "currency": pa.repeat(currency, count),
            "statement_number": pa.repeat(7, count),
            "account_id": pa.repeat(1, count),
            "position": pa.array(range(1, count + 1), pa.int64()),
            "description": pa.array([None if number == first else "it's 100% \\ odd" for number in numbers]),
        }
    )


def indexes(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass", [table])
        return cursor.fetchone()[0]


def test_no_check_of_a_model_is_one_that_tables_wait_for_before_they_join(db):
    for model in RANGE:
        inherited = [name for name, says in found(CHECKS, model._meta.db_table) if not says.endswith(" NO INHERIT")]
        assert not inherited, "a new check belongs to each table by itself: see migration 0024"


def test_its_rows_are_read_changed_and_deleted_through_the_model(always_apart):
    load_rows(StatementLine, rows(11, 3))
    load_rows(StatementLine, rows(21, 2).set_column(3, "statement_number", pa.repeat(8, 2)))
    assert [each.name for each in tables_apart(StatementLine)] == [
        "recon_statementline_11_13",
        "recon_statementline_21_22",
    ]
    assert list(StatementLine.objects.order_by("id").values_list("id", "scale", "superseded")) == [
        (number, 2, False) for number in (11, 12, 13, 21, 22)
    ]
    assert list(StatementLine.objects.order_by("id").values_list("description", flat=True)[:2]) == [
        None,
        "it's 100% \\ odd",
    ]
    assert StatementLine.objects.filter(pk=12).update(superseded=True) == 1
    assert StatementLine.objects.filter(pk=21).update(statement_number=99) == 1  # as a new issue of it does
    assert StatementLine.objects.filter(statement_number=7).delete()[0] == 3
    assert StatementLine.objects.count() == 2


def test_it_has_an_index_for_every_one_of_the_models_table(always_apart):
    load_rows(StatementLine, rows(1, 2))
    assert indexes("recon_statementline_1_2") == indexes("recon_statementline")


COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, attcollation FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attname
"""
CHECKS = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"
KEPT_ONCE = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND atthasmissing ORDER BY attname"


def found(sql: str, table: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [table])
        return cursor.fetchall()


def test_what_all_its_rows_have_in_common_is_written_once_and_checked_all_the_same(always_apart):
    load_rows(StatementLine, rows(1, 3))
    child, parent = "recon_statementline_1_3", "recon_statementline"
    assert found(COLUMNS, child) == found(COLUMNS, parent)
    checks = {(f"own_{name}", says) for name, says in found(CHECKS, parent)}
    assert checks
    assert set(found(CHECKS, child)) >= checks
    once = ["account_id", "currency", "scale", "statement_number", "superseded"]
    assert [name for (name,) in found(KEPT_ONCE, child)] == once
    StatementLine.objects.filter(pk=2).update(currency="USD", value_date="2026-01-31")
    assert list(StatementLine.objects.order_by("id").values_list("currency", flat=True)) == ["EUR", "USD", "EUR"]
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementLine.objects.filter(pk=1).update(currency="eur")
    with pytest.raises(IntegrityError, match="line_currency_shape"), transaction.atomic():
        load_rows(StatementLine, rows(4, 3, currency="eur"))
    assert StatementLine.objects.count() == 3


def test_a_long_text_that_all_its_rows_have_in_common_is_loaded_too(always_apart):
    text = "".join(chr(0x4E00 + place * 7919 % 20_000) for place in range(20_000))  # hardly to be compressed
    load_rows(StatementLine, rows(1, 2).set_column(6, "description", pa.repeat(text, 2)))
    assert set(StatementLine.objects.values_list("description", flat=True)) == {text}


def test_what_scales_entries_have_is_found_without_reading_them(always_apart):
    numbers = pa.array(range(1, 9001), pa.int64())
    scales = pa.array([number % 2 * 3 for number in range(9000)], pa.int16())
    made = {"currency": pa.repeat("EUR", 9000), "status": pa.repeat("APPLIED", 9000)}
    made["created_at"] = pa.repeat(pa.scalar(timezone.now(), pa.timestamp("us", tz="UTC")), 9000)
    load_rows(LedgerEntry, pa.table({"id": numbers, "units": numbers, "scale": scales, **made}))
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + SCALES)
        plan = "\n".join(step for (step,) in cursor.fetchall())
    assert "Index Only Scan using recon_ledgerentry_1_9000" in plan
    assert "Seq Scan on recon_ledgerentry_1_9000" not in plan
    assert stored_scales() == [0, 3]


def test_a_table_of_an_older_version_that_was_back_in_use_can_leave_the_models_table_too(always_apart):
    """That gave its checks the names that the model's table has."""
    load_rows(StatementLine, rows(1, 2))
    (child,) = tables_apart(StatementLine)
    with connection.cursor() as cursor:
        for name, _ in found(CHECKS, child.name):
            if name.startswith("own_"):
                cursor.execute(f"ALTER TABLE {child.name} RENAME CONSTRAINT {name} TO {name.removeprefix('own_')}")
        with connection.schema_editor() as editor:
            import_module("recon.migrations.0024_checks_of_each_table").separate(None, editor)
        cursor.execute(f"ALTER TABLE {child.name} NO INHERIT recon_statementline")


def test_what_all_its_rows_have_in_common_needs_no_index(always_apart):
    made_at = pa.repeat(pa.scalar(0, pa.timestamp("us", tz="UTC")), 2)
    entries = rows(1, 2).drop_columns(["statement_number", "position"]).append_column("created_at", made_at)
    load_rows(LedgerEntry, entries.append_column("import_number", pa.repeat(7, 2)))
    assert indexes("recon_ledgerentry_1_2") == indexes("recon_ledgerentry") - 2
    mend_indexes()
    assert indexes("recon_ledgerentry_1_2") == indexes("recon_ledgerentry") - 2
    entries = entries.set_column(0, "id", pa.array([3, 4], pa.int64()))
    load_rows(LedgerEntry, entries.append_column("import_number", pa.array([7, 8], pa.int64())))
    assert indexes("recon_ledgerentry_3_4") == indexes("recon_ledgerentry") - 1
    assert sorted(LedgerEntry.objects.filter(import_number=7).values_list("id", flat=True)) == [1, 2, 3]
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.filter(pk=1).update(api_reference="R-1")
    apart.merge_apart(LedgerEntry, tables_apart(LedgerEntry))
    assert indexes("recon_ledgerentry_1_4") == indexes("recon_ledgerentry")


def test_a_load_in_pieces_has_one_table_of_its_own(always_apart):
    assert load_pieces(StatementLine, [rows(1, 2), rows(3, 1).set_column(5, "position", pa.array([9]))]) == 3
    assert [each.name for each in tables_apart(StatementLine)] == ["recon_statementline_1_3"]
    assert indexes("recon_statementline_1_3") == indexes("recon_statementline")
    assert list(StatementLine.objects.order_by("id").values_list("id", "position", "superseded")) == [
        (1, 1, False), (2, 2, False), (3, 9, False),
    ]  # fmt: skip
    assert load_pieces(StatementLine, []) == 0
    drop_apart(StatementLine, 1, 3)
    assert StatementLine.objects.count() == 0


def test_what_the_table_refuses_is_refused_there_too(always_apart):
    with pytest.raises(IntegrityError), transaction.atomic():
        load_rows(StatementLine, rows(1, 2, currency="eur"))
    twice = rows(1, 2).set_column(5, "position", pa.array([1, 1], pa.int64()))
    with pytest.raises(IntegrityError), transaction.atomic():
        load_rows(StatementLine, twice)
    assert tables_apart(StatementLine) == []
    assert StatementLine.objects.count() == 0


def test_a_load_goes_into_the_large_table_when_there_are_many_small_ones(always_apart, monkeypatch):
    monkeypatch.setattr(apart, "MOST_APART", 1)
    load_rows(StatementLine, rows(1, 2))
    load_rows(StatementLine, rows(11, 2).set_column(3, "statement_number", pa.repeat(8, 2)))
    assert [each.name for each in tables_apart(StatementLine)] == ["recon_statementline_1_2"]
    assert StatementLine.objects.count() == 4


def test_neighbours_are_merged_when_there_are_too_many(always_apart, monkeypatch):
    monkeypatch.setattr(apart, "MOST_APART", 3)
    monkeypatch.setattr(apart, "MERGED", 2)
    for first, count in ((1, 9000), (10001, 2), (20001, 3)):
        rows_of_load = rows(first, count).set_column(3, "statement_number", pa.repeat(first, count))
        load_rows(StatementLine, rows_of_load)
    before = list(StatementLine.objects.order_by("id").values())
    apart.make_room()
    assert [each.name for each in tables_apart(StatementLine)] == [
        "recon_statementline_1_9000",
        "recon_statementline_10001_20003",
    ]
    assert list(StatementLine.objects.order_by("id").values()) == before
    assert indexes("recon_statementline_10001_20003") == indexes("recon_statementline")
    apart.make_room()
    assert len(tables_apart(StatementLine)) == 2


def test_a_migrations_new_index_reaches_it_and_a_lost_one_goes(always_apart):
    load_rows(StatementLine, rows(1, 2))
    before = indexes("recon_statementline_1_2")
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX of_a_migration ON recon_statementline (external_id)")
        mend_indexes()
        assert indexes("recon_statementline_1_2") == before + 1
        cursor.execute("DROP INDEX of_a_migration")
        mend_indexes()
        mend_indexes()
    assert indexes("recon_statementline_1_2") == before


def test_only_tables_within_the_range_are_dropped(always_apart):
    load_rows(StatementLine, rows(1, 2))
    drop_apart(StatementLine, 2, 10)
    drop_apart(StatementLine, 1, 1)
    assert StatementLine.objects.count() == 2
    drop_apart(StatementLine, 1, 2)
    assert StatementLine.objects.count() == 0


def test_a_single_row_of_constants_only_loads(always_apart):
    names = [str(field.column) for field in MatchRow._meta.local_concrete_fields]
    load_rows(MatchRow, pa.table({name: pa.array([1], arrow_schema(MatchRow, [name])[0].type) for name in names}))
    assert MatchRow.objects.get().row_id == 1


def outcome(run):
    """What a run stored, with rows counted from their load's first one."""
    first = {0: StatementLine.objects.filter(account_id=run.account_id).order_by("id")[0].pk}
    first[1] = LedgerEntry.objects.filter(account_id=run.account_id).order_by("id")[0].pk
    matches = {match.pk: match.state for match in Match.objects.filter(run_number=run.number)}
    placed = MatchRow.objects.filter(match_id__in=matches)
    left = UnmatchedItem.objects.filter(run_number=run.number)
    return (
        sorted((matches[each.match_id], each.side, each.row_id - first[each.side], each.units) for each in placed),
        sorted((each.side, each.row_id - first[each.side], each.reason) for each in left),
    )


def test_a_run_comes_to_the_same_and_can_be_reversed(practised, monkeypatch, alice):
    usual = outcome(practised("Usual"))
    monkeypatch.setattr(apart, "APART_FROM", 1)
    run = practised("Apart")
    assert {model for model in RANGE if tables_apart(model)} == set(RANGE)
    assert outcome(run) == usual
    assert list(violations()) == []
    monkeypatch.setattr(undo, "MANY", 0)
    monkeypatch.setattr(open_items, "MANY", 0)
    reverse_run(actor(alice), run)
    assert not Claim.objects.filter(account_id=run.account_id).exists()
    assert OpenItem.objects.unresolved().filter(account_id=run.account_id, side=0).count() == run.lines_total
    assert list(violations()) == []


def test_what_a_cut_off_attempt_loaded_apart_is_dropped(practised, always_apart):
    run = practised("Cut off")
    discard(run, lambda: None, lambda: None)
    assert outcome(run) == ([], [])
    assert tables_apart(Match) == tables_apart(MatchRow) == tables_apart(UnmatchedItem) == []


def test_making_room_is_an_errand_of_the_worker():
    assert apart.make_room in {errand.do for errand in errands.ERRANDS}
