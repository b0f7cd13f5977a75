"""Connectors: ledgers that run elsewhere and are read from, and what was read."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from recon.models.accounts import Account
from recon.models.fields import one_of


class SyncState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def active(cls) -> tuple[SyncState, ...]:
        return (cls.QUEUED, cls.RUNNING)


class Connector(models.Model):
    """A running Blnk Core whose transactions become ledger entries."""

    name = models.CharField(max_length=200, unique=True)
    sealed_url = models.TextField()  # encrypted, like the key
    sealed_key = models.TextField()
    # The owner of what is read, seen from `balances`; without one entries are anybody's, with amounts as given.
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="connectors")
    balances = models.JSONField(default=list)  # ids of balances; only transactions of theirs are kept. Empty: all
    start_on = models.DateField(null=True)  # transactions made before this day are not read
    every_minutes = models.PositiveIntegerField(null=True)  # null: only when somebody asks
    overlap_minutes = models.PositiveIntegerField(default=60)
    skips_unreadable = models.BooleanField(default=False)
    writes_back = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    read_until = models.DateTimeField(null=True)  # when the newest transaction read so far was made
    # Writing back: events up to this one have been looked at; not before this time after a failure, and why.
    written_event = models.BigIntegerField(default=0)
    write_after = models.DateTimeField(null=True)
    write_error = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ConnectorSyncQuerySet(models.QuerySet["ConnectorSync"]):
    def active(self) -> ConnectorSync | None:
        """The one at work, if there is one."""
        return self.filter(state__in=SyncState.active()).first()


class ConnectorSync(models.Model):
    """One reading of what is new: its own state machine, with a lease like a run's."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="syncs")
    state = models.CharField(max_length=10, choices=SyncState, default=SyncState.QUEUED)
    # Where it stands: {"at": instant, "past": bool, "within": offset or null}; stored with each page.
    position = models.JSONField(null=True)
    since = models.DateTimeField(null=True)  # transactions made from then on; null: from the first one
    total = models.BigIntegerField(null=True)  # how many there were to read when it began
    seen = models.BigIntegerField(default=0)
    added = models.BigIntegerField(default=0)
    left_out = models.BigIntegerField(default=0)
    problems = models.JSONField(default=list)  # the first of those left out, each in words
    import_number = models.BigIntegerField(null=True)  # the ledger import that took the entries
    error = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)
    lease_holder = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True)

    objects = ConnectorSyncQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            one_of("state", SyncState, "connector_sync_state_known"),
            models.UniqueConstraint(
                fields=["connector"],
                condition=models.Q(state__in=["queued", "running"]),
                name="connector_syncs_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connector_id}: {self.state}"

    @property
    def is_active(self) -> bool:
        return self.state in SyncState.active()


class PulledTransaction(models.Model):
    """A transaction that was read: the key that makes it an entry once, and what was written back to it."""

    id = models.BigAutoField(primary_key=True)
    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="pulled")
    transaction_id = models.CharField(max_length=200)
    entry_id = models.BigIntegerField()
    import_number = models.BigIntegerField()
    written_match = models.BigIntegerField(default=0)  # the match that its meta_data shows; 0: none
    tried_match = models.BigIntegerField(null=True)  # what the latest failed attempt was about
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["import_number"], name="pulled_import")]
        constraints = [
            models.UniqueConstraint(fields=["connector", "transaction_id"], name="pulled_once"),
        ]

    def __str__(self) -> str:
        return self.transaction_id
