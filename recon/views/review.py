"""Review: what is open in an account, suggestions that wait, and what becomes of an open item."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from recon.forms.review import DifferenceForm, ItemForm, ReviewFilterForm, SplitForm
from recon.models import Account, ItemState, OpenItem, Side
from recon.partials import page_or_fragment
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.imports.discrepancies import discrepancies
from recon.usecases.review import decisions
from recon.usecases.review.decisions import for_each
from recon.usecases.review.lists import chosen_items, item_page, item_views, notes_of, open_items, suggestions
from recon.usecases.review.splitting import join_item, split_item
from recon.usecases.runs.undo import undo_latest
from recon.views.matches import keys, where_from
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message

Act = Callable[[OpenItem], Any]


@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """What is open in one account, on both sides, and the suggestions that wait for a decision."""
    form = ReviewFilterForm(request.GET)
    account = form.account()
    if account is None:
        return render(request, "review/review.html", {"form": form, "account": None})
    owner_id = request.user.pk if form.is_mine() else None
    sides = []
    for side, name in ((Side.STATEMENT, "line"), (Side.LEDGER, "entry")):
        after = request.GET.get(f"{name}_after", "")
        page = item_page(open_items(account, side, state=form.state(), owner_id=owner_id), after)
        title = "Statement lines" if side == Side.STATEMENT else "Ledger entries"
        sides.append(
            {"name": name, "title": title, "items": page.items, "after": after, "next_after": page.next_after}
        )
    context = {
        "form": form,
        "account": account,
        "sides": sides,
        "discrepancy_count": discrepancies(account).count(),
        "suggestions": suggestions(account, 20),
        "difference_form": DifferenceForm(),
    }
    return render(request, "review/review.html", context)


@require_safe
def item(request: HttpRequest, item_id: int) -> HttpResponse:
    """One open item: its row, its notes, and what can be done with it."""
    found = get_object_or_404(OpenItem.objects.select_related("owner"), pk=item_id)
    (view,) = item_views([found])
    context = {
        "view": view,
        "row": view.row,
        "account": Account.objects.get(pk=found.account_id),
        "notes": notes_of(found),
        "split_form": SplitForm(auto_id="split_%s"),
        "form": ItemForm(initial={"owner": found.owner_id, "hold_until": found.hold_until}),
        "is_open": found.state != ItemState.RESOLVED,
    }
    return page_or_fragment(request, "review/item.html", {"panel-body": "review/_item.html"}, context)


@require_POST
def item_act(request: HttpRequest, item_id: int) -> HttpResponse:
    """Do something with one open item."""
    return act_on(request, [get_object_or_404(OpenItem, pk=item_id)])


@require_POST
def review_undo(request: HttpRequest) -> HttpResponse:
    """Undo the latest match of the person who asks."""
    account_id = request.POST.get("account", "")
    account = get_object_or_404(Account, pk=int(account_id) if account_id.isdecimal() else 0)
    with refusal_as_message(request):
        undone = undo_latest(on_screen(request), account)
        messages.success(request, f"Match {undone.pk} is undone; its rows are open again.")
    return redirect(where_from(request))


@require_POST
def item_split(request: HttpRequest, item_id: int) -> HttpResponse:
    """Split an open item into a part and what remains."""
    found = get_object_or_404(OpenItem, pk=item_id)
    form = SplitForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect(where_from(request))
    with refusal_as_message(request):
        rest = split_item(on_screen(request), found, form.cleaned_data["amount"], form.cleaned_data["comment"])
        messages.success(request, f"The item is split; {rest.amount:,} {rest.currency} remain as its next part.")
    return redirect(where_from(request))


@require_POST
def item_join(request: HttpRequest, item_id: int) -> HttpResponse:
    """Put the open parts of a split row together again."""
    with refusal_as_message(request):
        whole = join_item(on_screen(request), get_object_or_404(OpenItem, pk=item_id))
        messages.success(request, f"The open parts are one item again, of {whole.amount:,} {whole.currency}.")
    return redirect(where_from(request))


@require_POST
def items_act(request: HttpRequest) -> HttpResponse:
    """Do something with all chosen items of both sides."""
    account_id = request.POST.get("account", "")
    account = get_object_or_404(Account, pk=int(account_id) if account_id.isdecimal() else 0)
    found = [
        *chosen_items(account, Side.STATEMENT, keys(request, "line")),
        *chosen_items(account, Side.LEDGER, keys(request, "entry")),
    ]
    return act_on(request, found)


def act_on(request: HttpRequest, items: list[OpenItem]) -> HttpResponse:
    """Act on the items, say what was done and what was refused, and go back."""
    form = ItemForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect(where_from(request))
    try:
        act = action(on_screen(request), request.POST.get("action", ""), form.cleaned_data)
        count, refusals = for_each(items, act)
    except Refused as refused:
        count, refusals = 0, [refused.message]
    if count:
        messages.success(request, f"{count:,} item{'s' if count > 1 else ''} changed.")
    for text in dict.fromkeys(refusals or ([] if items else ["Choose at least one row."])):
        messages.error(request, text)
    return redirect(where_from(request))


def action(by: Actor, name: str, given: dict[str, Any]) -> Act:
    """What a button asks for. Raises `Refused`."""
    why, owner, until = given.get("comment") or "", given.get("owner"), given.get("hold_until")
    actions: dict[str, Act] = {
        "take": lambda each: decisions.assign(by, each, by.user),
        "assign": lambda each: decisions.assign(by, each, owner),
        "review": partial(decisions.take_into_review, by),
        "hold": lambda each: decisions.hold(by, each, day_given(until), why),
        "accept": lambda each: decisions.accept(by, each, why),
        "reopen": lambda each: decisions.reopen_item(by, each, why),
        "note": lambda each: decisions.note(by, each, why),
    }
    if name not in actions:
        raise Refused("Choose what to do with the items.")
    return actions[name]


def day_given(day: date | None) -> date:
    if day is None:
        raise Refused("Say until which day the item is on hold.")
    return day
