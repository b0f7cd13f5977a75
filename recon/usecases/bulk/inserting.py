"""New records of several kinds in one go, for runs so small that each statement counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model
from django.db.models.fields.files import FieldFile


def insert_new(records: Sequence[Model]) -> None:
    """Insert records that are new, in this order; PostgreSQL gets all of them with one message. To be called in a
    transaction. Keys that the database makes are not read back, and no signals are sent."""
    if not connection.in_atomic_block:
        raise RuntimeError("several records are inserted in one transaction or not at all")
    database = connections[connection.alias]  # itself: a thousand fields ask it, and would look it up each time
    inserts = [(model, list(some)) for model, some in groupby(records, type)]
    with transaction.atomic(savepoint=False), database.cursor() as cursor:
        if database.vendor == "postgresql":
            statements = [_insert_from_json(model) for model, _ in inserts]
            cursor.execute("; ".join(statements), [_as_json(model, some) for model, some in inserts])
        else:
            for model, some in inserts:
                values = [value for each in some for value in _values(model, each, database)]
                row = f"({', '.join(['%s'] * len(_fields(model)))})"
                cursor.execute(f"{_into(model)} VALUES {', '.join([row] * len(some))}", values)
    for record in records:
        record._state.adding, record._state.db = False, database.alias


def _values(model: type[Model], record: Model, database: BaseDatabaseWrapper) -> list[Any]:
    return [field.get_db_prep_save(field.pre_save(record, True), database) for field in _fields(model)]


def _as_json(model: type[Model], records: Iterable[Model]) -> str:
    """The records as one value: the driver takes longer to write down a hundred of theirs."""
    fields = [(str(field.column), field.pre_save) for field in _fields(model)]
    return json.dumps([{name: value(record, True) for name, value in fields} for record in records], default=_in_text)


def _in_text(value: Any) -> str:
    """What JSON has no form of, as the database reads it."""
    if isinstance(value, date):  # instants too, with their zone
        return value.isoformat()
    if isinstance(value, FieldFile):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not inserted this way")


@lru_cache(maxsize=64)
def _fields(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    """What is written: all but a key that the database makes."""
    return tuple(field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field)


@lru_cache(maxsize=64)
def _into(model: type[Model]) -> str:
    return f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({_columns(model)})"


@lru_cache(maxsize=64)
def _insert_from_json(model: type[Model]) -> str:
    table = connection.ops.quote_name(model._meta.db_table)
    # In the order of the list, by which keys are made: rows of a function are taken as they come.
    return f"{_into(model)} SELECT {_columns(model)} FROM jsonb_populate_recordset(NULL::{table}, %s)"  # noqa: S608


def _columns(model: type[Model]) -> str:
    return ", ".join(connection.ops.quote_name(str(field.column)) for field in _fields(model))
