"""Requests that came with an `Idempotency-Key`, and their answers."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ApiRequest(models.Model):
    """One request that is worked on once, however often it is sent.

    What its work wrote into the audit trail carries this record's id (`Event.request_id`), in the work's own
    transaction. So what a killed process had done already can be told, whether or not its answer was kept.
    """

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # sha256 over method, path and body
    worker = models.CharField(max_length=32, blank=True)  # the process at work on it; empty: nobody
    taken_at = models.DateTimeField()  # when that process began
    status = models.PositiveSmallIntegerField(null=True)  # of the answer; null: there is none yet
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="api_request_key")]

    def __str__(self) -> str:
        return self.key
