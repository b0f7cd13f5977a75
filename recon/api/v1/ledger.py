"""Ledger entries: what our books say, one by one, in lists and in streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings
from rest_framework import serializers

from recon.api.idempotency import done_earlier
from recon.api.json import loads_storable
from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, IdField, InstantField, PlainField, Shape
from recon.api.v1.ledger_imports import ImportShape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.rows import AccountFilter, CurrencyField, EntryShape, RowQuery, Shown, row_filter, shown_entries
from recon.api.v1.shown_matches import MatchShape, matches_of
from recon.api.v1.spec import Call, operation
from recon.models import Account, LedgerEntry, LedgerImport, Side
from recon.usecases.errors import Refused
from recon.usecases.finding import ledger_entries
from recon.usecases.ledger import loading as ledger_bulk
from recon.usecases.ledger.entry_rows import TEXTS
from recon.usecases.ledger.transactions import STATUSES, entry_id

TAG = "Ledger"
LIST_LIMIT = 100_000
"""Entries in one JSON list; more go as a stream of one object a line."""

LIST_BYTES = 64 * 1024 * 1024


def text_field(name: str) -> serializers.CharField:
    return serializers.CharField(max_length=TEXTS[name], allow_null=True, allow_blank=True, required=False)


class EntryInput(Shape):
    """A ledger entry to be made. It needs a `booking_date`, or a `booked_at` whose day is taken."""

    amount = AmountField(help_text="From the account owner's view: plus is money in.")
    currency = CurrencyField()
    booking_date = serializers.DateField(required=False, allow_null=True)
    value_date = serializers.DateField(required=False, allow_null=True)
    booked_at = InstantField(required=False, allow_null=True)
    reference = text_field("reference")
    description = text_field("description")
    counterparty = text_field("counterparty")
    type_code = text_field("type_code")
    source: Any = text_field("source")
    destination = text_field("destination")
    parent_transaction = text_field("parent_transaction")
    external_id = text_field("external_id")
    status = serializers.ChoiceField(
        [("", "none"), *((status, status) for status in STATUSES)], required=False, allow_null=True,
        help_text="APPLIED or nothing: takes part in matching.",
    )  # fmt: skip
    extra = PlainField(
        required=False, allow_null=True, help_text="Whatever else there is to say; at most 20,000 letters."
    )

    example = {
        "amount": "152.75",
        "currency": "EUR",
        "booking_date": "2026-03-31",
        "reference": "INV-2026-0042",
        "description": "Invoice 0042",
    }


class EntryAccount(Shape):
    """Whose entries are sent."""

    account = IdField(
        queryset=Account.objects.all(), required=False, pk_field=serializers.IntegerField(),
        help_text="Their owner. Without one they are anybody's: accounts take them by balance or source.",
    )  # fmt: skip


class BulkQuery(EntryAccount):
    """Whose entries are sent, and what the import is called."""

    name = serializers.CharField(max_length=200, default="API", help_text="What to call the import.")


class EntryQuery(RowQuery, AccountFilter):
    """Which entries."""


@operation(TAG, query=EntryQuery, gives=EntryShape, paged=True)
def list_entries(call: Call) -> Paged:
    """List ledger entries.

    The newest first, in the order they were accepted."""
    page = paged(ledger_entries(row_filter(call.query)), call.query)
    return replace(page, items=shown_entries(page.items))


@operation(TAG, gives=EntryShape)
def get_entry(call: Call, entry_id: str) -> Shown:
    """Get a ledger entry."""
    return shown_entries([entry_of(entry_id)])[0]


@operation(TAG, gives=MatchShape, paged=True)
def list_entry_matches(call: Call, entry_id: str) -> Paged:
    """List the matches a ledger entry was ever part of.

    Also those that were rejected, undone or withdrawn."""
    return matches_of(call, Side.LEDGER, entry_of(entry_id).pk)


@operation(TAG, scope="upload", query=EntryAccount, takes=EntryInput, gives=EntryShape, status=201, repeatable=True)
def create_entry(call: Call) -> Shown:
    """Create a ledger entry.

    Its reference need not be unique: send an `Idempotency-Key` to be safe against sending it twice."""
    return shown_entries([ledger_bulk.create_entry(call.by, call.query.get("account"), call.raw)])[0]


@operation(
    TAG, scope="upload", query=BulkQuery, takes=EntryInput, gives=ImportShape, status=201,
    streams=True, repeatable=True, in_steps=True,
)  # fmt: skip
def create_entries(call: Call) -> LedgerImport:
    """Create many ledger entries.

    A JSON list of at most 100,000, or as `application/x-ndjson` one object a line, as many as there are: they are
    stored while they arrive. All of them or, if one does not hold, none. Together they are a ledger import, which can
    be reversed while nothing of it is matched."""
    account, name = call.query.get("account"), call.query["name"]
    if earlier := done_earlier(call.request, "ledger"):
        done: LedgerImport = LedgerImport.objects.get(pk=earlier)
        return done
    try:
        if media_type(call) == "application/x-ndjson":
            stream, most = call.request._request, settings.MAX_UPLOAD_BYTES
            return ledger_bulk.store_stream(call.by, account, stream, name=name, most_bytes=most)
        return ledger_bulk.store_list(call.by, account, list_in(call), name=name)
    except Refused as refused:
        faults = [Fault(f"entry {each.line}, {each.column}" if each.column else f"entry {each.line}", each.message,
                        each.expected, each.found) for each in refused.row_errors]  # fmt: skip
        raise Problem("refused", refused.message, faults) from refused


def list_in(call: Call) -> Sequence[Any]:
    if int(call.request.META.get("CONTENT_LENGTH") or 0) > LIST_BYTES:
        raise Problem("too-large", f"A list has at most {LIST_BYTES:,} bytes; send more as application/x-ndjson.")
    try:
        given = loads_storable(call.request._request.read())
    except ValueError as error:
        raise Problem(
            "malformed", f"The body is no JSON: {error}", [Fault("body", str(error), "a JSON list")]
        ) from error
    if not isinstance(given, list):
        fault = Fault(
            "body", "The body is no list.", "a list of entries, or one object a line as application/x-ndjson"
        )
        raise Problem("invalid", fault.message, [fault])
    if len(given) > LIST_LIMIT:
        text = f"The list has {len(given):,} entries; at most {LIST_LIMIT:,} fit. Send more as application/x-ndjson."
        raise Problem("refused", text)
    return given


def media_type(call: Call) -> str:
    media = (call.request.content_type or "").partition(";")[0].strip().lower()
    if media not in {"application/json", "application/x-ndjson"}:
        raise Problem("unsupported-media-type", "Send application/json or application/x-ndjson.")
    return media


def entry_of(public_id: str) -> LedgerEntry:
    entry = LedgerEntry.objects.filter(pk=entry_id(public_id) or 0).first()
    if entry is None:
        raise Problem("not-found", f"There is no ledger entry {public_id}.")
    return entry
