"""What earlier matches have taken of groups: open rows with the same grouping values may be the rest of one.

A rest has another sum than its group, and could match by chance. So open rows form no group while a row in scope with
the same grouping values is claimed, unless every such row was settled as a whole group: then nothing was missing, and
what is open has arrived since, as with a reference that comes back every month.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
from django.db import transaction
from django.db.models import QuerySet

from recon.engine.sides import grouped_sides
from recon.models import Account, Event, Match, MatchingRun, Origin, Side, Strategy
from recon.usecases.accounts.scope import claimed_values, hold_still
from recon.usecases.grouping import grouping_fields

GROUPING_COLUMNS: Final = {
    "id": ("external_id",),
    "transaction_id": ("external_id",),
    "date": ("booking_date", "booked_at"),
    "amount": ("units", "scale"),
}
"""The columns behind grouping criteria that are not columns themselves."""

TAKING_BACK: Final = ("match undone", "run reversed")
"""Events after which rows are open again."""


def claimed_members(run: MatchingRun, side: Side, rows: QuerySet[Any]) -> pa.Table:
    """The grouping columns of those of `rows` that are claimed and were not settled as whole groups."""
    names = grouping_fields(run.grouping)
    columns = sorted({column for name in names for column in GROUPING_COLUMNS.get(name, (name,))})
    return claimed_values(run.account, side, rows, columns, but_in=settled_whole(run, side))


def settled_whole(run: MatchingRun, side: Side) -> QuerySet[Match]:
    """Matches whose rows on this side were all that had the grouping values of this run.

    A group holds every open row, and forms only if none is claimed. So these are the groups that rules matched in runs
    that grouped this side by the same columns or by fewer. Those of lines only if the runs looked as far back.
    """
    grouping = set(grouping_fields(run.grouping))
    name = "statement" if side == Side.STATEMENT else "ledger"
    grouped = [strategy for strategy in Strategy.values if name in grouped_sides(strategy)]
    runs = MatchingRun.objects.filter(account_id=run.account_id, strategy__in=grouped, is_dry_run=False)
    coarser = [
        text
        for text in runs.order_by().values_list("grouping", flat=True).distinct()
        if text and grouping.issuperset(grouping_fields(text))
    ]
    runs = runs.filter(grouping__in=coarser)
    if side == Side.STATEMENT and run.with_open_lines:
        runs = runs.filter(with_open_lines=True)
    return Match.objects.filter(
        account_id=run.account_id, origin=Origin.RULE, run_number__in=runs.order_by().values("number")
    )


def last_event(account: Account) -> int:
    """The account's last event, after whoever is undoing something of it has finished."""
    with transaction.atomic():
        hold_still(account.pk)
        return Event.objects.filter(account_id=account.pk).values_list("pk", flat=True).first() or 0


def taken_back_since(account: Account, event: int) -> bool:
    """Whether a match of the account was undone after an event."""
    return Event.objects.filter(account_id=account.pk, pk__gt=event, verb__in=TAKING_BACK).exists()
