"""What a page asks about an API key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from recon.forms.inputs import select, text_input
from recon.models import KeyScope

LIFETIMES = [("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year")]
OWNERS = [("me", "To me: it acts in my name"), ("service", "To a service account: it outlives people's accounts")]


class KeyForm(forms.Form):
    name = forms.CharField(
        max_length=200, widget=text_input("Nightly import"), help_text="What uses it, so that it can be told apart."
    )
    owner = forms.ChoiceField(
        label="Belongs", choices=OWNERS, initial="me", widget=forms.RadioSelect(attrs={"class": "form-check-input"})
    )
    service = forms.CharField(
        label="Service account", required=False, max_length=150, widget=text_input("shop-backend"),
        help_text="Made if there is none of this name; it cannot sign in.",
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        choices=KeyScope.choices,
        initial=[KeyScope.READ],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose at least one scope."},
    )
    lifetime = forms.ChoiceField(label="Expires", required=False, choices=LIFETIMES, initial="365", widget=select())
    requests_per_minute = forms.IntegerField(
        label="Requests a minute", required=False, min_value=1, max_value=10_000_000,
        widget=forms.NumberInput(attrs={"class": "form-control", "placeholder": "as the installation says"}),
        help_text="More are refused with 429 and told when to come back.",
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("owner") == "service" and not data.get("service"):
            self.add_error("service", "Name the service account that the key belongs to.")
        days = data.get("lifetime")
        data["expires_at"] = timezone.now() + timedelta(days=int(days)) if days else None
        return data
