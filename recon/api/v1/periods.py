"""Periods of an account: closed up to a day, and reopened with a reason."""

from __future__ import annotations

from rest_framework import serializers

from recon.api.v1.accounts import account_of
from recon.api.v1.fields import AnyField, InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.reports import DayField
from recon.api.v1.row_errors import WhyInput
from recon.api.v1.spec import Call, found, operation
from recon.models import PeriodClosing
from recon.usecases.accounts import closing

TAG = "Accounts"
CLOSINGS = PeriodClosing.objects.select_related("closed_by", "reopened_by")


class ClosingShape(Shape):
    """An account was closed up to a day."""

    id = serializers.IntegerField(source="pk")
    account = serializers.IntegerField(source="account_id")
    until = serializers.DateField(help_text="The last closed day.")
    accepted = AnyField(source="summary.accepted", help_text="Reconciling items left open, by side and currency.")
    note = serializers.CharField()
    closed_by = serializers.CharField(source="closed_by.username", default=None, allow_null=True)
    closed_at = InstantField()
    reopened_by = serializers.CharField(source="reopened_by.username", default=None, allow_null=True)
    reopened_at = InstantField(allow_null=True)
    reopen_why = serializers.CharField()

    example = {
        "id": 1,
        "account": 1,
        "until": "2026-03-31",
        "accepted": [{"side": "ledger", "currency": "EUR", "count": 1, "amount": "-250.00"}],
        "note": "agreed with the auditors",
        "closed_by": "alice",
        "closed_at": "2026-04-02T09:00:00Z",
        "reopened_by": None,
        "reopened_at": None,
        "reopen_why": "",
    }


class ClosingInput(Shape):
    """Up to which day to close."""

    until = DayField()
    note = serializers.CharField(max_length=1000, default="", allow_blank=True)

    example = {"until": "2026-03-31", "note": "agreed with the auditors"}


class UntilQuery(Shape):
    """Up to which day."""

    until = DayField()


class UnfinishedShape(Shape):
    """What keeps a period from being closed, in numbers of rows."""

    items = serializers.IntegerField()
    lines = serializers.IntegerField()
    entries = serializers.IntegerField()
    runs = serializers.IntegerField()
    can_close = serializers.BooleanField(source="is_nothing")

    example = {"items": 0, "lines": 0, "entries": 0, "runs": 0, "can_close": True}


@operation(TAG, gives=ClosingShape, paged=True)
def list_periods(call: Call, account_id: int) -> Paged:
    """List the closings of an account, the newest first."""
    return paged(CLOSINGS.filter(account=account_of(account_id)), call.query)


@operation(TAG, query=UntilQuery, gives=UnfinishedShape)
def check_period(call: Call, account_id: int) -> closing.Unfinished:
    """Check what keeps a period from being closed."""
    return closing.unfinished(account_of(account_id), call.query["until"], at_a_glance=True)


@operation(TAG, scope="admin", takes=ClosingInput, gives=ClosingShape, status=201, repeatable=True)
def close_period(call: Call, account_id: int) -> PeriodClosing:
    """Close an account up to a day.

    Refused while something is unfinished; closed days stay as they are."""
    made = closing.close_period(call.by, account_of(account_id), call.given["until"], call.given["note"])
    return closing_of(made.pk)


@operation(TAG, scope="admin", takes=WhyInput, gives=ClosingShape, repeatable=True)
def reopen_period(call: Call, closing_id: int) -> PeriodClosing:
    """Reopen the latest closed period of an account."""
    closing.reopen_period(call.by, closing_of(closing_id), call.given["why"])
    return closing_of(closing_id)


def closing_of(closing_id: int) -> PeriodClosing:
    made: PeriodClosing = found(CLOSINGS, "closing", closing_id)
    return made
