"""Ledger imports: files and bulks of entries that came in together, and can go together."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from recon.api.idempotency import done_earlier
from recon.api.v1.fields import InstantField, Shape
from recon.api.v1.paging import Paged, paged
from recon.api.v1.rows import AccountFilter
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.uploads import FileInput, PreviewShape, Why, shown_preview, source_of
from recon.models import LedgerImport, LoadState, Side
from recon.usecases.imports import importing as imports
from recon.usecases.imports.preview import preview

TAG = "Ledger"


class ImportShape(Shape):
    """Ledger entries that came in together."""

    id = serializers.CharField(source="import_id")
    account = serializers.IntegerField(source="account_id", allow_null=True)
    name = serializers.CharField()
    format = serializers.CharField()
    sha256 = serializers.CharField(help_text="Of what was sent.")
    state = serializers.ChoiceField(LoadState.choices)
    record_count = serializers.IntegerField(help_text="Number of entries.")
    imported_by = serializers.CharField(source="imported_by.username", default=None, allow_null=True)
    created_at = InstantField()

    example = {
        "id": "import_6b0f5a3c-93e2-4c0b-8a53-0d8f5f9d3a11",
        "account": 1,
        "name": "march.csv",
        "format": "csv",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "state": "ready",
        "record_count": 1000,
        "imported_by": "alice",
        "created_at": "2026-03-31T12:00:00Z",
    }


class LedgerFile(FileInput):
    """A file of ledger entries, whose they are, and how to read it."""

    repeats = serializers.ChoiceField(
        [
            ("ask", "refuse it and say what is there already"),
            ("skip", "leave out what is there already"),
            ("import", "store it once more"),
            ("update", "bring entries that changed up to date, and leave out the rest"),
        ],
        default="ask",
        help_text="What to do about entries that are there already.",
    )


class ImportQuery(AccountFilter):
    """Which imports."""

    state = serializers.ChoiceField(LoadState.choices, required=False)


IMPORTS = LedgerImport.objects.select_related("imported_by")


@operation(TAG, query=ImportQuery, gives=ImportShape, paged=True)
def list_ledger_imports(call: Call) -> Paged:
    """List ledger imports, the newest first."""
    wanted = {name: call.query[name] for name in ("account", "state") if name in call.query}
    return paged(IMPORTS.filter(**wanted), call.query, key="number")


@operation(TAG, gives=ImportShape)
def get_ledger_import(call: Call, import_id: str) -> LedgerImport:
    """Get a ledger import."""
    return import_of(import_id)


@operation(
    TAG, scope="upload", takes=LedgerFile, gives=ImportShape, status=201, files=True, repeatable=True, in_steps=True
)
def import_ledger_file(call: Call) -> LedgerImport:
    """Import a file of ledger entries.

    CSV, XLSX or JSON. One with rows that cannot be read is never stored in part."""
    if earlier := done_earlier(call.request, "ledger"):
        return import_of(earlier)
    given: dict[str, Any] = call.given
    file = given["file"]
    made = imports.import_ledger(
        call.by,
        given.get("account"),
        source_of(file),
        file.name,
        mapping=given.get("mapping"),
        repeats=given["repeats"],
        accepting=given["accepting"],
    )
    return import_of(made.pk)


@operation(TAG, scope="upload", takes=FileInput, gives=PreviewShape, files=True)
def inspect_ledger_file(call: Call) -> dict[str, Any]:
    """Inspect a file of ledger entries without storing it.

    How it is read: mapping, rows, totals in and out, errors, open questions and what is there already."""
    given = call.given
    file = given["file"]
    return shown_preview(preview(source_of(file), file.name, given.get("account"), Side.LEDGER, given.get("mapping")))


@operation(TAG, scope="upload", takes=Why, gives=ImportShape)
def reverse_ledger_import(call: Call, import_id: str) -> LedgerImport:
    """Reverse a ledger import.

    Its entries are gone from the ledger. Refused while one of them is in a confirmed match."""
    imports.reverse_ledger_import(call.by, import_of(import_id), why=call.given["why"])
    return import_of(import_id)


def import_of(import_id: str) -> LedgerImport:
    imported: LedgerImport = found(IMPORTS, "ledger import", import_id)
    return imported
