"""New records of several kinds in one go, for runs so small that each statement counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.db import connection, transaction
from django.db.models import Field, Model


def insert_new(records: Sequence[Model]) -> None:
    """Insert records that are new, in this order; PostgreSQL gets all of them with one message. To be called in a
    transaction. Keys that the database makes are not read back, and no signals are sent."""
    if not connection.in_atomic_block:
        raise RuntimeError("several records are inserted in one transaction or not at all")
    asked = [_insert(model, list(some)) for model, some in groupby(records, type)]
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("; ".join(sql for sql, _ in asked), [value for _, values in asked for value in values])
        else:
            for sql, values in asked:
                cursor.execute(sql, values)
    for record in records:
        record._state.adding, record._state.db = False, connection.alias


def _insert(model: type[Model], records: Sequence[Model]) -> tuple[str, list[Any]]:
    fields, into = _into(model)
    values = [
        field.get_db_prep_save(field.pre_save(record, True), connection) for record in records for field in fields
    ]
    row = f"({', '.join(['%s'] * len(fields))})"
    return f"{into} VALUES {', '.join([row] * len(records))}", values


@lru_cache(maxsize=64)
def _into(model: type[Model]) -> tuple[tuple[Field[Any, Any], ...], str]:
    """The columns that are written, and the beginning of the statement."""
    made_here = [field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field]
    quoted = ", ".join(connection.ops.quote_name(field.column or field.name) for field in made_here)
    return tuple(made_here), f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({quoted})"
