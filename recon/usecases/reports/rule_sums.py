"""What rules did in the real runs of a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, QuerySet, Sum

from recon.models import Account, MatchingRun, RunRule, RunState


@dataclass
class RuleSum:
    """What a rule did in the real runs of a period."""

    rule_id: str
    name: str
    runs: int = 0
    matched: int = 0
    suggested: int = 0


def rule_sums(account: Account | None, since: date, until: date) -> list[RuleSum]:
    """What each rule did in real runs that completed on these days, the most successful first."""
    places = RunRule.objects.filter(run__in=real_runs(account, since, until).order_by()).order_by()
    sums = places.values("version__rule_id", "version__rule__name").annotate(
        runs=Count("run", distinct=True), all_matched=Sum("matched"), all_suggested=Sum("suggested")
    )
    return [
        RuleSum(
            row["version__rule_id"],
            row["version__rule__name"],
            row["runs"],
            row["all_matched"],
            row["all_suggested"],
        )
        for row in sums.order_by("-all_matched", "version__rule__name", "version__rule_id")
    ]


def real_runs(account: Account | None, since: date, until: date) -> QuerySet[MatchingRun]:
    """Completed real runs of a period."""
    runs = MatchingRun.objects.filter(
        state=RunState.COMPLETED, is_dry_run=False, completed_at__date__gte=since, completed_at__date__lte=until
    )
    return runs if account is None else runs.filter(account=account)
