"""Delivering webhooks: at least once, in the worker, with patience.

An attempt is taken by moving its time on: if the worker dies meanwhile the delivery is due again a minute later. The
receiver recognises what it has seen by the event's id.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from recon.models import (
    DeliveryState,
    HookEvent,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from recon.outbound import Call, Limits, OutboundError, fetch
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.secrets import unseal
from recon.usecases.outside.webhook_outbox import ON_ITS_WAY

ATTEMPTS: Final = 14
"""Half a minute, a minute, two … six hours: with all of them an event is given up after about a day."""

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=6)
PATIENCE: Final = timedelta(days=3)
"""An endpoint at which nothing has arrived for so long is disabled."""

KEPT: Final = timedelta(days=30)
AT_ONCE: Final = 8
LIMITS: Final = Limits(seconds=10, max_bytes=2000)


@dataclass(frozen=True)
class Parcel:
    """Everything an attempt needs, so that sending touches no database."""

    delivery_id: int
    call: Call | None  # None: it cannot be signed
    problem: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an attempt went. `status` is None if there was no answer; then `excerpt` says why."""

    status: int | None
    excerpt: str
    milliseconds: int
    wait: timedelta = timedelta(0)  # what the receiver asked for

    @property
    def has_arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def deliver_due() -> int:
    """One attempt for every endpoint that has something due; returns how many."""
    parcels = [parcel for each in due() if (parcel := take(each))]
    if not parcels:
        return 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
        for parcel, outcome in zip(parcels, pool.map(send, parcels), strict=True):
            settle(parcel.delivery_id, outcome)
    return len(parcels)


def due() -> list[WebhookDelivery]:
    """The longest waiting delivery of each endpoint: a slow one holds up nobody but itself."""
    waiting = WebhookDelivery.objects.filter(
        state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now(), endpoint__enabled=True
    )
    first: dict[int, WebhookDelivery] = {}
    for delivery in waiting.select_related("endpoint", "event").order_by("next_attempt_at", "pk")[:200]:
        first.setdefault(delivery.endpoint_id, delivery)
    return list(first.values())


def take(delivery: WebhookDelivery) -> Parcel | None:
    """The attempt is ours, unless another worker was faster."""
    mine = WebhookDelivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.PENDING, next_attempt_at=delivery.next_attempt_at
    )
    if not mine.update(next_attempt_at=timezone.now() + ON_ITS_WAY, attempts=F("attempts") + 1):
        return None
    return parcel_of(delivery)


def parcel_of(delivery: WebhookDelivery) -> Parcel:
    try:
        return Parcel(delivery.pk, signed_call(delivery.endpoint, delivery.event, delivery.pk))
    except Refused as refused:
        return Parcel(delivery.pk, None, refused.message)


def signed_call(endpoint: WebhookEndpoint, event: WebhookEvent, delivery_id: int) -> Call:
    """The request: signed over its own time, so that a receiver can refuse what was recorded and sent again later."""
    body, timestamp = event.body.encode(), str(int(time.time()))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Tieout-Event": event.type,
        "Tieout-Event-Id": event.event_id,
        "Tieout-Delivery": str(delivery_id),
        "Tieout-Timestamp": timestamp,
        "Tieout-Signature": f"v1={signature(unseal(endpoint.sealed_secret), timestamp, body)}",
    }
    return Call("POST", endpoint.url, headers, body)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a full stop and the body, in hexadecimal."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def send(parcel: Parcel) -> Outcome:
    """Send one request. Anything but a 2xx answer has not arrived, redirects included."""
    if parcel.call is None:
        return Outcome(None, parcel.problem, 0)
    began = time.monotonic()
    try:
        answer = fetch(parcel.call, LIMITS, excerpt=True)
    except OutboundError as error:
        return Outcome(None, str(error), elapsed(began))
    text = answer.body.decode("utf-8", "replace").replace("\x00", "")
    return Outcome(answer.status, text, elapsed(began), asked_to_wait(answer.headers.get("retry-after", "")))


def elapsed(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def asked_to_wait(retry_after: str) -> timedelta:
    seconds = int(retry_after) if retry_after.isdecimal() and len(retry_after) < 7 else 0
    return min(timedelta(seconds=seconds), LONGEST_PAUSE)


def settle(delivery_id: int, outcome: Outcome) -> None:
    """Keep what came of an attempt, and decide what comes next. The endpoint may be gone by now, its log with it."""
    now = timezone.now()
    with transaction.atomic():
        # The endpoint first, as everybody who changes both does.
        endpoint = WebhookEndpoint.objects.select_for_update().filter(deliveries=delivery_id).first()
        delivery = WebhookDelivery.objects.select_for_update().filter(pk=delivery_id).first()
        if endpoint is None or delivery is None:
            return
        is_test = delivery.event.type == HookEvent.TEST
        WebhookAttempt.objects.create(
            delivery=delivery,
            at=now,
            milliseconds=outcome.milliseconds,
            status=outcome.status,
            excerpt=outcome.excerpt,
        )
        if outcome.has_arrived:
            delivery.state, delivery.next_attempt_at = DeliveryState.DELIVERED, None
        elif is_test or delivery.attempts >= ATTEMPTS:
            delivery.state, delivery.next_attempt_at = DeliveryState.FAILED, None
        else:
            delivery.next_attempt_at = now + max(pause_after(delivery.attempts), outcome.wait)
        delivery.save(update_fields=["state", "next_attempt_at"])
        if outcome.has_arrived or not is_test:
            judge(endpoint, outcome, now)


def judge(endpoint: WebhookEndpoint, outcome: Outcome, now: datetime) -> None:
    """An endpoint that only fails is disabled after a while; one success and all is forgotten."""
    if outcome.has_arrived:
        if endpoint.failing_since is not None:
            endpoint.failing_since = None
            endpoint.save(update_fields=["failing_since"])
        return
    if endpoint.failing_since is None:
        endpoint.failing_since = now
        endpoint.save(update_fields=["failing_since"])
    elif endpoint.enabled and now - endpoint.failing_since > PATIENCE:
        what = f"answered {outcome.status}" if outcome.status else outcome.excerpt
        endpoint.enabled = False
        endpoint.disabled_why = f"Nothing has arrived for {PATIENCE.days} days. The last attempt: {what}"
        endpoint.save(update_fields=["enabled", "disabled_why"])
        record(Actor.command(), "webhook disabled", "webhook", endpoint.pk, why=endpoint.disabled_why)


def pause_after(attempts: int) -> timedelta:
    """Twice as long each time, with a quarter of chance, so that what failed together does not come back together."""
    pause = min(FIRST_PAUSE * int(2 ** (attempts - 1)), LONGEST_PAUSE)
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing


def forget_old() -> int:
    """Delete events that are older than the log goes back; returns how many."""
    old = WebhookEvent.objects.filter(created_at__lt=timezone.now() - KEPT)
    return old.count() and old.delete()[1].get("recon.WebhookEvent", 0)
