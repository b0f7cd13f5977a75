"""Where a rule is used: the accounts it belongs to, and what each of its versions did in real runs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max, Sum

from recon.models import AccountRule, MatchingRun, RunRule, RunState


@dataclass(frozen=True)
class VersionUse:
    """What completed real runs owe to one version of a rule."""

    number: int
    runs: int
    matched: int
    suggested: int
    last_run: MatchingRun


@dataclass(frozen=True)
class RuleUses:
    places: list[AccountRule]
    versions: list[VersionUse]  # newest first; only those that a run has used


def rule_uses(rule_id: str) -> RuleUses:
    """Three queries, however many runs."""
    places = AccountRule.objects.filter(rule_id=rule_id).select_related("account").order_by("account__name")
    used = (
        RunRule.objects.filter(version__rule_id=rule_id, run__is_dry_run=False, run__state=RunState.COMPLETED)
        .order_by()
        .values("version__number")
        .annotate(runs=Count("pk"), found=Sum("matched"), unsure=Sum("suggested"), last=Max("run__number"))
        .order_by("-version__number")
    )
    rows = list(used)
    runs = {run.number: run for run in MatchingRun.objects.filter(number__in=[row["last"] for row in rows])}
    versions = [
        VersionUse(row["version__number"], row["runs"], row["found"], row["unsure"], runs[row["last"]]) for row in rows
    ]
    return RuleUses(list(places), versions)
