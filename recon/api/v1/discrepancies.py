"""Discrepancies: what is wrong with an imported file, for somebody to look at."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from recon.api.v1.fields import AnyField, InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.row_errors import WhyInput
from recon.api.v1.rows import AccountFilter
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.uploads import Why
from recon.models import Discrepancy, DiscrepancyKind
from recon.usecases.imports import discrepancies as usecases

TAG = "Exceptions"


class DiscrepancyShape(Shape):
    """One thing about a statement or a ledger import that somebody must look at."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.ChoiceField(DiscrepancyKind.choices)
    account = serializers.IntegerField(source="account_id", allow_null=True)
    statement = serializers.CharField(source="statement_id", allow_null=True)
    ledger_import = serializers.CharField(source="ledger_import_id", allow_null=True)
    text = serializers.CharField()
    detail = AnyField()
    opened_at = InstantField()
    resolved_at = InstantField(allow_null=True)
    resolved_by = serializers.CharField(source="resolved_by.username", default=None, allow_null=True)
    resolution = serializers.CharField(help_text="Why it may stand.")

    example = {
        "id": 4,
        "kind": "gap",
        "account": 1,
        "statement": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e",
        "ledger_import": None,
        "text": "A statement in between may be missing.",
        "detail": None,
        "opened_at": "2026-03-31T12:00:00Z",
        "resolved_at": None,
        "resolved_by": None,
        "resolution": "",
    }


class DiscrepancyQuery(AccountFilter):
    """Which discrepancies."""

    kind = serializers.ChoiceField(DiscrepancyKind.choices, required=False)
    resolved = serializers.BooleanField(default=False, help_text="Those that are resolved instead of the open ones.")


@operation(TAG, query=DiscrepancyQuery, gives=DiscrepancyShape, paged=True)
def list_discrepancies(call: Call) -> Paged:
    """List discrepancies, the newest first."""
    query: dict[str, Any] = call.query
    rows = usecases.discrepancies(query.get("account"), with_resolved=True)
    rows = rows.filter(resolved_at__isnull=not query["resolved"])
    return paged(rows.filter(kind=query["kind"]) if "kind" in query else rows, query)


@operation(TAG, gives=DiscrepancyShape)
def get_discrepancy(call: Call, discrepancy_id: int) -> Discrepancy:
    """Get a discrepancy."""
    return discrepancy_of(discrepancy_id)


@operation(TAG, scope="review", takes=WhyInput, gives=DiscrepancyShape, repeatable=True)
def resolve_discrepancy(call: Call, discrepancy_id: int) -> Discrepancy:
    """Resolve a discrepancy: it may stand, and why."""
    usecases.resolve_discrepancy(call.by, discrepancy_of(discrepancy_id), call.given["why"])
    return discrepancy_of(discrepancy_id)


@operation(TAG, scope="review", takes=Why, gives=DiscrepancyShape, repeatable=True)
def reopen_discrepancy(call: Call, discrepancy_id: int) -> Discrepancy:
    """Put a resolved discrepancy back on the list."""
    usecases.reopen_discrepancy(call.by, discrepancy_of(discrepancy_id), call.given["why"])
    return discrepancy_of(discrepancy_id)


def discrepancy_of(discrepancy_id: int) -> Discrepancy:
    rows = usecases.discrepancies(with_resolved=True)
    discrepancy: Discrepancy = found(rows, "discrepancy", discrepancy_id)
    return discrepancy
