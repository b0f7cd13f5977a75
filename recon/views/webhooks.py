"""Webhooks: who is told of what, and how telling them went."""

from __future__ import annotations

import json

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.forms.inputs import after_key
from recon.forms.webhooks import WebhookForm
from recon.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from recon.partials import page_or_fragment
from recon.usecases.finding import page_of
from recon.usecases.outside import webhooks as usecases
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message, refusal_on


@require_safe
def webhooks(request: HttpRequest) -> HttpResponse:
    """The endpoints."""
    endpoints = WebhookEndpoint.objects.annotate(latest=Max("deliveries__created_at"))
    return render(request, "webhooks/webhooks.html", {"endpoints": endpoints})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_new(request: HttpRequest) -> HttpResponse:
    """Make an endpoint; the answer to the form is the only time its secret is shown."""
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusal_on(form):
            endpoint, secret = usecases.create_endpoint(on_screen(request), **form.cleaned_data)
            return render(request, "webhooks/secret.html", {"endpoint": endpoint, "secret": secret, "is_new": True})
    return render(request, "webhooks/edit.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def webhook_edit(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Change an endpoint's address, events or description."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=webhook_id)
    form = WebhookForm(request.POST) if request.method == "POST" else WebhookForm.of(endpoint)
    if request.method == "POST" and form.is_valid():
        with refusal_on(form):
            usecases.change_endpoint(on_screen(request), endpoint, **form.cleaned_data)
            messages.success(request, "The webhook is saved.")
            return redirect("webhook", webhook_id)
    context = {"form": form, "endpoint": endpoint}
    return render(request, "webhooks/edit.html", context, status=422 if form.errors else 200)


@require_safe
def webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """One endpoint and its deliveries, newest first."""
    endpoint = get_object_or_404(WebhookEndpoint.objects.select_related("created_by"), pk=webhook_id)
    after = after_key(request.GET.get("after"))
    page = page_of(endpoint.deliveries.select_related("event").prefetch_related("tries"), after)
    context = {
        "endpoint": endpoint,
        "deliveries": [(each, list(each.tries.all())[-1:]) for each in page.rows],
        "after": after,
        "next_after": page.next_after,
    }
    fragments = {"delivery-rows": "webhooks/_delivery_rows.html"}
    return page_or_fragment(request, "webhooks/webhook.html", fragments, context)


@require_POST
def webhook_enable(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Enable an endpoint, or disable it."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=webhook_id)
    wanted = request.POST.get("enabled") == "true"
    usecases.change_endpoint(on_screen(request), endpoint, enabled=wanted)
    messages.success(request, "The webhook is enabled." if wanted else "The webhook is disabled; it is told nothing.")
    return redirect("webhook", webhook_id)


@require_POST
def webhook_test(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Send a test event and say what came of it."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=webhook_id)
    delivery = usecases.send_test(on_screen(request), endpoint)
    attempt = delivery.tries.last()
    if delivery.state == DeliveryState.DELIVERED and attempt:
        messages.success(request, f"The test arrived: answered {attempt.status} after {attempt.milliseconds} ms.")
    elif attempt and attempt.status:
        messages.error(request, f"The test did not arrive: answered {attempt.status}, expected 200 to 299.")
    else:
        messages.error(request, f"The test did not arrive: {attempt.excerpt if attempt else 'no attempt was made'}")
    return redirect("webhook", webhook_id)


@never_cache
@require_POST
def webhook_secret(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """A new secret, shown this once."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=webhook_id)
    secret = usecases.renew_secret(on_screen(request), endpoint)
    return render(request, "webhooks/secret.html", {"endpoint": endpoint, "secret": secret, "is_new": False})


@require_POST
def webhook_delete(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Delete an endpoint and its log."""
    usecases.delete_endpoint(on_screen(request), get_object_or_404(WebhookEndpoint, pk=webhook_id))
    messages.success(request, "The webhook is deleted.")
    return redirect("webhooks")


@require_safe
def delivery(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """One delivery: what was sent, and every attempt."""
    found = get_object_or_404(WebhookDelivery.objects.select_related("endpoint", "event"), pk=delivery_id)
    body = json.dumps(json.loads(found.event.body), indent=2, ensure_ascii=False)
    context = {"delivery": found, "endpoint": found.endpoint, "attempts": found.tries.all(), "body": body}
    return page_or_fragment(request, "webhooks/delivery.html", {"panel-body": "webhooks/_delivery.html"}, context)


@require_POST
def delivery_replay(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Send a delivery again."""
    found = get_object_or_404(WebhookDelivery, pk=delivery_id)
    with refusal_as_message(request):
        usecases.replay(on_screen(request), found)
        messages.success(request, "It will be sent again in a moment, with the same event id.")
    return redirect("webhook", found.endpoint_id)
