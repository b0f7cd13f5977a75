"""New records of several kinds in one go, for runs so small that each statement counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model


def insert_new(records: Sequence[Model]) -> None:
    """Insert records that are new, in this order; PostgreSQL gets all of them with one message. To be called in a
    transaction. Keys that the database makes are not read back, and no signals are sent."""
    if not connection.in_atomic_block:
        raise RuntimeError("several records are inserted in one transaction or not at all")
    database = connections[connection.alias]  # itself: a thousand fields ask it, and would look it up each time
    with transaction.atomic(savepoint=False), database.cursor() as cursor:
        inserts = [(*_into(model), list(some)) for model, some in groupby(records, type)]
        if database.vendor == "postgresql":
            # Row by row: the driver knows such a short text already, and would take a long one apart each time.
            asked = [
                into + ", ".join([cursor.mogrify(row, _values(fields, each, database)) for each in some])
                for fields, into, row, some in inserts
            ]
            cursor.execute("; ".join(asked))
        else:
            for fields, into, row, some in inserts:
                values = [value for each in some for value in _values(fields, each, database)]
                cursor.execute(into + ", ".join([row] * len(some)), values)
    for record in records:
        record._state.adding, record._state.db = False, database.alias


def _values(fields: Sequence[Field[Any, Any]], record: Model, database: BaseDatabaseWrapper) -> list[Any]:
    return [field.get_db_prep_save(field.pre_save(record, True), database) for field in fields]


@lru_cache(maxsize=64)
def _into(model: type[Model]) -> tuple[tuple[Field[Any, Any], ...], str, str]:
    """The columns that are written, the beginning of the statement, and a row of it."""
    made_here = [field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field]
    quoted = ", ".join(connection.ops.quote_name(field.column or field.name) for field in made_here)
    row = f"({', '.join(['%s'] * len(made_here))})"
    table = connection.ops.quote_name(model._meta.db_table)
    return tuple(made_here), f"INSERT INTO {table} ({quoted}) VALUES ", row  # noqa: S608 - names of our own
