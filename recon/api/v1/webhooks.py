"""Webhooks: who is told of what, and how telling them went."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from recon.api.idempotency import done_earlier
from recon.api.v1.fields import InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.spec import Call, found, operation
from recon.models import DeliveryState, HookEvent, WebhookDelivery, WebhookEndpoint
from recon.usecases.outside import webhooks as usecases
from recon.usecases.outside.secrets import unseal

TAG = "Webhooks"


class WebhookShape(Shape):
    """An address that is told of events."""

    id = serializers.IntegerField(source="pk")
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    failing_since = InstantField(allow_null=True, help_text="Since when nothing has arrived.")
    disabled_why = serializers.CharField()
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    created_at = InstantField()

    example: dict[str, Any] = {
        "id": 1,
        "url": "https://example.com/hooks/tieout",
        "description": "",
        "events": ["run.finished"],
        "enabled": True,
        "failing_since": None,
        "disabled_why": "",
        "created_by": "alice",
        "created_at": "2026-03-31T12:00:00Z",
    }


class NewWebhookShape(Shape):
    """A new endpoint with its secret, which is shown this once."""

    webhook = WebhookShape()
    secret = serializers.CharField(help_text="What payloads are signed with.")

    example = {"webhook": WebhookShape.example, "secret": "whsec_…"}


class SecretShape(Shape):
    """A new secret, shown this once."""

    secret = serializers.CharField()

    example = {"secret": "whsec_…"}


class WebhookInput(Shape):
    """An address, and what it is told of."""

    url = serializers.CharField(max_length=1000)
    description = serializers.CharField(max_length=200, allow_blank=True, default="")
    events = serializers.ListField(child=serializers.ChoiceField(HookEvent.to_choose()), min_length=1, max_length=20)

    example = {"url": "https://example.com/hooks/tieout", "events": ["run.finished"]}


class WebhookChange(WebhookInput):
    """What to change."""

    url = serializers.CharField(max_length=1000, required=False)
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(HookEvent.to_choose()), min_length=1, max_length=20, required=False
    )
    enabled = serializers.BooleanField(required=False, help_text="Enabling forgives: what waits is tried at once.")

    example = {"enabled": False}


class AttemptShape(Shape):
    """One request and what came back."""

    at = InstantField()
    milliseconds = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True, help_text="Null: there was no answer.")
    excerpt = serializers.CharField()


class DeliveryShape(Shape):
    """One event for one endpoint."""

    id = serializers.IntegerField(source="pk")
    webhook = serializers.IntegerField(source="endpoint_id")
    event = serializers.CharField(source="event_id")
    type = serializers.CharField(source="event.type")
    state = serializers.ChoiceField(DeliveryState.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = InstantField(allow_null=True)
    created_at = InstantField()

    example: dict[str, Any] = {
        "id": 3,
        "webhook": 1,
        "event": "evt_5f3c1b7a-10c9-4d1f-8e6a-0b4f5e9d5c2f",
        "type": "run.finished",
        "state": "delivered",
        "attempts": 1,
        "next_attempt_at": None,
        "created_at": "2026-03-31T12:00:00Z",
    }


class DeliveryDetailShape(DeliveryShape):
    """A delivery: what was sent, and every attempt."""

    body = serializers.SerializerMethodField()
    tries = AttemptShape(many=True)

    example = {
        **DeliveryShape.example,
        "body": {"type": "run.finished"},
        "tries": [{"at": "2026-03-31T12:00:01Z", "milliseconds": 40, "status": 200, "excerpt": "ok"}],
    }

    def get_body(self, delivery: WebhookDelivery) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(delivery.event.body, parse_float=str)
        return body


ENDPOINTS = WebhookEndpoint.objects.select_related("created_by")
DELIVERIES = WebhookDelivery.objects.select_related("event")


@operation(TAG, gives=WebhookShape, paged=True)
def list_webhooks(call: Call) -> Paged:
    """List webhooks, the newest first."""
    return paged(ENDPOINTS, call.query)


@operation(TAG, scope="admin", takes=WebhookInput, gives=NewWebhookShape, status=201, repeatable=True, is_secret=True)
def create_webhook(call: Call) -> dict[str, Any]:
    """Create a webhook.

    The answer is the only time its secret is shown."""
    if made := done_earlier(call.request, "webhook"):
        again = endpoint_of(int(made))
        return {"webhook": again, "secret": unseal(again.sealed_secret)}
    endpoint, secret = usecases.create_endpoint(call.by, **call.given)
    return {"webhook": endpoint, "secret": secret}


@operation(TAG, gives=WebhookShape)
def get_webhook(call: Call, webhook_id: int) -> WebhookEndpoint:
    """Get a webhook."""
    return endpoint_of(webhook_id)


@operation(TAG, scope="admin", takes=WebhookChange, gives=WebhookShape)
def update_webhook(call: Call, webhook_id: int) -> WebhookEndpoint:
    """Change a webhook, enable or disable it."""
    usecases.change_endpoint(call.by, endpoint_of(webhook_id), **call.given)
    return endpoint_of(webhook_id)


@operation(TAG, scope="admin")
def delete_webhook(call: Call, webhook_id: int) -> None:
    """Delete a webhook with its log."""
    usecases.delete_endpoint(call.by, endpoint_of(webhook_id))


@operation(TAG, scope="admin", gives=DeliveryDetailShape)
def test_webhook(call: Call, webhook_id: int) -> WebhookDelivery:
    """Send a test event and wait for what comes of it."""
    return delivery_with_tries(usecases.send_test(call.by, endpoint_of(webhook_id)).pk)


@operation(TAG, scope="admin", gives=SecretShape, repeatable=True, is_secret=True)
def renew_webhook_secret(call: Call, webhook_id: int) -> dict[str, str]:
    """Renew the secret of a webhook.

    The old one signs nothing any more from now on."""
    endpoint = endpoint_of(webhook_id)
    if done_earlier(call.request, "webhook"):
        return {"secret": unseal(endpoint.sealed_secret)}
    return {"secret": usecases.renew_secret(call.by, endpoint)}


@operation(TAG, gives=DeliveryShape, paged=True)
def list_webhook_deliveries(call: Call, webhook_id: int) -> Paged:
    """List the deliveries of a webhook, the newest first."""
    return paged(DELIVERIES.filter(endpoint=endpoint_of(webhook_id)), call.query)


@operation(TAG, gives=DeliveryDetailShape)
def get_webhook_delivery(call: Call, delivery_id: int) -> WebhookDelivery:
    """Get a delivery: what was sent, and every attempt."""
    return delivery_with_tries(delivery_id)


@operation(TAG, scope="admin", gives=DeliveryShape, repeatable=True)
def replay_webhook_delivery(call: Call, delivery_id: int) -> WebhookDelivery:
    """Send a delivery again, with the same event id."""
    usecases.replay(call.by, delivery_with_tries(delivery_id))
    return delivery_with_tries(delivery_id)


def endpoint_of(webhook_id: int) -> WebhookEndpoint:
    endpoint: WebhookEndpoint = found(ENDPOINTS, "webhook", webhook_id)
    return endpoint


def delivery_with_tries(delivery_id: int) -> WebhookDelivery:
    delivery: WebhookDelivery = found(DELIVERIES.prefetch_related("tries"), "delivery", delivery_id)
    return delivery
