"""One page, one fragment of it: which of the two an htmx request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


class Request(HttpRequest):
    """A signed-in person's request, as the middleware leaves it."""

    htmx: HtmxDetails
    user: User


def page_or_fragment(
    request: HttpRequest, page: str, fragments: Mapping[str, str], context: Mapping[str, Any], status: int = 200
) -> HttpResponse:
    """Render the fragment whose DOM id htmx wants to swap, else the whole page.

    `fragments` maps DOM ids to templates, for example ``{"ledger-rows": "ledger/_ledger_rows.html"}``. The page
    includes the same template, so that both always show the same.
    """
    target = request.headers.get("HX-Target", "") if request.headers.get("HX-Request") == "true" else ""
    template = fragments.get(target, page)
    response = render(request, template, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])  # the browser must not show a fragment as the page
    return response
