"""Taking back: unmatch one match, reverse a run. Rows are open again, history stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import OperationalError, connection, transaction
from django.db.models import Count, DateTimeField, F, Max, Min, Q, QuerySet, Value
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    Event,
    Match,
    MatchingRun,
    MatchRow,
    MatchState,
    Origin,
    RunState,
    reserve_ids,
)
from recon.usecases.accounts.closing import refuse_closed_matches
from recon.usecases.accounts.scope import hold_still
from recon.usecases.bulk import apart
from recon.usecases.bulk.afterwards import indexes_afterwards
from recon.usecases.bulk.embedded_indexes import large_change
from recon.usecases.bulk.moved import may_move_apart, moved_apart
from recon.usecases.bulk.whole import change_whole, condition_of
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.review.items_apart import hold_items, in_sql
from recon.usecases.review.open_items import ItemIds, item_ids, reopen, sides_reported
from recon.usecases.runs.claims import gives_way, release_all, release_undone, withdraw_all_suggestions
from recon.usecases.runs.leftovers import refuse_unseen

MANY = 10_000
"""Matches undone at once."""

ATTEMPTS = 3
"""How often a reversal is tried where the database picks it among those who would wait for each other for ever: all of
it is one transaction, which has done nothing then."""

DECIDED = ("matched by hand", "match confirmed")
"""Events of matches that a person made or confirmed."""

LOOKED_BACK = 50

BY_PEOPLE = Q(origin=Origin.MANUAL) | Q(state_changed_at__isnull=False)
"""Confirmed matches that a person made or confirmed: a run's own confirmed matches never changed their state."""


def unmatch(by: Actor, match: Match, why: str = "") -> Match:
    """Undo one confirmed match: its rows are open again. Raises `Refused` if it is not confirmed."""
    with transaction.atomic():
        hold_still(match.account_id)
        match = Match.objects.select_for_update().get(pk=match.pk)
        if match.state != MatchState.CONFIRMED:
            raise Refused(f"This match is {match.state}; only a confirmed match can be unmatched.")
        refuse_unseen(match)
        account = Account.objects.get(pk=match.account_id)
        refuse_closed_matches(account, Match.objects.filter(pk=match.pk))
        _undo(account, Match.objects.filter(pk=match.pk))
        before, after = {"state": MatchState.CONFIRMED}, {"state": MatchState.UNDONE}
        record(by, "match undone", "match", match.pk, account_id=account.pk, before=before, after=after, why=why)
    match.refresh_from_db()
    return match


def undo_latest(by: Actor, account: Account, why: str = "") -> Match:
    """Undo the latest match of this person's in the account that still stands. Raises `Refused` if there is none."""
    decided = Event.objects.filter(actor=by.user, account_id=account.pk, kind="match", verb__in=DECIDED)
    for match_id in decided.order_by("-id").values_list("object_id", flat=True)[:LOOKED_BACK]:
        match = Match.objects.filter(pk=int(match_id), state=MatchState.CONFIRMED).first()
        if match is not None:
            return unmatch(by, match, why)
    raise Refused("None of your latest matches in this account stands; there is nothing to undo.")


def reverse_run(by: Actor, run: MatchingRun, include_manual: bool = False, why: str = "") -> MatchingRun:
    """Undo a completed run: its automatic matches, and only if asked for also those that people made or confirmed.

    Its open suggestions are withdrawn. Raises `Refused`.
    """
    reserved = _reserved(run)
    with indexes_afterwards():
        for _ in range(ATTEMPTS - 1):
            try:
                return _reverse(by, run, include_manual, why, reserved)
            except OperationalError as error:
                if connection.in_atomic_block or not gives_way(error):
                    raise
        return _reverse(by, run, include_manual, why, reserved)


def _reverse(by: Actor, run: MatchingRun, include_manual: bool, why: str, reserved: Reserved | None) -> MatchingRun:
    with transaction.atomic():
        hold_still(run.account_id)
        run = MatchingRun.objects.select_for_update().get(pk=run.pk)
        check_reversible(run)
        confirmed = Match.objects.filter(run_number=run.number, state=MatchState.CONFIRMED)
        by_people = confirmed.filter(BY_PEOPLE).count()
        to_undo = confirmed if include_manual else confirmed.exclude(BY_PEOPLE)
        refuse_closed_matches(run.account, to_undo)
        withdrawn = withdraw_all_suggestions(run)
        undone = _undo(run.account, to_undo, reserved)
        run.state = RunState.REVERSED
        run.save(update_fields=["state"])
        kept = 0 if include_manual else by_people
        after = {"undone": undone, "suggestions_withdrawn": withdrawn, "kept_because_of_people": kept}
        record(by, "run reversed", "run", run.run_id, account_id=run.account_id, after=after, why=why)
    return run


def undo_matches(by: Actor, account: Account, matches: QuerySet[Match], why: str) -> int:
    """Undo confirmed matches of an account that lost a row, each with an event that says why; returns how many."""
    ids = list(matches.values_list("pk", flat=True))
    undone = _undo(account, matches)
    before, after = {"state": MatchState.CONFIRMED}, {"state": MatchState.UNDONE}
    Event.objects.bulk_create(
        (
            Event(
                actor=by.user, via=by.via, verb="match undone", kind="match", object_id=str(pk), account_id=account.pk,
                before=before, after=after, why=why,
            )
            for pk in ids
        ),
        batch_size=1_000,
    )  # fmt: skip
    return undone


def check_reversible(run: MatchingRun) -> None:
    """Raises `Refused` if there is nothing of the run to reverse."""
    if run.is_dry_run:
        raise Refused("A dry run changed nothing, so there is nothing to reverse.")
    if run.state != RunState.COMPLETED:
        raise Refused(f"This run is {run.state}; only a completed run can be reversed.")


def confirmed_by_people(run: MatchingRun) -> QuerySet[Match]:
    """The matches of a run that stay when it is reversed, unless they are included by choice."""
    return Match.objects.filter(BY_PEOPLE, run_number=run.number, state=MatchState.CONFIRMED)


@dataclass(frozen=True)
class Reserved:
    """Ids for what a large reversal moves to tables of its own."""

    match_table: int
    items: ItemIds


def _reserved(run: MatchingRun) -> Reserved | None:
    """To be called before the transaction: whoever wants ids would wait until it is over."""
    rows = run.lines_matched + run.lines_suggested + run.entries_matched + run.entries_suggested
    items = item_ids(rows)
    return Reserved(reserve_ids(Match, 1), items) if items else None


def _undo(account: Account, matches: QuerySet[Match], reserved: Reserved | None = None) -> int:
    """Undo confirmed matches, release their rows and open them again; returns how many matches."""
    block = matches.aggregate(first=Min("id"), last=Max("id"), count=Count("id"))
    if block["first"] is None:
        return 0
    ids, now = (block["first"], block["last"]), timezone.now()
    if reserved is not None:  # before a table of matches joins: a run stores its own beside what opens its items
        hold_items(account)
    if block["count"] > MANY and _are_all_confirmed_ones(ids, block["count"]):
        claims = Claim.objects.filter(account_id=account.pk, match_id__range=ids, side__in=sides_reported(account))
        reopen(account, ids, now, claims.count(), every=True, ids=reserved.items if reserved else None)
        undone = _mark_undone(matches, ids, block["count"], now, reserved)
        release_all(account.pk, ids)
    else:
        undone = _mark_undone(matches, ids, block["count"], now, reserved)
        rows = MatchRow.objects.filter(match_id__range=ids)
        rows = rows.filter(match_id__in=Match.objects.filter(id__range=ids, state_changed_at=now).values("id"))
        reopen(account, ids, now, rows.count(), ids=reserved.items if reserved else None)
        release_undone(account.pk, ids, now)
    return undone


def _are_all_confirmed_ones(ids: tuple[int, int], count: int) -> bool:
    """Whether so many matches are all that are confirmed of those from the first to the last id."""
    return Match.objects.filter(id__range=ids, state=MatchState.CONFIRMED).count() == count


def _mark_undone(
    matches: QuerySet[Match], ids: tuple[int, int], many: int, now: datetime, reserved: Reserved | None
) -> int:
    """Returns how many they are. Many change with their table, or get one of their own: indexes need not find them one
    by one."""
    if reserved is None or many < apart.APART_FROM:
        return matches.update(state=MatchState.UNDONE, state_changed_at=now)
    values = {"state": MatchState.UNDONE.value, "state_changed_at": in_sql(now)}
    done = change_whole(Match, *condition_of(matches), values, at_least=f"id BETWEEN {ids[0]} AND {ids[1]}")
    if done == many:
        return many
    return done + _moved_undone(matches, many - done, now, reserved)


def _moved_undone(matches: QuerySet[Match], many: int, now: datetime, reserved: Reserved) -> int:
    if not may_move_apart(Match, many):
        with large_change(Match, many):
            return matches.update(state=MatchState.UNDONE, state_changed_at=now)
    names = [str(field.column) for field in Match._meta.local_concrete_fields]
    changed = {"state": Value(MatchState.UNDONE.value), "state_changed_at": Value(now, DateTimeField())}
    rows = matches.order_by().values_list(*(changed.get(name, F(name)) for name in names))
    sql, params = rows.query.sql_with_params()
    with moved_apart(Match, reserved.match_table) as table, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({', '.join(names)}) {sql}", params)
        if cursor.rowcount != matches.delete()[0]:
            raise RuntimeError("Matches changed while they were undone.")
    return many
