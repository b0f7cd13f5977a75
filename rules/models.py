"""Matching rules and their numbered versions."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models


def new_rule_id() -> str:
    return f"rule_{uuid4()}"


def drawn_id(text: str) -> str:
    """An id that a form drew for a new rule, if it looks like one of ours."""
    return text if re.fullmatch("rule_[0-9a-f-]{36}", text) else ""


class RuleStatus(models.TextChoices):
    ENABLED = "enabled"
    DISABLED = "disabled"
    ARCHIVED = "archived"


class MatchingRuleQuerySet(models.QuerySet["MatchingRule"]):
    def listed(self) -> MatchingRuleQuerySet:
        """What people work with: everything but the archive."""
        return self.exclude(status=RuleStatus.ARCHIVED)

    def enabled(self) -> MatchingRuleQuerySet:
        return self.filter(status=RuleStatus.ENABLED)


class MatchingRule(models.Model):
    """A rule as people know it. What it says is in its versions: a run keeps the version it used."""

    rule_id = models.CharField(max_length=64, primary_key=True, default=new_rule_id, editable=False)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=RuleStatus, default=RuleStatus.ENABLED)
    version = models.PositiveIntegerField(default=1)  # number of the current version
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MatchingRuleQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "rule_id")
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=RuleStatus.values), name="rule_status_known"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="rule_version_counts_from_one"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def current(self) -> RuleVersion:
        return self.versions.get(number=self.version)


class RuleVersion(models.Model):
    """One saved state of a rule; never changed once written, so that a run of last year can still be explained."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(MatchingRule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    body = models.TextField()  # JSON in the shape of the rule API, exactly as it came in: numbers keep their digits
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="rule_version_number_once")]

    def __str__(self) -> str:
        return f"{self.rule} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk:
            raise TypeError("a rule version is never changed; save a new one")
        super().save(*args, **kwargs)
