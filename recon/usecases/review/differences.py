"""What a match leaves unsettled, called by another name afterwards."""

from __future__ import annotations

from django.db import transaction

from recon.models import Account, DifferenceType, Match, MatchDifference, MatchState
from recon.usecases.accounts.closing import refuse_closed_matches
from recon.usecases.accounts.scope import hold_still
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.runs.leftovers import refuse_unseen


def retype_difference(by: Actor, difference: MatchDifference, kind: str, comment: str = "") -> MatchDifference:
    """Say that a difference is something else: a fee, rounding … Its amount never changes. Raises `Refused`.

    What its run came to stays as it was told; reports go by the type it has now.
    """
    if kind not in DifferenceType.values:
        raise Refused(f"{kind!r} is no kind of difference; expected one of {', '.join(DifferenceType.values)}.")
    with transaction.atomic():
        match = Match.objects.get(pk=difference.match_id)
        hold_still(match.account_id)
        match = Match.objects.select_for_update().get(pk=match.pk)
        if match.state != MatchState.CONFIRMED:
            raise Refused(f"This match is {match.state}; only the difference of a confirmed match is retyped.")
        refuse_unseen(match)
        refuse_closed_matches(Account.objects.get(pk=match.account_id), Match.objects.filter(pk=match.pk))
        locked = MatchDifference.objects.select_for_update().get(pk=difference.pk)
        before = {"type": locked.type, "comment": locked.comment}
        locked.type, locked.comment = kind, comment.strip()
        locked.save(update_fields=["type", "comment"])
        after = {"type": kind, "comment": locked.comment}
        record(
            by, "difference retyped", "match", match.pk, account_id=match.account_id,
            before=before, after=after, why=comment,
        )  # fmt: skip
    return locked
