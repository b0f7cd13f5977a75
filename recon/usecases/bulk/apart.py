"""Large loads on PostgreSQL get a table of their own, which is indexed once it is full and then joins the large one.

A row that goes into a table of ten million finds its place in every index by itself, at three microseconds an index;
sorting a million keys into an index that is made afterwards takes half a second. So a large load fills a new table,
indexes it, and makes it a child of the model's table, by inheritance: who reads, changes or deletes rows of the parent
finds those of its children too, and a check on the key's range lets the planner leave children out. Unlike a
partition, a child needs no key that contains the range, and the parent stays a table like any other, with what comes
in small pieces. All of it happens in the transaction of the load.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from django.db import OperationalError, connection, models, transaction

from recon.models import Claim, MatchingRun, OpenItem, UnmatchedItem
from recon.usecases.bulk.apart_columns import add_the_rest, create_with, like
from recon.usecases.bulk.apart_indexes import IN_STEP, KEYS, NEEDLESS, ONE_KEY, STEPS, complete
from recon.usecases.bulk.apart_tables import LOCK_NOT_AVAILABLE, RANGE, Apart, tables_apart
from recon.usecases.bulk.later import leave

logger = logging.getLogger(__name__)

APART_FROM: Final = 100_000
"""Rows of one load from which a table of their own pays."""

_SOONER: Final = {UnmatchedItem: 50_000, OpenItem: 50_000}
"""Of models whose rows each take their places in several indexes while everybody waits for them."""

MOST_APART: Final = 16
"""Children of a table. A query locks every one of them and its indexes; further loads then go into the parent, until
the worker has made room (`make_room`)."""

MERGED: Final = 8
"""Neighbours that become one when room is made: each row is written anew once for every eight times as many rows."""

_MOST_LETTERS: Final = 200

Join = Callable[[type[models.Model], str], None]
"""What becomes of the table of a load when it is complete: `join_apart`, at once or later in the transaction."""


def apart_from(model: type[models.Model]) -> int:
    """`APART_FROM` for rows of a model."""
    return min(APART_FROM, _SOONER.get(model, APART_FROM))


def load_apart(
    model: type[models.Model], rows: pa.Table, fill: Callable[[str, pa.Table], None], join: Join | None = None
) -> bool:
    """Have `fill` load a new table with the rows of one load and make it part of the model's, as `join` does it.

    What all the rows have in common is not sent, nor written into each (`recon.usecases.bulk.apart_columns`).

    False, with nothing done, if they are too few, or there are too many such tables, or one of that range.
    """
    if model not in RANGE or rows.num_rows < apart_from(model):
        return False
    ranges = {column: pc.min_max(rows[column]).as_py() for column in RANGE[model]}
    first, last = ranges[RANGE[model][0]].values()
    present = tables_apart(model)
    if len(present) >= MOST_APART or any(each.first <= last and first <= each.last for each in present):
        return False
    name = f"{model._meta.db_table}_{first}_{last}"
    # Without a savepoint: COPY FREEZE wants the table to be made in the same (sub)transaction.
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        common = in_common(rows)
        sent = rows.drop_columns([*common, *empty_columns(rows)])
        needless = {*NEEDLESS.values()} & {*rows.column_names}
        same = _same_throughout(model, {column: pc.min_max(rows[column]).as_py() for column in needless})
        some_wait = leave(model, name, rows.num_rows)
        own = _check_of_each(name, ranges, same) | _one_key(model, name, common)
        if some_wait:
            own |= _in_step(model, name, rows)
        at_once = [own.pop(column) for column in sent.column_names if column in own]
        create_with(cursor, name, model._meta.db_table, sent.column_names, at_once)
        fill(name, sent)
        # Whether claims may join is asked of the table's checks at once.
        seen_later = some_wait and model is not Claim
        add_the_rest(cursor, name, model._meta.db_table, common, [*own.values()], seen_later=seen_later)
        complete(cursor, model, name, rows.num_rows)
        (join or join_apart)(model, name)
    return True


def load_pieces_apart(
    model: type[models.Model], pieces: Iterable[pa.Table], fill: Callable[[str, pa.Table], None]
) -> int:
    """The same for rows that come in pieces, with ids in one block, of which only one piece is in memory at a time.
    Returns their number. To be called if `may_load_apart` says so."""
    table, done = model._meta.db_table, 0
    reaches: dict[str, dict[str, Any]] = {}
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        for piece in pieces:
            if not done:
                name = f"{table}_{piece['id'][0]}_loading"
                cursor.execute(f"CREATE TABLE {name} ({like(cursor, name, table)})")
            fill(name, piece)
            done += piece.num_rows
            for column in {*RANGE[model], *NEEDLESS.values()} & {*piece.column_names}:
                reaches[column] = _wider(reaches.get(column), pc.min_max(piece[column]).as_py())
        ranges = {column: reaches[column] for column in RANGE[model]}
        first, last = ranges[RANGE[model][0]].values()
        same = _same_throughout(model, reaches)
        whole = f"{table}_{first}_{last}"
        cursor.execute(f"ALTER TABLE {name} {', '.join(f'ADD {check}' for check in checks(whole, ranges, same))}")
        cursor.execute(f"ALTER TABLE {name} RENAME TO {whole}")
        complete(cursor, model, whole, done)
        join_apart(model, whole)
    return done


def may_load_apart(model: type[models.Model], rows: int) -> bool:
    """Whether so many rows pay for a table of their own, and there is room for one more."""
    return model in RANGE and rows >= APART_FROM and len(tables_apart(model)) < MOST_APART


def _same_throughout(model: type[models.Model], reaches: dict[str, dict[str, Any]]) -> dict[str, int | None]:
    """Of the columns that may do without an index those that need none, and what all rows have in them."""
    found: dict[str, int | None] = {}
    for column in {str(field.column) for field in model._meta.local_concrete_fields} & {*NEEDLESS.values()}:
        reach = reaches.get(column, {"min": None, "max": None})
        if reach["min"] is None or (reach["min"] == reach["max"] and isinstance(reach["min"], int)):
            found[column] = reach["min"]
    return found


def _one_key(model: type[models.Model], name: str, common: Mapping[str, Any]) -> dict[str, str]:
    """The check by which a table does with less of a unique index (`KEYS`), if all rows have the same there: instead
    of that of the first of these columns."""
    columns = KEYS[model][2] if model in KEYS else ()
    if not columns or not {*columns} <= common.keys():
        return {}
    says = " AND ".join(f"{each} = {common[each]}" for each in columns)
    return {columns[0]: f"CONSTRAINT {name}_{ONE_KEY} CHECK ({says})"}


def _in_step(model: type[models.Model], name: str, rows: pa.Table) -> dict[str, str]:
    """The check that stands for a unique index until that is made (`STEPS`), by its column, if it holds."""
    if model not in STEPS:
        return {}
    _, column = STEPS[model]
    apart_by = pc.min_max(pc.subtract(rows[column], rows["id"])).as_py()
    if rows[column].null_count or apart_by["min"] != apart_by["max"]:
        return {}
    return {column: f"CONSTRAINT {name}_{IN_STEP} CHECK ({column} - id = {apart_by['min']})"}


def _wider(reach: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    found = [each for each in (reach, other) if each is not None and each["min"] is not None]
    if not found:
        return other
    return {"min": min(each["min"] for each in found), "max": max(each["max"] for each in found)}


def _create(cursor: Any, model: type[models.Model], name: str, ranges: dict[str, dict[str, Any]]) -> None:
    """A table like the model's, for rows whose columns lie in these ranges (``{column: {"min": …, "max": …}}``)."""
    parts = [like(cursor, name, model._meta.db_table), *checks(name, ranges, {})]
    cursor.execute(f"CREATE TABLE {name} ({', '.join(parts)})")


def checks(name: str, ranges: dict[str, dict[str, Any]], same: dict[str, int | None]) -> list[str]:
    """What holds for all rows of the table `name`, as constraints."""
    return [*_check_of_each(name, ranges, same).values()]


def _check_of_each(name: str, ranges: dict[str, dict[str, Any]], same: dict[str, int | None]) -> dict[str, str]:
    found = {
        column: f"CONSTRAINT {name}_{column} CHECK ({column} BETWEEN {reach['min']} AND {reach['max']})"
        for column, reach in ranges.items()
        if reach["min"] is not None
    }
    for column, value in same.items():
        says = "IS NULL" if value is None else f"= {value}"
        found[column] = f"CONSTRAINT {name}_{column} CHECK ({column} {says})"
    return found


def ranges_of(model: type[models.Model], found: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Of the least and the greatest value of each column that tells tables apart, one after the other."""
    return {column: {"min": found[2 * at], "max": found[2 * at + 1]} for at, column in enumerate(RANGE[model])}


def columns_of(model: type[models.Model]) -> str:
    return ", ".join(connection.ops.quote_name(str(field.column)) for field in model._meta.local_concrete_fields)


def join_apart(model: type[models.Model], name: str) -> None:
    """Make a complete table part of the model's. Raises IntegrityError if a claim, or an open item, in it is there
    already; so that nobody adds one at the same time, this waits for those who do, and they for the end of this
    transaction."""
    with connection.cursor() as cursor:
        if model is Claim:
            cursor.execute("SELECT tieout_join_claims(%s)", [name])  # migrations 0016 and 0023
        elif model is OpenItem:
            cursor.execute("SELECT tieout_join_items(%s)", [name])  # migration 0019
        else:
            cursor.execute(f"ALTER TABLE {name} INHERIT {model._meta.db_table}")


def make_room() -> int:
    """Drop children that have no rows any more, and merge some of every table that has as many as it may: those
    neighbours that are smallest together. Not while a run is at work, and somebody who is using a table is left in
    peace until the next time. Returns 0: whether there is more to do is seen then."""
    for model in RANGE:
        if not tables_apart(model) or MatchingRun.objects.active().exists():
            continue
        try:
            drop_empty(model)
            present = tables_apart(model)
            if len(present) >= MOST_APART:
                windows = [present[start : start + MERGED] for start in range(len(present) - MERGED + 1)]
                merge_apart(model, min(windows, key=_size))
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            logger.info("%s is in use; its tables are merged another time", model._meta.db_table)
    return 0


def _size(tables: Sequence[Apart]) -> int:
    with connection.cursor() as cursor:
        names = [each.name for each in tables]
        cursor.execute("SELECT sum(pg_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name", [names])
        return int(cursor.fetchone()[0])


def merge_apart(model: type[models.Model], tables: Sequence[Apart]) -> None:
    """Make one table of neighbours, in the order of their ranges. Whoever changes their rows waits that long, and who
    reads them at the end, because a query that knows the old tables does not find the new one."""
    named = ", ".join(each.name for each in tables)
    columns = columns_of(model)
    name = f"{model._meta.db_table}_{tables[0].first}_{tables[-1].last}"
    with transaction.atomic(), connection.cursor() as cursor:
        # Less than it takes to detect a deadlock, so that whoever would be in one with this goes on.
        cursor.execute("SET LOCAL lock_timeout = '500ms'")
        cursor.execute(f"LOCK TABLE {named} IN SHARE ROW EXCLUSIVE MODE")
        reaches = ", ".join(f"min({column}), max({column})" for column in RANGE[model])
        rows = " UNION ALL ".join(f"SELECT {', '.join(RANGE[model])} FROM {each.name}" for each in tables)  # noqa: S608
        cursor.execute(f"SELECT {reaches} FROM ({rows}) AS every_row")  # noqa: S608 - names of ours
        ranges = ranges_of(model, cursor.fetchone())
        _create(cursor, model, name, ranges)
        for each in tables:
            cursor.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {each.name}")  # noqa: S608
        complete(cursor, model, name)
        cursor.execute(f"LOCK TABLE ONLY {model._meta.db_table} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f"DROP TABLE {named}")
        join_apart(model, name)


def in_common(rows: pa.Table) -> dict[str, Any]:
    """The columns, but for the first, that have one and the same value in all rows, and that value. Not long texts:
    the database's catalog, which keeps it, has no room for them."""
    common = {}
    for name in rows.column_names[1:]:
        if rows[name].null_count == 0 and rows[name][0].equals(rows[name][-1]):
            reach = pc.min_max(rows[name]).as_py()
            if reach["min"] == reach["max"] and len(str(reach["min"])) <= _MOST_LETTERS:
                common[name] = reach["min"]
    return common


def empty_columns(rows: pa.Table) -> list[str]:
    """The columns, but for the first, that are null in all rows."""
    return [name for name in rows.column_names[1:] if rows[name].null_count == rows.num_rows]


def drop_apart(model: type[models.Model], first: int, last: int) -> None:
    """Drop the children whose whole range lies from `first` to `last`: quicker than deleting a million rows."""
    for each in tables_apart(model):
        if first <= each.first and each.last <= last:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {each.name}")  # somebody else may do the same


def drop_empty(model: type[models.Model]) -> None:
    """Drop the children that have no rows any more, unless somebody is using them."""
    for each in tables_apart(model):
        if _has_rows(each):
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            # Who has listed the children waits for the large table first, and lists them anew.
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
            cursor.execute(f"LOCK TABLE ONLY {model._meta.db_table} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"LOCK TABLE {each.name} IN ACCESS EXCLUSIVE MODE")
            if not _has_rows(each):
                cursor.execute(f"DROP TABLE {each.name}")


def _has_rows(table: Apart) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table.name})")  # noqa: S608 - names of ours
        return bool(cursor.fetchone()[0])
