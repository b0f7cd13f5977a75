"""Rule authoring in the audit trail: the rules app tells, this records, in the same transaction."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from recon.models import Event, Via
from recon.usecases.events import Actor, record
from rules.authoring import Author
from rules.gallery import seed_examples
from rules.models import MatchingRule
from rules.signals import rule_changed


@receiver(rule_changed)
def record_rule_change(*, by: Author, verb: str, rule_id: str, before: Any, after: Any, **_: Any) -> None:
    """One event per change of a rule, with what it said before and after."""
    who = by if isinstance(by, Actor) else Actor(by.user, Via(by.via))
    record(who, verb, "rule", rule_id, before=before, after=after)


def seed_rules(by: Actor) -> list[MatchingRule]:
    """Create the example rules where there never was a rule; somebody who deleted them all does not get them back."""
    return [] if Event.objects.filter(kind="rule").exists() else seed_examples(by)
