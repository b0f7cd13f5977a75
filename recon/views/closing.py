"""Closing periods of an account, and opening the latest one again."""

from __future__ import annotations

from datetime import date, timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from recon.forms.inputs import DateInput, parsed_day, text_input
from recon.models import Account, PeriodClosing
from recon.usecases.accounts.closing import close_period, closed_until, reopen_period, unfinished
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message, refusal_on


class ClosingForm(forms.Form):
    until = forms.DateField(label="Close until the end of", widget=DateInput())
    note = forms.CharField(max_length=1000, required=False, widget=text_input("March, agreed with the auditors"))


@require_http_methods(["GET", "HEAD", "POST"])
def periods(request: HttpRequest, account_id: int) -> HttpResponse:
    """What is closed, what would keep the next period from being closed, and the form that closes it."""
    account = get_object_or_404(Account, pk=account_id)
    asked = parsed_day(request.GET.get("until", "")) or end_of_last_month()
    form = ClosingForm(request.POST) if request.method == "POST" else ClosingForm(initial={"until": asked})
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data["until"]
        with refusal_on(form):
            close_period(on_screen(request), account, **form.cleaned_data)
            messages.success(request, f"{account} is closed until {asked}.")
            return redirect("periods", account_id)
    context = {
        "account": account,
        "form": form,
        "until": asked,
        "unfinished": unfinished(account, asked, at_a_glance=True),
        "closed_until": closed_until(account),
        "closings": PeriodClosing.objects.filter(account=account).select_related("closed_by", "reopened_by"),
    }
    return render(request, "accounts/periods.html", context, status=422 if form.errors else 200)


@require_POST
def period_reopen(request: HttpRequest, closing_id: int) -> HttpResponse:
    """Open the latest closed period again, with a reason."""
    closing = get_object_or_404(PeriodClosing, pk=closing_id)
    with refusal_as_message(request):
        reopen_period(on_screen(request), closing, request.POST.get("why", ""))
        messages.success(request, f"The period until {closing.until} is open again.")
    return redirect("periods", closing.account_id)


def end_of_last_month() -> date:
    return timezone.localdate().replace(day=1) - timedelta(days=1)
