"""What the list of rules and the list of versions show; each in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from django.db.models import Q

from rules.authoring import current_versions
from rules.bodies import read_body
from rules.differences import Change, changes, sentences, settings
from rules.models import MatchingRule, RuleStatus, RuleVersion


@dataclass(frozen=True)
class RuleFilters:
    """Which rules the list shows: a word in name or description, and a status ("" is all but the archive)."""

    q: str = ""
    status: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        status = query.get("status", "")
        return cls(query.get("q", "").strip(), status if status in RuleStatus.values else "")


@dataclass(frozen=True)
class RuleRow:
    rule: MatchingRule
    current: RuleVersion
    sentences: list[str]
    settings: list[str]


@dataclass(frozen=True)
class VersionRow:
    version: RuleVersion
    sentences: list[str]
    settings: list[str]
    changes: list[Change]  # against the version before it


def rule_rows(filters: RuleFilters) -> list[RuleRow]:
    rules = MatchingRule.objects.filter(status=filters.status) if filters.status else MatchingRule.objects.listed()
    if filters.q:
        rules = rules.filter(Q(name__icontains=filters.q) | Q(description__icontains=filters.q))
    return [_row(version) for version in current_versions(list(rules))]


def rule_row(rule: MatchingRule) -> RuleRow:
    return _row(current_versions([rule])[0])


def version_rows(rule: MatchingRule) -> list[VersionRow]:
    """Newest first."""
    versions = list(rule.versions.select_related("author"))
    bodies = [read_body(version.body) for version in versions]
    older = [*bodies[1:], None]
    return [
        VersionRow(version, sentences(body), settings(body), changes(before, body) if before is not None else [])
        for version, body, before in zip(versions, bodies, older, strict=True)
    ]


def _row(version: RuleVersion) -> RuleRow:
    body = read_body(version.body)
    return RuleRow(version.rule, version, sentences(body), settings(body))
