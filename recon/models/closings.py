"""Closed periods: up to which day an account's reconciliation is done and stays as it is."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from recon.models.accounts import Account


class PeriodClosingQuerySet(models.QuerySet["PeriodClosing"]):
    def in_force(self) -> PeriodClosingQuerySet:
        return self.filter(reopened_at__isnull=True)


class PeriodClosing(models.Model):
    """An account was closed up to a day. Kept for ever; one that was reopened no longer counts."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="closings")
    until = models.DateField()  # the last closed day
    summary = models.JSONField(default=dict)  # what stood open as reconciling items, by side and currency
    note = models.TextField(blank=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    closed_at = models.DateTimeField(auto_now_add=True)
    reopened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    reopened_at = models.DateTimeField(null=True)
    reopen_why = models.TextField(blank=True)

    objects = PeriodClosingQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["account", "until"],
                condition=models.Q(reopened_at__isnull=True),
                name="closing_once_per_account_and_day",
            ),
            models.CheckConstraint(
                condition=models.Q(reopened_at__isnull=True) | ~models.Q(reopen_why=""),
                name="closing_reopened_with_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} until {self.until}"
