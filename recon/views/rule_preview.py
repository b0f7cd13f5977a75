"""Beside the rule editor: what the rule would do, and one pair of rows tried against it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe

from recon.models import LedgerEntry, Statement, StatementLine
from recon.partials import Request, page_or_fragment
from recon.usecases.accounts.scope import builtin_account
from recon.usecases.rules import previews
from recon.usecases.rules.pair_trial import FIELD_NAMES, Trial, TypedRow, row_in_words, try_pair, typed_row
from recon.usecases.rules.pasted_rows import pasted_row
from recon.usecases.rules.pattern_samples import Extract, pattern_samples
from rules.criteria import Rule, RuleError, parse_rule
from rules.criteria.parsing import parse_criterion
from rules.drafts import draft_from_form

STATEMENTS_OFFERED = 20


@require_POST
def rule_preview(request: Request) -> HttpResponse:
    """The rule as it stands in the form, tried on a statement; an unfinished rule says what it still lacks.

    The page may get figures of a few lines first, and then asks again for ``whole``.
    """
    offered = Statement.objects.ready().select_related("account").order_by("-number")[:STATEMENTS_OFFERED]
    statement = _statement(request)
    context: dict[str, Any] = {"statements": offered, "statement": statement}
    rule = _rule(request)
    if rule is not None and statement is not None:
        try:
            with previews.Watch(_page_of(request)) as watch:
                comes_again = request.htmx and "whole" not in request.GET
                first = previews.first_preview(rule, statement, watch) if comes_again else None
                context["preview"] = first or previews.preview_rule(rule, statement, watch)
        except previews.Superseded:
            return HttpResponse(status=204)
    if statement is not None:
        context["patterns"] = _pattern_samples(request, statement)
    return page_or_fragment(request, "rules/rule_preview.html", {"rule-preview": "rules/_rule_preview.html"}, context)


@require_safe
def rule_read_ahead(request: Request) -> HttpResponse:
    """Asked for by the pages that lead to the editor, so that its first preview waits for less."""
    if statement := previews.latest_statement():
        previews.read_ahead(statement)
    return HttpResponse(status=204)


@require_POST
def rule_try(request: Request) -> HttpResponse:
    """One line and one entry against the rule: typed, pasted, or picked by ``pair`` = "LINE ENTRY"."""
    line, entry = (typed_row(_said(request, side)) for side in ("line", "entry"))
    if picked := request.POST.get("pair"):
        line, entry = _picked(picked)
    statement = _statement(request)
    account = statement.account if statement else builtin_account()
    trial = try_pair(_rule(request), line, entry, previews.preview_options(account, previews.Watch()))
    fragments = {"rule-try": "rules/_rule_try.html", "try-verdicts": "rules/_try_verdicts.html"}
    return page_or_fragment(request, "rules/rule_try.html", fragments, {"trial": trial, "sides": _sides(trial)})


def _page_of(request: Request) -> str:
    """What tells one open editor from another, also of the same person in two tabs."""
    page_id = request.POST.get("page_id", "")
    return f"{request.user.pk} {page_id}" if page_id else ""


def _sides(trial: Trial) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """Each side of the form: its name, its title, and per input name, text and problem."""
    return [
        (
            side,
            title,
            [
                (name, row.said.get(name, ""), "" if row.is_empty else row.problems.get(name, ""))
                for name in FIELD_NAMES
            ],
        )
        for side, title, row in (("line", "Statement line", trial.line), ("entry", "Ledger entry", trial.entry))
    ]


def _said(request: Request, side: str) -> dict[str, str]:
    if pasted := request.POST.get(f"try-{side}-pasted", "").strip():
        return pasted_row(pasted)
    return {name: request.POST.get(f"try-{side}-{name}", "") for name in FIELD_NAMES}


def _picked(pair: str) -> tuple[TypedRow, TypedRow]:
    line_id, _, entry_id = pair.partition(" ")
    if not (line_id.isdecimal() and entry_id.isdecimal()):
        raise Http404
    line, entry = get_object_or_404(StatementLine, pk=line_id), get_object_or_404(LedgerEntry, pk=entry_id)
    return row_in_words(line), row_in_words(entry)


def _statement(request: Request) -> Statement | None:
    """The statement chosen beside the form, or the latest."""
    chosen = Statement.objects.ready().select_related("account").filter(pk=request.POST.get("preview_statement", ""))
    return chosen.first() or previews.latest_statement()


def _pattern_samples(request: Request, statement: Statement) -> list[tuple[int, str, list[Extract]]]:
    """What each criterion's pattern takes, also while the rest of the rule is unfinished."""
    drafts = draft_from_form(request.POST).criteria
    criteria = [(draft.key, parse_criterion(number, draft.given())[0]) for number, draft in enumerate(drafts, 1)]
    return [(each.number, key, pattern_samples(statement, each)) for key, each in criteria if each and each.pattern]


def _rule(request: Request) -> Rule | None:
    """The posted rule; None while it is unfinished. It need not have a name to be tried."""
    body = draft_from_form(request.POST).body()
    try:
        return parse_rule({**body, "name": body["name"] or "This rule"})
    except RuleError:
        return None
