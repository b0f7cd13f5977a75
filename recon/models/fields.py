"""Column shapes that several records share: money, sides, currency codes, id blocks."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import uuid4

from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler

from recon.rows import MAX_SCALE, MAX_UNITS, amount


class Side(models.IntegerChoices):
    STATEMENT = 0, "statement"
    LEDGER = 1, "ledger"


def public_id(prefix: str) -> str:
    """A new id as the API shows it, for example ``recon_4e1c…``."""
    return f"{prefix}_{uuid4()}"


OFTEN: Final = ("EUR", "USD", "GBP")
"""Currencies that are compared sooner than a regular expression says that they are three letters (migration 0021)."""


class CurrencyShape(models.Func):
    """True if a column holds three capital letters. In the database's own words: a regular expression on SQLite would
    be a Python call per row, and bulk loads run on connections that do not have it. PostgreSQL takes a quarter of a
    load's time for one, unless it need not look."""

    output_field = models.BooleanField()
    conditional = True

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="%(expressions)s GLOB '[A-Z][A-Z][A-Z]'")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        often = " OR ".join(f"%(expressions)s = '{code}'" for code in OFTEN)
        return self.as_sql(compiler, connection, template=f"{often} OR %(expressions)s ~ '^[A-Z]{{3}}$'")


def money_constraints(prefix: str) -> list[models.BaseConstraint]:
    """Amount range and currency shape, for a table with units, scale and currency."""
    return [
        models.CheckConstraint(
            condition=models.Q(units__gte=-MAX_UNITS, units__lte=MAX_UNITS), name=f"{prefix}_units_18_digits"
        ),
        models.CheckConstraint(
            condition=models.Q(scale__gte=0, scale__lte=MAX_SCALE), name=f"{prefix}_scale_in_range"
        ),
        models.CheckConstraint(condition=CurrencyShape("currency"), name=f"{prefix}_currency_shape"),
    ]


class Money(models.Model):
    """An exact amount: integer units with a scale, signed from the account owner's view (plus = money in)."""

    units = models.BigIntegerField()
    scale = models.SmallIntegerField(default=2)
    currency = models.CharField(max_length=3)

    class Meta:
        abstract = True

    @property
    def amount(self) -> Decimal:
        return amount(self.units, self.scale)


class RowNumber(models.BigIntegerField[int, int]):
    """The id of a bulk table. SQLite keeps a table in the order of an "integer" key; for a "bigint" it has an index
    beside the table, to be written and looked up as well."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


class Row(Money):
    """What both sides of a reconciliation have in common; the columns of `recon.rows.ROW_SCHEMA`.

    A bulk table: tens of millions of rows, loaded by COPY or executemany with ids taken from `reserve_ids`,
    ids of other records without a database foreign key (`check_integrity` proves there is no dangling one).
    """

    id = RowNumber(primary_key=True)
    external_id = models.TextField(null=True)  # the file's own id; banks repeat them
    booking_date = models.DateField(null=True)
    value_date = models.DateField(null=True)
    booked_at = models.DateTimeField(null=True)
    reference = models.TextField(null=True)
    description = models.TextField(null=True)
    counterparty = models.TextField(null=True)
    type_code = models.TextField(null=True)
    source = models.TextField(null=True)
    amount_text = models.TextField(null=True)  # the amount as the file had it
    extra = models.TextField(null=True)  # JSON object with whatever else the file said
    # Case-folded, NFKC, white space folded: made once at import so that no run has to.
    reference_key = models.TextField(null=True)
    description_key = models.TextField(null=True)
    counterparty_key = models.TextField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} {self.reference or ''}".strip()


class IdBlock(models.Model):
    """The next free id of a bulk table. Known ids make a bulk load one way: nothing has to be read back."""

    table = models.CharField(max_length=40, primary_key=True)
    next_id = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.table} {self.next_id}"


def reserve_ids(model: type[models.Model], count: int) -> int:
    """Reserve `count` consecutive ids for `model` and return the first one.

    The reservation commits at once when called outside a transaction, so that loads running side by side do not wait
    for each other; an aborted load leaves a gap, which harms nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, [model._meta.db_table, 1 + count, count])
        return int(cursor.fetchone()[0]) - count


def reserve_blocks(counts: Mapping[type[models.Model], int]) -> dict[type[models.Model], int]:
    """As `reserve_ids` for several models, with one statement and one commit: the first id of each."""
    # In one order, so that two who reserve at once wait for each other and never deadlock.
    models_of = {model._meta.db_table: model for model in counts}
    tables = sorted(models_of)
    params = [value for table in tables for value in (table, 1 + counts[models_of[table]])]
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE_BLOCKS.format(", ".join(["(%s, %s)"] * len(tables))), params)
        return {models_of[table]: after - counts[models_of[table]] for table, after in cursor.fetchall()}


_RESERVE = f"""
    INSERT INTO {IdBlock._meta.db_table} AS block ("table", next_id) VALUES (%s, %s)
    ON CONFLICT ("table") DO UPDATE SET next_id = block.next_id + %s RETURNING next_id
"""  # noqa: S608 - names of ours
_RESERVE_BLOCKS = f"""
    INSERT INTO {IdBlock._meta.db_table} AS block ("table", next_id) VALUES {{}}
    ON CONFLICT ("table") DO UPDATE SET next_id = block.next_id + excluded.next_id - 1 RETURNING "table", next_id
"""  # noqa: S608 - names of ours


def one_of(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """The state machine's alphabet, held by the database."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__in": choices.values}), name=name)


def one_of_few(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """The same for a bulk table, one comparison after the other: SQLite makes a table of what stands after IN, anew
    for every row that it checks, which takes longer than storing the row."""
    condition = reduce(or_, (models.Q(**{field: value}) for value in choices.values))
    return models.CheckConstraint(condition=condition, name=name)
