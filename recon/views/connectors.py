"""Connectors: ledgers that run elsewhere and are read from."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.forms.connectors import ConnectorForm
from recon.forms.inputs import after_key, parsed_day
from recon.models import Connector, ConnectorSync, LedgerImport
from recon.partials import page_or_fragment
from recon.usecases.errors import Refused
from recon.usecases.finding import page_of
from recon.usecases.outside import connectors as usecases
from recon.usecases.outside.connector_sync import cancel_sync, start_sync
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message, refusal_on

CONNECTORS = Connector.objects.select_related("account", "created_by")


@require_safe
def connectors(request: HttpRequest) -> HttpResponse:
    """The connectors, each with how its latest sync went."""
    newest = Connector.objects.annotate(newest=Max("syncs")).values("newest")
    latest = {sync.connector_id: sync for sync in ConnectorSync.objects.filter(pk__in=newest)}
    listed = [(each, latest.get(each.pk)) for each in CONNECTORS.all()]
    return render(request, "connectors/connectors.html", {"connectors": listed})


@require_http_methods(["GET", "HEAD", "POST"])
def connector_new(request: HttpRequest) -> HttpResponse:
    """Make a connector. Nothing is read until somebody, or the clock, says so."""
    form = ConnectorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusal_on(form):
            made = usecases.create_connector(on_screen(request), **form.settings())
            messages.success(request, f"{made.name} is saved. Test the connection, then read its transactions.")
            return redirect("connector", made.pk)
    return render(request, "connectors/edit.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def connector_edit(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Change a connector; an empty key keeps the present one."""
    found = get_object_or_404(CONNECTORS, pk=connector_id)
    form = ConnectorForm(request.POST, connector=found) if request.method == "POST" else ConnectorForm.of(found)
    if request.method == "POST" and form.is_valid():
        with refusal_on(form):
            usecases.change_connector(on_screen(request), found, **form.settings())
            messages.success(request, "The connector is saved.")
            return redirect("connector", connector_id)
    context = {"form": form, "connector": found}
    return render(request, "connectors/edit.html", context, status=422 if form.errors else 200)


@require_safe
def connector(request: HttpRequest, connector_id: int) -> HttpResponse:
    """One connector: what it is doing, and the log of its syncs."""
    found = get_object_or_404(CONNECTORS, pk=connector_id)
    after = after_key(request.GET.get("after"))
    page = page_of(found.syncs.select_related("requested_by"), after)
    imports = LedgerImport.objects.filter(number__in=[each.import_number for each in page.rows if each.import_number])
    states = dict(imports.values_list("number", "state"))
    context = {
        "connector": found,
        "address": usecases.unseal_or_empty(found.sealed_url),
        "active": found.syncs.active(),
        "refused": found.pulled.exclude(error="")[:20],
        "syncs": [(each, states.get(each.import_number or 0)) for each in page.rows],
        "after": after,
        "next_after": page.next_after,
    }
    return page_or_fragment(request, "connectors/connector.html", {"sync-rows": "connectors/_sync_rows.html"}, context)


@require_safe
def sync_progress(request: HttpRequest, sync_id: int) -> HttpResponse:
    """Where a sync stands; asked every second while it works. When it is over, the page is loaded once more."""
    found = get_object_or_404(ConnectorSync.objects.select_related("connector"), pk=sync_id)
    response = render(request, "connectors/_sync_progress.html", {"sync": found})
    if not found.is_active and request.headers.get("HX-Request") == "true":
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
def connector_sync(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Read what is new, or once more everything from a day on."""
    found = get_object_or_404(CONNECTORS, pk=connector_id)
    since = first_of(request.POST.get("from", ""))
    with refusal_as_message(request):
        if "from" in request.POST and since is None:
            raise Refused("Say from which day on to read again.")
        start_sync(on_screen(request), found, since)
    return redirect("connector", connector_id)


@require_POST
def sync_cancel(request: HttpRequest, sync_id: int) -> HttpResponse:
    """Cancel a sync; what it has read stays."""
    found = get_object_or_404(ConnectorSync, pk=sync_id)
    with refusal_as_message(request):
        cancel_sync(on_screen(request), found)
    return redirect("connector", found.connector_id)


@require_POST
def connector_test(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Ask the Blnk Core something and say what came of it."""
    found = get_object_or_404(CONNECTORS, pk=connector_id)
    with refusal_as_message(request):
        count = usecases.try_connector(found)
        messages.success(request, f"It answers, and accepts the key: {count:,} applied transactions.")
    return redirect("connector", connector_id)


@require_POST
def connector_enable(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Resume a connector, or pause it: the clock starts nothing and nothing is written back."""
    wanted = request.POST.get("enabled") == "true"
    usecases.change_connector(on_screen(request), get_object_or_404(CONNECTORS, pk=connector_id), enabled=wanted)
    messages.success(request, "The connector goes on." if wanted else "The connector is paused.")
    return redirect("connector", connector_id)


@require_POST
def connector_delete(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Forget a connector; its entries stay."""
    found = get_object_or_404(CONNECTORS, pk=connector_id)
    with refusal_as_message(request):
        usecases.delete_connector(on_screen(request), found)
        messages.success(request, f"{found.name} is deleted; what it read stays in the ledger.")
        return redirect("connectors")
    return redirect("connector", connector_id)


def first_of(text: str) -> datetime | None:
    """The first instant of a day; None if the text names none."""
    day = parsed_day(text)
    return datetime.combine(day, datetime.min.time(), UTC) if day else None
