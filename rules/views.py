"""Pages of rule authoring. One URL edits a rule with and without JavaScript: ``do`` names the button."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from rules import authoring, lists
from rules.bodies import given_body, read_body, write_json
from rules.criteria import Problem, RuleError
from rules.differences import changes
from rules.drafts import Draft, DraftCriterion, draft_from_form, draft_of
from rules.forms import rule_form
from rules.gallery import GALLERY
from rules.models import MatchingRule, RuleStatus, RuleVersion, drawn_id, new_rule_id

MAX_IMPORT = 2_000_000
"""Bytes of an import file; a thousand rules take about half of it."""


class Request(HttpRequest):
    """A signed-in person's request, as the middleware leaves it."""

    user: User


@require_safe
def rules(request: Request) -> HttpResponse:
    filters = lists.RuleFilters.read(request.GET)
    context = {"rows": lists.rule_rows(filters), "filters": filters, "any_rule": MatchingRule.objects.exists()}
    return _page(request, "rules/rules.html", {"rule-rows": "rules/_rule_rows.html"}, context)


@require_http_methods(["GET", "HEAD", "POST"])
def rule_new(request: Request) -> HttpResponse:
    if request.method != "POST":
        return _editor(request, None, _starting_draft(request))
    draft = draft_from_form(request.POST)
    if (step := request.POST.get("do", "save")) not in {"save", "save_new"}:
        return _editor(request, None, draft.after(step), step=step)
    try:
        rule = authoring.create_rule(authoring.OnScreen(request.user), write_json(draft.body()), _drawn_id(request))
    except RuleError as error:
        return _editor(request, None, draft, error.problems, status=422)
    messages.success(request, f"Rule “{rule.name}” created.")
    return redirect("rule", rule.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: Request, rule_id: str) -> HttpResponse:
    found = MatchingRule.objects.filter(pk=rule_id).first()
    if request.method != "POST":
        if found is None:
            raise Http404
        return _editor(request, found, draft_of(read_body(found.current.body)))
    draft = draft_from_form(request.POST)
    step = request.POST.get("do", "save")
    if found is None:
        return _deleted_meanwhile(request, draft, step)
    if step == "save_new":
        return _save_as_new(request, found, draft)
    if step != "save":
        return _editor(request, found, draft.after(step), step=step)
    return _save(request, found, draft)


@require_POST
def rule_words(request: Request) -> HttpResponse:
    """The criteria as sentences while somebody types; swapped out of band, so that no input loses its focus."""
    return render(request, "rules/_rule_words.html", {"form": rule_form(draft_from_form(request.POST))})


@require_POST
def rule_status(request: Request, rule_id: str) -> HttpResponse:
    status = request.POST.get("status", "")
    if status not in RuleStatus.values:
        raise Http404
    found = get_object_or_404(MatchingRule, pk=rule_id)
    found = authoring.set_status(authoring.OnScreen(request.user), found.pk, RuleStatus(status))
    if request.headers.get("HX-Target") == f"rule-{found.pk}" and status != RuleStatus.ARCHIVED:
        return render(request, "rules/_rule_row.html", {"row": lists.rule_row(found)})
    messages.success(request, f"Rule “{found.name}” is {_STATUS_WORDS[RuleStatus(status)]}.")
    return redirect("rule", found.pk) if request.POST.get("next") == found.pk else redirect("rules")


@require_http_methods(["GET", "HEAD", "POST"])
def rule_delete(request: Request, rule_id: str) -> HttpResponse:
    found = get_object_or_404(MatchingRule, pk=rule_id)
    if request.method != "POST":
        return render(request, "rules/rule_delete.html", {"rule": found})
    if authoring.remove_rule(authoring.OnScreen(request.user), found.pk):
        messages.success(request, f"Rule “{found.name}” deleted.")
    else:
        messages.info(request, f"Rule “{found.name}” is archived: runs have used it, so its versions stay readable.")
    return redirect("rules")


@require_safe
def rule_versions(request: Request, rule_id: str) -> HttpResponse:
    found = get_object_or_404(MatchingRule, pk=rule_id)
    return render(request, "rules/rule_versions.html", {"rule": found, "versions": lists.version_rows(found)})


@require_POST
def rule_restore(request: Request, rule_id: str, number: int) -> HttpResponse:
    get_object_or_404(RuleVersion, rule=rule_id, number=number)
    found = authoring.restore_version(authoring.OnScreen(request.user), rule_id, number)
    messages.success(request, f"Version {number} is restored as version {found.version}.")
    return redirect("rule", rule_id)


@require_safe
def rule_export(request: Request, rule_id: str) -> HttpResponse:
    found = get_object_or_404(MatchingRule, pk=rule_id)
    return _download(authoring.export_rules([found]), f"{slugify(found.name) or 'rule'}.json")


@require_safe
def rules_export(request: Request) -> HttpResponse:
    return _download(authoring.export_rules(list(MatchingRule.objects.listed())), "rules.json")


@require_http_methods(["GET", "HEAD", "POST"])
def rules_import(request: Request) -> HttpResponse:
    if request.method != "POST":
        return render(request, "rules/rules_import.html")
    text, problems = _imported_text(request)
    try:
        if not problems:
            imported = authoring.import_rules(authoring.OnScreen(request.user), text)
            word = f"“{imported[0].name}”" if len(imported) == 1 else f"{len(imported)} rules"
            messages.success(request, f"Imported {word}.")
            if taken := authoring.namesakes(imported):
                more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
                messages.warning(
                    request, f"“{taken[0]}”{more}: another rule has that name, too. Archive one of the two."
                )
            return redirect("rules")
    except RuleError as error:
        problems = [str(problem) for problem in error.problems]
    return render(request, "rules/rules_import.html", {"text": text, "problems": problems}, status=422)


@require_safe
def rule_gallery(request: Request) -> HttpResponse:
    cards = [(each, rule_form(draft_of(each.body))) for each in GALLERY.values()]
    return render(request, "rules/rule_gallery.html", {"cards": cards})


_STATUS_WORDS = {RuleStatus.ENABLED: "enabled", RuleStatus.DISABLED: "disabled", RuleStatus.ARCHIVED: "archived"}


def _save(request: Request, found: MatchingRule, draft: Draft) -> HttpResponse:
    based_on = request.POST.get("based_on", "")
    started_from = found.versions.filter(number=int(based_on)).first() if based_on.isdecimal() else None
    if started_from is None:
        raise Http404
    body = draft.body(read_body(started_from.body))
    try:
        saved = authoring.save_version(
            authoring.OnScreen(request.user), found.pk, write_json(body), started_from.number
        )
    except RuleError as error:
        return _editor(request, found, draft, error.problems, status=422)
    except authoring.ChangedMeanwhile as error:
        return _editor(request, found, draft, conflict=_conflict(started_from, error.current, body), status=409)
    if saved.version == started_from.number:
        messages.info(request, "Nothing was changed.")
    else:
        messages.success(request, f"Saved as version {saved.version}.")
    return redirect("rule", found.pk)


def _deleted_meanwhile(request: Request, draft: Draft, step: str) -> HttpResponse:
    """What somebody was writing is not lost with the rule that somebody else deleted."""
    if step not in {"save", "save_new"}:
        return _editor(request, None, draft.after(step), step=step)
    messages.warning(
        request,
        "This rule was deleted while you were editing. What you wrote is below; create it as a new rule, if you like.",
    )
    return _editor(request, None, draft, status=409)


def _save_as_new(request: Request, found: MatchingRule, draft: Draft) -> HttpResponse:
    body = draft.body(read_body(found.current.body))
    if body["name"] == found.name:
        body["name"] = f"{found.name} (copy)"
    try:
        made = authoring.create_rule(authoring.OnScreen(request.user), write_json(body), _drawn_id(request))
    except RuleError as error:
        return _editor(request, found, draft, error.problems, status=422)
    messages.success(request, f"Saved as the new rule “{made.name}”.")
    return redirect("rule", made.pk)


def _drawn_id(request: Request) -> str:
    return drawn_id(request.POST.get("new_id", ""))


def _conflict(started_from: RuleVersion, current: RuleVersion, mine: dict[str, Any]) -> dict[str, Any]:
    theirs = read_body(current.body)
    return {
        "current": current,
        "theirs": changes(read_body(started_from.body), theirs),
        "mine": changes(theirs, mine),
    }


def _editor(
    request: Request,
    found: MatchingRule | None,
    draft: Draft,
    problems: tuple[Problem, ...] = (),
    *,
    step: str = "",
    conflict: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    based_on = request.POST.get("based_on") or (found.version if found else "")
    context = {
        "rule": found,
        "form": rule_form(draft, problems),
        "based_on": conflict["current"].number if conflict else based_on,
        "new_id": _drawn_id(request) or new_rule_id(),
        "page_id": request.POST.get("page_id") or uuid4().hex,
        "conflict": conflict,
        "focus": _focus_after(step, draft),
    }
    response = _page(
        request, "rules/rule.html", {"rule-criteria": "rules/_rule_criteria.html"}, context, status=status
    )
    if step:
        response.headers["HX-Trigger-After-Settle"] = "criteria-changed"
    return response


def _focus_after(step: str, draft: Draft) -> str:
    """The DOM id that the keyboard should be on after a step that takes its own button away or adds a criterion."""
    verb, _, key = step.partition(":")
    if verb == "add" and draft.criteria:
        return f"{draft.criteria[-1].key}-operator"
    if verb == "duplicate":
        place = next((number for number, each in enumerate(draft.criteria) if each.key == key), -1)
        return f"{draft.criteria[place + 1].key}-field" if place >= 0 else ""
    return "rule-add" if verb == "remove" else ""


def _starting_draft(request: Request) -> Draft:
    """A new rule starts from the gallery, from a body given as JSON, or with one criterion to fill in."""
    if slug := request.GET.get("gallery"):
        if slug not in GALLERY:
            raise Http404
        return draft_of(GALLERY[slug].body)
    if text := request.GET.get("body"):
        try:
            return draft_of(given_body(text))
        except RuleError as error:
            raise Http404 from error
    return Draft({}, (DraftCriterion("c1", {"field": "amount"}).tidied(),))


def _imported_text(request: Request) -> tuple[str, list[str]]:
    upload = request.FILES.get("file")
    if upload is None:
        text = request.POST.get("text", "")
        return text, [] if text.strip() else ["Choose a file or paste the rules as JSON."]
    if (upload.size or 0) > MAX_IMPORT:
        return "", [f"The file is too large: expected at most {MAX_IMPORT // 1_000_000} MB of JSON."]
    try:
        return upload.read().decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return "", ["The file is not text in UTF-8; expected JSON."]


def _download(text: str, name: str) -> HttpResponse:
    response = HttpResponse(text, content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _page(
    request: Request, page: str, fragments: dict[str, str], context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The fragment whose DOM id htmx wants to swap, else the whole page."""
    wanted = request.headers.get("HX-Target", "") if request.headers.get("HX-Request") == "true" else ""
    response = render(request, fragments.get(wanted, page), context, status=status)
    response.headers["Vary"] = "HX-Request, HX-Target"  # the browser must not show a fragment as the page
    return response
