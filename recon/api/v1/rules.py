"""Matching rules and their numbered versions."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from recon.api.problems import Problem
from recon.api.v1.fields import AnyField, InstantField, PlainField, Shape, as_text
from recon.api.v1.paging import Paged, number
from recon.api.v1.spec import Call, found, operation
from rules import authoring, lists
from rules.bodies import read_body
from rules.criteria import DIFFERENCE_TYPES, GROUP_DATES, MAX_CRITERIA, ON_AMBIGUITY
from rules.differences import changes, sentences
from rules.gallery import GALLERY
from rules.models import MatchingRule, RuleStatus, RuleVersion

TAG = "Rules"

BODY_EXAMPLE: dict[str, Any] = {
    "name": "Reference and amount",
    "description": "The reference, and the amount to the cent.",
    "criteria": [
        {"field": "reference", "operator": "eq"},
        {"field": "amount", "operator": "eq", "allowable_drift": 0.01},
    ],
}


@extend_schema_field({"$ref": "#/components/schemas/Criterion"})
class CriterionField(PlainField):
    """What a criterion may say is for the operators to know: their schema is in the document, their parser decides."""


@extend_schema_field({"$ref": "#/components/schemas/RuleInput"})
class RuleBodyField(PlainField):
    """A rule's body, as `create_rule` takes it."""


class RuleShape(Shape):
    """A rule as its current version says it."""

    id = serializers.CharField(source="rule_id")
    name = serializers.CharField(source="rule.name")
    description = serializers.CharField(source="rule.description")
    status = serializers.ChoiceField(RuleStatus.choices, source="rule.status")
    version = serializers.IntegerField(source="number", help_text="Number of its current version.")
    body = serializers.SerializerMethodField(help_text="The rule as it was saved.")
    sentences = serializers.SerializerMethodField(help_text="Its criteria in words.")
    author = serializers.CharField(source="author.username", default=None, allow_null=True)
    created_at = InstantField(source="rule.created_at")
    updated_at = InstantField(source="rule.updated_at")

    example = {
        "id": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10",
        "name": BODY_EXAMPLE["name"],
        "description": BODY_EXAMPLE["description"],
        "status": "enabled",
        "version": 2,
        "body": BODY_EXAMPLE,
        "sentences": ["the reference equals that of the ledger entry"],
        "author": "alice",
        "created_at": "2026-03-31T12:00:00Z",
        "updated_at": "2026-03-31T12:00:00Z",
    }

    def get_body(self, version: RuleVersion) -> dict[str, Any]:
        return read_body(version.body)

    def get_sentences(self, version: RuleVersion) -> list[str]:
        return sentences(read_body(version.body))


class RuleInput(Shape):
    """A rule: a name, and criteria that must all be met. `list_rule_fields` says what a criterion knows."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(required=False, allow_blank=True)
    criteria = serializers.ListField(child=CriterionField(), min_length=1, max_length=MAX_CRITERIA)
    on_ambiguity = serializers.ChoiceField(list(ON_AMBIGUITY), required=False)
    max_difference = AnyField(required=False, help_text="Above it a match is suggested, not confirmed.")
    difference_type = serializers.ChoiceField(DIFFERENCE_TYPES, required=False, help_text="What differences are.")
    cross_currency = serializers.BooleanField(required=False)
    group_date = serializers.ChoiceField(list(GROUP_DATES), required=False)
    suggest_only = serializers.BooleanField(required=False, help_text="Nothing is confirmed; a person decides.")

    example = BODY_EXAMPLE


class VersionShape(Shape):
    """A version of a rule: never changed once saved."""

    number = serializers.IntegerField(source="version.number")
    body = serializers.SerializerMethodField()
    sentences = serializers.ListField(child=serializers.CharField())
    changes = serializers.SerializerMethodField(help_text="Against the version before it.")
    author = serializers.CharField(source="version.author.username", default=None, allow_null=True)
    created_at = InstantField(source="version.created_at")

    example = {
        "number": 2,
        "body": BODY_EXAMPLE,
        "sentences": ["the reference equals that of the ledger entry"],
        "changes": [{"kind": "changed", "what": "Name", "before": "Reference", "after": "Reference and amount"}],
        "author": "alice",
        "created_at": "2026-03-31T12:00:00Z",
    }

    def get_body(self, row: lists.VersionRow) -> dict[str, Any]:
        return read_body(row.version.body)

    def get_changes(self, row: lists.VersionRow) -> list[dict[str, str]]:
        return [ChangeShape(change).data for change in row.changes]


class ChangeShape(Shape):
    """One difference between two versions; `before` or `after` is empty where something was added or removed."""

    kind = serializers.ChoiceField(["added", "removed", "changed", "moved"])
    what = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()

    example = {"kind": "changed", "what": "Name", "before": "Reference", "after": "Reference and amount"}


class RuleQuery(Shape):
    """Which rules."""

    q = serializers.CharField(max_length=200, default="", allow_blank=True, help_text="In name or description.")
    status = serializers.ChoiceField(
        RuleStatus.choices, default="", allow_blank=True, help_text="All but the archive by default."
    )


class DiffQuery(Shape):
    """What to compare with."""

    against = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="Number of a version; by default the one before."
    )


class StatusInput(Shape):
    """What is to become of a rule."""

    status = serializers.ChoiceField(RuleStatus.choices)

    example = {"status": "archived"}


class RemovedShape(Shape):
    """What became of a rule."""

    outcome = serializers.ChoiceField(
        [("deleted", "it is gone"), ("archived", "runs have used it, so its versions stay readable")]
    )

    example = {"outcome": "deleted"}


class RulesInput(Shape):
    """Rules from elsewhere."""

    rules = serializers.ListField(child=RuleBodyField(), min_length=1, max_length=1000)

    example = {"rules": [BODY_EXAMPLE]}


class ExampleShape(Shape):
    """A rule to start from."""

    slug = serializers.CharField()
    when = serializers.CharField(help_text="For whom it is.")
    body = PlainField()
    sentences = serializers.ListField(child=serializers.CharField())

    example = {
        "slug": "reference",
        "when": "Both sides carry the same reference.",
        "body": BODY_EXAMPLE,
        "sentences": ["the reference equals that of the ledger entry"],
    }


@operation(TAG, query=RuleQuery, gives=RuleShape, paged=True)
def list_rules(call: Call) -> Paged:
    """List rules, in the order they were made."""
    rows = lists.rule_rows(lists.RuleFilters(call.query["q"].strip(), call.query["status"]))
    after, limit = number(call.query) or 0, call.query["limit"]
    page = rows[after : after + limit]
    return Paged([row.current for row in page], str(after + limit) if len(rows) > after + limit else "")


@operation(TAG, scope="rules", takes=RuleInput, gives=RuleShape, status=201, repeatable=True)
def create_rule(call: Call) -> RuleVersion:
    """Create a rule.

    Enabled, as version 1. What does not hold is refused all at once, with each criterion's place."""
    return version_of(authoring.create_rule(call.by, as_text(call.raw)).pk)


@operation(TAG, gives=RuleShape)
def get_rule(call: Call, rule_id: str) -> RuleVersion:
    """Get a rule."""
    return version_of(rule_id)


@operation(TAG, scope="rules", takes=RuleInput, gives=RuleShape, guarded=True)
def update_rule(call: Call, rule_id: str) -> RuleVersion:
    """Save a rule's next version.

    A body that says the same makes none. Send `If-Match` so that nobody's change is lost."""
    with transaction.atomic():
        rule = found(MatchingRule.objects.select_for_update(), "rule", rule_id)
        call.require_match(rule.current)
        authoring.save_version(call.by, rule_id, as_text(call.raw), rule.version)
    return version_of(rule_id)


@operation(TAG, scope="rules", takes=StatusInput, gives=RuleShape, guarded=True)
def set_rule_status(call: Call, rule_id: str) -> RuleVersion:
    """Enable, disable or archive a rule, or take it out of the archive."""
    with transaction.atomic():
        rule = found(MatchingRule.objects.select_for_update(), "rule", rule_id)
        call.require_match(rule.current)
        authoring.set_status(call.by, rule_id, RuleStatus(call.given["status"]))
    return version_of(rule_id)


@operation(TAG, scope="rules", gives=RemovedShape)
def delete_rule(call: Call, rule_id: str) -> dict[str, str]:
    """Delete a rule.

    One that runs have used is archived instead."""
    found(MatchingRule.objects, "rule", rule_id)
    return {"outcome": "deleted" if authoring.remove_rule(call.by, rule_id) else "archived"}


@operation(TAG, gives=VersionShape, paged=True)
def list_rule_versions(call: Call, rule_id: str) -> Paged:
    """List the versions of a rule, the newest first."""
    rows = lists.version_rows(found(MatchingRule.objects, "rule", rule_id))
    before, limit = number(call.query), call.query["limit"]
    rows = [row for row in rows if before is None or row.version.number < before]
    return Paged(rows[:limit], str(rows[limit - 1].version.number) if len(rows) > limit else "")


@operation(TAG, gives=VersionShape)
def get_rule_version(call: Call, rule_id: str, number: int) -> lists.VersionRow:
    """Get a version of a rule."""
    rows = lists.version_rows(found(MatchingRule.objects, "rule", rule_id))
    for row in rows:
        if row.version.number == number:
            return row
    raise Problem("not-found", f"This rule has no version {number}.")


@operation(TAG, query=DiffQuery, gives=ChangeShape, paged=True)
def compare_rule_versions(call: Call, rule_id: str, number: int) -> Paged:
    """Compare a version of a rule with an earlier one.

    What an author would say was done; all in one page."""
    rule = found(MatchingRule.objects, "rule", rule_id)
    bodies = {
        each: read_body(found(rule.versions, "version", each, "number").body)
        for each in {number, call.query.get("against", max(1, number - 1))}
    }
    return Paged(changes(bodies[call.query.get("against", max(1, number - 1))], bodies[number]))


@operation(TAG, scope="rules", gives=RuleShape, repeatable=True)
def restore_rule_version(call: Call, rule_id: str, number: int) -> RuleVersion:
    """Restore a version of a rule.

    What it said becomes the rule's next version."""
    found(RuleVersion.objects.filter(rule=rule_id), "version", number, "number")
    authoring.restore_version(call.by, rule_id, number)
    return version_of(rule_id)


@operation(TAG, downloads="application/json")
def export_rules(call: Call) -> HttpResponse:
    """Download all rules as JSON.

    In the shape that `import_rules` takes; without the archive."""
    text = authoring.export_rules(list(MatchingRule.objects.listed()))
    bodies = text.strip()
    return HttpResponse(bodies if bodies.startswith("[") else f"[{bodies}]", content_type="application/json")


@operation(TAG, downloads="application/json")
def export_rule(call: Call, rule_id: str) -> HttpResponse:
    """Download a rule as JSON."""
    rule = found(MatchingRule.objects, "rule", rule_id)
    return HttpResponse(authoring.export_rules([rule]), content_type="application/json")


@operation(TAG, scope="rules", takes=RulesInput, gives=RuleShape, paged=True, status=201, repeatable=True)
def import_rules(call: Call) -> Paged:
    """Import rules.

    All of them or, if one does not hold, none."""
    made = authoring.import_rules(call.by, as_text(call.raw["rules"]))
    return Paged(list(authoring.current_versions(made)))


@operation(TAG, gives=ExampleShape, paged=True)
def list_example_rules(call: Call) -> Paged:
    """List rules to start from, all in one page."""
    return Paged(
        [
            {"slug": each.slug, "when": each.when, "body": each.body, "sentences": sentences(each.body)}
            for each in GALLERY.values()
        ]
    )


def version_of(rule_id: str) -> RuleVersion:
    """The current version of a rule, with the rule."""
    rule = found(MatchingRule.objects, "rule", rule_id)
    return authoring.current_versions([rule])[0]
