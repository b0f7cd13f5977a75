"""The ledger side: entries and the imports they came with."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from recon.models.accounts import Account
from recon.models.fields import Row, money_constraints, one_of, public_id
from recon.models.statements import LoadState

FINAL_STATUSES = ("APPLIED", "")
"""Only final entries take part in matching; queued, in-flight, rejected and void ones never do."""


def new_import_id() -> str:
    return public_id("import")


class LedgerImport(models.Model):
    """A file of ledger entries: a record like a statement, reversible while nothing of it is matched."""

    import_id = models.CharField(max_length=64, primary_key=True, default=new_import_id, editable=False)
    number = models.BigIntegerField(unique=True)  # what entries carry; taken from `reserve_ids`
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="ledger_imports")
    name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, db_index=True)
    file = models.FileField(upload_to="ledger", max_length=255, blank=True)
    format = models.CharField(max_length=20)
    mapping = models.JSONField(null=True)
    state = models.CharField(max_length=12, choices=LoadState, default=LoadState.LOADING)
    record_count = models.BigIntegerField(default=0)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = [one_of("state", LoadState, "ledger_import_state_known")]

    def __str__(self) -> str:
        return self.name


class LedgerEntry(Row):
    """What our books say. `id` is also the acceptance number: it orders entries of one booking date."""

    account_id = models.BigIntegerField(null=True)  # owner; then a candidate there only. Null: anybody's
    import_number = models.BigIntegerField(null=True)  # null: made through the API
    destination = models.TextField(null=True)
    parent_transaction = models.TextField(null=True)
    status = models.CharField(max_length=12, default="")
    created_at = models.DateTimeField()
    api_reference = models.TextField(null=True)  # `reference`, only of entries made by POST /transactions

    class Meta:
        ordering = ("-booking_date", "-id")
        indexes = [
            models.Index(fields=["account_id", "booking_date", "id"], name="entry_account_date"),
            # What lines imply is found by these two: references are bytes to compare (migration 0011), and amounts
            # whole numbers, whatever their currency.
            models.Index(
                fields=["reference_key"], condition=models.Q(reference_key__isnull=False), name="entry_reference"
            ),
            models.Index(fields=["scale", "units"], name="entry_units"),
            BrinIndex(fields=["import_number"], name="entry_import"),  # an import's entries lie together
        ]
        constraints = [
            *money_constraints("entry"),
            models.UniqueConstraint(
                fields=["api_reference"],
                condition=models.Q(api_reference__isnull=False),
                name="entry_api_reference_once",
            ),
        ]
