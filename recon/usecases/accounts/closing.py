"""Closing a period: everything up to a day is matched or accepted, and from then on stays as it is.

A closing locks what would change the closed days afterwards: undoing a match that lies in them, taking back a
statement or a ledger import that reaches into them, importing a file with rows of theirs. What was accepted as a
reconciling item (a cheque that is not cashed yet) may still be matched with a row of a later day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from recon.models import (
    Account,
    HookEvent,
    ItemState,
    LedgerEntry,
    Match,
    MatchingRun,
    MatchRow,
    OpenItem,
    PeriodClosing,
    RunState,
    Side,
    Statement,
    StatementLine,
)
from recon.rows import amount
from recon.usecases.accounts.scope import entries_in_scope, lines_in_scope
from recon.usecases.bulk.room import with_room
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.webhook_outbox import account_in_words, announce
from recon.usecases.review.open_items import sides_reported, untouched, up_to

TO_DO = (ItemState.OPEN, ItemState.IN_REVIEW, ItemState.ON_HOLD)


@dataclass(frozen=True)
class Unfinished:
    """What keeps a period from being closed, in numbers of rows."""

    items: int  # open items that are neither resolved nor accepted
    lines: int  # statement lines that no run has looked at
    entries: int  # ledger entries that no run has looked at
    runs: int  # runs of the account at work

    @property
    def is_nothing(self) -> bool:
        return not (self.items or self.lines or self.entries or self.runs)

    def in_words(self) -> str:
        told = (
            (self.items, "open item is neither matched nor accepted", "open items are neither matched nor accepted"),
            (self.lines, "statement line was never reconciled", "statement lines were never reconciled"),
            (self.entries, "ledger entry was never reconciled", "ledger entries were never reconciled"),
            (self.runs, "run is at work", "runs are at work"),
        )
        return "; ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in told if count)


def closed_until(account: Account) -> date | None:
    """The last closed day."""
    in_force = PeriodClosing.objects.in_force().filter(account_id=account.pk)
    found: date | None = in_force.aggregate(last=Max("until"))["last"]
    return found


def unfinished(account: Account, until: date, *, at_a_glance: bool = False) -> Unfinished:
    """What is still to do for the days up to `until`, rows without a date included: they could be of any day.

    `at_a_glance`: lines of a statement that a real run has read as a whole are taken for seen, as they are: what such
    a run does not match it opens, and so does whoever adds a line later. Closing looks at each of them all the same.
    """
    items = OpenItem.objects.for_account(account).filter(up_to(until, "row_date"), state__in=TO_DO)
    lines = _lines_nobody_has_read(account) if at_a_glance else lines_in_scope(account)
    with with_room():
        never_seen = {
            side: untouched(account, side, rows.filter(up_to(until, "booking_date"))).count()
            for side, rows in ((Side.STATEMENT, lines), (Side.LEDGER, entries_in_scope(account)))
            if side in sides_reported(account)
        }
    return Unfinished(
        items=items.count(),
        lines=never_seen[Side.STATEMENT],
        entries=never_seen.get(Side.LEDGER, 0),
        runs=account.runs.active().count(),
    )


def _lines_nobody_has_read(account: Account) -> QuerySet[StatementLine]:
    """The lines of statements without a real run that stands; one that applied a dry run has not read what came
    between the two."""
    read = MatchingRun.objects.filter(
        account=account, state=RunState.COMPLETED, is_dry_run=False, applied_from=None, statement__isnull=False
    )
    unread = Statement.objects.ready().filter(account=account).exclude(pk__in=read.values("statement"))
    # Named, so that the database need not go through all lines where there are none.
    return lines_in_scope(account).filter(statement_number__in=list(unread.values_list("number", flat=True)))


def close_period(by: Actor, account: Account, until: date, note: str = "") -> PeriodClosing:
    """Close an account up to a day. Raises Refused with what is unfinished."""
    with transaction.atomic():
        locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if locked.is_builtin:
            raise Refused("The account of the API routes has no periods.")
        if until > timezone.localdate():
            raise Refused(f"{until} has not passed yet; a period is closed when it is over.")
        last = closed_until(locked)
        if last is not None and until <= last:
            raise Refused(f"{locked} is closed until {last} already; choose a later day.")
        rest = unfinished(locked, until)
        if not rest.is_nothing:
            raise Refused(f"{locked} cannot be closed until {until}: {rest.in_words()}.")
        closing = PeriodClosing.objects.create(
            account=locked, until=until, note=note, closed_by=by.user, summary={"accepted": accepted(locked, until)}
        )
        told = {"until": until.isoformat(), "accepted": closing.summary["accepted"], "note": note}
        record(by, "period closed", "account", locked.pk, account_id=locked.pk, after=told)
        announce(HookEvent.PERIOD_CLOSED, {"account": account_in_words(locked), "period": told})
    return closing


def reopen_period(by: Actor, closing: PeriodClosing, why: str) -> None:
    """Reopen the latest closing of its account. Raises Refused if it is not the latest, or without a reason."""
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=closing.account_id)
        locked = PeriodClosing.objects.select_for_update().get(pk=closing.pk)
        if not why.strip():
            raise Refused("Say why the period is reopened; the reason stands in the audit trail.")
        if locked.reopened_at is not None:
            raise Refused("This period was reopened already.")
        if locked.until != closed_until(account):
            raise Refused("Only the latest closed period can be reopened; reopen the later ones first.")
        locked.reopened_at, locked.reopened_by, locked.reopen_why = timezone.now(), by.user, why.strip()
        locked.save(update_fields=["reopened_at", "reopened_by", "reopen_why"])
        record(
            by, "period reopened", "account", account.pk,
            account_id=account.pk, before={"until": locked.until.isoformat()}, why=locked.reopen_why,
        )  # fmt: skip


def accepted(account: Account, until: date) -> list[dict[str, Any]]:
    """The reconciling items that a closed period leaves, summed by side and currency."""
    items = OpenItem.objects.for_account(account).filter(up_to(until, "row_date"), state=ItemState.ACCEPTED)
    sums = items.order_by().values("side", "currency", "scale").annotate(count=Count("pk"), units=Sum("units"))
    return [
        {
            "side": Side(each["side"]).label,
            "currency": each["currency"],
            "count": each["count"],
            "amount": str(amount(each["units"], each["scale"])),
        }
        for each in sums.order_by("side", "currency", "scale")
    ]


def refuse_closed_rows(account: Account | None, dates: Iterable[date | None], what: str) -> None:
    """Raise Refused if a file brings or changes rows of closed days; `dates` are its earliest ones.

    To be called in the transaction that makes the rows visible.
    """
    first = min((each for each in dates if each is not None), default=None)
    until = closed_until(account) if account is not None and first is not None else None
    if until is not None and first is not None and first <= until:
        raise Refused(
            f"{what} has rows of {first}, and {account} is closed until {until}. Reopen the period first, or leave "
            "those rows out."
        )


def refuse_closed_item(item: OpenItem) -> None:
    """Raise Refused if an item was accepted when its period was closed: the closing rests on that."""
    if item.state != ItemState.ACCEPTED or item.row_date is None:
        return
    until = closed_until(Account.objects.get(pk=item.account_id))
    if until is not None and item.row_date <= until:
        raise Refused(f"The period until {until} was closed with this item accepted. Reopen it first.")


def refuse_closed_import(rows: QuerySet[Any], accounts: QuerySet[Account], what: str) -> None:
    """Raise Refused if rows that are to be taken back are of closed days of one of the accounts."""
    for account in accounts.select_for_update(no_key=True):
        until = closed_until(account)
        if until is not None and rows.filter(booking_date__lte=until).exists():
            raise Refused(f"{what} reaches into a closed period: {account} is closed until {until}.")


def refuse_closed_matches(account: Account, matches: QuerySet[Match]) -> None:
    """Raise Refused if one of the matches lies in closed days entirely: undoing it would open them again.

    The caller holds the account still.
    """
    until = closed_until(account)
    if until is None:
        return
    later = Exists(MatchRow.objects.filter(_of_a_later_day(until), match_id=OuterRef("pk")))
    if count := matches.exclude(later).count():
        what = "This match lies" if count == 1 else f"{count:,} of these matches lie"
        raise Refused(f"{what} in a closed period: {account} is closed until {until}. Reopen it first.")


def _of_a_later_day(until: date) -> Q:
    def later(model: type[StatementLine | LedgerEntry], side: Side) -> Q:
        rows = model._default_manager.filter(_row_id(), booking_date__gt=until)
        return Q(Exists(rows), side=side)

    return later(StatementLine, Side.STATEMENT) | later(LedgerEntry, Side.LEDGER)


def _row_id() -> Q:
    return Q(pk=OuterRef("row_id"))
