"""Rows by the million between Arrow and the database: COPY on PostgreSQL, many rows a statement on SQLite.

SQLite is only ever opened by Python's own sqlite3. A second copy of the SQLite library in this process, such as the
one inside ADBC's driver, would drop the first one's file locks when it closes and delete the write-ahead log under
open connections: commits that were acknowledged are then gone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, Final

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pyarrow.csv
from django.db import connection, models, transaction
from psycopg.conninfo import make_conninfo

from recon.usecases.bulk.among import Among, without_needless
from recon.usecases.bulk.apart import APART_FROM, Join, empty_columns, load_apart, load_pieces_apart, may_load_apart
from recon.usecases.bulk.copy_format import HEAD, TAIL, binary_rows, in_copy_order
from recon.usecases.bulk.embedded_indexes import large_load
from recon.usecases.bulk.embedded_load import insert_rows
from rules.kept_queries import kept_cursor

CHUNK: Final = 100_000
"""Rows per transaction on SQLite: heartbeats, cancels and other small writes get in between."""

FETCHED: Final = 5_000
"""Rows that SQLite hands over at a time; the objects of many more are out of the processor's reach when they are
looked at again, which takes half as long again."""

_LITTLE: Final = 1 << 20
"""Bytes that are parsed sooner than threads have agreed about them."""

_ASK_EVERY: Final = 0.5  # seconds

STATISTICS_FROM: Final = 10_000
"""Rows that change a table enough for the planner to be told."""

Progress = Callable[[int], None]


_ARROW_TYPES: Final[tuple[tuple[type[models.Field[Any, Any]], pa.DataType], ...]] = (
    (models.BooleanField, pa.bool_()),
    (models.SmallIntegerField, pa.int16()),
    (models.BigIntegerField, pa.int64()),
    (models.BigAutoField, pa.int64()),
    (models.IntegerField, pa.int32()),
    (models.DateTimeField, pa.timestamp("us", tz="UTC")),
    (models.DateField, pa.date32()),
    (models.TextField, pa.string()),
    (models.CharField, pa.string()),
)


def arrow_schema(model: type[models.Model], columns: Sequence[str]) -> pa.Schema:
    """The Arrow types of a model's columns, for `read_rows`."""
    return pa.schema([pa.field(name, _arrow_type(model, name)) for name in columns])


@lru_cache(maxsize=1024)
def _arrow_type(model: type[models.Model], column: str) -> pa.DataType:
    field = model._meta.get_field(column)
    return next(arrow for kind, arrow in _ARROW_TYPES if isinstance(field, kind))


def load_rows(
    model: type[models.Model],
    table: pa.Table,
    *,
    chunk: int = CHUNK,
    progress: Progress | None = None,
    join: Join | None = None,
    hold: Callable[[], None] | None = None,
) -> None:
    """Append a table to a model's database table. Columns are named as in the database; columns that are not given
    get the model's constant default, else null.

    All or nothing on PostgreSQL and inside a transaction. Outside one, SQLite commits every `chunk` rows: the caller
    keeps the rows invisible until all have arrived. `progress` hears how many rows have gone in. `join`: what makes a
    table of their own part of the model's, if not at once. `hold` is called in each transaction, and may raise; what
    it locks is not locked for long.
    """
    table, heard = _as_stored(model, _with_defaults(model, table)), progress or _unheard
    name = model._meta.db_table
    if connection.vendor != "postgresql":
        with large_load(model, table.num_rows, chunk, heard) as at_a_time:
            return insert_rows(name, table, at_a_time, heard, hold)
    with transaction.atomic(savepoint=False):
        if not load_apart(model, table, lambda apart, rest: _copy_in(apart, rest, chunk, heard, frozen=True), join):
            _copy_in(name, table, chunk, heard)
            if table.num_rows >= STATISTICS_FROM:
                refresh_statistics(model)
        if hold is not None:
            hold()
    return None


def load_pieces(model: type[models.Model], pieces: Iterable[pa.Table]) -> int:
    """Append tables as they come, however many; returns the number of rows. Only some of them are in memory at a time.

    Many have ids in one block, and get a table of their own on PostgreSQL as with `load_rows`. As there: outside a
    transaction SQLite commits every piece, and the caller keeps the rows invisible.
    """
    held, rest, known = list[pa.Table](), iter(pieces), 0
    for piece in rest:
        held.append(piece)
        known += piece.num_rows
        if known >= APART_FROM:
            break
    ready = (_as_stored(model, _with_defaults(model, each)) for each in _in_turn(held, rest))
    if connection.vendor != "postgresql":
        with large_load(model, known, CHUNK, _unheard) as at_a_time:
            return _load_each(insert_rows, model, ready, at_a_time)
    if may_load_apart(model, known):
        return load_pieces_apart(model, ready, partial(_copy_in, chunk=CHUNK, progress=_unheard, frozen=True))
    done = _load_each(_copy_in, model, ready, CHUNK)
    if done >= STATISTICS_FROM:
        refresh_statistics(model)
    return done


def _load_each(load: Callable[..., None], model: type[models.Model], tables: Iterable[pa.Table], chunk: int) -> int:
    done = 0
    for table in tables:
        load(model._meta.db_table, table, chunk, _unheard)
        done += table.num_rows
    return done


def _in_turn(held: list[pa.Table], rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Both, letting go of each table that was held."""
    while held:
        yield held.pop(0)
    yield from rest


def refresh_statistics(model: type[models.Model]) -> None:
    """Have PostgreSQL look at a table that has just grown, once the present transaction is over.

    Until its own look a minute later the planner would take the table for empty and join it row by row: reading what
    is open beside 20,000 fresh claims took half a minute instead of a moment. Not inside the transaction, whose lock
    on the table would make loads wait for each other.
    """
    if connection.vendor == "postgresql":
        transaction.on_commit(lambda: _analyze(model._meta.db_table))


def _analyze(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")


def _unheard(rows: int) -> None:
    """Nobody asked for progress."""


def _with_defaults(model: type[models.Model], table: pa.Table) -> pa.Table:
    for field in model._meta.local_concrete_fields:
        if field.column not in table.column_names and field.has_default() and not callable(field.default):
            constant = pa.repeat(pa.scalar(field.default, _arrow_type(model, field.name)), table.num_rows)
            table = table.append_column(field.column, constant)
    return table


def _as_stored(model: type[models.Model], table: pa.Table) -> pa.Table:
    """The columns with the types of the database's. Raises pyarrow.ArrowInvalid for a value that does not fit."""
    fields = {field.column: field.name for field in model._meta.local_concrete_fields}
    return table.cast(pa.schema([(name, _arrow_type(model, fields[name])) for name in table.column_names]))


def _pieces(table: pa.Table, chunk: int) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, chunk):
        yield table.slice(start, chunk)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(connection.ops.quote_name(column) for column in columns)


# --- PostgreSQL -------------------------------------------------------------------------------------------------


def _copy_in(target: str, table: pa.Table, chunk: int, progress: Progress, *, frozen: bool = False) -> None:
    """In a table made in this transaction rows can be `frozen`: their first readers then need not write them once
    more."""
    done = 0
    # What is null throughout is null without being sent; a table needs one column at least.
    table = in_copy_order(table.drop_columns(empty_columns(table)))
    statement = f"COPY {target} ({_names(table.column_names)}) FROM STDIN (FORMAT binary, FREEZE {frozen})"
    atomic = transaction.atomic(savepoint=False)
    with atomic, connection.wrap_database_errors, connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(HEAD)
            for piece in _pieces(table, chunk):
                copy.write(binary_rows(piece))
                done += piece.num_rows
                progress(done)
            copy.write(TAIL)
        if cursor.rowcount != table.num_rows:
            raise RuntimeError(f"{target}: {table.num_rows} rows were sent and {cursor.rowcount} arrived")


def _copy_out(sql: str, params: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """On Django's own connection: sees what the open transaction has written."""
    with connection.cursor() as cursor:
        composed = cursor.mogrify(sql, params)  # Django's cursor for debugging copies without parameters only
        with cursor.copy(f"COPY ({composed}) TO STDOUT (FORMAT csv)") as copy:
            text = b"".join(copy)
    if not text:
        return schema.empty_table()
    return pyarrow.csv.read_csv(
        pa.py_buffer(text),
        pyarrow.csv.ReadOptions(column_names=schema.names, use_threads=len(text) > _LITTLE),
        pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        pyarrow.csv.ConvertOptions(
            column_types=schema,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,  # nothing is null, "" is the empty text
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _fetch_few(sql: str, params: Sequence[Any], schema: pa.Schema, kept: bool) -> pa.Table:
    """As `_copy_out`, for few rows: COPY hands them over one by one, which takes longer than reading them. Instants
    come as numbers, for psycopg reads them in Python."""
    instants = [pa.types.is_timestamp(each.type) for each in schema]
    names = [connection.ops.quote_name(name) for name in schema.names]
    chosen = ", ".join(
        f"(extract(epoch FROM {name}) * 1000000)::bigint" if is_instant else name
        for name, is_instant in zip(names, instants, strict=True)
    )
    with kept_cursor() if kept else connection.cursor() as cursor:
        cursor.execute(f"SELECT {chosen} FROM ({sql}) AS few_rows ({', '.join(names)})", params)  # noqa: S608
        columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(schema)
    kinds = [pa.int64() if is_instant else each.type for each, is_instant in zip(schema, instants, strict=True)]
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)], schema.names).cast(
        schema
    )


def _fetch_arrow(
    sql: str, params: Sequence[Any], schema: pa.Schema, progress: Progress, among: Among | None
) -> pa.Table:
    """On a connection of its own: half the time of COPY, but sees only what is committed."""
    with connection.cursor() as cursor:
        composed = cursor.mogrify(sql, params)
    wanted = {"host", "port", "dbname", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "service",
              "options"}  # fmt: skip
    target = {key: value for key, value in connection.get_connection_params().items() if key in wanted}
    with (
        adbc_driver_postgresql.dbapi.connect(make_conninfo(**target)) as own,
        own.cursor() as cursor,
        _stopped_by(progress, cursor.adbc_cancel) as heard,
    ):
        same = dict[str, pa.Scalar]()
        if among:
            composed, same = without_needless(cursor, composed, among, schema)
        sent = [name for name in schema.names if name not in same]
        if same:
            composed = f"SELECT {_names(sent)} FROM ({composed}) AS chosen ({_names(schema.names)})"  # noqa: S608
        cursor.execute(composed)
        arriving = cursor.fetch_record_batch()
        table = pa.Table.from_batches(_heard(arriving, heard), arriving.schema).rename_columns(sent)
    for name, value in same.items():
        table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table.select(schema.names).cast(schema)


@contextmanager
def _stopped_by(progress: Progress, cancel: Callable[[], None]) -> Iterator[Progress]:
    """What hears of rows instead of `progress`, which is told again every half second, also while a query thinks.

    If it raises then, the query is cancelled, and the error is that of `progress`.
    """
    over, stopped = threading.Event(), list[Exception]()
    done = 0

    def heard(rows: int) -> None:
        nonlocal done
        done = rows
        progress(rows)

    def ask() -> None:
        while not over.wait(_ASK_EVERY):
            try:
                progress(done)
            except Exception as error:  # noqa: BLE001 - whatever it is, the reader raises it
                stopped.append(error)
                cancel()
                return

    asking = threading.Thread(target=ask, name="read-watcher", daemon=True)
    asking.start()
    try:
        yield heard
    except Exception:
        if stopped:
            raise stopped[0] from None
        raise
    finally:
        over.set()
        asking.join()


def _heard(batches: Iterable[pa.RecordBatch], progress: Progress) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        done += batch.num_rows
        progress(done)
        yield batch


# --- SQLite -----------------------------------------------------------------------------------------------------


def _fetch_many(sql: str, params: Sequence[Any], schema: pa.Schema, progress: Progress) -> pa.Table:
    # A unary plus hides the declared type: with it, sqlite3 would build a Python object from every date and flag.
    bare = ", ".join(f"+{connection.ops.quote_name(name)}" for name in schema.names)
    batches, few, done = list[pa.RecordBatch](), list[pa.RecordBatch](), 0
    with connection.cursor() as cursor:
        cursor.execute(f"WITH bulk_rows ({_names(schema.names)}) AS ({sql}) SELECT {bare} FROM bulk_rows", params)  # noqa: S608
        while rows := cursor.fetchmany(FETCHED):
            columns = zip(*rows, strict=True)
            arrays = [_from_sqlite(column, field.type) for column, field in zip(columns, schema, strict=True)]
            few.append(pa.record_batch(arrays, schema=schema))
            done += len(rows)
            if done % CHUNK == 0:
                batches += _together(few)
                progress(done)
    if few:
        batches += _together(few)
        progress(done)
    return pa.Table.from_batches(batches, schema=schema)


def _together(few: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The rows of all in one; they are taken out of the list."""
    whole: list[pa.RecordBatch] = pa.Table.from_batches(few).combine_chunks().to_batches()
    few.clear()
    return whole


def _from_sqlite(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array(values, pa.int8()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(kind)
    return pa.array(values, kind)


# --- either -----------------------------------------------------------------------------------------------------


def read_rows(
    sql: str,
    params: Sequence[Any],
    schema: pa.Schema,
    progress: Progress | None = None,
    *,
    few: bool = False,
    kept: bool = False,
    among: Among | None = None,
) -> pa.Table:
    """The rows of a query as Arrow. Placeholders are ``%s``; columns come in the order of `schema` and take its names
    and types (see `arrow_schema`). Sees what an open transaction has written. `progress` hears how many rows have
    come, and may raise to stop. `few`: so few that a new connection (60 ms) would take longer than they do.
    `kept`: few rows whose query is asked often, with the same text (see `kept_cursor`).
    `among`: what it chooses from, worth a look before millions."""
    if connection.vendor == "sqlite":
        return _fetch_many(sql, params, schema, progress or _unheard)
    if few or kept:
        return _fetch_few(sql, params, schema, kept)
    if connection.in_atomic_block:
        return _copy_out(sql, params, schema)
    return _fetch_arrow(sql, params, schema, progress or _unheard, among)


def listed(ids: Sequence[int]) -> str:
    """Ids as one parameter of a query: an array's text on PostgreSQL (``unnest(%s::bigint[])``), as which the driver
    would write them one by one; JSON on SQLite (``json_each``)."""
    return json.dumps(list(ids)) if connection.vendor == "sqlite" else f"{{{','.join(map(str, ids))}}}"


def read_queryset(rows: models.QuerySet[Any, Any], columns: Sequence[str], *, few: bool = False) -> pa.Table:
    """The given columns of a queryset as Arrow; `few` as for `read_rows`."""
    sql, params = rows.values_list(*columns).query.sql_with_params()
    return read_rows(sql, params, arrow_schema(rows.model, columns), few=few)
