"""What a use case refuses, told to the person who asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpRequest

from recon.usecases.errors import Refused


@contextmanager
def refusal_as_message(request: HttpRequest) -> Iterator[None]:
    """A refusal ends the block, and is the message at the top of the next page."""
    try:
        yield
    except Refused as refused:
        messages.error(request, refused.message)


@contextmanager
def refusal_on(form: BaseForm) -> Iterator[None]:
    """A refusal ends the block, and stands above the form."""
    try:
        yield
    except Refused as refused:
        form.add_error(None, refused.message)
