"""What every page's frame needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The name of the current view, so that the side navigation can mark where one is."""
    match = request.resolver_match
    return {"view_name": match.view_name if match else ""}
