"""What a page asks about a connector."""

from __future__ import annotations

from typing import Any

from django import forms

from recon.forms.accounts import words
from recon.forms.inputs import DateInput, check_box, select, text_input
from recon.models import Account, Connector
from recon.usecases.outside.connectors import unseal_or_empty


class ConnectorForm(forms.Form):
    """Every setting of a connector. `settings()` gives them as the use cases take them."""

    name = forms.CharField(max_length=200, widget=text_input("Blnk production"))
    url = forms.CharField(
        label="Address of the Blnk Core", max_length=1000, widget=text_input("https://blnk.example.com"),
        help_text="Kept encrypted. Public addresses only, unless TIEOUT_PRIVATE_HOSTS lists the host.",
    )  # fmt: skip
    key = forms.CharField(
        max_length=1000, required=False,
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )  # fmt: skip
    account = forms.ModelChoiceField(
        Account.objects.for_people(), required=False, empty_label="every account", widget=select(), label="Entries of",
        help_text="Entries of every account are found by the balances an account names in its ledger scope.",
    )  # fmt: skip
    balances = forms.CharField(
        max_length=2000, required=False, widget=text_input("bln_bank, bln_wallet"),
        help_text="Only transactions that touch these; for an account they say which way money went. Empty: all.",
    )  # fmt: skip
    start_on = forms.DateField(
        label="Read from", required=False, widget=DateInput(),
        help_text="Transactions made before this day are not read. Empty: from the first one.",
    )  # fmt: skip
    every_minutes = forms.IntegerField(
        label="Read every … minutes", required=False, min_value=1, max_value=100_000,
        widget=text_input("only by hand", inputmode="numeric"),
    )  # fmt: skip
    overlap_minutes = forms.IntegerField(
        label="Read again the last … minutes", min_value=0, max_value=1_000_000, initial=60,
        widget=text_input(inputmode="numeric"),
        help_text="Transactions that become visible late are found that way; none comes twice.",
    )  # fmt: skip
    writes_back = forms.BooleanField(
        label="Write matches back", required=False, widget=check_box(),
        help_text="A matched transaction's meta_data in Blnk shows its reconciliation, until it is undone.",
    )  # fmt: skip
    skips_unreadable = forms.BooleanField(
        label="Leave out what cannot be an entry", required=False, widget=check_box(),
        help_text="Such as currencies without a three-letter code. They are listed; otherwise the first one stops the "
        "reading.",
    )  # fmt: skip

    def __init__(self, *args: Any, connector: Connector | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if connector is None:
            self.fields["key"].required = True
        else:
            self.fields["key"].help_text = "Leave it empty to keep the present one."

    @classmethod
    def of(cls, connector: Connector) -> ConnectorForm:
        """The form as the connector stands; the key is never shown."""
        initial = {name: getattr(connector, name) for name in cls.base_fields if hasattr(connector, name)}
        initial |= {"url": unseal_or_empty(connector.sealed_url), "balances": ", ".join(connector.balances)}
        return cls(initial=initial, connector=connector)

    def settings(self) -> dict[str, Any]:
        """What `create_connector` and `change_connector` take, from a valid form."""
        return {**self.cleaned_data, "balances": words(self.cleaned_data["balances"])}
