"""Accounts: what is reconciled."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.contrib import messages
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from recon.forms.accounts import AccountForm
from recon.models import Account, LoadState, WebhookEndpoint
from recon.usecases.accounts.settings import save_account
from recon.usecases.errors import Refused
from recon.usecases.imports.continuity import chain
from recon.usecases.imports.discrepancies import discrepancies
from recon.usecases.rules.choice import default_rules, moved, rule_choices
from recon.views.people import on_screen


@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    """The accounts, and where to change what applies to everybody."""
    ready = Q(statements__state=LoadState.READY)
    accounts = Account.objects.annotate(
        statement_count=Count("statements", filter=ready), latest=Max("statements__period_end", filter=ready)
    )
    hooks = WebhookEndpoint.objects.aggregate(
        webhooks=Count("pk"),
        webhooks_failing=Count("pk", filter=Q(enabled=True, failing_since__isnull=False)),
        webhooks_disabled=Count("pk", filter=~Q(disabled_why="")),
    )
    return render(request, "accounts/settings.html", {"accounts": accounts, **hooks})


@require_http_methods(["GET", "HEAD", "POST"])
def account_new(request: HttpRequest) -> HttpResponse:
    """Make an account."""
    return edit(request, None, AccountForm())


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest, account_id: int) -> HttpResponse:
    """An account's settings, to read and to change."""
    found = get_object_or_404(Account, pk=account_id)
    return edit(request, found, AccountForm.of(found))


def edit(request: HttpRequest, account: Account | None, form: AccountForm) -> HttpResponse:
    """Show the form; save it and go back to the list if it holds."""
    chosen = request.POST.getlist("rules") if request.method == "POST" else default_rules(account)
    order = request.POST.getlist("rule_order")
    if "move" in request.POST:
        form = AccountForm(initial=request.POST.dict())
        order = moved(order, request.POST["move"])
    elif request.method == "POST":
        form = AccountForm(request.POST)
        if saved := save(request, account, form, chosen):
            messages.success(request, f"{saved.name} is saved.")
            return redirect("settings")
    context = {
        "account": account,
        "form": form,
        "rules": rule_choices(chosen, order),
        "time_zones": sorted(available_timezones()),
        "chain": chain(account) if account else [],
        "discrepancy_count": discrepancies(account).count() if account else 0,
    }
    return render(request, "accounts/account.html", context, status=422 if form.errors else 200)


def save(request: HttpRequest, account: Account | None, form: AccountForm, rule_ids: list[str]) -> Account | None:
    """The saved account; None with the reason on the form if it does not hold."""
    if not form.is_valid():
        return None
    try:
        return save_account(on_screen(request), account, form.account_settings(), rule_ids)
    except Refused as refused:
        form.add_error(None, refused.message)
        return None
