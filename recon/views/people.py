"""Who acts on a page."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest

from recon.models import Via
from recon.usecases.events import Actor


def on_screen(request: HttpRequest) -> Actor:
    """The signed-in person, as use cases want to know."""
    return Actor(request.user if isinstance(request.user, User) else None, Via.SCREEN)
