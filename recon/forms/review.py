"""What is asked where people match, split and work what is open."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User

from recon.forms.inputs import DateInput, select, text_input
from recon.models import Account, DifferenceType, ItemState
from recon.usecases.review.lists import account_to_work


class DifferenceForm(forms.Form):
    """What a difference that remains is, and a word about it."""

    difference_type = forms.ChoiceField(
        label="Difference is",
        choices=[("", "no difference"), *DifferenceType.choices],
        required=False,
        widget=select(),
    )
    comment = forms.CharField(required=False, max_length=500, widget=text_input("Why these belong together"))

    def answers(self) -> dict[str, Any]:
        self.full_clean()
        return {name: self.cleaned_data.get(name) or "" for name in self.fields}


class ReviewFilterForm(forms.Form):
    """The filters above what is open."""

    account_id = forms.ModelChoiceField(
        Account.objects.for_people(), label="Account", required=False, empty_label=None, widget=select()
    )
    item_state = forms.ChoiceField(
        label="State",
        choices=[("", "All"), *((state.value, state.label) for state in ItemState.unresolved())],
        required=False,
        widget=select(),
    )
    owner = forms.ChoiceField(choices=[("", "Anybody"), ("me", "Mine")], required=False, widget=select())

    def account(self) -> Account | None:
        """The chosen account, else the first one with something open, else the first one."""
        self.full_clean()
        chosen: Account | None = self.cleaned_data.get("account_id")
        if chosen is None:
            chosen = account_to_work()
            self.data = {
                **{name: self.data[name] for name in self.data},
                "account_id": chosen and chosen.pk,
            }  # so that the page shows it as chosen
        return chosen

    def state(self) -> str:
        return str(self.cleaned_data.get("item_state") or "")

    def is_mine(self) -> bool:
        return self.cleaned_data.get("owner") == "me"


class SplitForm(forms.Form):
    """The part that an item is to be, and why."""

    amount = forms.DecimalField(
        label="Amount of the part", max_digits=18, decimal_places=9, widget=text_input(inputmode="decimal"),
        error_messages={"required": "Say how much the part is.", "invalid": "Write the amount with a decimal point."},
    )  # fmt: skip
    comment = forms.CharField(label="Why", required=False, max_length=2000, widget=text_input("What the parts are"))


class ItemForm(forms.Form):
    """What is said when an open item is worked."""

    owner = forms.ModelChoiceField(
        User.objects.filter(is_active=True), required=False, empty_label="nobody", widget=select()
    )
    hold_until = forms.DateField(label="On hold until", required=False, widget=DateInput())
    comment = forms.CharField(
        label="Note or reason", required=False, max_length=2000, widget=text_input("Why, or what is known")
    )
