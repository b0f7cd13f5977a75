"""Webhooks: who wants to hear of what, what happened (an outbox), and how telling them went."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from recon.models.fields import one_of, public_id


class HookEvent(models.TextChoices):
    """What endpoints can be told; the words stand in payloads and never change."""

    RUN_FINISHED = "run.finished", "A run finished: completed, failed or cancelled"
    OVER_SLA = "exception.over_sla", "Open items are older than their account allows"
    PERIOD_CLOSED = "period.closed", "A period of an account was closed"
    TEST = "webhook.test", "A test, sent from the settings"

    @classmethod
    def to_choose(cls) -> list[tuple[str, str]]:
        return [choice for choice in cls.choices if choice[0] != cls.TEST]


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Given up"


class WebhookEndpoint(models.Model):
    """An address that is told of events."""

    url = models.CharField(max_length=1000)
    description = models.CharField(max_length=200, blank=True)
    events = models.JSONField(default=list)  # values of `HookEvent`
    sealed_secret = models.TextField()  # what payloads are signed with, encrypted
    enabled = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True)  # since when nothing has arrived; null: the last attempt did
    disabled_why = models.TextField(blank=True)  # if nobody but its own failing disabled it
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.url


def new_event_id() -> str:
    return public_id("evt")


class WebhookEvent(models.Model):
    """Something that happened, in the words it is told in: written in the transaction in which it happened."""

    event_id = models.CharField(max_length=64, primary_key=True, default=new_event_id, editable=False)
    type = models.CharField(max_length=30, choices=HookEvent)
    body = models.TextField()  # JSON, sent exactly as it stands
    created_at = models.DateTimeField()

    class Meta:
        constraints = [one_of("type", HookEvent, "webhook_event_type_known")]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class WebhookDelivery(models.Model):
    """One event for one endpoint: tried until it arrives, or until it is given up."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    # While an attempt is on its way this is when it counts as lost with its worker.
    next_attempt_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(state="pending"), name="delivery_due"),
            models.Index(fields=["endpoint", "-id"], name="delivery_endpoint"),
        ]
        constraints = [
            one_of("state", DeliveryState, "delivery_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state="pending") | models.Q(next_attempt_at__isnull=False),
                name="delivery_pending_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}"


class WebhookAttempt(models.Model):
    """One request and what came back."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True)  # null: there was no answer
    excerpt = models.TextField(blank=True)  # the beginning of the answer, or why there is none

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.status or 'no answer'} after {self.milliseconds} ms"
