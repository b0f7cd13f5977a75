"""An account's ordered rules: their order, what each contributes, and which never gets anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow.compute as pc
from django.db import transaction
from django.db.models import Max, Q, Sum

from recon.engine import EngineError, Outcome, match
from recon.models import Account, AccountRule, RunRule, RunState, Statement
from recon.usecases.accounts.settings import change_account
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.grouping import check_grouping
from recon.usecases.rules.previews import WITHIN, Watch, preview_rows, settling_options
from rules.authoring import create_rule, current_versions, parsed
from rules.criteria import Rule
from rules.differences import sentences_of
from rules.models import MatchingRule, RuleVersion

Places = Sequence[tuple[str, bool]]
"""Rules in order, each with whether runs of the account use it: ``[("rule_1…", True), …]``."""


@dataclass(frozen=True)
class Contribution:
    """What completed real runs of an account owe to a rule."""

    matched: int = 0
    suggested: int = 0
    last_matched: datetime | None = None


@dataclass(frozen=True)
class PlacedRule:
    """A rule in its place in an account."""

    version: RuleVersion
    position: int
    enabled: bool
    did: Contribution
    all_matched: int  # by all rules of the account's runs

    @property
    def share(self) -> int:
        """The part, in percent, of all that the account's runs matched by rules."""
        return round(100 * self.did.matched / self.all_matched) if self.all_matched else 0

    @property
    def rule(self) -> MatchingRule:
        return self.version.rule

    @property
    def sentences(self) -> list[str]:
        return sentences_of(self.version)


@dataclass(frozen=True)
class Overlap:
    """What a rule matches alone, and what is left of it in its place. ``taken_by`` counts lines by earlier rule."""

    rule: MatchingRule
    alone: int
    in_place: int
    taken_by: list[tuple[MatchingRule, int]]

    @property
    def is_idle(self) -> bool:
        """It never gets anything that an earlier rule has not taken."""
        return self.alone > 0 and self.in_place == 0


def rule_places(account: Account) -> list[PlacedRule]:
    """The account's rules in order with what completed real runs of the account owe to each: four queries."""
    places = list(account.rule_places.select_related("rule").order_by("position", "pk"))
    versions = current_versions([place.rule for place in places])
    ran = Q(run__account=account, run__is_dry_run=False, run__state=RunState.COMPLETED)
    sums = {
        rule_id: Contribution(total or 0, unsure or 0, last)
        for rule_id, total, unsure, last in RunRule.objects.filter(ran)
        .order_by()
        .values_list("version__rule_id")
        .annotate(
            total=Sum("matched"), unsure=Sum("suggested"), last=Max("run__completed_at", filter=Q(matched__gt=0))
        )
    }
    all_matched = sum(each.matched for each in sums.values())
    return [
        PlacedRule(version, number, place.enabled, sums.get(place.rule_id, Contribution()), all_matched)
        for number, (place, version) in enumerate(zip(places, versions, strict=True), 1)
    ]


def addable_rules(account: Account) -> list[MatchingRule]:
    """Enabled rules that the account does not have yet."""
    return list(MatchingRule.objects.enabled().exclude(account_places__account=account).order_by("name"))


def change_rules(by: Actor, account: Account, step: str) -> None:
    """One step on the account's rules as they are stored: add:ID, remove:ID, pause:ID, resume:ID, up:ID, down:ID, or
    order:ID,ID,… Two people at work do not undo each other. Raises Refused as `arrange_rules` does."""
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        places = list(account.rule_places.order_by("position", "pk").values_list("rule_id", "enabled"))
        arrange_rules(by, account, _after(places, step))


def place_for(account: Account, rule: Rule) -> MatchingRule | None:
    """The account's rule that a new one should follow, so that precise rules come first: the last that is at least as
    precise. None: no rule is."""
    before = None
    places = account.rule_places.select_related("rule").order_by("position", "pk")
    for version in current_versions([place.rule for place in places]):
        if _looseness(parsed(version)) <= _looseness(rule):
            before = version.rule
    return before


def _looseness(rule: Rule) -> tuple[bool, bool]:
    """Rules without a text in common come last; among equals, those that tolerate an amount."""
    shares_text = any(each.field.kind == "text" and not each.is_constant for each in rule.criteria)
    amounts = [each.window for each in rule.criteria if each.field.kind == "amount" and not each.is_constant]
    return not shares_text, not amounts or not all(window and window.exact for window in amounts)


def add_new_rule(
    by: Actor, account: Account, text: str, rule_id: str, after: str, settle: tuple[str, str] | None = None
) -> MatchingRule:
    """Create a rule and give it its place in the account: behind the rule `after`, or first if that is not there.

    `rule_id` is drawn beforehand, so that a form sent twice makes one rule. `settle`, a strategy and its grouping, is
    how the account's runs start from then on, if somebody chose that. Raises RuleError, and Refused for a grouping
    that the strategy does not know.
    """
    with transaction.atomic():
        rule = create_rule(by, text, rule_id)
        Account.objects.select_for_update().get(pk=account.pk)
        places = list(account.rule_places.order_by("position", "pk").values_list("rule_id", "enabled"))
        if rule.pk not in dict(places):
            place = next((number for number, each in enumerate(places, 1) if each[0] == after), 0)
            places.insert(place, (rule.pk, True))
            arrange_rules(by, account, places)
        if settle:
            check_grouping(*settle)
            change_account(by, account, dict(zip(("strategy", "grouping"), settle, strict=True)))
    return rule


def _after(places: list[tuple[str, bool]], step: str) -> list[tuple[str, bool]]:
    verb, _, rest = step.partition(":")
    place = next((number for number, each in enumerate(places) if each[0] == rest), None)
    if verb == "add" and rest and place is None:
        places.append((rest, True))
    elif verb == "order":
        order = {rule_id: number for number, rule_id in enumerate(rest.split(","))}
        places.sort(key=lambda each: order.get(each[0], len(order)))
    elif place is not None and verb in {"pause", "resume"}:
        places[place] = (rest, verb == "resume")
    elif place is not None and verb == "remove":
        del places[place]
    elif place is not None and verb in {"up", "down"}:
        places.insert(max(0, place + (-1 if verb == "up" else 1)), places.pop(place))
    return places


def arrange_rules(by: Actor, account: Account, places: Places) -> None:
    """Give the account these rules in this order. Raises Refused for a rule that does not exist or is archived."""
    wanted = list(dict(places).items())
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        before = list(account.rule_places.order_by("position", "pk").values_list("rule_id", "enabled"))
        known = set(MatchingRule.objects.listed().filter(pk__in=dict(wanted)).values_list("pk", flat=True))
        known |= dict(before).keys()  # one that was archived meanwhile keeps its place
        if missing := [rule_id for rule_id, _ in wanted if rule_id not in known]:
            raise Refused(f"There is no rule {missing[0]}; it may have been deleted or archived meanwhile.")
        if before == wanted:
            return
        account.rule_places.all().delete()
        AccountRule.objects.bulk_create(
            AccountRule(account=account, rule_id=rule_id, enabled=enabled, position=number)
            for number, (rule_id, enabled) in enumerate(wanted, 1)
        )
        record(
            by,
            "account rules changed",
            "account",
            account.pk,
            account_id=account.pk,
            before=_in_words(before),
            after=_in_words(wanted),
        )


def _in_words(places: Places) -> list[str]:
    return [rule_id if enabled else f"{rule_id} (paused)" for rule_id, enabled in places]


def find_overlaps(account: Account, statement: Statement, watch: Watch | None = None) -> list[Overlap]:
    """Each enabled rule tried alone and in its place on a statement: one run of the engine per rule and one for all.

    Raises EngineError if a rule cannot be tried.
    """
    if account.strategy in WITHIN:
        raise EngineError("Reversals are only suggested, and take nothing from later rules: nothing overlaps here.")
    enabled = [place.rule for place in account.rule_places.filter(enabled=True).select_related("rule")]
    rules = [parsed(version) for version in current_versions(enabled)]
    if not rules:
        return []
    lines, entries = preview_rows(statement, rules)
    options = replace(settling_options(account, watch or Watch()), reasons=False)
    taken_by = _rule_of_line(match(rules, lines, entries, options))
    overlaps = []
    for place, rule in enumerate(rules):
        alone = set(_rule_of_line(match([rule], lines, entries, options)))
        lost = Counter(taken_by[line] for line in alone if taken_by.get(line, place) < place)
        in_place = sum(1 for taker in taken_by.values() if taker == place)
        takers = [(enabled[taker], count) for taker, count in lost.most_common()]
        overlaps.append(Overlap(enabled[place], len(alone), in_place, takers))
    return overlaps


def _rule_of_line(outcome: Outcome) -> dict[int, int]:
    """Which rule, counted from 0, took each line; suggestions take nothing."""
    confirmed = outcome.matches.filter(pc.field("state") == "confirmed").select(["match_no", "rule_index"])
    rows = outcome.match_rows.filter(pc.field("side") == 0).select(["match_no", "id"])
    joined = rows.join(confirmed, "match_no", join_type="inner")
    return dict(zip(joined["id"].to_pylist(), joined["rule_index"].to_pylist(), strict=True))
