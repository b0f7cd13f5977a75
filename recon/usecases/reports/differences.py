"""What matches left as difference: fees, rounding and the like, by match and summed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from recon.models import Account, Match, MatchDifference, MatchingRun, MatchState, RunState
from recon.usecases.reports.as_at import cleared_by
from recon.usecases.reports.sums import summed


@dataclass(frozen=True)
class AdjustmentSum:
    """What matches left as difference, by type and currency."""

    type: str
    currency: str
    count: int
    amount: Decimal


def adjustments(
    account: Account | None = None, kind: str = "", state: str = "", currency: str = ""
) -> QuerySet[MatchDifference]:
    """Typed differences of matches, each with its match's `account_id`, `state`, `cleared_on` and `run_number`."""
    match = Match.objects.filter(pk=OuterRef("match_id"))
    rows = left_by(Match.objects.visible()).annotate(
        account_id=Subquery(match.values("account_id")),
        state=Subquery(match.values("state")),
        cleared_on=Subquery(match.values("cleared_on")),
        run_number=Subquery(match.values("run_number")),
    )
    wanted = {"account_id": account.pk if account else None, "type": kind, "state": state, "currency": currency}
    return rows.filter(**{name: value for name, value in wanted.items() if value})


def adjustment_sums(account: Account | None, since: date, until: date) -> list[AdjustmentSum]:
    """What confirmed matches that cleared on these days left, by type and currency."""
    matches = Match.objects.visible().filter(state=MatchState.CONFIRMED, cleared_on__gte=since, cleared_on__lte=until)
    if account is not None:
        matches = matches.filter(account_id=account.pk)
    found: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in summed(left_by(matches), "units", "type"):
        found[row["type"], row["currency"]][0] += row["count"]
        found[row["type"], row["currency"]][1] += row["total"]
    return [AdjustmentSum(*key, *found[key]) for key in sorted(found)]


def differences_by(account: Account, day: date) -> QuerySet[MatchDifference]:
    """What the matches that had cleared by a day and stand left as difference; each with its match's `cleared_on`."""
    # Not asked of the claims: they have no index by match. A run that is at work has stored matches without any.
    finished = MatchingRun.objects.filter(
        account=account, is_dry_run=False, state__in=(RunState.COMPLETED, RunState.REVERSED)
    )
    stands = cleared_by(day).filter(
        Q(run_number__isnull=True) | Q(run_number__in=finished.order_by().values("number")),
        account_id=account.pk, state=MatchState.CONFIRMED,
    )  # fmt: skip
    cleared_on = Match.objects.filter(pk=OuterRef("match_id")).values("cleared_on")
    return left_by(stands).annotate(cleared_on=Subquery(cleared_on))


def left_by(matches: QuerySet[Match]) -> QuerySet[MatchDifference]:
    """The differences that some matches left. Each looks its match up: EXISTS would be joined, from every one of the
    matches to find the few that left a difference."""
    its_match = matches.filter(pk=OuterRef("match_id")).order_by().values("pk")
    return MatchDifference.objects.alias(its_match=Subquery(its_match)).filter(its_match__isnull=False)
