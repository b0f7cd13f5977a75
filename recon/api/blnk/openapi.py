"""The OpenAPI 3.1 document of Blnk's routes, for clients and for the tests that send what it allows and more.

Written by hand: these routes are a contract of somebody else's, read from raw JSON and not from serializers.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from recon.models import Strategy
from recon.usecases.ledger.transactions import STATUSES
from rules.criteria.schema import criterion_schema

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
AMOUNT: Final[Schema] = {"type": ["number", "string"], "description": "read exactly, never as a float"}
FREE: Final[Schema] = {"type": "object", "additionalProperties": True}


def an_object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def a_list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def either(name: str, other: str) -> Schema:
    return {"anyOf": [named(name), named(other)]}


def an_id(start: str) -> Schema:
    return {"type": "string", "pattern": f"^{start}_", "examples": [f"{start}_0cd4a87d-544c-4b7e-9232-f36e79631c32"]}


RULE_GIVEN: Final = an_object(
    ["name", "criteria"], name=TEXT, description=TEXT, criteria=a_list(named("Criterion"), minItems=1)
)
PREVIEW: Final = an_object(
    ["dry_run", "would_apply", "reference", "balances"],
    dry_run={"const": True},
    would_apply=FLAG,
    rejection=an_object(["code", "reason", "message"], code=TEXT, reason=TEXT, message=TEXT),
    reference=TEXT,
    status=TEXT,
    currency=TEXT,
    amount={"type": "number"},
    precise_amount={"type": "string", "description": "in units of 1/precision"},
    precision={"type": "integer"},
    balances=a_list(FREE, maxItems=0),
)
TRANSACTION_GIVEN: Final = an_object(
    ["reference", "currency"],
    amount=AMOUNT,
    precise_amount={"type": ["integer", "string"]},
    precision={"type": "integer", "examples": [100]},
    currency={"type": "string", "pattern": "^[A-Za-z]{3}$"},
    reference={"type": "string", "minLength": 1},
    source=TEXT,
    destination=TEXT,
    description=TEXT,
    parent_transaction=TEXT,
    status={"enum": list(STATUSES)},
    inflight=FLAG,
    scheduled_for=INSTANT,
    effective_date=INSTANT,
    meta_data=FREE,
    dry_run={**FLAG, "description": "say what would become of it; nothing is stored"},
)
RUN_OPTIONS: Final = {
    "strategy": {"enum": list(Strategy.values)},
    "grouping_criteria": TEXT,
    "dry_run": FLAG,
    "matching_rule_ids": a_list(TEXT, minItems=1),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Error": an_object(
        ["error", "error_detail"],
        error=TEXT,
        error_detail=an_object(
            ["code", "message"], code={"type": "string", "pattern": "^[A-Z]+_[A-Z_]+$"}, message=TEXT
        ),
    ),
    "RuleGiven": RULE_GIVEN,
    "Rule": an_object(
        ["rule_id", "name", "criteria", "created_at", "updated_at"],
        rule_id=an_id("rule"),
        name=TEXT,
        description=TEXT,
        criteria=a_list(FREE),
        created_at=INSTANT,
        updated_at=INSTANT,
    ),
    "Message": an_object(["message"], message=TEXT),
    "UploadGiven": an_object(["url"], url={"type": "string", "format": "uri"}, source=TEXT),
    "Upload": an_object(
        ["upload_id", "record_count", "source"], upload_id=an_id("upload"), record_count=COUNT, source=TEXT
    ),
    "StartGiven": an_object(["upload_id", "matching_rule_ids"], upload_id=TEXT, **RUN_OPTIONS),
    "InstantGiven": an_object(
        ["external_transactions", "matching_rule_ids"],
        external_transactions=a_list(named("ExternalTransaction"), minItems=1, maxItems=settings.INSTANT_LIMIT),
        **RUN_OPTIONS,
    ),
    "ExternalTransaction": an_object(
        ["id", "amount", "reference", "currency"],
        id=TEXT,
        amount=AMOUNT,
        reference=TEXT,
        currency=TEXT,
        description=TEXT,
        date=TEXT,
        source=TEXT,
    ),
    "Started": an_object(["reconciliation_id"], reconciliation_id=an_id("recon")),
    "Reconciliation": an_object(
        [
            "reconciliation_id",
            "upload_id",
            "status",
            "matched_transactions",
            "unmatched_transactions",
            "is_dry_run",
            "started_at",
            "completed_at",
        ],
        reconciliation_id=an_id("recon"),
        upload_id=TEXT,
        status={"enum": ["started", "in_progress", "completed", "failed"]},
        matched_transactions=COUNT,
        unmatched_transactions=COUNT,
        suggested_transactions=COUNT,
        is_dry_run=FLAG,
        started_at=INSTANT,
        completed_at={"type": ["string", "null"], "format": "date-time"},
        failure={"type": "string", "description": "why it failed; only if it did"},
    ),
    "TransactionGiven": TRANSACTION_GIVEN,
    "Transaction": an_object(
        [
            "transaction_id",
            "amount",
            "precision",
            "precise_amount",
            "currency",
            "reference",
            "status",
            "created_at",
            "meta_data",
        ],
        transaction_id=an_id("txn"),
        amount={"type": "number"},
        precision={"type": "integer"},
        precise_amount={"type": "integer"},
        currency=TEXT,
        reference=TEXT,
        status=TEXT,
        created_at=INSTANT,
        meta_data=FREE,
    ),
    "Preview": PREVIEW,
    "BulkPreview": an_object(
        ["dry_run", "would_apply", "cumulative", "atomic", "results"],
        dry_run={"const": True},
        would_apply=FLAG,
        cumulative=FLAG,
        atomic=FLAG,
        results=a_list(named("Preview")),
    ),
    "BulkGiven": an_object(
        ["transactions"],
        atomic=FLAG,
        inflight=FLAG,
        dry_run=FLAG,
        transactions=a_list(named("TransactionGiven"), minItems=1),
    ),
    "Bulk": an_object(
        ["batch_id", "status", "transaction_count"],
        batch_id=an_id("bulk"),
        status={"enum": ["applied", "inflight"]},
        transaction_count=COUNT,
        transactions=a_list(TEXT),
        errors=a_list(
            an_object(["index", "reference", "code", "error"], index=COUNT, reference=TEXT, code=TEXT, error=TEXT)
        ),
    ),
}


def answers(status: int, schema: Schema) -> Schema:
    codes = (400, 401, 403, 404, 409, 413, 415, 429)
    errors = {str(code): content("Refused; `error_detail.code` says why.", named("Error")) for code in codes}
    return {str(status): content("Done.", schema), **errors}


def content(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def operation(summary: str, answer: Schema, *, takes: str = "", status: int = 200, repeatable: bool = False) -> Schema:
    found: Schema = {"summary": summary, "responses": answers(status, answer)}
    if takes:
        body = {"application/json": {"schema": named(takes)}}
        found["requestBody"] = {"required": True, "content": body}
    if repeatable:
        found["parameters"] = [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "maxLength": 255, "pattern": "^[\\x21-\\x7e]*$"},
                "description": "Sent again with the same key and body, the request is done once.",
            }
        ]
    return found


def in_path(name: str) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": TEXT}]


def in_query(name: str, default: int, description: str) -> Schema:
    schema = {"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": default}
    return {"name": name, "in": "query", "schema": schema, "description": description}


def upload_operation() -> Schema:
    found = operation(
        "Upload a statement file, or name its address", named("Upload"), takes="UploadGiven", repeatable=True
    )
    form = an_object(["file"], file={"type": "string", "contentMediaType": "application/octet-stream"}, source=TEXT)
    found["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return found


def document() -> Schema:
    """The whole document; what a criterion is, is asked of the operators there are."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tieout: Blnk's reconciliation routes", "version": "1"},
        "security": [{"blnkKey": []}, {"bearerKey": []}],
        "components": {
            "schemas": SCHEMAS | {"Criterion": criterion_schema()},
            "securitySchemes": {
                "blnkKey": {"type": "apiKey", "in": "header", "name": "X-Blnk-Key"},
                "bearerKey": {"type": "http", "scheme": "bearer"},
            },
        },
        "paths": rule_paths() | run_paths() | transaction_paths(),
    }


def rule_paths() -> Schema:
    rules = "/reconciliation/matching-rules"
    return {
        rules: {
            "get": operation("List the rules", a_list(named("Rule"))),
            "post": operation("Create a rule", named("Rule"), takes="RuleGiven", status=201, repeatable=True),
        },
        rules + "/{rule_id}": {
            "parameters": in_path("rule_id"),
            "get": operation("Read a rule", named("Rule")),
            "put": operation("Save a new version of a rule", named("Rule"), takes="RuleGiven"),
            "delete": operation("Delete a rule", named("Message")),
        },
    }


def run_paths() -> Schema:
    runs = "/reconciliation"
    return {
        f"{runs}/upload": {"post": upload_operation()},
        f"{runs}/start": {
            "post": operation("Start a run of an upload", named("Started"), takes="StartGiven", repeatable=True)
        },
        f"{runs}/start-instant": {
            "post": operation("Run rows at once", named("Started"), takes="InstantGiven", repeatable=True)
        },
        runs: {
            "parameters": [
                in_query("limit", 100, "How many, the latest first; at most 1000."),
                in_query("offset", 0, "How many of the latest are left out."),
            ],
            "get": operation("List the runs", a_list(named("Reconciliation"))),
        },
        runs + "/{reconciliation_id}": {
            "parameters": in_path("reconciliation_id"),
            "get": operation("Read a run", named("Reconciliation")),
        },
    }


def transaction_paths() -> Schema:
    entries = "/transactions"
    return {
        entries: {
            "post": operation(
                "Add a ledger entry", either("Transaction", "Preview"), takes="TransactionGiven", repeatable=True
            )
        },
        f"{entries}/bulk": {
            "post": operation(
                "Add many ledger entries", either("Bulk", "BulkPreview"), takes="BulkGiven", repeatable=True
            )
        },
        entries + "/{transaction_id}": {
            "parameters": in_path("transaction_id"),
            "get": operation("Read a ledger entry", named("Transaction")),
        },
        entries + "/reference/{reference}": {
            "parameters": in_path("reference"),
            "get": operation("Read a ledger entry by its reference", named("Transaction")),
        },
    }


@login_not_required
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(document())
