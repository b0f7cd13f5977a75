"""Import profiles: how files are read, to rename, take away, bring in, and forget."""

from __future__ import annotations

from urllib.parse import quote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recon.models import ImportProfile
from recon.usecases.errors import Refused
from recon.usecases.imports.profiles import (
    delete_profile,
    exported,
    import_profile,
    import_profiles,
    rename_profile,
)
from recon.views.imports import posted_file
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message

MAX_BYTES = 1 << 20
"""A profile is a page of JSON; what is larger is none."""


@require_http_methods(["GET", "HEAD", "POST"])
def profiles(request: HttpRequest) -> HttpResponse:
    """The list; a posted file becomes a profile."""
    problem = ""
    if request.method == "POST":
        try:
            file = posted_file(request)
            if (file.size or 0) > MAX_BYTES:
                raise Refused(f"{file.name} is too large to be an import profile.")
            made = import_profile(on_screen(request), file.read(), replace=bool(request.POST.get("replace")))
        except Refused as refused:
            problem = refused.message
        else:
            messages.success(request, f"The import profile {made.name} is here.")
            return redirect("import_profiles")
    context = {"profiles": import_profiles(), "problem": problem}
    return render(request, "imports/import_profiles.html", context, status=422 if problem else 200)


@require_POST
def profile_rename(request: HttpRequest, profile_id: int) -> HttpResponse:
    """Give a profile another name."""
    found = get_object_or_404(ImportProfile, pk=profile_id)
    with refusal_as_message(request):
        renamed = rename_profile(on_screen(request), found, request.POST.get("name", ""))
        messages.success(request, f"The import profile is named {renamed.name}.")
    return redirect("import_profiles")


@require_POST
def profile_delete(request: HttpRequest, profile_id: int) -> HttpResponse:
    """Forget a profile."""
    found = get_object_or_404(ImportProfile, pk=profile_id)
    delete_profile(on_screen(request), found)
    messages.success(request, f"The import profile {found.name} is deleted.")
    return redirect("import_profiles")


@require_safe
def profile_json(request: HttpRequest, profile_id: int) -> HttpResponse:
    """A profile to take away."""
    found = get_object_or_404(ImportProfile, pk=profile_id)
    response = HttpResponse(exported(found), content_type="application/json")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}.json"
    return response
