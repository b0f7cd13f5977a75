"""Small middleware: content security policy, upload size, redirects and messages that htmx follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from recon.failures import failure

GetResponse = Callable[[HttpRequest], HttpResponse]

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",  # Tabler draws its form icons from data URLs
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Nothing inline and nothing from elsewhere, on every response."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response

    return middleware


def limit_upload_size(get_response: GetResponse) -> GetResponse:
    """Refuse a body over the limit by its announced length, before a byte of it is stored."""

    def middleware(request: HttpRequest) -> HttpResponse:
        announced = request.META.get("CONTENT_LENGTH") or "0"
        if announced.isdecimal() and int(announced) > settings.MAX_UPLOAD_BYTES:
            limit = settings.MAX_UPLOAD_BYTES // (1024 * 1024)
            if answer := failure(request, 413, f"the body is larger than the {limit} MB that are accepted"):
                return answer
            return render(
                request, "413.html", {"limit_mb": limit, "sent_mb": int(announced) // (1024 * 1024)}, status=413
            )
        return get_response(request)

    return middleware


class LoginRequired(LoginRequiredMiddleware):
    """Django's own, which does not look for the user of a session where none is needed: programs have keys."""

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not getattr(view, "login_required", True):
            return None
        return super().process_view(request, view, args, kwargs)


def htmx_redirects(get_response: GetResponse) -> GetResponse:
    """A fragment request that ends in a redirect must move the whole page.

    The browser follows a 302 inside the fragment request and htmx would put the login page, or the next page, into a
    corner of this one; HX-Redirect says it to htmx instead.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.headers.get("HX-Request") == "true" and response.status_code in {301, 302, 303}:
            moved = HttpResponse(status=204)
            location = response.headers["Location"]
            if location.startswith(reverse("login")):
                # After signing in again people want the page they were on, not the fragment's address.
                location = reverse("login")
            moved.headers["HX-Redirect"] = location
            moved.cookies = response.cookies
            return moved
        return response

    return middleware


def htmx_messages(get_response: GetResponse) -> GetResponse:
    """What an action has to say appears in the page's message area, whatever fragment the action swaps."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_fragment = request.headers.get("HX-Request") == "true" and "HX-Redirect" not in response.headers
        if is_fragment and response.status_code != 204 and response.get("Content-Type", "").startswith("text/html"):
            messages = get_messages(request)
            if len(messages):
                context = {"messages": messages, "out_of_band": True}
                response.write(render_to_string("partials/messages.html", context))
        return response

    return middleware
