"""Matches: suggestions that wait, and a person's decisions on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rest_framework import serializers

from recon.api.v1.fields import IdField, Shape
from recon.api.v1.matches_by_hand import DIFFERENCE_TYPE
from recon.api.v1.paging import Paged, number
from recon.api.v1.rows import AccountFilter
from recon.api.v1.shown_matches import MatchDetailShape, MatchShape, ShownMatch, detail, shown_matches
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.uploads import Why
from recon.models import Account, Match
from recon.usecases.review import decisions as review
from recon.usecases.review.lists import suggestions
from recon.usecases.runs import undo

TAG = "Matches"


class Confirmation(Shape):
    """What a difference is, if the person knows better than the rule."""

    difference_type = serializers.ChoiceField(**DIFFERENCE_TYPE)
    comment = serializers.CharField(max_length=500, default="", allow_blank=True)

    example = {"difference_type": "fee", "comment": "agreed with the bank"}


DECISIONS: dict[str, Callable[..., Match]] = {
    "confirm": review.confirm_match,
    "reject": review.reject_match,
    "unmatch": undo.unmatch,
}


class Decisions(Shape):
    """One decision on many matches."""

    decision = serializers.ChoiceField(list(DECISIONS))
    matches = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62), min_length=1, max_length=1000
    )

    example = {"decision": "confirm", "matches": [12, 13]}


class DoneShape(Shape):
    """How many it was done for, and why the others refused."""

    done = serializers.IntegerField()
    refusals = serializers.ListField(child=serializers.CharField())

    example = {"done": 2, "refusals": []}


class SuggestionQuery(AccountFilter):
    """Whose suggestions."""

    account = IdField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())


@operation(TAG, query=SuggestionQuery, gives=MatchShape, paged=True)
def list_suggestions(call: Call) -> Paged:
    """List the suggestions of an account that wait for a decision.

    The oldest first; of completed real runs only."""
    limit = call.query["limit"]
    views = suggestions(call.query["account"], limit + 1, after=number(call.query) or 0)
    return Paged(shown_matches(views[:limit]), str(views[limit - 1].match.pk) if len(views) > limit else "")


@operation(TAG, gives=MatchDetailShape)
def get_match(call: Call, match_id: int) -> ShownMatch:
    """Get a match, with its reasons and runners-up."""
    return detail(match_of(match_id))


@operation(TAG, scope="review", takes=Confirmation, gives=MatchDetailShape, repeatable=True)
def confirm_match(call: Call, match_id: int) -> ShownMatch:
    """Confirm a suggestion.

    Its rows are claimed; other suggestions for them are withdrawn."""
    return detail(review.confirm_match(call.by, match_of(match_id), **call.given))


@operation(TAG, scope="review", takes=Why, gives=MatchDetailShape, repeatable=True)
def reject_match(call: Call, match_id: int) -> ShownMatch:
    """Reject a suggestion.

    Its rows stay open."""
    return detail(review.reject_match(call.by, match_of(match_id), why=call.given["why"]))


@operation(TAG, scope="review", takes=Why, gives=MatchDetailShape, repeatable=True)
def unmatch(call: Call, match_id: int) -> ShownMatch:
    """Undo a confirmed match.

    Its rows are open again; its history stays."""
    return detail(undo.unmatch(call.by, match_of(match_id), why=call.given["why"]))


@operation(TAG, scope="review", takes=Decisions, gives=DoneShape, repeatable=True)
def decide_matches(call: Call) -> dict[str, Any]:
    """Confirm, reject or undo many matches.

    Each on its own: what is refused for one stops none of the others."""
    matches = list(Match.objects.visible().filter(pk__in=call.given["matches"]).order_by("pk"))
    missing = set(call.given["matches"]) - {match.pk for match in matches}
    done, refusals = review.for_each(matches, partial(DECISIONS[call.given["decision"]], call.by))
    return {"done": done, "refusals": [*(f"There is no match {each}." for each in sorted(missing)), *refusals]}


def match_of(match_id: int) -> Match:
    match: Match = found(Match.objects.visible(), "match", match_id)
    return match
