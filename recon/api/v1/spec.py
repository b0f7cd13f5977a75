"""What an operation says of itself: what it takes, what it gives and who may.

From the same words come the check of the request, the answer, the permission and the OpenAPI document::

    @operation("Runs", scope="run", takes=Reason, gives=RunShape)
    def reverse_run(call: Call, run_id: str) -> MatchingRun:
        \"\"\"Reverse a run.

        Its automatic matches are undone …\"\"\"

The function's name is the operationId, the first line of its docstring the summary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request

from recon.api.json import StorableJSONParser
from recon.api.problems import Problem
from recon.api.v1.etags import require_match
from recon.api.v1.fields import Shape
from recon.api.v1.paging import PageQuery
from recon.usecases.events import Actor

FIELDS: Final = "fields"


class NoQuery(Shape):
    """A path without query parameters."""


@dataclass(frozen=True)
class Spec:
    """What an operation declares."""

    name: str
    tag: str
    summary: str
    description: str
    path: Mapping[str, str]  # parameters of the path: name -> int or str
    scope: str
    query: type[Shape]
    takes: type[Shape] | None  # the body
    gives: type[Shape] | None
    status: int
    paged: bool = False
    files: bool = False  # the body is a form with a file
    streams: bool = False  # the operation reads the body itself
    downloads: str = ""  # content type of an answer that is a file
    guarded: bool = False  # takes If-Match
    repeatable: bool = False  # takes Idempotency-Key
    in_steps: bool = False  # its work takes several transactions
    is_secret: bool = False  # its answer is kept nowhere

    @property
    def parsers(self) -> list[BaseParser]:
        return [MultiPartParser()] if self.files else [StorableJSONParser()]

    @property
    def takes_fields(self) -> bool:
        """Whether a caller may ask for some of the answer's fields only."""
        return self.gives is not None and self.takes is None and self.scope == "read"


class Function(Protocol):
    """An operation: a function of the call and the path's parameters."""

    spec: Spec

    def __call__(self, call: Call, **path: Any) -> Any: ...


@dataclass(frozen=True)
class Call:
    """One request as an operation sees it: who asks, and what for, already checked."""

    request: Request
    by: Actor
    spec: Spec
    query: dict[str, Any]
    given: Any

    @property
    def raw(self) -> dict[str, Any]:
        """The body as it came, its numbers with their digits; checked all the same."""
        data: dict[str, Any] = dict(self.request.data)
        return data

    def require_match(self, record: Any) -> None:
        """Refuse with 412 if `If-Match` names another state than this record's, which is to be locked before."""
        if self.spec.gives is not None:
            require_match(self.request, self.spec.gives(record).data)


def operation(
    tag: str,
    *,
    scope: str = "read",
    query: type[Shape] = NoQuery,
    takes: type[Shape] | None = None,
    gives: type[Shape] | None = None,
    status: int | None = None,
    paged: bool = False,
    downloads: str = "",
    **more: bool,
) -> Callable[[Callable[..., Any]], Any]:
    """Declare a function an operation; `more` are the other fields of `Spec`."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        summary, _, description = (function.__doc__ or "").partition("\n")
        hints = {name: str(kind) for name, kind in function.__annotations__.items() if name not in {"call", "return"}}
        function.spec = Spec(  # type: ignore[attr-defined]
            name=function.__name__,
            tag=tag,
            summary=summary.strip().rstrip("."),
            description=" ".join(description.split()),
            path=hints,
            scope=scope,
            query=type(f"{function.__name__}_query", (query, PageQuery), {}) if paged else query,
            takes=takes,
            gives=gives,
            status=status or (200 if gives or downloads else 204),
            paged=paged,
            downloads=downloads,
            **more,
        )
        return function

    return declare


def found(rows: Any, what: str, key: Any, name: str = "pk") -> Any:
    """The one row with this key. Raises a 404 that says what was looked for."""
    row = rows.filter(**{name: key}).first()
    if row is None:
        raise Problem("not-found", f"There is no {what} {key}.")
    return row
