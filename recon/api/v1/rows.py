"""Rows of either side as this API shows them, and the filters that lists of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from recon.api.v1.fields import AmountField, IdField, InstantField, Shape, TextObjectField
from recon.models import Account, LedgerEntry, LedgerImport, Side, Statement, StatementLine
from recon.usecases.finding import RowFilter, matched_ids
from recon.usecases.ledger.transactions import transaction_id

STATES = (("open", "Open"), ("matched", "Matched"))


class CurrencyField(serializers.RegexField):
    """Three capital letters."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("error_messages", {"invalid": "Expected three capital letters, such as EUR."})
        super().__init__(r"^[A-Z]{3}$", **kwargs)


class RowShape(Shape):
    """What a row of either side says."""

    amount = AmountField(help_text="From the account owner's view: plus is money in.")
    currency = serializers.CharField()
    booking_date = serializers.DateField(allow_null=True, help_text="What `date` in a rule means.")
    value_date = serializers.DateField(allow_null=True)
    booked_at = InstantField(allow_null=True, help_text="Only if the time of day is known.")
    reference = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    counterparty = serializers.CharField(allow_null=True)
    type_code = serializers.CharField(allow_null=True)
    source: Any = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_null=True, help_text="The file's own id; banks repeat them.")
    amount_text = serializers.CharField(allow_null=True, help_text="The amount as it was given.")
    extra = TextObjectField(allow_null=True, help_text="What else was said; numbers as text.")


ROW_EXAMPLE = {
    "amount": "-152.75",
    "currency": "EUR",
    "booking_date": "2026-03-31",
    "value_date": "2026-03-31",
    "booked_at": None,
    "reference": "INV-2026-0042",
    "description": "Invoice 0042",
    "counterparty": "Example GmbH",
    "type_code": "NTRF",
    "source": None,
    "external_id": "E42",
    "amount_text": "-152,75",
    "extra": None,
}


class LineShape(RowShape):
    """A line of a statement."""

    id = serializers.IntegerField(source="pk")
    statement = serializers.CharField(source="upload_id", allow_null=True)
    account = serializers.IntegerField(source="account_id")
    position = serializers.IntegerField(help_text="Its place in the file, from 1.")
    superseded = serializers.BooleanField(help_text="A re-issue changed it or no longer has it.")
    is_matched = serializers.BooleanField()

    example = {
        **ROW_EXAMPLE,
        "id": 7,
        "statement": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e",
        "account": 1,
        "position": 3,
        "superseded": False,
        "is_matched": True,
    }


class EntryShape(RowShape):
    """A ledger entry."""

    id = serializers.CharField(source="public_id")
    account = serializers.IntegerField(
        source="account_id", allow_null=True, help_text="Its owner; null: any account's scope may take it."
    )
    destination = serializers.CharField(allow_null=True)
    parent_transaction = serializers.CharField(allow_null=True)
    status = serializers.CharField(help_text="APPLIED or empty: it takes part in matching.")
    ledger_import = serializers.CharField(
        source="import_id", allow_null=True, help_text="What it came with; null for single entries."
    )
    created_at = InstantField()
    is_matched = serializers.BooleanField()

    example = {
        **ROW_EXAMPLE,
        "id": "txn_b1d8c2f0-4a55-8e01-8000-00000000002a",
        "account": 1,
        "destination": None,
        "parent_transaction": None,
        "status": "APPLIED",
        "ledger_import": "import_6b0f5a3c-93e2-4c0b-8a53-0d8f5f9d3a11",
        "created_at": "2026-03-31T12:00:00Z",
        "is_matched": False,
    }


@dataclass(frozen=True)
class Shown:
    """A row with what is known around it; everything else is the row's own."""

    row: Any
    is_matched: bool = False
    upload_id: str | None = None
    import_id: str | None = None

    @property
    def public_id(self) -> str:
        return transaction_id(self.row.pk)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)


def shown_lines(lines: Sequence[StatementLine]) -> list[Shown]:
    """Lines with their statements and whether they are matched: two queries."""
    matched = matched_ids(Side.STATEMENT, (line.pk for line in lines))
    numbers = {line.statement_number for line in lines}
    ids = dict(Statement.objects.filter(number__in=numbers).values_list("number", "upload_id"))
    return [Shown(line, line.pk in matched, upload_id=ids.get(line.statement_number)) for line in lines]


def shown_entries(entries: Sequence[LedgerEntry]) -> list[Shown]:
    """Entries with their imports and whether they are matched: two queries."""
    matched = matched_ids(Side.LEDGER, (entry.pk for entry in entries))
    numbers = {entry.import_number for entry in entries if entry.import_number}
    ids = dict(LedgerImport.objects.filter(number__in=numbers).values_list("number", "import_id"))
    return [Shown(entry, entry.pk in matched, import_id=ids.get(entry.import_number or 0)) for entry in entries]


class RowQuery(Shape):
    """Which rows."""

    q = serializers.CharField(
        max_length=200,
        default="",
        allow_blank=True,
        help_text="In reference, description or counterparty; or an amount.",
    )
    currency = CurrencyField(default="", allow_blank=True)
    booked_from = serializers.DateField(required=False, help_text="Booked on this day or later.")
    booked_until = serializers.DateField(required=False, help_text="Booked on this day or earlier.")
    state = serializers.ChoiceField(STATES, required=False, help_text="Open or matched; both by default.")


class AccountFilter(Shape):
    """One account."""

    account = IdField(
        queryset=Account.objects.all(),
        required=False,
        pk_field=serializers.IntegerField(),
        help_text="Id of an account.",
    )


def row_filter(query: dict[str, Any]) -> RowFilter:
    account: Account | None = query.get("account")
    return RowFilter(
        text=query["q"],
        account_id=account.pk if account else None,
        currency=query["currency"],
        booked_from=query.get("booked_from"),
        booked_until=query.get("booked_until"),
        matched={"open": False, "matched": True}.get(query.get("state", "")),
    )
