"""Accounts: what is reconciled, against which part of the ledger, and by which rules."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.db import transaction
from django.db.models import Q
from rest_framework import serializers

from recon.api.v1.fields import AmountField, IdField, InstantField, Shape, scale_of
from recon.api.v1.paging import Paged, paged
from recon.api.v1.rows import CurrencyField
from recon.api.v1.spec import Call, found, operation
from recon.models import Account, AccountKind, AmountColumn, ImportProfile, Sign, Strategy
from recon.usecases.accounts import scope as usecases
from recon.usecases.accounts import settings as account_settings

TAG = "Accounts"
OVERDUE = "After how many days an open item is overdue, which webhooks are told. Null: never."
GROSS_OR_NET = (
    "Which amount reconciles, in files of processors that have both. Empty: as the file says, gross if it has both."
)
SPLIT = "Whether the transactions of a batch entry become a line each, where they add up."


class ScopeShape(Shape):
    """Which ledger entries an account's statements are reconciled against."""

    owned = serializers.BooleanField(required=False, help_text="Entries imported for this account.")
    balances = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False,
        help_text="Unowned entries whose source or destination is one of these.",
    )  # fmt: skip
    sources = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, help_text="Unowned entries of these sources."
    )
    statuses = serializers.ListField(
        child=serializers.CharField(max_length=12, allow_blank=True), required=False,
        help_text="Only entries of these final statuses.",
    )  # fmt: skip


class AccountShape(Shape):
    """An account as it stands."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    kind = serializers.ChoiceField(AccountKind.choices, help_text="Decides what debit and credit mean.")
    number = serializers.CharField(help_text="As statements give it: an IBAN, a processor's account id.")
    time_zone = serializers.CharField(help_text="Where its days begin and end.")
    currencies = serializers.ListField(child=serializers.CharField(), help_text="Empty: any currency.")
    scope = ScopeShape(allow_null=True, help_text="Null: not chosen yet; then only dry runs are possible.")
    sign = serializers.ChoiceField(Sign.choices, help_text="How the statement's amounts are signed.")
    strategy = serializers.ChoiceField(Strategy.choices)
    grouping = serializers.CharField(help_text="For group strategies: the fields a group shares, comma separated.")
    tolerance = AmountField(
        source="tolerance_limit", allow_null=True,
        help_text="A match that differs by more is suggested, never confirmed by a rule.",
    )  # fmt: skip
    cut_over = serializers.DateField(allow_null=True, help_text="Entries before it are not this account's open items.")
    sla_days = serializers.IntegerField(allow_null=True, help_text=OVERDUE)
    amount_column = serializers.ChoiceField(AmountColumn.choices, help_text=GROSS_OR_NET)
    split_batches = serializers.BooleanField(help_text=SPLIT)
    statement_profile = serializers.IntegerField(
        source="statement_profile_id", allow_null=True, help_text="Import profile of its statements."
    )
    ledger_profile = serializers.IntegerField(
        source="ledger_profile_id", allow_null=True, help_text="Import profile of its ledger files."
    )
    is_builtin = serializers.BooleanField(help_text="The account behind the Blnk routes.")
    created_at = InstantField()

    example = {
        "id": 1,
        "name": "House bank EUR",
        "kind": "asset",
        "number": "DE02120300000000202051",
        "time_zone": "Europe/Berlin",
        "currencies": ["EUR"],
        "scope": {"owned": True},
        "sign": "as_given",
        "strategy": "one_to_one",
        "grouping": "",
        "tolerance": "0.05",
        "cut_over": "2026-01-01",
        "sla_days": 7,
        "amount_column": "",
        "split_batches": False,
        "statement_profile": None,
        "ledger_profile": None,
        "is_builtin": False,
        "created_at": "2026-03-31T12:00:00Z",
    }


def known_zone(zone: str) -> None:
    if zone not in available_timezones():
        raise serializers.ValidationError("Expected the name of a time zone, such as Europe/Berlin.")


class AccountInput(Shape):
    """Settings of an account. What is left out stays as it is, or gets its default in a new account."""

    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(AccountKind.choices, required=False)
    number = serializers.CharField(max_length=64, allow_blank=True, required=False)
    time_zone = serializers.CharField(max_length=64, validators=[known_zone], required=False)
    currencies = serializers.ListField(child=CurrencyField(), max_length=50, required=False)
    scope = ScopeShape(allow_null=True, required=False)
    sign = serializers.ChoiceField(Sign.choices, required=False)
    strategy = serializers.ChoiceField(Strategy.choices, required=False)
    grouping = serializers.CharField(max_length=200, allow_blank=True, required=False)
    tolerance = AmountField(allow_null=True, required=False, help_text="Not negative; null: no limit of its own.")
    cut_over = serializers.DateField(allow_null=True, required=False)
    sla_days = serializers.IntegerField(
        min_value=0, max_value=3650, allow_null=True, required=False, help_text=OVERDUE
    )
    amount_column = serializers.ChoiceField(AmountColumn.choices, required=False, help_text=GROSS_OR_NET)
    split_batches = serializers.BooleanField(required=False, help_text=SPLIT)
    statement_profile = IdField(queryset=ImportProfile.objects.all(), allow_null=True, required=False)
    ledger_profile = IdField(queryset=ImportProfile.objects.all(), allow_null=True, required=False)

    example = {"name": "House bank EUR", "time_zone": "Europe/Berlin", "currencies": ["EUR"], "scope": {"owned": True}}

    def validate_tolerance(self, value: Any) -> Any:
        if value is not None and value < 0:
            raise serializers.ValidationError("Expected an amount that is not negative.")
        return value


class AccountChange(AccountInput):
    """Settings to change; what is left out stays as it is."""

    name = serializers.CharField(max_length=200, required=False)

    example = {"tolerance": "0.05"}


class AccountQuery(Shape):
    """Which accounts."""

    q = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="Part of the name, or the number."
    )


@operation(TAG, query=AccountQuery, gives=AccountShape, paged=True)
def list_accounts(call: Call) -> Paged:
    """List accounts.

    The newest first. The built-in account behind the Blnk routes is one of them."""
    rows = Account.objects.all()
    if text := call.query["q"].strip():
        rows = rows.filter(Q(name__icontains=text) | Q(number=text))
    return paged(rows, call.query)


@operation(TAG, scope="admin", takes=AccountInput, gives=AccountShape, status=201, repeatable=True)
def create_account(call: Call) -> Account:
    """Create an account.

    It needs a `scope` before a real run."""
    return usecases.create_account(call.by, **settings_of(call.given))


@operation(TAG, gives=AccountShape)
def get_account(call: Call, account_id: int) -> Account:
    """Get an account."""
    return account_of(account_id)


@operation(TAG, scope="admin", takes=AccountChange, gives=AccountShape, guarded=True)
def update_account(call: Call, account_id: int) -> Account:
    """Change settings of an account."""
    with transaction.atomic():
        account = found(Account.objects.select_for_update(of=("self",)), "account", account_id)
        call.require_match(account)
        account_settings.change_account(call.by, account, settings_of(call.given))
    return account_of(account_id)


@operation(TAG, scope="admin")
def delete_account(call: Call, account_id: int) -> None:
    """Delete an account.

    Only one that nothing was ever stored for: statements, entries and runs keep their account."""
    account_settings.delete_account(call.by, account_of(account_id))


def account_of(account_id: int) -> Account:
    account: Account = found(Account.objects, "account", account_id)
    return account


def settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of `Account` from the checked body."""
    settings = dict(given)
    if "tolerance" in settings:
        tolerance = settings.pop("tolerance")
        scale = scale_of(tolerance) if tolerance is not None else 2
        settings["tolerance_units"] = None if tolerance is None else int(tolerance.scaleb(scale))
        settings["tolerance_scale"] = scale
    for name in ("statement_profile", "ledger_profile"):
        if name in settings:
            profile = settings.pop(name)
            settings[f"{name}_id"] = profile.pk if profile else None
    return settings
