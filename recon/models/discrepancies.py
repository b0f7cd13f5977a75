"""What is wrong with an imported file, for somebody to look at: an exception that belongs to no single row."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from recon.models.accounts import Account
from recon.models.fields import one_of
from recon.models.ledger import LedgerImport
from recon.models.statements import Statement


class DiscrepancyKind(models.TextChoices):
    BALANCE = "balance_differs", "Statement does not balance"
    GAP = "gap", "Statement missing in between"
    OVERLAP = "overlap", "Periods overlap"
    UNREAD = "unread_rows", "Rows that could not be read"
    ACCOUNT = "account", "File of another account"
    LEDGER = "ledger_changed", "Matched entry changed in the books"


class DiscrepancyQuerySet(models.QuerySet["Discrepancy"]):
    def open(self) -> DiscrepancyQuerySet:
        return self.filter(resolved_at__isnull=True)


class Discrepancy(models.Model):
    """One thing about a statement or a ledger import that somebody must look at.

    It never holds anything up. It is resolved by a person with a reason, or by itself once it no longer holds.
    """

    kind = models.CharField(max_length=20, choices=DiscrepancyKind)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="discrepancies")
    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, null=True, related_name="discrepancies")
    ledger_import = models.ForeignKey(LedgerImport, on_delete=models.CASCADE, null=True, related_name="discrepancies")
    entry_id = models.BigIntegerField(null=True)  # the ledger entry it is about
    subject = models.CharField(max_length=64, blank=True)  # what it is about within its kind: a currency, an entry
    text = models.TextField()
    detail = models.JSONField(null=True)  # {"before": {…}, "after": {…}} of a changed entry
    opened_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    resolution = models.TextField(blank=True)

    objects = DiscrepancyQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["account", "-id"], condition=models.Q(resolved_at=None), name="discrepancy_open"),
        ]
        constraints = [one_of("kind", DiscrepancyKind, "discrepancy_kind_known")]

    def __str__(self) -> str:
        return self.text
