"""What people and programs do with rules: the only place that writes them.

Every function takes ``by``, tells `rule_changed` in the same transaction, and refuses a rule that does not hold with
`RuleError`, all problems at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError

from rules.bodies import given_body, read_body, read_given, write_json
from rules.criteria import Problem, Rule, RuleError, parse_rule
from rules.kept_queries import KeptQuery
from rules.models import MatchingRule, RuleStatus, RuleVersion, new_rule_id
from rules.signals import rule_changed


class Author(Protocol):
    """Who changes a rule, and through what (one of recon's `Via` values)."""

    @property
    def user(self) -> User | None: ...
    @property
    def via(self) -> str: ...


@dataclass(frozen=True)
class OnScreen:
    """Somebody signed in, working on a page."""

    user: User | None
    via: str = "screen"


class ChangedMeanwhile(Exception):  # noqa: N818 - an answer, not a fault
    """Somebody saved the rule after the author had opened it. ``current`` is what it says now."""

    def __init__(self, current: RuleVersion) -> None:
        super().__init__(f"version {current.number} was saved meanwhile")
        self.current = current


def parsed(version: RuleVersion) -> Rule:
    """The rule as the engine takes it."""
    return parse_rule(read_body(version.body), stored=True)


def create_rule(by: Author, text: str | bytes, rule_id: str = "") -> MatchingRule:
    """A new, enabled rule from its JSON text. Raises RuleError.

    ``rule_id``: an id that the author drew beforehand, so that a form sent twice makes one rule. If that id is taken
    by a rule that says something else, this one gets another.
    """
    body = given_body(text)
    try:
        return _create(by, body, _as_text(text), "rule created", rule_id or new_rule_id())
    except IntegrityError:
        there = MatchingRule.objects.filter(pk=rule_id).first()
        if there is not None and read_body(there.current.body) == body:
            return there
    return _create(by, body, _as_text(text), "rule created", new_rule_id())


def save_version(by: Author, rule_id: str, text: str | bytes, based_on: int | None = None) -> MatchingRule:
    """Make the text the rule's next version; a text that says the same as the current version makes none.

    ``based_on`` is the number of the version the author started from: if it is no longer the current one and says
    something else, ChangedMeanwhile is raised instead of overwriting. None means "whatever it is now" (a program's
    PUT).
    """
    body = given_body(text)
    rule_said = parse_rule(body)
    with transaction.atomic():
        rule = MatchingRule.objects.select_for_update().get(pk=rule_id)
        current = rule.current
        if read_body(current.body) == body:
            return rule  # also when a form is sent twice
        if based_on is not None and based_on != current.number:
            raise ChangedMeanwhile(current)
        _add_version(by, rule, rule_said, _as_text(text))
        _tell(by, "rule changed", rule, {"version": current.number, **read_body(current.body)}, body)
    return rule


def restore_version(by: Author, rule_id: str, number: int) -> MatchingRule:
    """Make what an earlier version said the rule's next version."""
    with transaction.atomic():
        rule = MatchingRule.objects.select_for_update().get(pk=rule_id)
        earlier = rule.versions.get(number=number)
        current = rule.current
        body = read_body(earlier.body)
        if read_body(current.body) == body:
            return rule
        _add_version(by, rule, parse_rule(body), earlier.body)
        _tell(by, "rule restored", rule, {"version": current.number}, {"restored": number, **body})
    return rule


def set_status(by: Author, rule_id: str, status: RuleStatus) -> MatchingRule:
    """Enable, disable, archive, or take out of the archive."""
    with transaction.atomic():
        rule = MatchingRule.objects.select_for_update().get(pk=rule_id)
        if rule.status != status:
            before = rule.status
            rule.status = status
            rule.save(update_fields=["status", "updated_at"])
            _tell(by, f"rule {status}", rule, {"status": before}, {"status": status.value})
    return rule


def remove_rule(by: Author, rule_id: str) -> bool:
    """Delete a rule that no run used, archive one that was used. True if it is gone, False if it is in the archive."""
    with transaction.atomic():
        rule = MatchingRule.objects.select_for_update().get(pk=rule_id)
        last = read_body(rule.current.body)
        try:
            with transaction.atomic():
                rule.versions.all().delete()
                rule.delete()
        except ProtectedError:
            set_status(by, rule_id, RuleStatus.ARCHIVED)
            return False
        rule_changed.send(MatchingRule, by=by, verb="rule deleted", rule_id=rule_id, before=plain(last), after=None)
    return True


def import_rules(by: Author, text: str | bytes) -> list[MatchingRule]:
    """Rules from JSON: one object or a list. All of them or, if one is refused, none: its problems name it."""
    given = read_given(text)
    bodies = given if isinstance(given, list) else [given]
    if not bodies:
        raise RuleError([Problem(None, None, "expected at least one rule, found an empty list")])
    _refuse_bad(bodies)
    with transaction.atomic():
        return [_create(by, body, write_json(body), "rule imported", new_rule_id()) for body in bodies]


def namesakes(rules: Sequence[MatchingRule]) -> list[str]:
    """Names of these rules that others have, too, which are not archived."""
    others = MatchingRule.objects.listed().exclude(pk__in=[rule.pk for rule in rules])
    return sorted(set(others.filter(name__in={rule.name for rule in rules}).values_list("name", flat=True)))


def export_rules(rules: Sequence[MatchingRule]) -> str:
    """Rules as JSON in the shape `import_rules` and the rule API take: one object for one rule, else a list."""
    current = {version.rule_id: version for version in current_versions(rules)}
    bodies = [read_body(current[rule.pk].body) for rule in rules]
    return write_json(bodies[0] if len(bodies) == 1 else bodies) + "\n"


def current_versions(rules: Sequence[MatchingRule]) -> list[RuleVersion]:
    """The current version of each rule, in their order, in one query."""
    found = RuleVersion.objects.filter(rule__in=[rule.pk for rule in rules]).select_related("rule", "author")
    current = {version.rule_id: version for version in found if version.number == version.rule.version}
    return [current[rule.pk] for rule in rules]


def listed_version(rule_id: str) -> RuleVersion | None:
    """The current version of a rule, with the rule; None if there is no such rule outside of the archive."""
    return _listed.first(rule_id)


_listed = KeptQuery(
    lambda rule_id: (
        RuleVersion.objects.filter(rule=rule_id, number=F("rule__version"))
        .exclude(rule__status=RuleStatus.ARCHIVED)
        .select_related("rule")
        .defer("created_at", "rule__created_at", "rule__updated_at")
    )
)


def plain(value: Any) -> Any:
    """A body without Decimals, for the audit trail's JSON column: numbers become the text they were written as."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int) else str(value)


def _create(by: Author, body: dict[str, Any], text: str, verb: str, rule_id: str) -> MatchingRule:
    said = parse_rule(body)
    with transaction.atomic():
        rule = MatchingRule.objects.create(pk=rule_id, name=said.name, description=said.description)
        RuleVersion.objects.create(rule=rule, number=rule.version, body=text, author=by.user)
        _tell(by, verb, rule, None, body)
    return rule


def _add_version(by: Author, rule: MatchingRule, said: Rule, text: str) -> None:
    rule.version += 1
    rule.name, rule.description = said.name, said.description
    rule.save(update_fields=["version", "name", "description", "updated_at"])
    RuleVersion.objects.create(rule=rule, number=rule.version, body=text, author=by.user)


def _refuse_bad(bodies: Sequence[Any]) -> None:
    problems: list[Problem] = []
    for number, body in enumerate(bodies, 1):
        try:
            if not isinstance(body, dict):
                raise RuleError([Problem(None, None, "expected a rule as a JSON object with name and criteria")])
            parse_rule(body)
        except RuleError as error:
            label = f"rule {number}: " if len(bodies) > 1 else ""
            problems += [Problem(found.criterion, found.key, label + found.message) for found in error.problems]
    if problems:
        raise RuleError(problems)


def _tell(
    by: Author, verb: str, rule: MatchingRule, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> None:
    rule_changed.send(MatchingRule, by=by, verb=verb, rule_id=rule.pk, before=plain(before), after=plain(after))


def _as_text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode()
