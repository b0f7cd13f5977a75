"""Reading what is new from a running Blnk Core, page by page.

Each page becomes entries in one transaction, together with the place it ends at: a worker that dies loses at most the
page it was reading, and the next one goes on from there. The same transaction read twice is one entry, by its id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from recon.blnk_core import (
    PAGE,
    Core,
    CoreError,
    Filter,
    OddValueError,
    count_transactions,
    find_transactions,
    in_blnk,
    instant,
)
from recon.models import (
    Connector,
    ConnectorSync,
    LedgerEntry,
    LedgerImport,
    LoadState,
    PulledTransaction,
    SyncState,
    Via,
    reserve_ids,
)
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.connector_entries import UnreadableError, concerns, entry_of, transaction_id
from recon.usecases.outside.secrets import unseal
from recon.usecases.runs.lease import shutting_down

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=90)
"""Longer than a request and the longest pause together."""

ATTEMPTS: Final = 6
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
PROBLEMS_KEPT: Final = 50
KEPT: Final = timedelta(days=30)

Found = TypeVar("Found")


class StoppedError(Exception):
    """The sync must not go on: it was cancelled, given back, or belongs to somebody else by now."""


@dataclass(frozen=True)
class Place:
    """Where reading stands, in rising order of creation.

    More transactions than a page holds may have been made in one instant: `within` then counts those of the instant
    that were read, in the order of their ids. `past`: the instant itself is done.
    """

    at: datetime | None
    past: bool = False
    within: int | None = None

    def filters(self) -> list[Filter]:
        final = Filter("status", "eq", "APPLIED")
        if self.at is None:
            return [final]
        at = in_blnk(self.at)
        if self.within is not None:
            return [final, Filter("created_at", "gte", at), Filter("created_at", "lte", at)]
        return [final, Filter("created_at", "gt" if self.past else "gte", at)]

    def after(self, page: Sequence[datetime]) -> Place | None:
        """The place behind a page, given when its transactions were made; None if it was the last one."""
        is_full = len(page) >= PAGE
        if self.within is not None:
            return Place(self.at, within=self.within + len(page)) if is_full else Place(self.at, past=True)
        if not is_full:
            return None
        return Place(page[-1], within=0) if page[0] == page[-1] else Place(page[-1])

    def new_among(self, page: Sequence[datetime]) -> int:
        """How many of the page before this place do not come again behind it."""
        if self.at is None or self.past or self.within:
            return len(page)
        return sum(each < self.at for each in page)

    def stored(self) -> dict[str, Any]:
        return {"at": self.at.isoformat() if self.at else None, "past": self.past, "within": self.within}

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Place:
        at = stored["at"]
        return cls(datetime.fromisoformat(at) if at else None, stored["past"], stored["within"])


def sync_due() -> int:
    """Queue what the clock asks for and execute one sync that waits; returns how many were executed."""
    queue_scheduled()
    waiting = Q(state=SyncState.QUEUED) | Q(state=SyncState.RUNNING, lease_until__lt=timezone.now())
    sync = ConnectorSync.objects.filter(waiting).order_by("pk").first()
    if sync is None or shutting_down.is_set():
        return 0
    execute_sync(sync.pk)
    return 1


def queue_scheduled() -> None:
    """Queue a sync for every connector whose latest one is long enough ago."""
    scheduled = Connector.objects.filter(enabled=True, every_minutes__isnull=False)
    for connector in scheduled.annotate(latest=Max("syncs__created_at")).exclude(syncs__state__in=SyncState.active()):
        every = timedelta(minutes=connector.every_minutes or 0)
        if connector.latest is None or connector.latest + every <= timezone.now():
            with suppress(Refused):  # another worker was faster
                start_sync(Actor.command(), connector)


def start_sync(by: Actor, connector: Connector, again_from: datetime | None = None) -> ConnectorSync:
    """Queue a sync: of what is new, or of everything made since `again_from`. Raises Refused if one is at work.

    Reading again brings nothing twice, except transactions whose ledger import was taken back: those come again.
    """
    with transaction.atomic():
        locked = Connector.objects.select_for_update().get(pk=connector.pk)
        if locked.syncs.filter(state__in=SyncState.active()).exists():
            raise Refused(f"{locked.name} is being read already.")
        if again_from is not None:
            taken_back = LedgerImport.objects.filter(state=LoadState.DISCARDED).values("number")
            locked.pulled.filter(import_number__in=taken_back).delete()
        since = again_from or first_instant(locked)
        sync = ConnectorSync.objects.create(
            connector=locked, since=since, position=Place(since).stored(), requested_by=by.user
        )
        if by.via != Via.COMMAND:  # the clock's own are in the connector's log
            after = {"since": since.isoformat() if since else None}
            record(by, "connector sync started", "connector", locked.pk, account_id=locked.account_id, after=after)
    return sync


def first_instant(connector: Connector) -> datetime | None:
    """From when to read: a while before the newest that is known, since transactions may become visible late, but
    never before the day on which the connector begins."""
    begin = datetime.combine(connector.start_on, datetime.min.time(), UTC) if connector.start_on else None
    if connector.read_until is None:
        return begin
    back = connector.read_until - timedelta(minutes=connector.overlap_minutes)
    return max(back, begin) if begin else back


def cancel_sync(by: Actor, sync: ConnectorSync) -> None:
    """A waiting sync at once, one at work with its next page. What was read stays. Raises Refused if it is over."""
    with transaction.atomic():
        this = ConnectorSync.objects.filter(pk=sync.pk)
        at_once = this.filter(state=SyncState.QUEUED).update(state=SyncState.CANCELLED, completed_at=timezone.now())
        if not at_once and not this.filter(state=SyncState.RUNNING).update(cancel_requested=True):
            raise Refused("This sync is already over.")
        record(by, "connector sync cancelled", "connector", sync.connector_id)


def execute_sync(sync_id: int) -> None:
    """Execute a sync, from where it stands. Never raises for what is wrong with it: that is kept in its error."""
    sync = take_lease(sync_id)
    if sync is None:
        return
    try:
        read_all(sync)
    except StoppedError:
        stop(sync)
    except (CoreError, Refused, UnreadableError) as error:
        end(sync, SyncState.FAILED, str(error))
    except Exception as error:
        logger.exception("Sync %s of connector %s failed", sync.pk, sync.connector_id)
        end(sync, SyncState.FAILED, f"An unexpected error stopped it ({type(error).__name__}: {error}).")
    else:
        end(sync, SyncState.COMPLETED, "")


def take_lease(sync_id: int) -> ConnectorSync | None:
    """The sync, now ours; None if it is over or in somebody else's hands."""
    now = timezone.now()
    free = Q(state=SyncState.QUEUED) | Q(state=SyncState.RUNNING, lease_until__lt=now)
    taken = ConnectorSync.objects.filter(free, pk=sync_id).update(
        state=SyncState.RUNNING, lease_holder=uuid4().hex, lease_until=now + LEASE
    )
    return ConnectorSync.objects.select_related("connector__account").get(pk=sync_id) if taken else None


def ours(sync: ConnectorSync) -> Any:
    """The sync's row, as long as the lease is ours and nobody wants it to end."""
    return ConnectorSync.objects.filter(
        pk=sync.pk, lease_holder=sync.lease_holder, state=SyncState.RUNNING, cancel_requested=False
    )


def renew(sync: ConnectorSync, **changes: Any) -> None:
    """Keep the lease. Raises StoppedError if it is not ours to keep."""
    if shutting_down.is_set() or not ours(sync).update(lease_until=timezone.now() + LEASE, **changes):
        raise StoppedError


def read_all(sync: ConnectorSync) -> None:
    connector = sync.connector
    core = Core(unseal(connector.sealed_url), unseal(connector.sealed_key))
    place: Place | None = Place.read(sync.position or Place(sync.since).stored())
    if sync.total is None:
        total = patiently(sync, lambda: count_transactions(core, Place(sync.since).filters()))
        renew(sync, total=total)
    while place is not None:
        page = patiently(sync, partial(read_page, core, place))
        made = [instant(each["created_at"]) for each in page]
        behind = place.after(made)
        store_page(sync, page, made, behind or place, seen=behind.new_among(made) if behind else None)
        place = behind


def patiently(sync: ConnectorSync, ask: Callable[[], Found]) -> Found:
    """Ask until there is an answer; what may pass is waited for. Raises the last CoreError, or StoppedError."""
    pause = FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        renew(sync)
        try:
            return ask()
        except CoreError as error:
            if not error.is_passing or attempt == ATTEMPTS:
                raise
            logger.info("Connector %s: %s", sync.connector_id, error)
            shutting_down.wait(min(max(pause, error.wait.total_seconds()), LONGEST_PAUSE))
        pause *= 2
    raise AssertionError("the last attempt raises")


def read_page(core: Core, place: Place) -> list[dict[str, Any]]:
    """The page at a place, found to be in the order that was asked for: the place behind it depends on that."""
    sort_by = "created_at" if place.within is None else "transaction_id"
    page = find_transactions(core, place.filters(), sort_by=sort_by, offset=place.within or 0)
    try:
        made = [instant(each.get("created_at")) for each in page]
    except OddValueError as error:
        raise CoreError(f"A transaction came without the time it was made: {error}.", is_passing=True) from error
    is_early = place.at is not None and any(each < place.at for each in made)
    if made != sorted(made) or is_early or len(page) > PAGE:
        raise CoreError(
            "Blnk did not give the transactions in the order and from the time it was asked for; filters on "
            "POST /transactions/filter with sort_order are needed.",
            is_passing=True,
        )
    return page


def store_page(
    sync: ConnectorSync,
    page: Sequence[dict[str, Any]],
    made: Sequence[datetime],
    place: Place,
    *,
    seen: int | None = None,
) -> None:
    """Entries, keys, counts and the place to go on from: all of it or nothing. `seen` do not come again."""
    with transaction.atomic():
        # Taken first, the sync's row keeps a cancellation, or a worker that believes us dead, waiting until the end.
        renew(sync)
        entries, problems = new_entries(sync.connector, page)
        if problems and not sync.connector.skips_unreadable:
            raise UnreadableError(problems[0])
        if entries:
            insert(sync, entries)
        if made:
            sync.connector.read_until = max([*made, sync.connector.read_until or made[0]])
            sync.connector.save(update_fields=["read_until"])
        problems = [each for each in problems if each not in sync.problems]  # its last instant is read again
        sync.problems = [*sync.problems, *problems][:PROBLEMS_KEPT]
        ours(sync).update(
            seen=F("seen") + (len(page) if seen is None else seen),
            added=F("added") + len(entries),
            left_out=F("left_out") + len(problems),
            problems=sync.problems,
            import_number=sync.import_number,
            position=place.stored(),
        )


def new_entries(connector: Connector, page: Sequence[dict[str, Any]]) -> tuple[list[LedgerEntry], list[str]]:
    """Entries for the transactions of a page that are not known yet, in its order; and what cannot be one."""
    named: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for given in page:
        if concerns(connector, given):
            try:
                named[transaction_id(given)] = given
            except UnreadableError as error:
                problems.append(str(error))
    known = set(connector.pulled.filter(transaction_id__in=named).values_list("transaction_id", flat=True))
    entries = []
    for name, given in named.items():
        if name not in known:
            try:
                entries.append(entry_of(connector, given))
            except UnreadableError as error:
                problems.append(str(error))
    return entries, problems


def insert(sync: ConnectorSync, entries: list[LedgerEntry]) -> None:
    """Store new entries in the sync's import, with the keys that keep them from coming twice."""
    imported = import_of(sync)
    first = reserve_ids(LedgerEntry, len(entries))
    for place, entry in enumerate(entries):
        entry.id, entry.import_number = first + place, imported.number
    LedgerEntry.objects.bulk_create(entries)
    PulledTransaction.objects.bulk_create(
        PulledTransaction(
            connector_id=sync.connector_id,
            transaction_id=entry.external_id or "",
            entry_id=entry.pk,
            import_number=imported.number,
        )
        for entry in entries
    )
    LedgerImport.objects.filter(pk=imported.pk).update(record_count=F("record_count") + len(entries))


def import_of(sync: ConnectorSync) -> LedgerImport:
    """The ledger import of this sync, made with its first entries. Raises Refused if somebody took it back."""
    if sync.import_number is not None:
        imported = LedgerImport.objects.select_for_update().get(number=sync.import_number)
        if imported.state != LoadState.READY:
            raise Refused("What was read so far was taken back while this sync went on.")
        return imported
    imported = LedgerImport.objects.create(
        number=reserve_ids(LedgerImport, 1),
        account=sync.connector.account,
        name=f"{sync.connector.name}, {timezone.localtime():%Y-%m-%d %H:%M}"[:255],
        sha256="",
        format="blnk",
        state=LoadState.READY,
        imported_by=sync.requested_by,
    )
    sync.import_number = imported.number
    return imported


def stop(sync: ConnectorSync) -> None:
    """After a stop: cancelled by a person, given back by a worker that shuts down, or somebody else's by now."""
    mine = ConnectorSync.objects.filter(pk=sync.pk, lease_holder=sync.lease_holder, state=SyncState.RUNNING)
    if mine.filter(cancel_requested=True).exists():
        end(sync, SyncState.CANCELLED, "")
    elif shutting_down.is_set():
        mine.update(state=SyncState.QUEUED, lease_until=None)


def end(sync: ConnectorSync, state: SyncState, error: str) -> None:
    """End a sync, if it is still ours; what it has read stays."""
    with transaction.atomic():
        mine = ConnectorSync.objects.filter(pk=sync.pk, lease_holder=sync.lease_holder, state=SyncState.RUNNING)
        if not mine.update(state=state, error=error, completed_at=timezone.now(), lease_until=None):
            return
        sync.refresh_from_db(fields=["added", "left_out", "import_number"])
        if sync.import_number is not None:
            record_import(sync, sync.import_number)
        if state == SyncState.FAILED:
            record(Actor.command(), "connector sync failed", "connector", sync.connector_id, why=error)


def record_import(sync: ConnectorSync, import_number: int) -> None:
    imported = LedgerImport.objects.get(number=import_number)
    after = {"name": imported.name, "rows": sync.added, "left_out": sync.left_out, "connector": sync.connector.name}
    by = Actor(sync.requested_by, Via.SCREEN) if sync.requested_by else Actor.command()
    record(by, "ledger imported", "ledger", imported.pk, account_id=imported.account_id, after=after)


def forget_old_syncs() -> int:
    """Delete the log of syncs that brought nothing and are a month old; returns how many rows."""
    old = ConnectorSync.objects.filter(completed_at__lt=timezone.now() - KEPT, import_number__isnull=True)
    latest = Connector.objects.annotate(latest=Max("syncs")).values("latest")
    return old.exclude(pk__in=latest).delete()[0]
