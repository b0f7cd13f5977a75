"""Suggest a rule: from matches that people made by hand, or from what a run left open."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from recon.engine import Cancelled
from recon.forms.inputs import after_key
from recon.models import Account, Match, MatchingRun, RunState, Side, Strategy
from recon.partials import Request, page_or_fragment
from recon.usecases.errors import Refused
from recon.usecases.rules.evidence import matched_by_hand
from recon.usecases.rules.previews import Watch
from recon.usecases.rules.proposals import Search, propose_for_leftovers, propose_from_matches
from recon.usecases.rules.rule_sets import add_new_rule, place_for
from recon.usecases.runs import reading
from recon.views.people import on_screen
from rules.criteria import RuleError, parse_rule
from rules.models import drawn_id, new_rule_id

OFFERED = 50
CHOSEN = 500
"""Matches that a proposal is made from at most."""
SECONDS = 30.0


@require_http_methods(["GET", "HEAD", "POST"])
def rule_suggest(request: Request) -> HttpResponse:
    """Where to learn from, and below it what was learnt: ``run``, or ``match`` twice or more, or neither yet.

    A list of matches posts what was ticked there, and is sent on to the page's own address.
    """
    given = request.POST if request.method == "POST" else request.GET
    chosen = [int(each) for each in given.getlist("match") if each.isdecimal()][:CHOSEN]
    run = get_object_or_404(MatchingRun.objects.select_related("account"), pk=given["run"]) if "run" in given else None
    account = run.account if run else _account(given.get("account_id", ""), chosen)
    if request.method == "POST":
        query = [("account_id", account.pk if account else ""), *(("match", each) for each in chosen)]
        return redirect(f"{reverse('rule_suggest')}?{urlencode(query)}")
    is_asked = bool(run or chosen)
    context: dict[str, Any] = {"account": account, "run": run, "chosen": set(chosen), "is_asked": is_asked}
    if is_asked and account and (request.htmx or "now" in given):
        context |= _searched(account, run, chosen)
    if not request.htmx:
        context |= _sources(account)
    fragments = {"rule-proposals": "rules/_rule_proposals.html"}
    return page_or_fragment(request, "rules/rule_suggest.html", fragments, context)


@require_POST
def rule_suggest_save(request: Request) -> HttpResponse:
    """Save a proposal and give it its place among the account's rules; if ticked, its runs settle as it needs."""
    account = get_object_or_404(Account, pk=after_key(request.POST.get("account_id")) or 0)
    body, after, drawn = (request.POST.get(name, "") for name in ("body", "after", "new_id"))
    strategy, grouping = (request.POST.get(name, "") for name in ("strategy", "grouping"))
    settle = (strategy, grouping) if "settle" in request.POST else None
    try:
        rule = add_new_rule(on_screen(request), account, body, drawn_id(drawn), after, settle)
    except (RuleError, Refused) as error:
        messages.error(request, str(error))
        return redirect("rule_suggest")
    start = f" and start as {Strategy(strategy).label.lower()}, grouped by {grouping}" if settle else ""
    messages.success(request, f"Rule “{rule.name}” is saved. Runs of {account} use it from now on{start}.")
    return redirect("rule_set", account.pk)


def _searched(account: Account, run: MatchingRun | None, chosen: list[int]) -> dict[str, Any]:
    matches = Match.objects.visible().filter(pk__in=chosen, account_id=account.pk)
    own = list(matches.values_list("pk", flat=True))
    watch = Watch(seconds=SECONDS)
    try:
        search = propose_for_leftovers(run, watch) if run else propose_from_matches(account, own, watch)
    except Cancelled:
        search = Search(problem=f"The search took more than {SECONDS:.0f} seconds and was stopped.")
    pairs = [pair for each in search.proposals for example in each.judged.counterexamples for pair in example if pair]
    rows = reading.rows_by_key(
        [(Side.STATEMENT, line) for line, _ in pairs] + [(Side.LEDGER, entry) for _, entry in pairs]
    )
    settles_so = (account.strategy, account.grouping) == (search.strategy, search.grouping)
    return {
        "search": search,
        "strategy": Strategy(search.strategy) if search.strategy else None,
        "settles_so": settles_so or not search.strategy,
        "proposals": [
            (
                each,
                reverse("rule_new") + "?" + urlencode({"body": each.text}),
                (new_rule_id(), place_for(account, parse_rule(each.body))),
                [
                    (
                        rows.get((Side.STATEMENT, taken[0])),
                        rows.get((Side.LEDGER, taken[1])),
                        rows.get((Side.LEDGER, known[1])) if known else None,
                    )
                    for taken, known in each.judged.counterexamples
                ],
            )
            for each in search.proposals
        ],
    }


def _sources(account: Account | None) -> dict[str, Any]:
    """The account's matches made by hand, and its latest run that left something."""
    if account is None:
        return {"accounts": Account.objects.all()}
    runs = MatchingRun.objects.finished().filter(account=account, lines_unmatched__gt=0, state=RunState.COMPLETED)
    return {
        "accounts": Account.objects.all(),
        "by_hand": reading.match_views(matched_by_hand(account, OFFERED)),
        "latest_run": runs.order_by("-number").first(),
    }


def _account(account_id: str, chosen: list[int]) -> Account | None:
    """The account asked for, else that of the chosen matches, else the one with the latest run."""
    if account_id.isdecimal():
        return get_object_or_404(Account, pk=int(account_id))
    if chosen:
        match = Match.objects.filter(pk__in=chosen).first()
        return Account.objects.filter(pk=match.account_id).first() if match else None
    run = MatchingRun.objects.finished().select_related("account").order_by("-number").first()
    return run.account if run else Account.objects.first()
