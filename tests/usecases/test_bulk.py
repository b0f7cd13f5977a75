"""Rows go in and come out as they are, on either database, inside and outside a transaction."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from django.db import IntegrityError, connection, transaction

from recon.models import Claim, LedgerEntry, MatchRow, StatementLine
from recon.usecases.bulk.rows import arrow_schema, load_rows, read_queryset, read_rows

COLUMNS = [
    "id", "units", "scale", "currency", "booking_date", "value_date", "booked_at", "reference", "description",
    "extra", "statement_number", "account_id", "position", "superseded",
]  # fmt: skip

AWKWARD_TEXTS = [
    "plain",
    "",  # empty is not null
    None,
    'quoted "twice"',
    "comma, semicolon; tab\t",
    "two\nlines",
    "carriage\r\nreturn",
    "a line of its own\n\\.\nthat COPY could take for the end",
    "\\N",
    "\\.",
    "NULL",
    "Ünïcödé 借 🏦",
    "  kept spaces  ",
    "100%",
    "%s",
]


def lines(texts: list[str | None]) -> pa.Table:
    count = len(texts)
    return pa.table(
        {
            "id": pa.array(range(1, count + 1), pa.int64()),
            "units": pa.array([10**18 - 1 if n % 2 else -(10**18 - 1) for n in range(count)], pa.int64()),
            "scale": pa.array([n % 10 for n in range(count)], pa.int16()),
            "currency": pa.array(["EUR"] * count),
            "booking_date": pa.array([date(1, 1, 1) if n % 2 else None for n in range(count)], pa.date32()),
            "value_date": pa.array([date(9999, 12, 31)] * count, pa.date32()),
            "booked_at": pa.array(
                [None if n % 3 else datetime(2026, 2, 28, 23, 59, 59, n, tzinfo=UTC) for n in range(count)],
                pa.timestamp("us", tz="UTC"),
            ),
            "reference": pa.array(texts, pa.string()),
            "description": pa.array(texts[::-1], pa.string()),
            "extra": pa.array([None] * count, pa.string()),
            "statement_number": pa.array([1] * count, pa.int64()),
            "account_id": pa.array([1] * count, pa.int64()),
            "position": pa.array(range(1, count + 1), pa.int64()),
            "superseded": pa.array([bool(n % 2) for n in range(count)], pa.bool_()),
        }
    )


def stored() -> pa.Table:
    return read_queryset(StatementLine.objects.order_by("position"), COLUMNS)


def test_what_goes_in_comes_out_inside_a_transaction(db):
    load_rows(StatementLine, lines(AWKWARD_TEXTS))
    assert stored().to_pylist() == lines(AWKWARD_TEXTS).to_pylist()


@pytest.mark.django_db(transaction=True)
def test_what_goes_in_comes_out_outside_a_transaction():
    load_rows(StatementLine, lines(AWKWARD_TEXTS), chunk=4)
    assert stored().to_pylist() == lines(AWKWARD_TEXTS).to_pylist()


def test_the_orm_reads_what_was_loaded(db):
    load_rows(StatementLine, lines(AWKWARD_TEXTS))
    line = StatementLine.objects.get(pk=4)
    assert (line.reference, line.booked_at) == ('quoted "twice"', datetime(2026, 2, 28, 23, 59, 59, 3, tzinfo=UTC))
    assert StatementLine.objects.filter(booked_at=datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)).count() == 1
    assert (line.booking_date, line.value_date, line.superseded) == (date(1, 1, 1), date(9999, 12, 31), True)


def test_columns_that_are_not_given_get_the_models_default(db):
    entry = pa.table(
        {"id": [1], "units": [5], "currency": ["EUR"], "created_at": [datetime(2026, 1, 1, tzinfo=UTC)]},
        schema=arrow_schema(LedgerEntry, ["id", "units", "currency", "created_at"]),
    )
    load_rows(LedgerEntry, entry)
    assert LedgerEntry.objects.values_list("scale", "status", "reference").get() == (2, "", None)


def test_a_row_the_database_refuses_is_not_lost_in_silence(db):
    rows = lines(["a", "b"]).set_column(3, "currency", pa.array(["EUR", "eur"]))
    with pytest.raises(IntegrityError), transaction.atomic():
        load_rows(StatementLine, rows)
    assert StatementLine.objects.count() == 0


def test_progress_hears_of_every_chunk(db):
    heard: list[int] = []
    load_rows(StatementLine, lines(["x"] * 10), chunk=4, progress=heard.append)
    assert heard == [4, 8, 10]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite hands rows out one by one")
@pytest.mark.django_db(transaction=True)
def test_a_query_that_thinks_for_long_can_be_stopped():
    class TooLongError(Exception):
        pass

    began = time.monotonic()

    def impatient(rows: int) -> None:
        if time.monotonic() - began > 0.2:
            raise TooLongError

    schema = pa.schema([pa.field("nothing", pa.string())])
    with pytest.raises(TooLongError):
        read_rows("SELECT pg_sleep(60)::text", [], schema, impatient)
    assert time.monotonic() - began < 30


def test_no_rows_are_a_table_too(db):
    load_rows(StatementLine, lines([]))
    assert stored().num_rows == 0
    assert stored().schema.equals(arrow_schema(StatementLine, COLUMNS))


def test_a_single_column_of_nulls_keeps_its_rows(db):
    load_rows(StatementLine, lines(["a", "b"]))
    table = read_rows("SELECT extra FROM recon_statementline ORDER BY id", [], arrow_schema(StatementLine, ["extra"]))
    assert table.to_pydict() == {"extra": [None, None]}


def test_parameters_are_data_never_sql(db):
    load_rows(StatementLine, lines(AWKWARD_TEXTS))
    schema = arrow_schema(StatementLine, ["id"])
    for position, text in enumerate(AWKWARD_TEXTS, start=1):
        if text is not None:
            found = read_rows("SELECT id FROM recon_statementline WHERE reference = %s", [text], schema)
            assert found["id"].to_pylist() == [position]


@pytest.mark.parametrize("model", [Claim, MatchRow])
def test_tables_with_a_key_of_several_columns_load(db, model):
    names = [field.column for field in model._meta.local_concrete_fields]
    values = {name: pa.array([7], arrow_schema(model, [name])[0].type) for name in names if name != "side"}
    load_rows(model, pa.table({**values, "side": pa.array([1], pa.int16())}))
    assert model.objects.get().row_id == 7
    assert connection.in_atomic_block
