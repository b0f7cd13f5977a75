"""Queries that programs cause many times a second: Django makes their SQL once.

Of a query that finds one record by its key Django takes longer to write the SQL than the database to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler

Record = TypeVar("Record", bound=Model)


def kept_cursor() -> Any:
    """A cursor for statements whose text never changes: a database that can parses each once a connection."""
    return getattr(connection, "prepared_cursor", connection.cursor)()


class KeptQuery(Generic[Record]):
    """Records by texts: ``KeptQuery(lambda name: User.objects.filter(username=name))("alice")``.

    `make` must build the same query for any texts, and nothing else may be in it that changes from call to call.
    """

    def __init__(self, make: Callable[..., QuerySet[Record]]) -> None:
        self._make = make
        self._made: dict[str, _Made] = {}

    def __call__(self, *texts: str) -> list[Record]:
        if any("\x00" in text for text in texts):  # no database holds it
            return []
        made = self._made.get(connection.vendor) or self._compiled(len(texts))
        with kept_cursor() as cursor:
            cursor.execute(made.sql, made.filled(texts))
            return [made.record(row) for row in made.converted(cursor.fetchall())]

    def first(self, *texts: str) -> Record | None:
        """The first record, if there is one."""
        found = self(*texts)
        return found[0] if found else None

    def _compiled(self, texts: int) -> _Made:
        marks = [f"kept query's text {number}" for number in range(texts)]
        compiler = self._make(*marks).query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        made = _Made(compiler, sql, params, {mark: place for place, mark in enumerate(marks)})
        self._made[connection.vendor] = made
        return made


@dataclass(frozen=True)
class _Made:
    """A query that was compiled, with marks in its parameters where texts go."""

    compiler: SQLCompiler
    sql: str
    params: Sequence[Any]
    places: dict[Any, int]  # mark -> number of the text

    def filled(self, texts: Sequence[str]) -> list[Any]:
        return [texts[self.places[each]] if each in self.places else each for each in self.params]

    def converted(self, rows: list[Sequence[Any]]) -> Iterable[Sequence[Any]]:
        """Rows with their values as Python has them, JSON for example."""
        return self.compiler.apply_converters(rows, self._converters) if self._converters else rows

    def record(self, row: Sequence[Any]) -> Any:
        """A row as Django's own iteration over the query would give it."""
        model, start, names = self._shape
        made = model.from_db("default", names, row[start : start + len(names)])
        for related in self._related:
            related.populate(row, made)
        return made

    @cached_property
    def _converters(self) -> Any:
        return self.compiler.get_converters([each[0] for each in self.compiler.select])

    @cached_property
    def _shape(self) -> tuple[type[Model], int, list[str]]:
        """The records' model, and the place and names of their own columns."""
        about: Any = self.compiler.klass_info
        start, end = about["select_fields"][0], about["select_fields"][-1] + 1
        return about["model"], start, [each[0].target.attname for each in self.compiler.select[start:end]]

    @cached_property
    def _related(self) -> list[Any]:
        """What fills in the records that come with them."""
        populators: Any = get_related_populators  # the type stubs are of a later Django, which wants one argument more
        found: list[Any] = populators(self.compiler.klass_info, self.compiler.select, "default")
        return found
