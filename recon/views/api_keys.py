"""API keys: who may do what without a browser."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.forms.api_keys import KeyForm
from recon.models import ApiKey
from recon.usecases.outside import keys as usecases
from recon.views.people import on_screen
from recon.views.refusals import refusal_on


@require_safe
def api_keys(request: HttpRequest) -> HttpResponse:
    """All keys: those in use first, then those that open nothing any more."""
    keys = list(ApiKey.objects.select_related("user"))
    keys.sort(key=lambda key: key.state != "active")
    return render(request, "api_keys/api_keys.html", {"keys": keys})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def api_key_new(request: HttpRequest) -> HttpResponse:
    """Make a key; the answer to the form is the only time it is shown."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusal_on(form):
            key, text = made(request, form)
            return render(request, "api_keys/made.html", {"key": key, "text": text})
    return render(request, "api_keys/new.html", {"form": form}, status=422 if form.errors else 200)


def made(request: HttpRequest, form: KeyForm) -> tuple[ApiKey, str]:
    data = form.cleaned_data
    assert isinstance(request.user, User)  # noqa: S101 - pages are for people who signed in
    return usecases.create_key(
        on_screen(request),
        data["service"] if data["owner"] == "service" else request.user,
        data["name"],
        data["scopes"],
        expires_at=data["expires_at"],
        requests_per_minute=data["requests_per_minute"],
    )


@require_POST
def api_key_revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Take a key back; it opens nothing from this moment."""
    key = get_object_or_404(ApiKey, pk=key_id)
    usecases.revoke_key(on_screen(request), key)
    messages.success(request, f"The key {key.name} is revoked: it opens nothing any more.")
    return redirect("api_keys")
