"""What a page asks about an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms

from recon.forms.inputs import DateInput, select, text_input
from recon.models import Account, AccountKind, AmountColumn, ImportProfile, Sign, Strategy
from recon.usecases.errors import Refused
from recon.usecases.grouping import check_grouping

SCOPES = (
    ("owned", "Entries imported for this account"),
    ("unowned", "All entries that belong to no account, such as those sent to the API"),
    ("filter", "Entries of certain balances or sources"),
)

BATCHES = (
    ("keep", "stay one line, with their details"),
    ("split", "become a line each, where they add up"),
)


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


class AccountForm(forms.Form):
    """Every setting of an account. `account_settings()` gives them as fields of `Account`."""

    name = forms.CharField(max_length=200, widget=text_input("House bank EUR"))
    kind = forms.ChoiceField(choices=AccountKind, widget=select(), help_text="Decides what debit and credit mean.")
    number = forms.CharField(
        label="Account number", max_length=64, required=False, widget=text_input("IBAN or the processor's id"),
        help_text="As statements give it; picks the right account from a file with several.",
    )  # fmt: skip
    time_zone = forms.CharField(
        max_length=64, initial="UTC", widget=text_input("Europe/Berlin", list="time-zones"),
        help_text="Where its days begin and end.",
    )  # fmt: skip
    currencies = forms.CharField(
        max_length=200, required=False, widget=text_input("EUR, USD"), help_text="Empty: any currency."
    )
    scope = forms.ChoiceField(
        label="Ledger scope", choices=SCOPES, initial="owned", widget=select(),
        help_text="Which ledger entries its statements are reconciled against.",
    )  # fmt: skip
    balances = forms.CharField(
        max_length=500, required=False, widget=text_input("bln_bank, bln_wallet"),
        help_text="For certain balances: their ids, comma separated.",
    )  # fmt: skip
    sources = forms.CharField(
        max_length=500, required=False, widget=text_input("stripe, adyen"),
        help_text="For certain sources: their names, comma separated.",
    )  # fmt: skip
    cut_over = forms.DateField(
        label="Cut-over date", required=False, widget=DateInput(),
        help_text="Ledger entries before this day are not this account's open items.",
    )  # fmt: skip
    sla_days = forms.IntegerField(
        label="Overdue after, in days", required=False, min_value=0, max_value=3650,
        widget=text_input("never", inputmode="numeric"), initial=7,
        help_text="An item open for longer is overdue; webhooks can be told. Empty: never.",
    )  # fmt: skip
    tolerance = forms.DecimalField(
        label="Amount tolerance limit", required=False, min_value=Decimal(0), max_digits=18, decimal_places=9,
        widget=text_input("none", inputmode="decimal"),
        help_text="A match that differs by more is suggested, never confirmed by a rule.",
    )  # fmt: skip
    sign = forms.ChoiceField(choices=Sign, widget=select(), help_text="How the statement's amounts are signed.")
    amount_column = forms.ChoiceField(
        label="Gross or net", choices=AmountColumn, required=False, widget=select(),
        help_text="Which amount reconciles, in files of processors that have both.",
    )  # fmt: skip
    split_batches = forms.ChoiceField(
        label="Batch entries", choices=BATCHES, required=False, widget=select(), initial="keep",
        help_text="What becomes of one booked entry with several transactions, as in CAMT files.",
    )  # fmt: skip
    statement_profile = forms.ModelChoiceField(
        ImportProfile.objects.order_by("name"), label="Statements are read by", required=False, widget=select(),
        empty_label="What the file itself says",
        help_text="The import profile of the next file; it gives way where a file has other columns.",
    )  # fmt: skip
    ledger_profile = forms.ModelChoiceField(
        ImportProfile.objects.order_by("name"), label="Ledger files are read by", required=False, widget=select(),
        empty_label="What the file itself says",
    )  # fmt: skip
    strategy = forms.ChoiceField(choices=Strategy, widget=select())
    grouping = forms.CharField(
        max_length=200, required=False, widget=text_input("reference"),
        help_text="For group strategies: the fields a group shares, comma separated.",
    )  # fmt: skip

    @classmethod
    def of(cls, account: Account) -> AccountForm:
        """The form as the account stands."""
        scope = account.scope or {}
        listed = scope.get("balances") or scope.get("sources")
        return cls(
            initial={
                "name": account.name,
                "kind": account.kind,
                "number": account.number,
                "time_zone": account.time_zone,
                "currencies": ", ".join(account.currencies),
                "scope": "owned" if scope.get("owned") else "filter" if listed else "unowned",
                "balances": ", ".join(scope.get("balances", [])),
                "sources": ", ".join(scope.get("sources", [])),
                "cut_over": account.cut_over,
                "sla_days": account.sla_days,
                "tolerance": account.tolerance_limit,
                "sign": account.sign,
                "amount_column": account.amount_column,
                "split_batches": "split" if account.split_batches else "keep",
                "statement_profile": account.statement_profile,
                "ledger_profile": account.ledger_profile,
                "strategy": account.strategy,
                "grouping": account.grouping,
            }
        )

    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"])
        if zone not in available_timezones():
            raise forms.ValidationError("Expected the name of a time zone, such as Europe/Berlin.")
        return zone

    def clean_currencies(self) -> list[str]:
        codes = [word.upper() for word in words(self.cleaned_data["currencies"])]
        if wrong := [code for code in codes if len(code) != 3 or not code.isascii() or not code.isalpha()]:
            raise forms.ValidationError(f"{', '.join(wrong)}: a currency has three letters, such as EUR.")
        return codes

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("scope") == "filter" and not words(data.get("balances", "") + data.get("sources", "")):
            self.add_error("scope", "Name at least one balance or source below, or choose another scope.")
        try:
            check_grouping(data.get("strategy", Strategy.ONE_TO_ONE), data.get("grouping", ""))
        except Refused as refused:
            self.add_error("grouping", refused.message)
        return data

    def account_settings(self) -> dict[str, Any]:
        """Fields of `Account`, from a valid form."""
        data = self.cleaned_data
        tolerance: Decimal | None = data["tolerance"]
        exponent = tolerance.as_tuple().exponent if tolerance is not None else -2
        scale = max(0, -exponent) if isinstance(exponent, int) else 2
        return {
            **{
                name: data[name]
                for name in ("name", "kind", "number", "time_zone", "currencies", "cut_over", "sla_days")
            },
            **{name: data[name] for name in ("sign", "strategy", "grouping")},
            **{name: data[name] for name in ("amount_column", "statement_profile", "ledger_profile")},
            "split_batches": data["split_batches"] == "split",
            "scope": scope_of(data),
            "tolerance_units": None if tolerance is None else int(tolerance.scaleb(scale)),
            "tolerance_scale": scale,
        }


def scope_of(data: dict[str, Any]) -> dict[str, Any]:
    """The ledger scope the form describes; only what is chosen is in it."""
    if data["scope"] == "owned":
        return {"owned": True}
    lists = {name: words(data[name]) for name in ("balances", "sources")}
    return {name: values for name, values in lists.items() if values} if data["scope"] == "filter" else {}
