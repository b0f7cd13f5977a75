"""The audit trail: append-only, written in the same transaction as what it reports."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from recon.models.fields import one_of


class Via(models.TextChoices):
    SCREEN = "screen"
    KEY = "key", "API key"
    COMMAND = "command"
    RUN = "run"


class Event(models.Model):
    """Who did what to which record, via what, when, what it was before and after, and why.

    The database refuses changes (a trigger of the first migration), not only this class.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    via = models.CharField(max_length=10, choices=Via)
    verb = models.CharField(max_length=40)  # "match confirmed", "run reversed" …
    kind = models.CharField(max_length=20)  # "match", "run", "rule", "statement" …
    object_id = models.CharField(max_length=64)
    account_id = models.BigIntegerField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    why = models.TextField(blank=True)
    request_id = models.BigIntegerField(
        null=True
    )  # the `ApiRequest` it was done for, if that came with a key of its own

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["kind", "object_id", "-id"], name="event_object"),
            models.Index(fields=["account_id", "-id"], name="event_account"),
            models.Index(fields=["request_id"], name="event_request", condition=models.Q(request_id__isnull=False)),
        ]
        constraints = [one_of("via", Via, "event_via_known")]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk:
            raise TypeError("an event is never changed")
        super().save(*args, **kwargs)
