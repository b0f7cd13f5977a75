"""Accounts: what is reconciled, and what a run of theirs starts from."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from recon.models.fields import one_of
from recon.rows import amount
from rules.models import MatchingRule


class AccountKind(models.TextChoices):
    ASSET = "asset", "asset (bank account, wallet)"
    LIABILITY = "liability", "liability (credit card, loan)"


class Sign(models.TextChoices):
    AS_GIVEN = "as_given", "as given: plus is money in"
    INVERTED = "inverted", "inverted: plus is money out"
    UNSIGNED = "unsigned", "unsigned: direction is not compared"


class Strategy(models.TextChoices):
    ONE_TO_ONE = "one_to_one", "One to one"
    ONE_TO_MANY = "one_to_many", "One line to many entries"
    MANY_TO_ONE = "many_to_one", "Many lines to one entry"
    MANY_TO_MANY = "many_to_many", "Many to many"
    WITHIN_STATEMENT = "within_statement", "Reversals within the statement"
    WITHIN_LEDGER = "within_ledger", "Reversals within the ledger"


class AmountColumn(models.TextChoices):
    AS_FILE = "", "as the file says: gross if it has both"
    GROSS = "gross", "gross: what the customer paid"
    NET = "net", "net: what is left after fees"


class ImportProfile(models.Model):
    """How the columns of a file are read; remembered for an account, or shared by name."""

    name = models.CharField(max_length=200, unique=True)
    mapping = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class AccountQuerySet(models.QuerySet["Account"]):
    def for_people(self) -> AccountQuerySet:
        """Without the built-in account behind the Blnk routes."""
        return self.filter(is_builtin=False)


class Account(models.Model):
    """A bank account, a processor, a wallet: one set of statements reconciled against one scope of the ledger."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=10, choices=AccountKind, default=AccountKind.ASSET)
    number = models.CharField(max_length=64, blank=True)  # IBAN or the processor's account id, as statements give it
    time_zone = models.CharField(max_length=64, default="UTC")
    currencies = models.JSONField(default=list)  # ["EUR", …]; empty: any
    statement_profile = models.ForeignKey(
        ImportProfile, on_delete=models.SET_NULL, null=True, blank=True, related_name="statement_accounts"
    )
    ledger_profile = models.ForeignKey(
        ImportProfile, on_delete=models.SET_NULL, null=True, blank=True, related_name="ledger_accounts"
    )
    rules: models.ManyToManyField[MatchingRule, AccountRule] = models.ManyToManyField(
        MatchingRule, through="AccountRule", related_name="accounts"
    )
    strategy = models.CharField(max_length=20, choices=Strategy, default=Strategy.ONE_TO_ONE)
    grouping = models.CharField(max_length=200, blank=True)  # field names, comma separated
    sign = models.CharField(max_length=10, choices=Sign, default=Sign.AS_GIVEN)
    split_batches = models.BooleanField(default=False)  # a booked batch entry becomes its transactions, if they add up
    amount_column = models.CharField(max_length=5, choices=AmountColumn, blank=True)  # of files with gross and net
    # Above this absolute difference a match is suggested, never confirmed. Null: no limit of the account's own.
    tolerance_units = models.BigIntegerField(null=True, blank=True)
    tolerance_scale = models.SmallIntegerField(default=2)
    sla_days = models.PositiveSmallIntegerField(null=True, blank=True, default=7)  # null: nothing is ever late
    cut_over = models.DateField(null=True, blank=True)  # ledger entries before it are not this account's open items
    # {"owned": bool, "balances": […], "sources": […], "statuses": […]}; {} = unowned entries, null = not chosen yet
    scope = models.JSONField(null=True, blank=True)
    is_builtin = models.BooleanField(default=False)  # the "API" account of the Blnk routes
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            one_of("kind", AccountKind, "account_kind_known"),
            one_of("sign", Sign, "account_sign_known"),
            one_of("strategy", Strategy, "account_strategy_known"),
            one_of("amount_column", AmountColumn, "account_amount_column_known"),
            models.UniqueConstraint(
                fields=["is_builtin"], condition=models.Q(is_builtin=True), name="account_one_builtin"
            ),
            models.CheckConstraint(
                condition=models.Q(tolerance_units__isnull=True) | models.Q(tolerance_units__gte=0),
                name="account_tolerance_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tolerance_limit(self) -> Decimal | None:
        return None if self.tolerance_units is None else amount(self.tolerance_units, self.tolerance_scale)


class AccountRule(models.Model):
    """A rule's place in an account's ordered rule set."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="rule_places")
    rule = models.ForeignKey(MatchingRule, on_delete=models.CASCADE, related_name="account_places")
    position = models.PositiveSmallIntegerField()
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["account", "rule"], name="account_rule_once")]

    def __str__(self) -> str:
        return f"{self.position}. {self.rule}"
