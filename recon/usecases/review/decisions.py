"""A person's decisions: confirm or reject a suggestion, match by hand, and what becomes of an open item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from recon.models import (
    ItemNote,
    ItemState,
    Match,
    MatchDifference,
    MatchingRun,
    MatchState,
    OpenItem,
    RunState,
)
from recon.usecases.accounts.closing import refuse_closed_item
from recon.usecases.accounts.scope import hold_still
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.review.open_items import change_unresolved, resolve_matched
from recon.usecases.runs.claims import ClaimedError, claim_match, wait_to_claim

Thing = TypeVar("Thing")


def confirm_match(by: Actor, match: Match, *, difference_type: str = "", comment: str = "") -> Match:
    """Confirm a suggestion: its rows are claimed, other suggestions for them withdrawn. Raises `Refused`.

    `difference_type` says what its difference is, if the person knows better than the rule.
    """
    with transaction.atomic():
        wait_to_claim(match.account_id)
        hold_still(match.account_id)
        match = _decide(by, match, MatchState.CONFIRMED, comment)
        if difference_type:
            MatchDifference.objects.filter(match_id=match.pk).update(type=difference_type, comment=comment)
        settle(match)
    return match


def reject_match(by: Actor, match: Match, why: str = "") -> Match:
    """Reject a suggestion: its rows stay open. Raises `Refused`."""
    with transaction.atomic():
        return _decide(by, match, MatchState.REJECTED, why)


def settle(match: Match) -> None:
    """Claim the rows of a match that was just confirmed and resolve their items. Raises `Refused`."""
    try:
        claim_match(match)
    except ClaimedError as error:
        raise Refused("Another confirmed match has taken one of these rows; reload to see which are open.") from error
    resolve_matched(match)


def _decide(by: Actor, match: Match, state: MatchState, why: str) -> Match:
    """The match in its new state, locked, if a decision on it is due."""
    match = Match.objects.select_for_update().get(pk=match.pk)
    if match.state != MatchState.SUGGESTED:
        raise Refused(f"This match is {match.state}; only a suggestion can be confirmed or rejected.")
    run = MatchingRun.objects.get(number=match.run_number or 0)
    if run.is_dry_run:
        raise Refused("This suggestion belongs to a dry run; apply the run first.")
    if run.state != RunState.COMPLETED:
        raise Refused(f"The run of this suggestion is {run.state}.")
    match.state, match.state_changed_at = state, timezone.now()
    match.save(update_fields=["state", "state_changed_at"])
    before, after = {"state": MatchState.SUGGESTED}, {"state": state}
    account_id = match.account_id
    record(by, f"match {state}", "match", match.pk, account_id=account_id, before=before, after=after, why=why)
    return match


# --- open items -------------------------------------------------------------------------------------------------


def assign(by: Actor, item: OpenItem, owner: User | None) -> OpenItem:
    """Give an open item to somebody, or to nobody."""
    before = {"owner": item.owner.username if item.owner else None}
    return _change(by, item, "item assigned", before, {"owner": owner.username if owner else None}, owner=owner)


def take_into_review(by: Actor, item: OpenItem) -> OpenItem:
    """Say that somebody is looking into it."""
    return _move(by, item, ItemState.IN_REVIEW, "item in review")


def hold(by: Actor, item: OpenItem, until: date, why: str = "") -> OpenItem:
    """Put an open item on hold until a day to come."""
    if until <= timezone.localdate():
        raise Refused("An item is put on hold until a day in the future.")
    return _move(by, item, ItemState.ON_HOLD, "item on hold", why, hold_until=until)


def accept(by: Actor, item: OpenItem, why: str) -> OpenItem:
    """Accept an open item as a reconciling item: known, explained, and nothing to be done. Needs a reason."""
    if not why.strip():
        raise Refused("Say why this is accepted as a reconciling item.")
    return _move(by, item, ItemState.ACCEPTED, "item accepted", why)


def reopen_item(by: Actor, item: OpenItem, why: str = "") -> OpenItem:
    """Make an item that was on hold, in review or accepted an ordinary open one again."""
    return _move(by, item, ItemState.OPEN, "item reopened", why)


def note(by: Actor, item: OpenItem, text: str) -> ItemNote:
    """Write a note on an item."""
    if not text.strip():
        raise Refused("The note is empty.")
    with transaction.atomic():
        written = ItemNote.objects.create(item_id=item.pk, text=text.strip(), author=by.user)
        record(by, "item noted", "item", item.pk, account_id=item.account_id, after={"text": written.text})
    return written


def for_each(things: Sequence[Thing], act: Callable[[Thing], Any]) -> tuple[int, list[str]]:
    """Act on each thing, on its own; returns how many it was done for, and why the others refused."""
    refusals = []
    for thing in things:
        try:
            act(thing)
        except Refused as refusal:
            refusals.append(refusal.message)
    return len(things) - len(refusals), refusals


def _move(by: Actor, item: OpenItem, state: ItemState, verb: str, why: str = "", **values: Any) -> OpenItem:
    if state != ItemState.ACCEPTED:
        refuse_closed_item(item)
    values = {"hold_until": None, **values, "state": state}
    return _change(by, item, verb, {"state": item.state}, {"state": state}, why, **values)


def _change(
    by: Actor, item: OpenItem, verb: str, before: dict[str, Any], after: dict[str, Any], why: str = "", **values: Any
) -> OpenItem:
    """Change an item that is not resolved. Raises `Refused`."""
    with transaction.atomic():
        # In one statement with its condition: a run may resolve the item while somebody looks at it.
        if not change_unresolved(OpenItem.objects.filter(pk=item.pk), **values):
            raise Refused("This item is resolved; unmatch its match to open it again.")
        record(by, verb, "item", item.pk, account_id=item.account_id, before=before, after=after, why=why)
    item.refresh_from_db()
    return item
