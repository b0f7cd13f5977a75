"""The ordered rules of an account."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework import serializers

from recon.api.problems import Problem
from recon.api.v1.accounts import account_of
from recon.api.v1.fields import InstantField, Shape
from recon.api.v1.shown_matches import RuleVersionShape
from recon.api.v1.spec import Call, found, operation
from recon.engine import EngineError
from recon.models import Account, Statement
from recon.usecases.rules import rule_sets
from recon.usecases.rules.uses import RuleUses, rule_uses
from rules.models import MatchingRule

TAG = "Accounts"


class PlacedRuleShape(Shape):
    """A rule in its place in an account, and what completed real runs owe to it."""

    position = serializers.IntegerField()
    rule = RuleVersionShape(source="version")
    enabled = serializers.BooleanField(help_text="Whether runs of the account use it.")
    sentences = serializers.SerializerMethodField()
    matched = serializers.IntegerField(source="did.matched")
    suggested = serializers.IntegerField(source="did.suggested")
    last_matched = InstantField(source="did.last_matched", allow_null=True)
    share = serializers.IntegerField(help_text="Percent of all that the account's runs matched.")

    def get_sentences(self, place: rule_sets.PlacedRule) -> list[str]:
        return place.sentences


class RuleSetShape(Shape):
    """An account's rules, in the order runs try them."""

    account = serializers.IntegerField()
    rules = PlacedRuleShape(many=True)

    example = {
        "account": 1,
        "rules": [
            {
                "position": 1,
                "rule": {"id": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "name": "Reference", "version": 2},
                "enabled": True,
                "sentences": ["the reference equals that of the ledger entry"],
                "matched": 120,
                "suggested": 5,
                "last_matched": "2026-03-31T12:00:01Z",
                "share": 96,
            }
        ],
    }


class PlaceInput(Shape):
    """A rule in its place."""

    rule = serializers.CharField(max_length=64, help_text="Id of a rule.")
    enabled = serializers.BooleanField(default=True)


class RuleSetInput(Shape):
    """All rules of an account, in order."""

    rules = PlaceInput(many=True)

    example = {"rules": [{"rule": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "enabled": True}]}


class OverlapQuery(Shape):
    """What to try the rules on."""

    statement = serializers.CharField(
        max_length=64, required=False, help_text="Id of one of the account's statements; the latest by default."
    )


class OverlapShape(Shape):
    """What a rule matches alone, and what is left of it in its place."""

    rule = serializers.CharField(source="rule.rule_id")
    name = serializers.CharField(source="rule.name")
    alone = serializers.IntegerField()
    in_place = serializers.IntegerField()
    is_idle = serializers.BooleanField(help_text="It never gets anything that an earlier rule has not taken.")
    taken_by = serializers.SerializerMethodField()

    def get_taken_by(self, overlap: rule_sets.Overlap) -> list[dict[str, Any]]:
        return [{"rule": rule.rule_id, "lines": count} for rule, count in overlap.taken_by]


class OverlapsShape(Shape):
    """Each rule of an account alone and in its place, on one statement."""

    statement = serializers.CharField(help_text="Id of the statement they were tried on.")
    rules = OverlapShape(many=True)

    example = {
        "statement": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e",
        "rules": [
            {
                "rule": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10",
                "name": "Reference",
                "alone": 120,
                "in_place": 120,
                "is_idle": False,
                "taken_by": [],
            }
        ],
    }


class RulePlaceShape(Shape):
    """An account a rule belongs to."""

    account = serializers.IntegerField(source="account_id")
    name = serializers.CharField(source="account.name")
    position = serializers.IntegerField()
    enabled = serializers.BooleanField()


class VersionUseShape(Shape):
    """What completed real runs owe to one version of a rule."""

    version = serializers.IntegerField(source="number")
    runs = serializers.IntegerField()
    matched = serializers.IntegerField()
    suggested = serializers.IntegerField()
    last_run = serializers.CharField(source="last_run.run_id")


class RuleUsesShape(Shape):
    """Where a rule is used."""

    places = RulePlaceShape(many=True)
    versions = VersionUseShape(many=True)

    example = {
        "places": [{"account": 1, "name": "House bank EUR", "position": 1, "enabled": True}],
        "versions": [
            {
                "version": 2,
                "runs": 4,
                "matched": 480,
                "suggested": 12,
                "last_run": "recon_5f3c1b7a-10c9-4d1f-8e6a-0b4f5e9d5c2f",
            }
        ],
    }


@operation("Rules", gives=RuleUsesShape)
def get_rule_uses(call: Call, rule_id: str) -> RuleUses:
    """Get where a rule is used.

    The accounts it belongs to, and what each of its versions did in real runs."""
    return rule_uses(found(MatchingRule.objects, "rule", rule_id).pk)


@operation(TAG, gives=RuleSetShape)
def get_account_rules(call: Call, account_id: int) -> dict[str, Any]:
    """Get the ordered rules of an account."""
    return rules_of(account_of(account_id))


@operation(TAG, scope="rules", takes=RuleSetInput, gives=RuleSetShape, guarded=True)
def set_account_rules(call: Call, account_id: int) -> dict[str, Any]:
    """Give an account these rules, in this order."""
    with transaction.atomic():
        account = found(Account.objects.select_for_update(), "account", account_id)
        call.require_match(rules_of(account))
        rule_sets.arrange_rules(call.by, account, [(each["rule"], each["enabled"]) for each in call.given["rules"]])
    return rules_of(account_of(account_id))


@operation(TAG, query=OverlapQuery, gives=OverlapsShape)
def find_rule_overlaps(call: Call, account_id: int) -> dict[str, Any]:
    """Find rules of an account that get in each other's way.

    Each alone and in its place, tried on one statement; nothing is stored."""
    account = account_of(account_id)
    statements = Statement.objects.ready().filter(account=account).order_by("-number")
    if wanted := call.query.get("statement"):
        statements = statements.filter(pk=wanted)
    statement = statements.first()
    if statement is None:
        raise Problem("not-found", "The account has no such statement to try its rules on.")
    try:
        return {"statement": statement.pk, "rules": rule_sets.find_overlaps(account, statement)}
    except EngineError as error:
        raise Problem("refused", str(error)) from error


def rules_of(account: Account) -> dict[str, Any]:
    return {"account": account.pk, "rules": rule_sets.rule_places(account)}
