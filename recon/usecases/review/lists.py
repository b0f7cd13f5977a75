"""Lists of what is open in an account: oldest first, a page at a time, with the rows behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from recon.models import Account, ItemNote, Match, MatchingRun, OpenItem, RunState, Side
from recon.usecases.reports.overview import EXCEPTIONS, aged
from recon.usecases.review.sla import is_late
from recon.usecases.runs.reading import PAGE, MatchView, Page, Row, match_views, rows_by_key

NO_DATE = "none"


@dataclass(frozen=True)
class ItemView:
    """An open item with its row; `age` in days, from the row's own date."""

    item: OpenItem
    row: Row | None
    age: int | None

    @property
    def key(self) -> str:
        """The row part as forms name it."""
        return f"{self.item.row_id}.{self.item.part}"


def account_to_work() -> Account | None:
    """The first account in which something is open, else the first one."""
    accounts = Account.objects.for_people()
    unresolved = OpenItem.objects.unresolved().filter(account_id=OuterRef("pk"))
    return accounts.filter(Exists(unresolved)).first() or accounts.first()


def open_items(account: Account, side: Side, *, state: str = "", owner_id: int | None = None) -> QuerySet[OpenItem]:
    """The unresolved items of one side of an account."""
    items = OpenItem.objects.unresolved().for_account(account).filter(side=side)
    if state:
        items = items.filter(state=state)
    return items.filter(owner_id=owner_id) if owner_id is not None else items


def narrowed(
    items: QuerySet[OpenItem],
    *,
    account: Account | None = None,
    side: Side | None = None,
    state: str = "",
    reason: str | None = None,
    age: str = "",
) -> QuerySet[OpenItem]:
    """Those that meet every filter given. `state`: one state, or "exceptions"; `reason`: "" is none recorded; `age`:
    an ageing bucket, or "late"."""
    if account is not None:
        items = items.filter(account_id=account.pk)
    if side is not None:
        items = items.filter(side=side)
    if reason is not None:
        items = items.filter(reason=reason)
    if state:
        items = items.filter(state__in=EXCEPTIONS if state == "exceptions" else [state])
    return items.filter(is_late()) if age == "late" else aged(items, age, timezone.localdate())


def item_page(items: QuerySet[OpenItem], after: str, limit: int = PAGE) -> Page[ItemView]:
    """One page of items, oldest first and those without a date last."""
    found = list(
        items.filter(_behind(after))
        .select_related("owner")
        .order_by(F("row_date").asc(nulls_last=True), "pk")[: limit + 1]
    )
    views = item_views(found[:limit])
    return Page(views, _key(found[limit - 1]) if len(found) > limit else "")


def item_views(items: list[OpenItem]) -> list[ItemView]:
    """Items with their rows."""
    rows = rows_by_key((item.side, item.row_id) for item in items)
    today = timezone.localdate()
    return [ItemView(item, rows.get((item.side, item.row_id)), _age(item.row_date, today)) for item in items]


def chosen_items(account: Account, side: Side, keys: list[tuple[int, int]]) -> list[OpenItem]:
    """The items of the chosen row parts."""
    rows = {row_id for row_id, _ in keys}
    items = OpenItem.objects.unresolved().for_account(account).filter(side=side, row_id__in=rows)
    return [item for item in items if (item.row_id, item.part) in set(keys)]


def suggestions(account: Account, limit: int = PAGE, after: int = 0) -> list[MatchView]:
    """The oldest suggestions of the account's runs that wait for a decision, behind the match `after`."""
    runs = MatchingRun.objects.filter(account=account, is_dry_run=False, state=RunState.COMPLETED).values("number")
    waiting = Match.objects.filter(account_id=account.pk, state="suggested", run_number__in=runs, pk__gt=after)
    return match_views(list(waiting.order_by("pk")[:limit]))


def notes_of(item: OpenItem) -> list[ItemNote]:
    return list(ItemNote.objects.filter(item_id=item.pk).select_related("author"))


def _age(day: date | None, today: date) -> int | None:
    return (today - day).days if day else None


def _key(item: OpenItem) -> str:
    return f"{item.row_date.isoformat() if item.row_date else NO_DATE}.{item.pk}"


def _behind(after: str) -> Q:
    """The rows behind a key such as ``2026-03-01.17``; nonsense means the first page."""
    day, _, item_id = after.partition(".")
    if not item_id.isdecimal():
        return Q()
    if day == NO_DATE:
        return Q(row_date=None, pk__gt=int(item_id))
    try:
        since = date.fromisoformat(day)
    except ValueError:
        return Q()
    return Q(row_date__gt=since) | Q(row_date=since, pk__gt=int(item_id)) | Q(row_date=None)
