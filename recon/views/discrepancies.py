"""Discrepancies: what is wrong with imported files, and why it may stand."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from recon.forms.filters import DiscrepancyFilterForm
from recon.forms.inputs import after_key
from recon.models import Discrepancy
from recon.partials import page_or_fragment
from recon.usecases.finding import page_of
from recon.usecases.imports.discrepancies import discrepancies, reopen_discrepancy, resolve_discrepancy
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message


@require_safe
def discrepancy_list(request: HttpRequest) -> HttpResponse:
    """What waits for somebody, newest first; what is resolved on demand."""
    form = DiscrepancyFilterForm(request.GET)
    after = after_key(request.GET.get("after"))
    page = page_of(form.narrow(discrepancies(with_resolved=True)), after)
    context = {
        "form": form,
        "discrepancies": page.rows,
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    fragments = {"discrepancy-rows": "statements/_discrepancy_rows.html"}
    return page_or_fragment(request, "statements/discrepancies.html", fragments, context)


@require_POST
def discrepancy_resolve(request: HttpRequest, discrepancy_id: int) -> HttpResponse:
    """Let a discrepancy stand, with a reason; or put it back on the list."""
    found = get_object_or_404(Discrepancy, pk=discrepancy_id)
    why = request.POST.get("why", "")
    with refusal_as_message(request):
        if request.POST.get("action") == "reopen":
            reopen_discrepancy(on_screen(request), found, why)
        else:
            resolve_discrepancy(on_screen(request), found, why)
        messages.success(
            request, "It is on the list again." if request.POST.get("action") == "reopen" else "Resolved."
        )
    return redirect(back_to(request))


def back_to(request: HttpRequest) -> str:
    """The page the form was on, if it is one of ours."""
    back = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return back
    return "discrepancies"
