"""Who calls: an API key in `X-Blnk-Key` or `Authorization: Bearer`, or a signed-in browser on our own API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from recon.api.idempotency import request_id
from recon.models import ApiKey, Via
from recon.usecases.events import Actor
from recon.usecases.outside.keys import find_key


class KeyAuthentication(BaseAuthentication):
    """Headers are case-insensitive; `X-Blnk-Key` is what Blnk's clients send."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        text = request.headers.get("X-Blnk-Key", "").strip()
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if not text and scheme.lower() == "bearer":
            text = credentials.strip()
        if not text:
            return None
        key = find_key(text)
        if key is None:
            raise AuthenticationFailed("The API key is unknown, revoked or expired.")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tieout"'


class HasScope(BasePermission):
    """A view names `scopes`, a scope per HTTP method; reading needs `read`. A signed-in person has all of them."""

    message = "The API key lacks the scope for this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            return False
        if not isinstance(request.auth, ApiKey):
            return True
        scopes: dict[str, str] = getattr(view, "scopes", {})
        method = request.method or "GET"
        needed = scopes.get(method, "read" if method in {"GET", "HEAD", "OPTIONS"} else "admin")
        self.message = f"The API key lacks the scope {needed!r}."
        return request.auth.allows(needed)


def actor(request: Request) -> Actor:
    """On whose behalf a request acts."""
    via = Via.KEY if isinstance(request.auth, ApiKey) else Via.SCREEN
    return Actor(request.user if request.user.is_authenticated else None, via, request_id(request))


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the schema how keys are sent."""

    target_class = KeyAuthentication
    name = ["bearerKey", "blnkKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [{"type": "http", "scheme": "bearer"}, {"type": "apiKey", "in": "header", "name": "X-Blnk-Key"}]
