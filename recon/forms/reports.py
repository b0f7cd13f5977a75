"""What the reports ask for: an account, a day, and which rows of it."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

from django import forms
from django.core.validators import RegexValidator
from django.http import QueryDict
from django.utils import timezone

from recon.forms.inputs import DateInput, select
from recon.models import Account, DifferenceType, Side
from recon.usecases.reports.as_at import UNDATED, RowsAsAt, Standing
from recon.usecases.reports.figures import latest_closing_day
from recon.usecases.reports.overview import AGES
from recon.usecases.review.lists import account_to_work


class DayField(forms.DateField):
    """A day that reckoning with days and months cannot leave the calendar from."""

    widget = DateInput

    def clean(self, value: Any) -> date | None:
        day = cast("date | None", super().clean(value))
        if day and not 1900 <= day.year <= 2200:
            raise forms.ValidationError("Expected a day of the years 1900 to 2200.")
        return day


class AsAtForm(forms.Form):
    """The filters above a report. Without them: the account with work to do, and the day its statements reach to."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label=None, widget=select())
    as_at = DayField(label="As at the end of", required=False, widget=DateInput())

    def __init__(self, given: QueryDict) -> None:
        self.said: dict[str, Any] = given.dict()
        super().__init__(self.said)

    def chosen(self) -> tuple[Account | None, date]:
        """What was asked for; a field that cannot be read shows its error and counts as not given."""
        self.full_clean()
        account = self.cleaned_data.get("account") or account_to_work()
        day = self.cleaned_data.get("as_at") or (account and latest_closing_day(account)) or timezone.localdate()
        for name, value in {"account": account and account.pk, "as_at": day}.items():
            if not self.said.get(name):
                self.said[name] = value  # so that the form shows what it stands for
        return account, day


class ReportRowsForm(AsAtForm):
    """The filters above the rows behind a report."""

    side = forms.TypedChoiceField(
        choices=[(str(side.value), side.label.capitalize()) for side in Side],
        coerce=lambda value: Side(int(value)), required=False, empty_value=None, widget=select(),
    )  # fmt: skip
    standing = forms.ChoiceField(
        choices=[
            ("open", "Open by then"), ("matched", "Matched by then"), ("all", "All"),
            ("later", "Booked later, cleared by then"),
        ],
        required=False, widget=select(),
    )  # fmt: skip
    age = forms.ChoiceField(
        choices=[("", "Any"), *((key, name) for key, name, _, _ in AGES), (UNDATED, "no date")],
        required=False, widget=select(),
    )  # fmt: skip
    currency = forms.CharField(
        required=False, validators=[RegexValidator(r"^[A-Za-z]{3}$", "Three letters, such as EUR.")],
        widget=forms.TextInput(attrs={"class": "form-control", "placeholder": "All", "size": 4, "maxlength": 3}),
    )  # fmt: skip
    since = DayField(label="Booked from", required=False)
    until = DayField(label="Booked until", required=False)

    def wanted(self) -> RowsAsAt | None:
        account, day = self.chosen()
        if account is None:
            return None
        data = self.cleaned_data
        return RowsAsAt(
            account,
            data.get("side") or Side.STATEMENT,
            day,
            cast("Standing", data.get("standing") or "open"),
            (data.get("currency") or "").upper(),
            data.get("age") or "",
            data.get("since"),
            data.get("until"),
        )


class DifferencesForm(AsAtForm):
    """The filters above the differences behind a report."""

    type = forms.ChoiceField(choices=[("", "All"), *DifferenceType.choices], required=False, widget=select())
    currency = ReportRowsForm.base_fields["currency"]
