"""Suggestions that are withdrawn because their rows change or go."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from recon.models import Match, MatchRow, MatchState, Side


def withdraw_suggestions_on(side: Side, rows: QuerySet[Any]) -> None:
    """Withdraw what was suggested, or proposed by a dry run, for rows that change or go."""
    matches = MatchRow.objects.filter(side=side, row_id__in=rows.values("pk")).values("match_id")
    Match.objects.filter(pk__in=matches, state__in=(MatchState.SUGGESTED, MatchState.PROPOSED)).update(
        state=MatchState.WITHDRAWN, state_changed_at=timezone.now()
    )
