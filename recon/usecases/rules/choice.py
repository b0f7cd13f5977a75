"""Rules to choose from, in the order a run applies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recon.models import Account, AccountRule
from recon.usecases.errors import Refused
from rules.authoring import current_versions, parsed
from rules.models import MatchingRule, RuleVersion


@dataclass(frozen=True)
class RuleChoice:
    """A rule on offer: whether it is chosen, and what its current version says in words."""

    rule: MatchingRule
    words: str
    is_chosen: bool


def rule_choices(chosen: Sequence[str], order: Sequence[str] = ()) -> list[RuleChoice]:
    """Every enabled rule: in `order` if one is given, else the chosen ones first; what is in neither comes last."""
    enabled = {rule.pk: rule for rule in MatchingRule.objects.enabled()}
    places = dict.fromkeys([*order, *chosen, *enabled])
    rules = [enabled[pk] for pk in places if pk in enabled]
    versions = current_versions(rules)
    return [RuleChoice(rule, said(version), rule.pk in chosen) for rule, version in zip(rules, versions, strict=True)]


def moved(order: Sequence[str], step: str) -> list[str]:
    """The order after one step, written as ``up ID`` or ``down ID``; a step over the edge changes nothing."""
    direction, _, rule_id = step.partition(" ")
    places = list(order)
    if rule_id in places:
        place = places.index(rule_id)
        other = place - 1 if direction == "up" else place + 1
        if 0 <= other < len(places):
            places[place], places[other] = places[other], places[place]
    return places


def said(version: RuleVersion) -> str:
    """What a rule version asks for, in one line."""
    return "; ".join(criterion.sentence().replace("*", "") for criterion in parsed(version).criteria)


def default_rules(account: Account | None) -> list[str]:
    """The ids of an account's own rules in order; without any, every enabled rule in the order of the rule list."""
    own = AccountRule.objects.filter(account=account, enabled=True) if account else AccountRule.objects.none()
    ids = list(own.order_by("position").values_list("rule_id", flat=True))
    return ids or list(MatchingRule.objects.enabled().values_list("pk", flat=True))


def versions_to_run(rule_ids: Sequence[str]) -> list[RuleVersion]:
    """The current versions of these rules, in the order given; rules that are no longer enabled are passed over."""
    offered = MatchingRule.objects.enabled().in_bulk(list(rule_ids))
    return current_versions([offered[pk] for pk in dict.fromkeys(rule_ids) if pk in offered])


def enabled_versions(rule_ids: Sequence[str]) -> list[RuleVersion]:
    """The current versions of these rules, in the order given. Raises Refused for a rule that is not enabled."""
    versions = versions_to_run(rule_ids)
    found = {version.rule_id for version in versions}
    if missing := [rule_id for rule_id in rule_ids if rule_id not in found]:
        raise Refused(f"There is no enabled rule {missing[0]}.")
    return versions
