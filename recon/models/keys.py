"""API keys and what they open."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class KeyScope(models.TextChoices):
    READ = "read", "read everything"
    RULES = "rules", "write rules"
    UPLOAD = "upload", "upload statements and ledger entries"
    RUN = "run", "start, cancel, apply and reverse runs"
    REVIEW = "review", "confirm, reject, match and work open items"
    ADMIN = "admin", "everything"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> ApiKeyQuerySet:
        """Neither revoked nor expired, and the user behind it may still sign in."""
        unexpired = models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=Now())
        return self.filter(unexpired, revoked_at__isnull=True, user__is_active=True)


class ApiKey(models.Model):
    """A key as we keep it: shown once when made, stored as a digest, recognisable by its prefix."""

    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=12)  # the key's first characters, for people
    digest = models.CharField(max_length=64, unique=True)  # sha256: keys are 256 random bits, nothing to guess
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)  # null: as the installation says; 0: any
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "active"

    @property
    def is_of_service(self) -> bool:
        """Whether it belongs to a service account, which cannot sign in."""
        return not self.user.has_usable_password()

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or KeyScope.ADMIN in self.scopes
