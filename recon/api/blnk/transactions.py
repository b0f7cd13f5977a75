"""Ledger entries: `POST /transactions`, `POST /transactions/bulk`, `GET /transactions/{id}`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from recon.api.auth import actor
from recon.api.blnk.base import BlnkView, flag_of, json_object
from recon.api.blnk.errors import BlnkError
from recon.api.idempotency import idempotent
from recon.api.json import loads
from recon.models import Account, Claim, LedgerEntry, Match, MatchRow, Side, StatementLine
from recon.models.runs import MatchingRun
from recon.usecases.ledger.transaction_previews import Preview, preview_transactions
from recon.usecases.ledger.transactions import (
    TransactionRefused,
    create_transaction,
    create_transactions,
    entry_id,
    transaction_id,
)

BULK_LIMIT: Final = 10_000


class Transactions(BlnkView):
    scopes = {"POST": "upload"}

    @idempotent()
    def post(self, request: Request) -> Response:
        body = json_object(request)
        if flag_of(body, "dry_run"):
            return Response(only_previewed(body))
        try:
            entry = create_transaction(actor(request), body)
        except TransactionRefused as refused:
            raise BlnkError(refused.code, refused.message) from refused
        return Response(shown(entry))


class BulkTransactions(BlnkView):
    scopes = {"POST": "upload"}

    @idempotent()
    def post(self, request: Request) -> Response:
        body = json_object(request)
        items = body.get("transactions")
        if not isinstance(items, list):
            raise BlnkError("GEN_MALFORMED_REQUEST", "transactions must be a list")
        if not items:
            raise BlnkError("TXN_BULK_EMPTY", "transactions cannot be empty")
        if len(items) > BULK_LIMIT:
            raise BlnkError("TXN_BULK_LIMIT_EXCEEDED", f"too many transactions; max is {BULK_LIMIT}")
        if flag_of(body, "inflight"):
            items = [{**item, "inflight": True} if isinstance(item, dict) else item for item in items]
        if flag_of(body, "dry_run"):
            return Response(bulk_previewed(body, items))
        refuse_single_dry_runs(items)
        try:
            entries, failures = create_transactions(actor(request), items, atomic=flag_of(body, "atomic"))
        except TransactionRefused as refused:
            raise BlnkError(refused.code, refused.message) from refused
        answer: dict[str, Any] = {
            "batch_id": f"bulk_{uuid.uuid4()}",
            "status": "inflight" if flag_of(body, "inflight") else "applied",
            "transaction_count": len(entries),
            "transactions": [transaction_id(entry) for entry in entries],
        }
        if failures:
            answer["errors"] = [
                {
                    "index": each.index,
                    "reference": each.reference,
                    "code": each.refused.code,
                    "error": str(each.refused),
                }
                for each in failures
            ]
        return Response(answer)


class Transaction(BlnkView):
    def get(self, request: Request, transaction_id: str) -> Response:
        number = entry_id(transaction_id)
        entry = None if number is None else LedgerEntry.objects.filter(pk=number).first()
        if entry is None:
            raise BlnkError("TXN_NOT_FOUND", f"Transaction with ID '{transaction_id}' not found")
        return Response(shown(entry))


class TransactionByReference(BlnkView):
    def get(self, request: Request, reference: str) -> Response:
        entry = None if "\x00" in reference else LedgerEntry.objects.filter(api_reference=reference).first()
        if entry is None:
            raise BlnkError("TXN_NOT_FOUND", f"transaction with reference '{reference}' not found")
        return Response(shown(entry))


def only_previewed(body: Mapping[str, Any]) -> dict[str, Any]:
    [preview] = preview_transactions([body])
    if preview.values is None and preview.refused:
        raise BlnkError(preview.refused.code, preview.refused.message) from preview.refused
    return previewed(preview)


def refuse_single_dry_runs(items: Sequence[Any]) -> None:
    """What says of itself that it is a trial must not be stored because the rest of its bulk is."""
    for index, item in enumerate(items):
        if isinstance(item, dict) and item.get("dry_run"):
            message = f"transactions[{index}]: dry_run is asked of a whole bulk, beside transactions"
            raise BlnkError("TXN_VALIDATION_ERROR", message)


def bulk_previewed(body: Mapping[str, Any], items: Sequence[Any]) -> dict[str, Any]:
    results = [previewed(each) for each in preview_transactions(items)]
    would_apply = all(result["would_apply"] for result in results)
    atomic = flag_of(body, "atomic")
    return {"dry_run": True, "would_apply": would_apply, "cumulative": False, "atomic": atomic, "results": results}


def previewed(preview: Preview) -> dict[str, Any]:
    """A preview as Blnk tells one; there are no balances here that it could project."""
    told: dict[str, Any] = {"dry_run": True, "would_apply": preview.refused is None, "reference": preview.reference}
    if refused := preview.refused:
        told["rejection"] = {"code": refused.code, "reason": "validation_failed", "message": refused.message}
    if values := preview.values:
        told |= {
            "status": values["status"],
            "currency": values["currency"],
            "amount": Decimal(values["units"]).scaleb(-values["scale"]),
            "precise_amount": str(values["units"]),
            "precision": 10 ** values["scale"],
        }
    return {**told, "balances": []}


def shown(entry: LedgerEntry) -> dict[str, Any]:
    """A ledger entry as Blnk shows a transaction; `meta_data` says what it is reconciled with."""
    meta = loads(entry.extra or "{}").get("meta_data", {})
    return {
        "transaction_id": transaction_id(entry.pk),
        "parent_transaction": entry.parent_transaction or "",
        "amount": entry.amount,
        "precision": 10**entry.scale,
        "precise_amount": entry.units,
        "currency": entry.currency,
        "reference": entry.reference or "",
        "source": entry.source or "",
        "destination": entry.destination or "",
        "description": entry.description or "",
        "status": entry.status or "APPLIED",
        "created_at": entry.created_at,
        "effective_date": effective(entry),
        "meta_data": {**meta, **reconciliation(entry)},
    }


def effective(entry: LedgerEntry) -> datetime | None:
    """An instant in any case: Blnk's Go client reads nothing else."""
    if entry.booked_at or not entry.booking_date:
        return entry.booked_at
    return datetime.combine(entry.booking_date, time(), UTC)


def reconciliation(entry: LedgerEntry) -> dict[str, Any]:
    """The confirmed match of an entry in the built-in account, in the words of Blnk's `meta_data`."""
    account = Account.objects.filter(is_builtin=True).first()
    claim = account and Claim.objects.filter(account_id=account.pk, side=Side.LEDGER, row_id=entry.pk).first()
    if not claim:
        return {}
    match = Match.objects.get(pk=claim.match_id)
    run = match.run_number and MatchingRun.objects.filter(number=match.run_number).first()
    lines = MatchRow.objects.filter(match_id=match.pk, side=Side.STATEMENT).order_by("row_id").values_list("row_id")
    externals = StatementLine.objects.filter(pk__in=lines).order_by("pk").values_list("external_id", flat=True)
    settled = MatchRow.objects.get(match_id=match.pk, side=Side.LEDGER, row_id=entry.pk, part=claim.part)
    return {
        "reconciled": True,
        "reconciliation_id": run.run_id if run else "",
        "external_txn_id": ",".join(each or "" for each in externals),
        "reconciled_at": match.state_changed_at or match.created_at,
        "reconciliation_amount": Decimal(settled.units).scaleb(-match.scale),
    }
