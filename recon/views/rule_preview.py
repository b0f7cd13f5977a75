"""Beside the rule editor: what the rule would do, and one pair of rows tried against it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from recon.models import Statement
from recon.partials import Request, page_or_fragment
from recon.usecases import previews
from recon.usecases.pattern_samples import Extract, pattern_samples
from rules.criteria import Rule, RuleError, parse_rule
from rules.criteria.parsing import parse_criterion
from rules.drafts import draft_from_form

STATEMENTS_OFFERED = 20


@require_POST
def rule_preview(request: Request) -> HttpResponse:
    """The rule as it stands in the form, tried on a statement; an unfinished rule says what it still lacks."""
    offered = Statement.objects.ready().select_related("account").order_by("-number")[:STATEMENTS_OFFERED]
    chosen = request.POST.get("preview_statement", "")
    statement = next((each for each in offered if each.pk == chosen), None) or previews.latest_statement()
    context: dict[str, Any] = {"statements": offered, "statement": statement}
    rule = _rule(request)
    if rule is not None and statement is not None:
        try:
            context["preview"] = previews.preview_rule(rule, statement, previews.Watch(request.user.pk))
        except previews.Superseded:
            return HttpResponse(status=204)
    if statement is not None:
        context["patterns"] = _pattern_samples(request, statement)
    return page_or_fragment(request, "rules/rule_preview.html", {"rule-preview": "rules/_rule_preview.html"}, context)


def _pattern_samples(request: Request, statement: Statement) -> list[tuple[int, list[Extract]]]:
    """What each criterion's pattern takes, also while the rest of the rule is unfinished."""
    drafts = draft_from_form(request.POST).criteria
    criteria = [parse_criterion(number, draft.given())[0] for number, draft in enumerate(drafts, 1)]
    return [(each.number, pattern_samples(statement, each)) for each in criteria if each and each.pattern]


def _rule(request: Request) -> Rule | None:
    """The posted rule; None while it is unfinished. It need not have a name to be tried."""
    body = draft_from_form(request.POST).body()
    try:
        return parse_rule({**body, "name": body["name"] or "This rule"})
    except RuleError:
        return None
