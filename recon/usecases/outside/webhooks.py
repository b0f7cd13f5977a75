"""Webhook endpoints: made, changed, tested; deliveries sent again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from recon.models import DeliveryState, HookEvent, WebhookDelivery, WebhookEndpoint
from recon.outbound import AddressRefusedError, checked_url, refuse_plainly_private
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.secrets import seal
from recon.usecases.outside.webhook_delivery import parcel_of, send, settle
from recon.usecases.outside.webhook_outbox import put_down

SECRET_START = "whsec_"  # noqa: S105 - how secrets begin, not one of them


@transaction.atomic
def create_endpoint(
    by: Actor, url: str, events: Sequence[str], description: str = "", *, enabled: bool = True
) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint and return it with its secret, which nobody is shown again. Raises Refused."""
    check_address(url)
    check_events(events)
    secret = SECRET_START + secrets.token_urlsafe(32)
    endpoint = WebhookEndpoint.objects.create(
        url=url,
        events=sorted(set(events)),
        description=description,
        enabled=enabled,
        sealed_secret=seal(secret),
        created_by=by.user,
    )
    record(by, "webhook created", "webhook", endpoint.pk, after=in_words(endpoint))
    return endpoint, secret


@transaction.atomic
def change_endpoint(
    by: Actor,
    endpoint: WebhookEndpoint,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> WebhookEndpoint:
    """Change what is given. Enabling forgives: what waits is tried at once, and failing is counted anew."""
    locked = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    before = in_words(locked)
    if url is not None and url != locked.url:
        check_address(url)
    check_events(events if events is not None else locked.events)
    if enabled and not locked.enabled:
        locked.failing_since, locked.disabled_why = None, ""
        waiting = locked.deliveries.filter(state=DeliveryState.PENDING)
        waiting.update(next_attempt_at=timezone.now(), attempts=0)
    locked.url = url if url is not None else locked.url
    locked.events = sorted(set(events)) if events is not None else locked.events
    locked.description = description if description is not None else locked.description
    locked.enabled = enabled if enabled is not None else locked.enabled
    locked.save()
    if (after := in_words(locked)) != before:
        record(by, "webhook changed", "webhook", locked.pk, before=before, after=after)
    return locked


@transaction.atomic
def delete_endpoint(by: Actor, endpoint: WebhookEndpoint) -> None:
    """Delete an endpoint with its log; the audit trail keeps that it was there."""
    record(by, "webhook deleted", "webhook", endpoint.pk, before=in_words(endpoint))
    endpoint.delete()


@transaction.atomic
def renew_secret(by: Actor, endpoint: WebhookEndpoint) -> str:
    """A new secret instead of the old one, which signs nothing any more from now on."""
    secret = SECRET_START + secrets.token_urlsafe(32)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(sealed_secret=seal(secret))
    record(by, "webhook secret renewed", "webhook", endpoint.pk)
    return secret


def send_test(by: Actor, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send a test event and wait for what comes of it, also to an endpoint that is disabled. It is tried once."""
    with transaction.atomic():
        event = put_down(HookEvent.TEST, {"message": "This is a test."}, [endpoint], taken=True)
        record(by, "webhook tested", "webhook", endpoint.pk)
        delivery = WebhookDelivery.objects.select_related("endpoint", "event").get(event=event)
    settle(delivery.pk, send(parcel_of(delivery)))
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def replay(by: Actor, delivery: WebhookDelivery) -> WebhookDelivery:
    """Send a delivery again, with the same event id: it is due at once. Raises Refused if it is due already."""
    locked = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
    if locked.state == DeliveryState.PENDING and locked.attempts == 0:
        raise Refused("This delivery is waiting for its first attempt already.")
    locked.state, locked.attempts, locked.next_attempt_at = DeliveryState.PENDING, 0, timezone.now()
    locked.save(update_fields=["state", "attempts", "next_attempt_at"])
    record(by, "webhook replayed", "webhook", locked.endpoint_id, after={"event": locked.event_id})
    return locked


def check_address(url: str) -> None:
    """Raises Refused for what no event is sent to. Where a name leads is judged again whenever something is sent."""
    try:
        refuse_plainly_private(checked_url(url))
    except AddressRefusedError as error:
        raise Refused(str(error)) from error


def check_events(events: Sequence[str]) -> None:
    """Raises Refused unless there is something to tell."""
    known = [value for value, _ in HookEvent.to_choose()]
    if unknown := sorted(set(events) - set(known)):
        raise Refused(f"There is no event {', '.join(unknown)}; expected one or more of {', '.join(known)}.")
    if not events:
        raise Refused(f"Choose at least one event: {', '.join(known)}.")


def in_words(endpoint: WebhookEndpoint) -> dict[str, object]:
    return {
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "enabled": endpoint.enabled,
    }
