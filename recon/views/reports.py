"""Reports for the end of a period: what ties out and what does not as at a day, and the rows behind every figure."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlencode

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from recon.forms.inputs import after_key, parsed_day
from recon.forms.reports import AsAtForm, DifferencesForm, ReportRowsForm
from recon.models import Account
from recon.partials import page_or_fragment
from recon.usecases.accounts.closing import closed_until
from recon.usecases.finding import PAGE_ROWS, page_of
from recon.usecases.imports.discrepancies import discrepancies
from recon.usecases.reports import figures
from recon.usecases.reports.as_at import Place, row_page
from recon.usecases.reports.differences import differences_by
from recon.usecases.reports.files import STEP_WORDS, report_workbook, rows_csv
from recon.usecases.reports.overview import AGES
from recon.views.exports import csv_response


@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    """An account as at the end of a day: how the statements tie to the books, how old what is open is, by month."""
    form = AsAtForm(request.GET)
    account, day = form.chosen()
    if account is None:
        return render(request, "reports/reports.html", {"form": form})
    sums = figures.day_sums(account, day)
    context = {
        "form": form,
        "account": account,
        "day": day,
        "asked": urlencode({"account": account.pk, "as_at": day.isoformat()}),
        "usual_days": usual_days(account),
        "closed_until": closed_until(account),
        "discrepancy_count": discrepancies(account).count(),
        "ties": figures.tie_out(account, day, sums),
        "words": STEP_WORDS,
        "ages": AGES,
        "age_rows": figures.by_age(figures.ageing(account, day, sums)),
        "months": figures.months(account, day, sums),
    }
    return render(request, "reports/reports.html", context)


@require_safe
def report_rows(request: HttpRequest) -> HttpResponse:
    """The rows behind a figure; filters live in the address."""
    form = ReportRowsForm(request.GET)
    wanted = form.wanted()
    if wanted is None:
        raise Http404
    after = request.GET.get("after", "")
    rows, last = row_page(wanted, place_of(after), PAGE_ROWS)
    context = {"form": form, "wanted": wanted, "rows": rows, "after": after, "next_after": last and place_text(last)}
    return page_or_fragment(request, "reports/report_rows.html", {"report-rows": "reports/_report_rows.html"}, context)


@require_safe
def report_rows_csv(request: HttpRequest) -> StreamingHttpResponse:
    """All of the rows behind a figure, as CSV."""
    wanted = ReportRowsForm(request.GET).wanted()
    if wanted is None:
        raise Http404
    name = f"{slugify(wanted.account.name) or 'account'}-{wanted.side.label}-{wanted.standing}-{wanted.day}.csv"
    return csv_response(name, rows_csv(wanted))


@require_safe
def report_differences(request: HttpRequest) -> HttpResponse:
    """What matches left as difference by a day, the latest first."""
    form = DifferencesForm(request.GET)
    account, day = form.chosen()
    if account is None:
        raise Http404
    rows = differences_by(account, day)
    narrowed = {name: form.cleaned_data.get(name) for name in ("type", "currency")}
    after = after_key(request.GET.get("after"))
    page = page_of(rows.filter(**{name: value for name, value in narrowed.items() if value}), after)
    context = {"form": form, "account": account, "day": day, "rows": page.rows, "after": after}
    return page_or_fragment(
        request,
        "reports/report_differences.html",
        {"difference-rows": "reports/_difference_rows.html"},
        context | {"next_after": page.next_after},
    )


@require_safe
def report_xlsx(request: HttpRequest) -> FileResponse:
    """The whole report with the rows behind it, as one workbook."""
    account, day = AsAtForm(request.GET).chosen()
    if account is None:
        raise Http404
    name = f"{slugify(account.name) or 'account'}-{day}.xlsx"
    return FileResponse(report_workbook(account, day), as_attachment=True, filename=name)


def usual_days(account: Account) -> list[tuple[str, date]]:
    """The days that a report is usually made for, by name."""
    today = timezone.localdate()
    latest = figures.latest_closing_day(account)
    days = [("Latest statement", latest)] if latest else []
    return [*days, ("End of last month", today.replace(day=1) - timedelta(days=1)), ("Today", today)]


def place_text(place: Place) -> str:
    day, pk = place
    return f"{day or ''}.{pk}"


def place_of(text: str) -> Place | None:
    """The place a page starts behind, from the address; nonsense means the first page."""
    day, _, pk = text.partition(".")
    key = after_key(pk)
    return None if key is None else (parsed_day(day), key)
