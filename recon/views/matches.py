"""Single matches: why they are one, and a person's decision on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from recon.forms.review import DifferenceForm
from recon.models import Account, Match, MatchDifference, MatchingRun
from recon.partials import page_or_fragment
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.review.decisions import confirm_match, for_each, reject_match
from recon.usecases.review.differences import retype_difference
from recon.usecases.review.manual import add_up, chosen_rows, match_by_hand
from recon.usecases.review.match_reasons import match_reasons
from recon.usecases.runs import reading
from recon.usecases.runs.undo import unmatch
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message

Decision = Callable[[Actor, Match], Match]


@require_safe
def match(request: HttpRequest, match_id: int) -> HttpResponse:
    """One match: its rows, criterion by criterion why, what it was preferred to, and what can be done with it."""
    found = get_object_or_404(Match.objects.visible(), pk=match_id)
    run = MatchingRun.objects.select_related("account").filter(number=found.run_number or 0).first()
    (view,) = reading.match_views([found])
    known = {"difference_type": view.differences[0].type if view.differences else ""}
    context = {
        "view": view,
        "run": run,
        "account": Account.objects.get(pk=found.account_id),
        "reasons": match_reasons(view),
        "runners_up": reading.runners_up(view),
        "can_decide": view.is_suggestion and run is not None and not run.is_dry_run and run.state == "completed",
        "form": DifferenceForm(initial=known),
        "retype_form": DifferenceForm(initial=known, auto_id="retype_%s"),
    }
    return page_or_fragment(request, "runs/match.html", {"panel-body": "runs/_match.html"}, context)


@require_POST
def match_confirm(request: HttpRequest, match_id: int) -> HttpResponse:
    """Confirm a suggestion."""
    answers = DifferenceForm(request.POST).answers()
    return decide(request, [match_id], partial(confirm_match, **answers), "confirmed")


@require_POST
def match_reject(request: HttpRequest, match_id: int) -> HttpResponse:
    """Reject a suggestion."""
    return decide(request, [match_id], partial(reject_match, why=request.POST.get("comment", "")[:500]), "rejected")


@require_POST
def match_unmatch(request: HttpRequest, match_id: int) -> HttpResponse:
    """Undo a confirmed match."""
    return decide(request, [match_id], partial(unmatch, why=request.POST.get("comment", "")[:500]), "unmatched")


@require_POST
def difference_retype(request: HttpRequest, difference_id: int) -> HttpResponse:
    """Say that what a match leaves unsettled is something else."""
    found = get_object_or_404(MatchDifference, pk=difference_id)
    answers = DifferenceForm(request.POST).answers()
    with refusal_as_message(request):
        changed = retype_difference(on_screen(request), found, answers["difference_type"], answers["comment"])
        messages.success(request, f"The difference is called {changed.get_type_display().lower()} now.")
    return redirect(where_from(request))


@require_POST
def matches_decide(request: HttpRequest) -> HttpResponse:
    """Confirm, reject or unmatch all the chosen matches of a list."""
    decisions: dict[str, tuple[Decision, str]] = {
        "confirm": (confirm_match, "confirmed"),
        "reject": (reject_match, "rejected"),
        "unmatch": (unmatch, "unmatched"),
    }
    act, done = decisions.get(request.POST.get("decision", ""), (reject_match, ""))
    if not done:
        messages.error(request, "Choose what to do with the matches.")
        return redirect(where_from(request))
    return decide(request, [int(each) for each in request.POST.getlist("match") if each.isdecimal()], act, done)


@require_POST
def match_new(request: HttpRequest) -> HttpResponse:
    """Match the chosen rows of both sides by hand."""
    account, run = chosen_account(request)
    answers = DifferenceForm(request.POST).answers()
    with refusal_as_message(request):
        made = match_by_hand(
            on_screen(request), account, keys(request, "line"), keys(request, "entry"), run=run, **answers
        )
        messages.success(request, f"Matched by hand as match {made.pk}.")
    return redirect(where_from(request))


@require_POST
def match_tie(request: HttpRequest) -> HttpResponse:
    """What the chosen rows add up to, and whether they can be matched: the bar under a selection."""
    account, _ = chosen_account(request)
    form = DifferenceForm(request.POST)
    try:
        rows = chosen_rows(account, keys(request, "line"), keys(request, "entry"))
    except Refused as refused:
        return render(request, "runs/_match_tie.html", {"problem": refused.message, "form": form})
    tie = add_up(rows, form.answers()["difference_type"])
    return render(request, "runs/_match_tie.html", {"tie": tie, "problem": tie.problem, "form": form})


def decide(request: HttpRequest, match_ids: list[int], act: Decision, done: str) -> HttpResponse:
    """Act on each match, say what was done and what was refused, and go back to the list."""
    found = list(Match.objects.visible().filter(pk__in=match_ids).order_by("pk"))
    count, refusals = for_each(found, partial(act, on_screen(request)))
    if count:
        messages.success(request, f"{count:,} match{'es' if count > 1 else ''} {done}.")
    for text in dict.fromkeys(refusals or ([] if found else ["Choose at least one match."])):
        messages.error(request, text)
    return redirect(where_from(request))


def chosen_account(request: HttpRequest) -> tuple[Account, MatchingRun | None]:
    """The account rows are matched in, and the run whose leftovers they are."""
    if run_id := request.POST.get("run"):
        run = get_object_or_404(MatchingRun.objects.select_related("account"), pk=run_id)
        return run.account, run
    account_id = request.POST.get("account", "")
    return get_object_or_404(Account, pk=int(account_id) if account_id.isdecimal() else 0), None


def keys(request: HttpRequest, name: str) -> list[tuple[int, int]]:
    """The chosen row parts of one side."""
    return [key for text in request.POST.getlist(name) if (key := reading.row_key(text))]


def where_from(request: HttpRequest) -> str:
    """The page of ours that the form stood on."""
    back = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return back if ours else "/runs/"
