"""The filters above lists. They live in the address, so that a filtered list can be sent to somebody."""

from __future__ import annotations

from django import forms
from django.db.models import QuerySet

from recon.forms.inputs import DateInput, select, text_input
from recon.models import (
    Account,
    Discrepancy,
    DiscrepancyKind,
    Event,
    ItemState,
    LoadState,
    MatchingRun,
    OpenItem,
    RunState,
    Side,
    Statement,
)
from recon.usecases.finding import RowFilter
from recon.usecases.reports.overview import AGES
from recon.usecases.review.lists import narrowed
from recon.wording import REASONS

RUN_KINDS = [("", "All"), ("real", "Real runs"), ("dry", "Dry runs")]
EVENT_KINDS = (
    "account", "connector", "discrepancy", "entry", "item", "ledger", "match", "profile", "rule", "run", "statement",
    "webhook",
)  # fmt: skip


class RowFilterForm(forms.Form):
    """The filters above a list of rows; they live in the address, so that a filtered list can be sent to somebody."""

    q = forms.CharField(label="Search", required=False, max_length=200, widget=text_input("Reference, text or amount"))
    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All", widget=select())
    currency = forms.RegexField(
        r"^[A-Za-z]{3}$", required=False, widget=text_input("All", size=4, maxlength=3),
        error_messages={"invalid": "Three letters, such as EUR."},
    )  # fmt: skip
    booked_from = forms.DateField(label="From", required=False, widget=DateInput())
    booked_until = forms.DateField(label="Until", required=False, widget=DateInput())
    state = forms.ChoiceField(
        choices=[("", "All"), ("open", "Open"), ("matched", "Matched")], required=False, widget=select()
    )

    def row_filter(self) -> RowFilter:
        """What was asked for; a field that cannot be read narrows nothing and shows its error."""
        self.full_clean()
        data = self.cleaned_data
        account = data.get("account")
        return RowFilter(
            text=data.get("q") or "",
            account_id=account.pk if account else None,
            currency=data.get("currency") or "",
            booked_from=data.get("booked_from"),
            booked_until=data.get("booked_until"),
            matched={"open": False, "matched": True}.get(data.get("state") or ""),
        )


class LineFilterForm(forms.Form):
    """The filters above the lines of one statement."""

    q = forms.CharField(label="Search", required=False, max_length=200, widget=text_input("Reference, text or amount"))
    state = forms.ChoiceField(
        choices=[("", "All"), ("open", "Open"), ("matched", "Matched")], required=False, widget=select()
    )

    def row_filter(self) -> RowFilter:
        self.full_clean()
        data = self.cleaned_data
        return RowFilter(
            text=data.get("q") or "", matched={"open": False, "matched": True}.get(data.get("state") or "")
        )


class StatementFilterForm(forms.Form):
    """The filters above the list of statements."""

    q = forms.CharField(label="Name", required=False, max_length=200, widget=text_input("File name or upload id"))
    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All", widget=select())
    state = forms.ChoiceField(
        choices=[("", "All"), *((state.value, state.label) for state in LoadState)], required=False, widget=select()
    )

    def narrow(self, rows: QuerySet[Statement]) -> QuerySet[Statement]:
        self.full_clean()
        data = self.cleaned_data
        if text := data.get("q"):
            rows = rows.filter(name__icontains=text) | rows.filter(pk=text)
        if account := data.get("account"):
            rows = rows.filter(account=account)
        return rows.filter(state=data["state"]) if data.get("state") else rows


class DiscrepancyFilterForm(forms.Form):
    """The filters above the list of discrepancies."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All", widget=select())
    kind = forms.ChoiceField(choices=[("", "All"), *DiscrepancyKind.choices], required=False, widget=select())
    state = forms.ChoiceField(
        choices=[("", "Open"), ("resolved", "Resolved"), ("all", "All")], required=False, widget=select()
    )

    def narrow(self, rows: QuerySet[Discrepancy]) -> QuerySet[Discrepancy]:
        self.full_clean()
        data = self.cleaned_data
        if account := data.get("account"):
            rows = rows.filter(account=account)
        if kind := data.get("kind"):
            rows = rows.filter(kind=kind)
        wanted = {"": {"resolved_at__isnull": True}, "resolved": {"resolved_at__isnull": False}}
        return rows.filter(**wanted.get(data.get("state") or "", {}))


class EventFilterForm(forms.Form):
    """The filters above the audit trail."""

    q = forms.CharField(label="Record", required=False, max_length=64, widget=text_input("Id of a run, match, rule …"))
    kind = forms.ChoiceField(
        choices=[("", "All"), *((kind, kind.capitalize()) for kind in EVENT_KINDS)], required=False, widget=select()
    )
    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All", widget=select())

    def narrow(self, rows: QuerySet[Event]) -> QuerySet[Event]:
        self.full_clean()
        data = self.cleaned_data
        if text := data.get("q"):
            rows = rows.filter(object_id=text.strip())
        if account := data.get("account"):
            rows = rows.filter(account_id=account.pk)
        return rows.filter(kind=data["kind"]) if data.get("kind") else rows


class OpenItemFilterForm(forms.Form):
    """The filters above the list of open items."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All", widget=select())
    side = forms.ChoiceField(
        choices=[("", "Both"), *((str(side.value), side.label.capitalize()) for side in Side)],
        required=False, widget=select(),
    )  # fmt: skip
    age = forms.ChoiceField(
        choices=[("", "Any"), ("late", "over its account's limit"), *((key, name) for key, name, _, _ in AGES)],
        required=False, widget=select(),
    )  # fmt: skip
    reason = forms.ChoiceField(
        choices=[("", "Any"), *REASONS.items(), ("none", "No reason recorded")], required=False, widget=select()
    )
    state = forms.ChoiceField(
        choices=[("", "All"), ("exceptions", "Needs somebody"), *ItemState.choices], required=False, widget=select()
    )

    def narrow(self, items: QuerySet[OpenItem]) -> QuerySet[OpenItem]:
        self.full_clean()
        data = self.cleaned_data
        reason, side = data.get("reason"), data.get("side")
        return narrowed(
            items,
            account=data.get("account"),
            side=Side(int(side)) if side else None,
            state=data.get("state") or "",
            reason="" if reason == "none" else reason or None,
            age=data.get("age") or "",
        )


class RunFilterForm(forms.Form):
    """The filters above the list of runs."""

    q = forms.CharField(label="Run", required=False, max_length=200, widget=text_input("Number, run id or statement"))
    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All", widget=select())
    state = forms.ChoiceField(
        choices=[("", "All"), *((state.value, state.label) for state in RunState)], required=False, widget=select()
    )
    kind = forms.ChoiceField(choices=RUN_KINDS, required=False, widget=select())

    def narrow(self, runs: QuerySet[MatchingRun]) -> QuerySet[MatchingRun]:
        self.full_clean()
        data = self.cleaned_data
        if text := (data.get("q") or "").strip():
            number = int(text) if text.isdecimal() and len(text) <= 18 else 0
            runs = runs.filter(number=number) | runs.filter(pk=text) | runs.filter(statement__name__icontains=text)
        if account := data.get("account"):
            runs = runs.filter(account=account)
        if kind := data.get("kind"):
            runs = runs.filter(is_dry_run=kind == "dry")
        return runs.filter(state=data["state"]) if data.get("state") else runs
