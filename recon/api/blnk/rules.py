"""Matching rules: create, list, read, update, delete, in the shape they came in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from recon.api.auth import actor
from recon.api.blnk.base import BlnkView, json_object
from recon.api.blnk.errors import BlnkError
from recon.api.idempotency import idempotent
from recon.api.json import dumps
from rules import authoring
from rules.bodies import read_body
from rules.criteria import RuleError
from rules.models import MatchingRule, RuleVersion


class Rules(BlnkView):
    scopes = {"POST": "rules"}

    def get(self, request: Request) -> Response:
        rules = list(MatchingRule.objects.listed())
        return Response([shown(version) for version in authoring.current_versions(rules)])

    @idempotent()
    def post(self, request: Request) -> Response:
        text = dumps(json_object(request))
        rule = or_refused(lambda: authoring.create_rule(actor(request), text))
        return Response(shown(rule.current), status=201)


class Rule(BlnkView):
    scopes = {"PUT": "rules", "DELETE": "rules"}

    def get(self, request: Request, rule_id: str) -> Response:
        return Response(shown(found(rule_id).current))

    def put(self, request: Request, rule_id: str) -> Response:
        found(rule_id)
        text = dumps(json_object(request))
        rule = or_refused(lambda: authoring.save_version(actor(request), rule_id, text))
        return Response(shown(rule.current))

    def delete(self, request: Request, rule_id: str) -> Response:
        found(rule_id)
        authoring.remove_rule(actor(request), rule_id)
        return Response({"message": "Matching rule deleted successfully"})


def found(rule_id: str) -> MatchingRule:
    rule = None if "\x00" in rule_id else MatchingRule.objects.listed().filter(pk=rule_id).first()
    if rule is None:
        raise BlnkError("RECON_RULE_NOT_FOUND", f"Matching rule with ID '{rule_id}' not found")
    return rule


def or_refused(save: Callable[[], MatchingRule]) -> MatchingRule:
    try:
        return save()
    except RuleError as error:
        problems = [{"criterion": p.criterion, "key": p.key, "message": p.message} for p in error.problems]
        raise BlnkError("RECON_RULE_INVALID", str(error), problems) from error


def shown(version: RuleVersion) -> dict[str, Any]:
    return {
        **read_body(version.body),
        "rule_id": version.rule_id,
        "created_at": version.rule.created_at,
        "updated_at": version.rule.updated_at,
    }
