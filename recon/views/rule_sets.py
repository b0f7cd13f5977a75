"""The ordered rules of each account."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.engine import EngineError
from recon.models import Account, Statement
from recon.partials import Request, page_or_fragment
from recon.usecases import rule_sets as sets
from recon.usecases.errors import Refused
from recon.views.people import on_screen


@require_safe
def rule_sets(request: HttpRequest) -> HttpResponse:
    accounts = Account.objects.annotate(rule_count=Count("rule_places"))
    return render(request, "rules/rule_sets.html", {"accounts": accounts})


@require_http_methods(["GET", "HEAD", "POST"])
def rule_set(request: Request, account_id: int) -> HttpResponse:
    """The rules in their order; every button acts at once, dragging sends the new order."""
    account = get_object_or_404(Account, pk=account_id)
    if request.method == "POST":
        try:
            sets.arrange_rules(on_screen(request), account, _after_step(request))
        except Refused as refused:
            messages.error(request, refused.message)
        if request.headers.get("HX-Target") != "rule-set":
            return redirect("rule_set", account.pk)
    context = {
        "account": account,
        "places": sets.rule_places(account),
        "addable": sets.addable_rules(account),
        "statement": Statement.objects.ready().filter(account=account).order_by("-number").first(),
    }
    return page_or_fragment(request, "rules/rule_set.html", {"rule-set": "rules/_rule_set.html"}, context)


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


def _after_step(request: HttpRequest) -> list[tuple[str, bool]]:
    """The posted order after the pressed button: up:ID, down:ID, remove:ID, pause:ID, resume:ID, add, or arrange."""
    paused = set(request.POST.getlist("paused"))
    places = [(rule_id, rule_id not in paused) for rule_id in request.POST.getlist("rule")]
    step, _, rule_id = request.POST.get("do", "arrange").partition(":")
    place = next((number for number, each in enumerate(places) if each[0] == rule_id), None)
    if step == "add" and request.POST.get("add_rule"):
        places.append((request.POST["add_rule"], True))
    elif place is not None and step in {"pause", "resume"}:
        places[place] = (rule_id, step == "resume")
    elif place is not None and step == "remove":
        del places[place]
    elif place is not None and step in {"up", "down"}:
        other = place - 1 if step == "up" else place + 1
        if 0 <= other < len(places):
            places[place], places[other] = places[other], places[place]
    return places
