"""The statement side: uploads, their balances, lines and row errors."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from recon.models.accounts import Account
from recon.models.fields import Money, Row, money_constraints, one_of, public_id


class LoadState(models.TextChoices):
    LOADING = "loading"  # rows are arriving in several transactions; nothing reads them yet
    READY = "ready"
    SUPERSEDED = "superseded"  # replaced by a re-issue
    DISCARDED = "discarded"  # taken back, or its load was cut off; its rows are gone


def new_upload_id() -> str:
    return public_id("upload")


class StagedFile(models.Model):
    """A file on its way in: uploaded, previewed, not imported. Nothing else knows of it; it is dropped after a day."""

    token = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=255)
    file = models.FileField(upload_to="staged", max_length=255)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    mapping = models.JSONField(null=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class StatementQuerySet(models.QuerySet["Statement"]):
    def ready(self) -> StatementQuerySet:
        return self.filter(state=LoadState.READY)


class Statement(models.Model):
    """One statement of one account (Blnk: an upload). A re-issued one supersedes its predecessor."""

    upload_id = models.CharField(max_length=64, primary_key=True, default=new_upload_id, editable=False)
    number = models.BigIntegerField(unique=True)  # what lines carry; taken from `reserve_ids`
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="statements")
    source = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, db_index=True)
    file = models.FileField(upload_to="statements", max_length=255, blank=True)
    format = models.CharField(max_length=20)
    encoding = models.CharField(max_length=40, blank=True)
    mapping = models.JSONField(null=True)
    account_number = models.CharField(max_length=64, blank=True)  # as the file gives it
    statement_number = models.CharField(max_length=64, blank=True)
    period_start = models.DateField(null=True)
    period_end = models.DateField(null=True)
    state = models.CharField(max_length=12, choices=LoadState, default=LoadState.LOADING)
    supersedes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="superseded_by")
    record_count = models.BigIntegerField(default=0)
    # What the balance check rests on, per statement in the file and currency; see `usecases/imports/facts.py`.
    sections = models.JSONField(null=True)
    # Lines of the file that were there already and left out: {"lines": 3, "net": {"EUR": "12.50"}}
    skipped = models.JSONField(null=True)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StatementQuerySet.as_manager()

    class Meta:
        ordering = ("-number",)
        constraints = [one_of("state", LoadState, "statement_state_known")]

    def __str__(self) -> str:
        return self.name


class StatementBalance(Money):
    """A balance the statement states, for the statement balance check."""

    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, related_name="balances")
    kind = models.CharField(max_length=20)  # opening, closing, opening_available, closing_available, interim
    date = models.DateField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = money_constraints("balance")

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"


class StatementLine(Row):
    """A line of a statement, at its position in the file: two identical lines are two lines."""

    statement_number = models.BigIntegerField()
    account_id = models.BigIntegerField()
    position = models.BigIntegerField()
    superseded = models.BooleanField(default=False)  # a re-issue changed it or no longer has it

    class Meta:
        ordering = ("statement_number", "position")
        indexes = [
            models.Index(fields=["account_id", "booking_date", "id"], name="line_account_date"),
        ]
        constraints = [
            *money_constraints("line"),
            models.UniqueConstraint(fields=["statement_number", "position"], name="line_position_once"),
            models.CheckConstraint(condition=models.Q(position__gte=1), name="line_position_from_one"),
        ]


class StatementRowError(models.Model):
    """A row that could not be read: kept with its raw text for repair. Never stored as 0.00.

    It is settled once somebody has repaired it, which makes it a line of the statement, or said that it is none.
    """

    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, related_name="row_errors")
    line = models.BigIntegerField(null=True)
    column = models.CharField(max_length=200, blank=True)
    found = models.TextField(blank=True)
    expected = models.TextField()
    message = models.TextField()
    raw = models.TextField(blank=True)
    cells = models.JSONField(null=True)  # {column: text} as read, for files that are tables
    line_position = models.BigIntegerField(null=True)  # the line it became
    settled_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    settled_why = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(line_position__isnull=True) | models.Q(settled_at__isnull=False),
                name="row_error_repaired_is_settled",
            )
        ]

    def __str__(self) -> str:
        return self.message
