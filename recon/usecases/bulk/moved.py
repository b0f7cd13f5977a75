"""A large change of rows that PostgreSQL holds: they move to a table of their own (`recon.usecases.bulk.apart`).

To change a row that indexes know takes several times as long as to delete it and to write it anew where no index is
yet. So rows whose state changes by the hundred thousand are deleted where they are, keep their ids, and are written as
they become into a new table, which is indexed when it is full and joins the model's at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, models, transaction

from recon.usecases.bulk import apart
from recon.usecases.bulk.apart import apart_from, checks, columns_of, join_apart, ranges_of
from recon.usecases.bulk.apart_columns import add_the_rest, create_with, like
from recon.usecases.bulk.apart_indexes import complete
from recon.usecases.bulk.apart_tables import LOCK_NOT_AVAILABLE, RANGE, tables_apart


def may_move_apart(model: type[models.Model], rows: int) -> bool:
    """Whether so many rows pay for a table of their own, and there is room for one more."""
    room = apart.MOST_APART
    return connection.vendor == "postgresql" and rows >= apart_from(model) and len(tables_apart(model)) < room


@contextmanager
def moved_apart(model: type[models.Model], own_id: int, common: Mapping[str, Any] | None = None) -> Iterator[str]:
    """A new table that the block fills with rows, moved from other tables of the model's or new; then it becomes one
    of them. If they turn out to be few they go into the model's own table. `own_id` was reserved, before the
    transaction, for a name by which tables are told apart. `common`: columns that the block leaves to this, with what
    all its rows have in them.

    Within a transaction; the caller has seen that there is room (`may_move_apart`).
    """
    table = model._meta.db_table
    name = f"{table}_{own_id}_{own_id}"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        if common:
            create_with(cursor, name, table, columns_of_each(model, common), [])
        else:
            cursor.execute(f"CREATE TABLE {name} ({like(cursor, name, table)})")
        yield name
        rows, ranges = _reach(cursor, model, name, common or {})
        if rows < apart_from(model):
            add_the_rest(cursor, name, table, common or {}, [])
            columns = columns_of(model)
            cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {name}")  # noqa: S608 - names of ours
            cursor.execute(f"DROP TABLE {name}")
        else:
            add_the_rest(cursor, name, table, common or {}, checks(name, ranges, {}))
            complete(cursor, model, name, rows)
            join_apart(model, name)
        cursor.execute("SET LOCAL work_mem = DEFAULT")


def _reach(
    cursor: Any, model: type[models.Model], name: str, common: Mapping[str, Any]
) -> tuple[int, dict[str, dict[str, Any]]]:
    """How many rows a table has, and from where to where they reach in what tells tables apart; it has no column yet
    for what all of them have in `common`."""
    reaches = ", ".join("%s, %s" if each in common else f"min({each}), max({each})" for each in RANGE[model])
    known = [common[each] for each in RANGE[model] if each in common for _ in ("min", "max")]
    cursor.execute(f"SELECT count(*), {reaches} FROM {name}", known)  # noqa: S608 - names of ours
    rows, *found = cursor.fetchone()
    return rows, ranges_of(model, found)


def columns_of_each(model: type[models.Model], common: Mapping[str, Any]) -> list[str]:
    """The columns in which rows differ."""
    return [str(field.column) for field in model._meta.local_concrete_fields if field.column not in common]


def empty_apart(model: type[models.Model], first: int, last: int) -> None:
    """Empty the children whose whole range lies from `first` to `last`, at once: those that nobody is using just now.
    Until the transaction is over, whoever wants to use one waits. They are dropped later (`make_room`)."""
    for each in tables_apart(model):
        if first <= each.first and each.last <= last:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '200ms'")
                    cursor.execute(f"TRUNCATE {each.name}")
                    cursor.execute("SET LOCAL lock_timeout = DEFAULT")
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                    raise
