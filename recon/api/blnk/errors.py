"""Blnk's error body: a plain `error` text for old clients, `error_detail` with a stable code for new ones."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from recon.api.idempotency import IdempotencyKeyReused, RequestInWork
from recon.api.throttle import TooManyRequests

STATUS: Final = {
    "AUTH_MISSING_API_KEY": 401,
    "AUTH_INVALID_API_KEY": 401,
    "AUTH_INSUFFICIENT_PERMISSIONS": 403,
    "GEN_BAD_REQUEST": 400,
    "GEN_CONFLICT": 409,
    "GEN_MALFORMED_REQUEST": 400,
    "GEN_NOT_FOUND": 404,
    "GEN_PAYLOAD_TOO_LARGE": 413,
    "GEN_RATE_LIMITED": 429,
    "GEN_VALIDATION_ERROR": 400,
    "RECON_EXTERNAL_TXNS_REQUIRED": 400,
    "RECON_MATCHING_RULES_REQUIRED": 400,
    "RECON_NOT_FOUND": 404,
    "RECON_RULE_INVALID": 400,
    "RECON_RULE_NOT_FOUND": 404,
    "RECON_UPLOAD_FAILED": 400,
    "RECON_UPLOAD_HOST_NOT_ALLOWED": 400,
    "RECON_UPLOAD_URL_INVALID": 400,
    "TXN_BULK_EMPTY": 400,
    "TXN_BULK_LIMIT_EXCEEDED": 400,
    "TXN_DUPLICATE_REFERENCE": 409,
    "TXN_INVALID_AMOUNT": 400,
    "TXN_NOT_FOUND": 404,
    "TXN_PRECISION_NOT_INTEGER": 400,
    "TXN_VALIDATION_ERROR": 400,
}
"""Each code has one HTTP status (Blnk Core, internal/apierror/codes.go, Apache-2.0: facts)."""


class BlnkError(exceptions.APIException):
    """Ends a request with one of Blnk's codes."""

    def __init__(self, code: str, message: str, details: Any = None) -> None:
        super().__init__(message, code)
        self.status_code = STATUS[code]
        self.blnk_code = code
        self.message = message
        self.details = details


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler for these routes."""
    response = exception_handler(error, context)
    if response is not None:
        response.data = body(*described(error, response.status_code))
    return response


def body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    detail: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        detail["details"] = details
    return {"error": message, "error_detail": detail}


def described(error: Exception, status: int) -> tuple[str, str, Any]:
    """Code, message and details for whatever ended the request."""
    if isinstance(error, BlnkError):
        return error.blnk_code, error.message, error.details
    codes: dict[type[Exception], str] = {
        exceptions.NotAuthenticated: "AUTH_MISSING_API_KEY",
        exceptions.AuthenticationFailed: "AUTH_INVALID_API_KEY",
        exceptions.PermissionDenied: "AUTH_INSUFFICIENT_PERMISSIONS",
        exceptions.ParseError: "GEN_MALFORMED_REQUEST",
        exceptions.UnsupportedMediaType: "GEN_MALFORMED_REQUEST",
        TooManyRequests: "GEN_RATE_LIMITED",
        exceptions.ValidationError: "GEN_VALIDATION_ERROR",
        IdempotencyKeyReused: "GEN_CONFLICT",
        RequestInWork: "GEN_CONFLICT",
    }
    detail = getattr(error, "detail", None)
    if isinstance(detail, list):
        detail = " ".join(map(str, detail))
    message = str(detail) if detail is not None else str(error) or "not found"
    return codes.get(type(error), "GEN_NOT_FOUND" if status == 404 else "GEN_BAD_REQUEST"), message, None
