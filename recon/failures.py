"""Answers to requests that reach no view or break one: programs get JSON in their API's shape, people a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views import defaults

from recon.api.blnk.errors import body as blnk_body
from recon.api.problems import CONTENT_TYPE, Problem, body

BLNK_PATHS = ("/reconciliation", "/transactions")
OWN_PATHS = ("/api/",)

CODES = {
    400: ("GEN_BAD_REQUEST", "malformed"),
    404: ("GEN_NOT_FOUND", "not-found"),
    413: ("GEN_PAYLOAD_TOO_LARGE", "too-large"),
    500: ("GEN_INTERNAL", "failed"),
}


def failure(request: HttpRequest, status: int, message: str) -> JsonResponse | None:
    """The error body of the API that the path belongs to; None for pages."""
    blnk_code, kind = CODES[status]
    if request.path.startswith(OWN_PATHS):
        return JsonResponse(body(Problem(kind, message)), status=status, content_type=CONTENT_TYPE)
    if request.path.startswith(BLNK_PATHS) or is_of_a_program(request):
        return JsonResponse(blnk_body(blnk_code, message), status=status)
    return None


def is_of_a_program(request: HttpRequest) -> bool:
    """Blnk's clients ask for routes that are not here, and read JSON."""
    return "X-Blnk-Key" in request.headers or request.headers.get("Authorization", "").lower().startswith("bearer ")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return failure(request, 400, "the request cannot be read") or defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    message = f"There is no path {request.path} here; /openapi.json lists those of Blnk's that are."
    return failure(request, 404, message) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """What went wrong is in the log, not in the answer."""
    return failure(request, 500, "internal server error") or defaults.server_error(request)
