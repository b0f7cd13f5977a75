"""What webhooks are told, written down in the transaction in which it happens: neither exists without the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from recon.models import Account, HookEvent, MatchingRun, WebhookDelivery, WebhookEndpoint, WebhookEvent
from rules.kept_queries import KeptQuery

ON_ITS_WAY: Final = timedelta(minutes=1)
"""An attempt that has not come back after this time died with its worker."""


def announce(kind: HookEvent, data: Mapping[str, Any]) -> WebhookEvent | None:
    """Have every endpoint that asked for it told of an event; None if nobody asked.

    Must be called in the transaction that makes the change; raises RuntimeError otherwise. `data` is plain JSON data,
    with amounts and instants as texts.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{kind} must be announced in the transaction in which it happens")
    endpoints = listening_to(kind)
    return put_down(kind, data, endpoints) if endpoints else None


def listening_to(kind: HookEvent) -> list[WebhookEndpoint]:
    """The endpoints that want to hear of such events."""
    return [endpoint for endpoint in _enabled() if kind in endpoint.events]


_enabled = KeptQuery(lambda: WebhookEndpoint.objects.filter(enabled=True))


def put_down(
    kind: HookEvent, data: Mapping[str, Any], endpoints: list[WebhookEndpoint], *, taken: bool = False
) -> WebhookEvent:
    """Write the event and a delivery for each of the endpoints: due at once, or `taken` for a first attempt by us."""
    event = WebhookEvent(type=kind, created_at=timezone.now())
    message = {"id": event.event_id, "type": kind.value, "created_at": event.created_at.isoformat(), "data": data}
    event.body = json.dumps(message, ensure_ascii=False)
    event.save(force_insert=True)
    due = event.created_at + (ON_ITS_WAY if taken else timedelta(0))
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(endpoint=endpoint, event=event, next_attempt_at=due, attempts=int(taken))
        for endpoint in endpoints
    )
    return event


def announce_run(*run_ids: str) -> None:
    """A run, or several, are over: completed, failed or cancelled."""
    if not listening_to(HookEvent.RUN_FINISHED):
        return
    for run_id in run_ids:
        run = MatchingRun.objects.select_related("account").get(pk=run_id)
        announce(HookEvent.RUN_FINISHED, {"run": run_in_words(run), "account": account_in_words(run.account)})


def run_in_words(run: MatchingRun) -> dict[str, Any]:
    counts = ("total", "matched", "suggested", "unmatched")
    return {
        "reconciliation_id": run.run_id,
        "number": run.number,
        "state": run.state,
        "error": run.error,
        "kind": run.kind,
        "is_dry_run": run.is_dry_run,
        "upload_id": run.statement_id,
        "lines": {name: getattr(run, f"lines_{name}") for name in counts},
        "entries": {name: getattr(run, f"entries_{name}") for name in counts},
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "completed_at": run.completed_at.isoformat() if run.completed_at else None,
    }


def account_in_words(account: Account) -> dict[str, Any]:
    return {"id": account.pk, "name": account.name}
