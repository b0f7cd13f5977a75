"""Entity tags: a single record's state in a few letters, so that nobody overwrites what they have not seen."""

from __future__ import annotations

import hashlib
from typing import Any

from rest_framework.request import Request

from recon.api.json import dumps
from recon.api.problems import Problem


def tag_of(shown: Any) -> str:
    """The strong tag of a record as it is shown in full."""
    return f'"{hashlib.blake2b(dumps(shown).encode(), digest_size=12).hexdigest()}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` says that the caller has this state already."""
    return _names(request.headers.get("If-None-Match", ""), tag, weakly=True)


def require_match(request: Request, shown: Any) -> None:
    """Refuse with 412 if `If-Match` is there and names another state. Call it with the record locked."""
    wanted = request.headers.get("If-Match", "")
    if wanted and not _names(wanted, tag_of(shown), weakly=False):
        raise Problem("changed-meanwhile", "The record is no longer what If-Match names; read it again.")


def _names(header: str, tag: str, *, weakly: bool) -> bool:
    for each in header.split(","):
        given = each.strip()
        if given == "*" or given == tag or (weakly and given.removeprefix("W/") == tag):
            return True
    return False
