"""Errors of our own API: problem details (RFC 9457), one shape for everything that ends a request.

``{"type", "title", "status", "detail", "code"}`` and, where there are several or they have places, ``errors``:
``[{"place": "lines[3].amount", "message": "expected a number", "code": "invalid"}]``. `code` is stable; texts are
for people. Clients must tolerate new codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from recon.usecases.errors import Refused

CONTENT_TYPE = "application/problem+json"


class RefusedByUseCase(exceptions.APIException):
    """A use case said no (`Refused`): 422, its words, and the places in the file if it was about one."""

    status_code = 422
    default_code = "refused"


def handle_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler for our own API; what is no answer becomes a 500 elsewhere."""
    if isinstance(error, Refused):
        response = exception_handler(RefusedByUseCase(error.message), context)
    else:
        response = exception_handler(error, context)
    if response is None:
        return None
    response.data = problem(response.status_code, **described(error))
    response.content_type = CONTENT_TYPE
    return response


def problem(status: int, *, code: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return {**body, "errors": list(errors)} if errors else body


def described(error: Exception) -> dict[str, Any]:
    """Code, detail and errors for whatever ended the request."""
    if isinstance(error, Refused):
        return {"code": "refused", "detail": error.message, "errors": row_errors(error)}
    if isinstance(error, Http404):
        return {"code": "not_found", "detail": str(error) or "there is no such record"}
    if isinstance(error, PermissionDenied):
        return {"code": "permission_denied", "detail": str(error) or "this is not allowed"}
    if isinstance(error, exceptions.ValidationError):
        errors = list(places(error.detail))
        return {"code": "invalid", "detail": _first(errors), "errors": errors}
    assert isinstance(error, exceptions.APIException)  # noqa: S101 - DRF's handler answers nothing else
    return {"code": str(getattr(error.detail, "code", error.default_code)), "detail": str(error.detail)}


def places(detail: Any, at: str = "") -> Iterator[dict[str, str]]:
    """What a serializer found wrong, flat: a place such as ``lines[3].amount`` with each message."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            here = at if name == "non_field_errors" else f"{at}.{name}" if at else str(name)
            yield from places(inner, here)
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            yield from places(inner, f"{at}[{number}]" if isinstance(inner, Mapping | list) else at)
    else:
        yield {"place": at, "message": str(detail), "code": str(getattr(detail, "code", "invalid"))}


def row_errors(refused: Refused) -> list[dict[str, Any]]:
    """Where in a file the trouble stands."""
    return [
        {
            "line": each.line,
            "column": each.column,
            "found": each.found,
            "expected": each.expected,
            "message": each.message,
        }
        for each in refused.row_errors
    ]


def _first(errors: Sequence[Mapping[str, str]]) -> str:
    if not errors:
        return "the request is not valid"
    first, more = errors[0], len(errors) - 1
    words = f"{first['place']}: {first['message']}" if first["place"] else first["message"]
    return f"{words} (and {more} more)" if more else words
