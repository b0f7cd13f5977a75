"""The ordered rules of each account."""

from __future__ import annotations

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.engine import EngineError
from recon.models import Account, Statement
from recon.partials import Request, page_or_fragment
from recon.usecases.rules import rule_sets as sets
from recon.usecases.rules.uses import rule_uses as uses_of
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message
from rules.models import MatchingRule


@require_safe
def rule_sets(request: HttpRequest) -> HttpResponse:
    accounts = Account.objects.annotate(rule_count=Count("rule_places"))
    return render(request, "rules/rule_sets.html", {"accounts": accounts})


@require_http_methods(["GET", "HEAD", "POST"])
def rule_set(request: Request, account_id: int) -> HttpResponse:
    """The rules in their order; every button acts at once on what is stored, dragging sends the new order."""
    account = get_object_or_404(Account, pk=account_id)
    if request.method == "POST":
        with refusal_as_message(request):
            sets.change_rules(on_screen(request), account, _step(request))
        if request.headers.get("HX-Target") != "rule-set":
            return redirect("rule_set", account.pk)
    context = {
        "account": account,
        "places": sets.rule_places(account),
        "addable": sets.addable_rules(account),
        "statement": Statement.objects.ready().filter(account=account).order_by("-number").first(),
    }
    return page_or_fragment(request, "rules/rule_set.html", {"rule-set": "rules/_rule_set.html"}, context)


@require_safe
def rule_uses(request: HttpRequest, rule_id: str) -> HttpResponse:
    """The accounts a rule belongs to, and what each of its versions did."""
    get_object_or_404(MatchingRule, pk=rule_id)
    context = {"rule_id": rule_id, "uses": uses_of(rule_id)}
    return page_or_fragment(request, "rules/rule_uses.html", {"rule-uses": "rules/_rule_uses.html"}, context)


@require_POST
def rule_overlaps(request: Request, account_id: int) -> HttpResponse:
    """Each rule alone and in its place, on the account's latest statement."""
    account = get_object_or_404(Account, pk=account_id)
    statement = Statement.objects.ready().filter(account=account).order_by("-number").first()
    context: dict[str, object] = {"account": account, "statement": statement}
    try:
        context["overlaps"] = sets.find_overlaps(account, statement) if statement else []
    except EngineError as error:
        context["refused"] = str(error)
    return page_or_fragment(
        request, "rules/rule_overlaps.html", {"rule-overlaps": "rules/_rule_overlaps.html"}, context
    )


def _step(request: HttpRequest) -> str:
    step = request.POST.get("do", "")
    return f"add:{request.POST.get('add_rule', '')}" if step == "add" else step
