"""The audit trail's one way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from recon.models import Event, Via


@dataclass(frozen=True)
class Actor:
    """On whose behalf a use case acts, and through what. No user: a command, or an API key of no person.

    `request_id` marks what is done for an API request that may be sent again (see
    `recon.usecases.outside.idempotency`).
    """

    user: User | None
    via: Via
    request_id: int | None = None

    @classmethod
    def command(cls) -> Actor:
        """Whoever has the shell."""
        return cls(None, Via.COMMAND)


def record(
    by: Actor,
    verb: str,
    kind: str,
    object_id: str | int,
    *,
    account_id: int | None = None,
    before: Any = None,
    after: Any = None,
    why: str = "",
) -> Event:
    """Append one event: ``record(by, "statement imported", "statement", upload_id, after={"lines": 12})``.

    ``before`` and ``after`` are plain JSON data (amounts as strings). Must be called inside the transaction that makes
    the change, so that neither exists without the other; raises RuntimeError otherwise.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"the event {verb!r} must be written in the transaction of what it reports")
    event = event_of(by, verb, kind, object_id, account_id=account_id, before=before, after=after, why=why)
    event.save()
    return event


def event_of(
    by: Actor,
    verb: str,
    kind: str,
    object_id: str | int,
    *,
    account_id: int | None = None,
    before: Any = None,
    after: Any = None,
    why: str = "",
) -> Event:
    """An event that is still to be written, in the words of `record`."""
    return Event(
        actor=by.user,
        via=by.via,
        verb=verb,
        kind=kind,
        object_id=str(object_id),
        account_id=account_id,
        before=before,
        after=after,
        why=why,
        request_id=by.request_id,
    )
