"""Open items that are older than their account allows: noticed by the worker, told once per item."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from recon.models import Account, HookEvent, ItemState, OpenItem, Side
from recon.usecases.outside.webhook_outbox import account_in_words, announce

ITEMS_PER_EVENT: Final = 500

STILL_WORK: Final = (ItemState.OPEN, ItemState.IN_REVIEW, ItemState.ON_HOLD)
"""An item accepted as a reconciling item is explained; it does not become late."""


def report_over_sla() -> int:
    """Mark the open items that have become too old, and announce them; returns how many."""
    accounts = Account.objects.filter(sla_days__isnull=False)
    return sum(_report(account, int(account.sla_days or 0)) for account in accounts)


def _report(account: Account, days: int) -> int:
    today = timezone.localdate(timezone=ZoneInfo(account.time_zone))
    reported = 0
    while some := _report_some(account, today, days):
        reported += some
    return reported


@transaction.atomic
def _report_some(account: Account, today: date, days: int) -> int:
    """As many as one event holds. Locked, so that two workers do not tell the same."""
    late = overdue(account, today, days).filter(over_sla_at__isnull=True)
    items = list(late.order_by("row_date", "pk").select_for_update(skip_locked=True)[:ITEMS_PER_EVENT])
    if not items:
        return 0
    OpenItem.objects.filter(pk__in=[item.pk for item in items]).update(over_sla_at=timezone.now())
    told = [_in_words(item, today) for item in items]
    announce(HookEvent.OVER_SLA, {"account": account_in_words(account), "sla_days": days, "items": told})
    return len(items)


def overdue(account: Account, today: date, days: int) -> QuerySet[OpenItem]:
    """Items that somebody should have dealt with `days` days after their date."""
    return OpenItem.objects.for_account(account).filter(
        side__in=Side.values,  # named so that the index by account, side and date serves
        state__in=STILL_WORK,
        row_date__lt=today - timedelta(days=days),
    )


def is_late(now: datetime | None = None) -> Q:
    """Items that are older than their account allows, by its own calendar; where it sets no limit nothing is late."""
    accounts = defaultdict(list)
    limits = Account.objects.filter(sla_days__isnull=False).values_list("pk", "time_zone", "sla_days")
    for account_id, time_zone, days in limits:
        accounts[timezone.localdate(now, ZoneInfo(time_zone)) - timedelta(days=days or 0)].append(account_id)
    late = Q(pk__in=[])
    for day, ids in accounts.items():
        late |= Q(account_id__in=ids, row_date__lt=day)
    return late


def _in_words(item: OpenItem, today: date) -> dict[str, Any]:
    return {
        "item_id": item.pk,
        "side": Side(item.side).label,
        "amount": str(item.amount),
        "currency": item.currency,
        "date": item.row_date.isoformat() if item.row_date else None,
        "age_days": (today - item.row_date).days if item.row_date else None,
        "state": item.state,
        "reason": item.reason,
    }
