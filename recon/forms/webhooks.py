"""What a page asks about a webhook."""

from __future__ import annotations

from django import forms

from recon.forms.inputs import text_input
from recon.models import HookEvent, WebhookEndpoint


class WebhookForm(forms.Form):
    url = forms.CharField(
        label="Address", max_length=1000, widget=text_input("https://example.com/hooks/tieout", inputmode="url"),
        help_text="Requests go to public addresses only, unless TIEOUT_PRIVATE_HOSTS lists the host.",
    )  # fmt: skip
    description = forms.CharField(
        max_length=200, required=False, widget=text_input("Month-end checks"), help_text="For you; it is not sent."
    )
    events = forms.MultipleChoiceField(
        choices=HookEvent.to_choose,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose at least one event."},
    )

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> WebhookForm:
        return cls(initial={"url": endpoint.url, "description": endpoint.description, "events": list(endpoint.events)})
