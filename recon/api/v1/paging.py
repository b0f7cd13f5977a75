"""Lists in pages: `limit` rows behind a `cursor`, which is the sealed key of the last row seen.

Keyset, not offset: page 10,000 costs as much as page 1, and rows that arrive meanwhile shift nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet
from rest_framework import serializers

from recon.api.problems import Fault, Problem
from recon.api.v1.fields import Shape
from recon.usecases.finding import page_of

MOST: Final = 500


class PageQuery(Shape):
    """What every list takes."""

    limit = serializers.IntegerField(
        min_value=1, max_value=MOST, default=50, help_text=f"How many rows at most, up to {MOST}."
    )
    cursor = serializers.CharField(
        max_length=300, default="", allow_blank=True,
        help_text="`next_cursor` of the page before; empty for the first page. Send the same filters with it.",
    )  # fmt: skip


@dataclass(frozen=True)
class Paged:
    """One page; `next_key` is the key that the next page starts behind, or nothing on the last one."""

    items: list[Any]
    next_key: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def paged(
    rows: QuerySet[Any], query: dict[str, Any], key: str = "pk", view: Callable[[Any], Any] | None = None
) -> Paged:
    """Newest first, by a unique key."""
    page = page_of(rows, number(query), key=key, size=query["limit"])
    items = [view(row) for row in page.rows] if view else page.rows
    return Paged(items, "" if page.next_after is None else str(page.next_after))


def in_one_page(items: Iterable[Any]) -> Paged:
    """A list that is short by its nature."""
    return Paged(list(items))


def number(query: dict[str, Any]) -> int | None:
    """The cursor's key where keys are numbers."""
    return int(query["cursor"]) if query["cursor"] else None


def seal(operation: str, key: str) -> str | None:
    """A cursor that only this list takes."""
    if not key:
        return None
    return urlsafe_b64encode(Signer(salt=f"cursor of {operation}").sign(key).encode()).decode().rstrip("=")


def unseal(operation: str, cursor: str) -> str:
    """The key in a cursor; refused if it is not one of this list's."""
    if not cursor:
        return ""
    try:
        text = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        return Signer(salt=f"cursor of {operation}").unsign(text)
    except (BadSignature, ValueError) as error:
        fault = Fault("query.cursor", "This is no cursor of this list.", "next_cursor of a page of this list", cursor)
        raise Problem("invalid", "The cursor is not one of this list.", [fault]) from error
