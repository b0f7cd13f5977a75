"""The first page after signing in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from recon.charts import day_chart
from recon.forms.inputs import after_key
from recon.models import Account
from recon.usecases.imports.discrepancies import discrepancies
from recon.usecases.reports.overview import first_steps, overview_of


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What ties out and what does not; on a new installation, what to do first."""
    steps = first_steps()
    account = Account.objects.filter(pk=after_key(request.GET.get("account")) or 0).first()
    context: dict[str, object] = {"steps": steps}
    if steps.are_done:
        figures = overview_of(account)
        context |= {
            "account": account,
            "accounts": Account.objects.all(),
            "figures": figures,
            "discrepancy_count": discrepancies(account).count(),
            "chart": day_chart(figures.days),
        }
    return render(request, "overview/overview.html", context)
