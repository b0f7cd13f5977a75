"""What the views of these routes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from recon.api.auth import HasScope, KeyAuthentication
from recon.api.blnk.errors import BlnkError, handle
from recon.api.json import ExactJSONRenderer, StorableJSONParser
from recon.api.throttle import TooManyRequests


class JsonNegotiation(DefaultContentNegotiation):
    """What nearly every program accepts is recognised at once."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only: BaseRenderer = renderers[0]
        accepted = request.META.get("HTTP_ACCEPT", "*/*")
        if accepted in ("*/*", only.media_type) and not format_suffix and not request.query_params:
            return only, only.media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        return chosen


class AnyTypeJSONParser(StorableJSONParser):
    """Blnk reads JSON whatever its content type says; curl says form unless it is told."""

    media_type = "*/*"


class BlnkView(APIView):
    """Keys only (no cookies, so no CSRF), exact numbers, Blnk's error bodies. ``scopes`` names a scope per method."""

    authentication_classes = (KeyAuthentication,)
    permission_classes = (HasScope,)
    parser_classes: tuple[type[BaseParser], ...] = (AnyTypeJSONParser,)
    renderer_classes = (ExactJSONRenderer,)
    content_negotiation_class = JsonNegotiation
    scopes: dict[str, str] = {}

    def check_permissions(self, request: Request) -> None:
        """What nobody can do here is not a matter of scopes."""
        if request.method and not hasattr(self, request.method.lower()):
            self.http_method_not_allowed(request)
        super().check_permissions(request)

    def throttled(self, request: Request, wait: float | None) -> None:  # type: ignore[override] # it never returns
        raise TooManyRequests(wait)

    def get_exception_handler(self) -> Any:
        return handle


def json_object(request: Request) -> Mapping[str, Any]:
    """The request's JSON object. Raises GEN_MALFORMED_REQUEST for anything else."""
    if request.META.get("CONTENT_LENGTH", "") in ("", "0"):
        raise BlnkError("GEN_MALFORMED_REQUEST", "the body is empty; expected a JSON object")
    if not isinstance(request.data, Mapping):
        raise BlnkError("GEN_MALFORMED_REQUEST", "expected a JSON object")
    return request.data


def text_of(body: Any, name: str, *, required: bool = False) -> str:
    """A text of a JSON object or a form; "" if it is not given."""
    if not isinstance(body, Mapping):
        raise BlnkError("GEN_MALFORMED_REQUEST", "expected a JSON object")
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise BlnkError("GEN_MALFORMED_REQUEST", f"{name} is required")
        return ""
    if not isinstance(value, str):
        raise BlnkError("GEN_MALFORMED_REQUEST", f"{name} must be a text")
    if "\x00" in value:
        raise BlnkError("GEN_MALFORMED_REQUEST", f"{name} holds a NUL character")
    return value


def flag_of(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise BlnkError("GEN_MALFORMED_REQUEST", f"{name} must be true or false")
    return value
