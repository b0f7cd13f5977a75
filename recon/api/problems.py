"""Errors as RFC 9457 problem details: what is wrong, where it stands, and what was expected there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler

from recon.api.v1.fields import expectation
from recon.statements.model import RowError
from recon.usecases.errors import Refused
from rules.criteria import RuleError

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
BASE: Final = "/api/v1/problems/"

KINDS: Final[dict[str, tuple[int, str, str]]] = {
    "malformed": (400, "The request cannot be read", "The body is not what its content type says."),
    "invalid": (400, "The request does not hold", "`errors` names each place and what was expected there."),
    "unauthorized": (401, "No valid API key", "Send a key in `Authorization: Bearer` or `X-Blnk-Key`."),
    "forbidden": (403, "Not allowed", "The key lacks the scope for this, or the CSRF token of a session is missing."),
    "not-found": (404, "Not found", "Nothing has this id."),
    "method-not-allowed": (405, "Method not allowed", "`Allow` lists the methods of this path."),
    "not-acceptable": (406, "Not acceptable", "This path answers in JSON."),
    "conflict": (409, "Conflict", "Something else is in the way."),
    "in-work": (
        409,
        "Still being worked on",
        "The first request with this Idempotency-Key has no answer yet: ask again.",
    ),
    "key-reused": (409, "Idempotency-Key used before", "It came with another request; a new request needs a new key."),
    "changed-meanwhile": (412, "Changed meanwhile", "`If-Match` names another state of the record: read it again."),
    "too-large": (413, "Too large", "The body is larger than this installation accepts."),
    "unsupported-media-type": (415, "Unsupported media type", "The content type is not one of this path."),
    "refused": (422, "Refused", "The request was understood; what it asks for cannot be done. Nothing was changed."),
    "too-many-requests": (429, "Too many requests", "`Retry-After` says in how many seconds to try again."),
    "failed": (500, "Something went wrong", "Our fault. Nothing half-done was kept."),
    "unavailable": (503, "Unavailable", "Try again shortly."),
}
"""Name -> HTTP status, title, and what a program should make of it. The name ends the problem's `type`."""

_BY_STATUS: Final = {status: name for name, (status, _, _) in reversed(KINDS.items())}
_BY_CODE: Final = {"request_in_work": "in-work", "idempotency_key_reused": "key-reused"}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `place`: ``body.rules[0].enabled``, ``query.limit``, ``line 12, Amount``."""

    place: str
    message: str
    expected: str | None = None
    found: str | None = None


class Problem(exceptions.APIException):
    """Ends a request with one of `KINDS`."""

    def __init__(self, kind: str, detail: str, faults: Iterable[Fault] = ()) -> None:
        super().__init__(detail, kind)
        self.status_code = KINDS[kind][0]
        self.kind = kind
        self.text = detail
        self.faults = tuple(faults)


def problem_of(error: Exception) -> Problem | None:
    """The problem behind an exception that a request ended with; None for what is nobody's mistake but ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return Problem("refused", error.message, map(_of_row, error.row_errors))
    if isinstance(error, RuleError):
        faults = [Fault(_in_rule(each.criterion, each.key), each.message) for each in error.problems]
        return Problem("invalid", f"The rule does not hold: {error}", faults)
    if isinstance(error, exceptions.ValidationError):
        return Problem("invalid", "The request does not hold.", faults_of(error.detail, "request"))
    if isinstance(error, exceptions.ParseError):
        return Problem("malformed", str(error.detail), [Fault("body", str(error.detail))])
    if isinstance(error, Http404):
        return Problem("not-found", str(error) or "Nothing is here.")
    if isinstance(error, PermissionDenied):
        return Problem("forbidden", str(error) or "Not allowed.")
    if isinstance(error, exceptions.NotAuthenticated):
        return Problem("unauthorized", "No API key was sent; expected one in Authorization: Bearer or X-Blnk-Key.")
    if isinstance(error, exceptions.APIException):
        kind = _BY_CODE.get(error.default_code) or _BY_STATUS.get(error.status_code, "failed")
        return Problem(kind, str(error.detail))
    return None


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler for these routes."""
    problem = problem_of(error)
    if isinstance(error, exceptions.UnsupportedMediaType) and (view := context.get("view")):
        expected = " or ".join(parser.media_type for parser in view.get_parsers())
        problem = Problem("unsupported-media-type", f"{error.detail} Expected {expected}.")
    if problem is None:
        log.error("a request failed", exc_info=error)
        problem = Problem("failed", "Something went wrong on our side. Nothing half-done was kept.")
    known = error if isinstance(error, exceptions.APIException) else problem
    response = exception_handler(known, context)  # keeps WWW-Authenticate and Retry-After, rolls back
    if response is None:
        return None
    response.status_code = problem.status_code
    response.data = body(problem)
    response.content_type = CONTENT_TYPE
    return response


def body(problem: Problem) -> dict[str, Any]:
    status, title, _ = KINDS[problem.kind]
    return {
        "type": BASE + problem.kind,
        "title": title,
        "status": status,
        "detail": problem.text,
        "errors": [asdict(fault) for fault in problem.faults],
    }


def faults_of(detail: Any, place: str, shape: Any = None, given: Any = None) -> list[Fault]:
    """DRF's nested errors, flat: each with its place, what its field expects and what was given there."""
    if isinstance(detail, Mapping):
        return [
            fault
            for name, inner in detail.items()
            for fault in faults_of(inner, _inside(place, name), _child(shape, name), _given(given, name))
        ]
    if isinstance(detail, list) and any(isinstance(each, Mapping | list) for each in detail):
        return [
            fault
            for number, inner in enumerate(detail)
            for fault in faults_of(inner, f"{place}[{number}]", getattr(shape, "child", None), _given(given, number))
        ]
    messages = detail if isinstance(detail, list) else [detail]
    found = None if place.endswith(_SECRET) else _shown(given)
    return [Fault(place, str(each), expectation(shape), found) for each in messages]


def _given(given: Any, name: Any) -> Any:
    """What a body or query has at a name or place; the whole where a fault is not about a part."""
    if name == "non_field_errors":
        return given
    try:
        return given[name]
    except (KeyError, IndexError, TypeError):
        return None


def _shown(given: Any) -> str | None:
    """A plain value as it came, cut if it is long; nothing of what has parts."""
    if not isinstance(given, str | int | Decimal | bool):
        return None
    text = json.dumps(given) if isinstance(given, bool) else str(given)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


_MOST_SHOWN: Final = 80
_SECRET: Final = (".key", ".secret")
"""Places whose contents no answer repeats."""


def _inside(place: str, name: Any) -> str:
    if name == "non_field_errors":
        return place
    return f"{place}[{name}]" if isinstance(name, int) else f"{place}.{name}"


def _child(shape: Any, name: Any) -> Any:
    if isinstance(shape, serializers.Serializer):
        return shape.fields.get(name)
    return getattr(shape, "child", None)


def _of_row(error: RowError) -> Fault:
    named = [f"line {error.line}" if error.line else "", error.column or ""]
    return Fault(", ".join(filter(None, named)) or "file", error.message, error.expected, error.found)


def _in_rule(criterion: int | None, key: str | None) -> str:
    place = f"body.criteria[{criterion - 1}]" if criterion else "body"
    return f"{place}.{key}" if key else place


def title_of(status: int) -> str:
    return HTTPStatus(status).phrase


ANSWERS: Final = (Refused, RuleError, Http404, PermissionDenied)
"""What a use case or Django ends a request with that is an answer and not a fault of ours."""
