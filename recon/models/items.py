"""Open items: what people work, one per open row part across runs; and rows split into parts."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from recon.models.accounts import Account
from recon.models.fields import Money, RowNumber, Side, money_constraints, one_of


class ItemState(models.TextChoices):
    OPEN = "open", "Open"
    IN_REVIEW = "in_review", "In review"
    ON_HOLD = "on_hold", "On hold"
    ACCEPTED = "accepted", "Accepted as reconciling item"
    RESOLVED = "resolved", "Resolved"

    @classmethod
    def unresolved(cls) -> tuple[ItemState, ...]:
        return (cls.OPEN, cls.IN_REVIEW, cls.ON_HOLD, cls.ACCEPTED)


class OpenItemQuerySet(models.QuerySet["OpenItem"]):
    def unresolved(self) -> OpenItemQuerySet:
        return self.filter(state__in=ItemState.unresolved())

    def for_account(self, account: Account) -> OpenItemQuerySet:
        return self.filter(account_id=account.pk)


class OpenItem(Money):
    """A row part that is not settled yet. It ages from the row's own date and outlives runs.

    Amount, date and reference are copies of the row's, which never change: lists of a million items sort and filter
    here without a join.
    """

    id = RowNumber(primary_key=True)
    account_id = models.BigIntegerField()
    side = models.SmallIntegerField(choices=Side)
    row_id = models.BigIntegerField()
    part = models.IntegerField(default=0)
    row_date = models.DateField(null=True)
    state = models.CharField(max_length=10, choices=ItemState, default=ItemState.OPEN)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, db_constraint=False, db_index=False
    )
    hold_until = models.DateField(null=True)
    reason = models.CharField(max_length=30, blank=True)  # the latest run's
    run_number = models.BigIntegerField(null=True)  # the latest run that reported it
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    over_sla_at = models.DateTimeField(null=True)  # when it was noticed, and told, that it had become too old

    objects = OpenItemQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["account_id", "side", "row_date", "id"],
                condition=~models.Q(state="resolved"),
                name="item_open_by_date",
            ),
            models.Index(fields=["owner"], condition=models.Q(owner__isnull=False), name="item_owner"),
        ]
        constraints = [
            *money_constraints("item"),
            one_of("state", ItemState, "item_state_known"),
            models.UniqueConstraint(fields=["account_id", "side", "row_id", "part"], name="item_once_per_row_part"),
            models.CheckConstraint(
                condition=models.Q(state="resolved", resolved_at__isnull=False)
                | (~models.Q(state="resolved") & models.Q(resolved_at__isnull=True)),
                name="item_resolved_at_when_resolved",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="on_hold") | models.Q(hold_until__isnull=False),
                name="item_on_hold_until_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class ItemNote(models.Model):
    """What somebody wrote on an open item."""

    item_id = models.BigIntegerField(db_index=True)
    text = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.text


class RowPart(models.Model):
    """A row that a person split: its parts add up to the row's amount, and take part in matching instead of it."""

    pk = models.CompositePrimaryKey("account_id", "side", "row_id", "part")
    account_id = models.BigIntegerField()
    side = models.SmallIntegerField(choices=Side)
    row_id = models.BigIntegerField()
    part = models.PositiveIntegerField()
    units = models.BigIntegerField()  # at the row's scale

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(part__gte=1), name="row_part_from_one")]

    def __str__(self) -> str:
        return f"{Side(self.side).label} {self.row_id}/{self.part}"


class PassedOver(models.Model):
    """An account whose ledger a run has not read as a whole: the worker lists what is open of it, a piece at a time,
    and deletes this when it has come to the end. The latest run begins it anew."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="passed_over")
    run_number = models.BigIntegerField()
    until = models.DateField()  # entries booked later are not the account's work yet
    next_id = models.BigIntegerField(default=0)  # of the entries that are still to be looked at

    def __str__(self) -> str:
        return f"entries of {self.account} from {self.next_id}"
