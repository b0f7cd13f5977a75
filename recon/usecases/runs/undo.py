"""Taking back: unmatch one match, reverse a run. Rows are open again, history stays."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from recon.models import Account, Event, Match, MatchingRun, MatchRow, MatchState, Origin, RunState
from recon.usecases.accounts.closing import refuse_closed_matches
from recon.usecases.accounts.scope import hold_still
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.review.open_items import in_sql, reopen
from recon.usecases.runs.leftovers import refuse_unseen

RELEASE = """
    DELETE FROM recon_claim WHERE account_id = %s AND match_id >= %s AND match_id <= %s AND (side, row_id, part) IN (
        SELECT r.side, r.row_id, r.part FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
        WHERE m.id >= %s AND m.id <= %s AND m.account_id = %s AND m.state = 'undone' AND m.state_changed_at = %s
    )
"""

RELEASE_MANY = """
    DELETE FROM recon_claim WHERE account_id = %s AND match_id >= %s AND match_id <= %s AND match_id IN (
        SELECT id FROM recon_match
        WHERE id >= %s AND id <= %s AND account_id = %s AND state = 'undone' AND state_changed_at = %s
    )
"""
"""The same by looking at every claim of the account, which pays for many."""

MANY = 10_000
"""Matches undone at once."""

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
    with transaction.atomic():
        hold_still(run.account_id)
        run = MatchingRun.objects.select_for_update().get(pk=run.pk)
        check_reversible(run)
        confirmed = Match.objects.filter(run_number=run.number, state=MatchState.CONFIRMED)
        by_people = confirmed.filter(BY_PEOPLE).count()
        to_undo = confirmed if include_manual else confirmed.exclude(BY_PEOPLE)
        refuse_closed_matches(run.account, to_undo)
        undone = _undo(run.account, to_undo)
        withdrawn = Match.objects.filter(run_number=run.number, state=MatchState.SUGGESTED).update(
            state=MatchState.WITHDRAWN, state_changed_at=timezone.now()
        )
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


def _undo(account: Account, matches: QuerySet[Match]) -> int:
    """Undo confirmed matches, release their rows and open them again; returns how many matches."""
    block = matches.aggregate(first=Min("id"), last=Max("id"))
    if block["first"] is None:
        return 0
    ids, now = (block["first"], block["last"]), timezone.now()
    undone = matches.update(state=MatchState.UNDONE, state_changed_at=now)
    rows = MatchRow.objects.filter(match_id__range=ids)
    if undone <= MANY:
        rows = rows.filter(match_id__in=Match.objects.filter(id__range=ids, state_changed_at=now).values("id"))
    with connection.cursor() as cursor:
        release = RELEASE_MANY if undone > MANY else RELEASE
        cursor.execute(release, [account.pk, *ids, *ids, account.pk, in_sql(now)])
    reopen(account, ids, now, rows.count())
    return undone
