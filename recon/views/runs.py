"""Matching runs: the list, live progress, results, and what can be done with a run as a whole."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.forms.filters import RunFilterForm
from recon.forms.inputs import after_key
from recon.forms.review import DifferenceForm
from recon.models import MatchingRun, MatchState, RunState, Side
from recon.partials import page_or_fragment
from recon.usecases.errors import PartlyGone, Refused
from recon.usecases.finding import page_of
from recon.usecases.runs import reading
from recon.usecases.runs.facts import run_facts
from recon.usecases.runs.starting import apply_run, cancel_run, start_reversal
from recon.usecases.runs.undo import confirmed_by_people
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message

RUNS = MatchingRun.objects.select_related("account", "statement", "created_by", "applied_from")


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """The list of runs, newest first."""
    form, after = RunFilterForm(request.GET), after_key(request.GET.get("after"))
    page = page_of(form.narrow(RUNS.all()), after, key="number")
    context = {
        "form": form,
        "runs": page.rows,
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return page_or_fragment(request, "runs/runs.html", {"run-rows": "runs/_run_rows.html"}, context)


@require_safe
def run(request: HttpRequest, run_id: str) -> HttpResponse:
    """One run: its progress while it works, then its summary."""
    found = get_object_or_404(RUNS, pk=run_id)
    context = {"run": found, "tab": "summary"}
    if has_results(found):
        context |= {"facts": run_facts(found)}
    return render(request, "runs/run.html", context)


@require_safe
def run_progress(request: HttpRequest, run_id: str) -> HttpResponse:
    """Where a run stands; asked every second while it works. When it is over, the page is loaded once more."""
    found = get_object_or_404(RUNS, pk=run_id)
    response = render(request, "runs/_run_progress.html", {"run": found})
    if not found.is_active and request.headers.get("HX-Request") == "true":
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
def run_cancel(request: HttpRequest, run_id: str) -> HttpResponse:
    """Cancel a run."""
    with refusal_as_message(request):
        cancel_run(on_screen(request), get_object_or_404(RUNS, pk=run_id))
    return redirect("run", run_id)


@require_POST
def run_apply(request: HttpRequest, run_id: str) -> HttpResponse:
    """Make a dry run real; if some of it no longer holds, offer the rest."""
    found = get_object_or_404(RUNS, pk=run_id)
    try:
        applied = apply_run(on_screen(request), found, rest_only="rest_only" in request.POST)
    except Refused as refused:
        context = {"run": found, "refusal": refused.message, "can_apply_rest": isinstance(refused, PartlyGone)}
        return render(request, "runs/run_apply.html", context, status=422)
    if applied.state == RunState.COMPLETED:
        arrived = applied.explanation.get("arrived", 0)
        messages.success(request, f"Applied as run {applied.number}: {applied.lines_matched:,} lines are matched now.")
        if arrived:
            rivals = applied.explanation["would_have_competed"]
            messages.info(request, f"{arrived:,} ledger entries arrived since; {rivals:,} would have competed.")
    return redirect("run", applied.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def run_reverse(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show what reversing a run would undo; undo it."""
    found = get_object_or_404(RUNS, pk=run_id)
    if request.method == "POST":
        include, why = "include_manual" in request.POST, request.POST.get("why", "")[:500]
        with refusal_as_message(request):
            reversed_run = start_reversal(on_screen(request), found, include_manual=include, why=why)
            if reversed_run.state == RunState.REVERSED:
                messages.success(request, f"Run {found.number} is reversed; its rows are open again.")
            else:
                messages.info(request, f"Run {found.number} is large: it is being reversed. Look again in a moment.")
        return redirect("run", run_id)
    by_people = confirmed_by_people(found)
    context = {
        "run": found,
        "by_people_count": by_people.count(),
        "by_people": reading.match_views(list(by_people.order_by("pk")[: reading.PAGE])),
    }
    return render(request, "runs/run_reverse.html", context)


@require_safe
def run_matches(request: HttpRequest, run_id: str) -> HttpResponse:
    """A run's matches in one state, by default those it confirmed."""
    found = with_results(run_id)
    confirmed = MatchState.PROPOSED if found.is_dry_run else MatchState.CONFIRMED
    state = request.GET.get("state", "")
    state = state if state in MatchState.values else confirmed.value
    rule = after_key(request.GET.get("rule"))
    after = request.GET.get("after", "")
    page = reading.run_matches(found, state, rule=rule, after=after)
    context = {
        "run": found,
        "tab": "suggestions" if state == MatchState.SUGGESTED else "matches",
        "state": state,
        "rule": rule,
        "matches": page.items,
        "after": after,
        "next_after": page.next_after,
        "states": match_states(found, confirmed),
        "rules": found.run_rules.select_related("version__rule"),
        "can_decide": state == MatchState.SUGGESTED and not found.is_dry_run and found.state == RunState.COMPLETED,
        "can_unmatch": state == MatchState.CONFIRMED,
    }
    return page_or_fragment(request, "runs/run_matches.html", {"run-matches": "runs/_run_matches.html"}, context)


@require_safe
def run_unmatched(request: HttpRequest, run_id: str) -> HttpResponse:
    """What a run left open on both sides, to be matched by hand."""
    found = with_results(run_id)
    return render(request, "runs/run_unmatched.html", unmatched_context(request, found))


def unmatched_context(request: HttpRequest, run: MatchingRun) -> dict[str, Any]:
    """Both sides of what a run left open, each with its reasons and its own page."""
    sides = []
    for side, name in ((Side.STATEMENT, "line"), (Side.LEDGER, "entry")):
        reason, after = request.GET.get(f"{name}_reason", ""), request.GET.get(f"{name}_after", "")
        page = reading.run_unmatched(run, side, reason=reason, after=after)
        reasons = [each for each in run.totals.get("reasons", []) if each["side"] == side.label]
        sides.append(
            {
                "name": name,
                "title": "Statement lines" if side == Side.STATEMENT else "Ledger entries",
                "url": "statement_line" if side == Side.STATEMENT else "ledger_entry",
                "items": page.items,
                "claimed": reading.claimed_keys(run.account, side, page.items),
                "after": after,
                "next_after": page.next_after,
                "reason": reason,
                "reasons": reasons,
            }
        )
    can_match = not run.is_dry_run and run.state == RunState.COMPLETED
    return {"run": run, "tab": "unmatched", "sides": sides, "form": DifferenceForm(), "can_match": can_match}


def match_states(run: MatchingRun, confirmed: MatchState) -> list[tuple[str, int | None]]:
    """The states a run's matches are in by now, with counts where they are few."""
    return [(confirmed.value, None), *sorted(reading.since_completion(run).items())]


def has_results(run: MatchingRun) -> bool:
    return run.state in {RunState.COMPLETED, RunState.REVERSED}


def with_results(run_id: str) -> MatchingRun:
    found = get_object_or_404(RUNS, pk=run_id)
    if not has_results(found):
        raise Http404("this run has no results")
    return found
