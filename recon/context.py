"""What every page's frame needs."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


class Place(NamedTuple):
    """One entry of the side navigation; `name` is the URL name of its first page."""

    name: str
    label: str
    icon: str
    also: tuple[str, ...] = ()  # addresses of its pages that do not begin like its first one


NAVIGATION = (
    ("Work", (
        Place("overview", "Overview", "layout-dashboard"),
        Place("statements", "Statements", "file-text", ("/reconcile/",)),
        Place("runs", "Runs", "player-play", ("/matches/",)),
        Place("review", "Review", "checklist", ("/open-items/",)),
    )),
    ("Books", (
        Place("rules", "Rules", "adjustments"),
        Place("ledger", "Ledger", "book"),
    )),
    ("Records", (
        Place("reports", "Reports", "chart-bar"),
        Place("audit", "Audit", "history"),
        Place("settings", "Settings", "settings", ("/accounts/",)),
    )),
)  # fmt: skip


def address(name: str, *args: object) -> str | None:
    """The address of a page, or None where this installation does not have it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return None


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Groups of places that exist, each with its address and whether one is inside it."""
    groups = []
    for title, places in NAVIGATION:
        links = [(place, url) for place in places if (url := address(place.name))]
        if links:
            groups.append((title, [(place, url, is_inside(request.path, url, *place.also)) for place, url in links]))
    return {"navigation": groups}


def is_inside(path: str, *urls: str) -> bool:
    return any(path == url or (url != "/" and path.startswith(url)) for url in urls)
