"""Statements: what banks and processors say."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse
from rest_framework import serializers

from recon.api.idempotency import done_earlier
from recon.api.problems import Problem
from recon.api.v1.fields import AmountField, IdField, InstantField, PlainField, Shape
from recon.api.v1.paging import Paged, in_one_page, number, paged
from recon.api.v1.rows import STATES, AccountFilter, LineShape, Shown, shown_lines
from recon.api.v1.shown_matches import MatchShape, matches_of
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.uploads import FileInput, PreviewShape, ProofShape, Why, shown_preview, source_of
from recon.models import Account, LoadState, Side, Statement, StatementLine
from recon.usecases.finding import RowFilter, page_in_file_order, statement_lines
from recon.usecases.imports import importing as imports
from recon.usecases.imports.facts import statement_facts
from recon.usecases.imports.preview import preview

TAG = "Statements"
STATEMENTS = Statement.objects.select_related("account", "uploaded_by")


class StatementShape(Shape):
    """A statement of an account."""

    id = serializers.CharField(source="upload_id")
    account = serializers.IntegerField(source="account_id")
    source: Any = serializers.CharField()
    name = serializers.CharField()
    format = serializers.CharField()
    encoding = serializers.CharField()
    mapping = PlainField(allow_null=True, help_text="How its columns were read.")
    sha256 = serializers.CharField(help_text="Of the file as it came.")
    account_number = serializers.CharField(help_text="As the file gives it.")
    statement_number = serializers.CharField()
    period_start = serializers.DateField(allow_null=True)
    period_end = serializers.DateField(allow_null=True)
    state = serializers.ChoiceField(LoadState.choices)
    supersedes = serializers.CharField(source="supersedes_id", allow_null=True)
    record_count = serializers.IntegerField(help_text="Number of lines.")
    uploaded_by = serializers.CharField(source="uploaded_by.username", default=None, allow_null=True)
    created_at = InstantField()

    example = {
        "id": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e",
        "account": 1,
        "source": "House bank EUR",
        "name": "march.sta",
        "format": "mt940",
        "encoding": "utf-8",
        "mapping": None,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "account_number": "DE02120300000000202051",
        "statement_number": "3/1",
        "period_start": "2026-03-01",
        "period_end": "2026-03-31",
        "state": "ready",
        "supersedes": None,
        "record_count": 128,
        "uploaded_by": "alice",
        "created_at": "2026-03-31T12:00:00Z",
    }


class StatementFile(FileInput):
    """A statement file, whose it is, and how to read it."""

    account = IdField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())
    source: Any = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="For lines that name none."
    )
    repeats = serializers.ChoiceField(
        [
            ("ask", "refuse it and say what is there already"),
            ("skip", "leave out what is there already"),
            ("import", "store it once more"),
            ("replace", "it is a new issue of the statement `replaces`"),
        ],
        default="ask",
        help_text="What to do about lines that are there already.",
    )
    replaces = IdField(
        queryset=Statement.objects.ready(), pk_field=serializers.CharField(), required=False,
        help_text="Id of the statement that this file supersedes, with repeats=replace.",
    )  # fmt: skip
    good_rows_only = serializers.BooleanField(
        default=False, help_text="Store what can be read; rows that cannot are kept for repair."
    )


class PastedRows(Shape):
    """Rows as a program or a person has them, at most 10,000: as objects, or as text of a table."""

    account = IdField(queryset=Account.objects.all(), pk_field=serializers.IntegerField())
    rows = serializers.ListField(child=PlainField(), max_length=10_000, required=False)
    text = serializers.CharField(max_length=5_000_000, required=False, trim_whitespace=False)
    source: Any = serializers.CharField(max_length=200, default="", allow_blank=True)

    example = {
        "account": 1,
        "rows": [{"id": "1", "amount": "152.75", "currency": "EUR", "date": "2026-03-31", "reference": "INV-0042"}],
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("rows" in attrs) == ("text" in attrs):
            raise serializers.ValidationError("Expected either rows or text.")
        return attrs


class BalanceShape(Shape):
    """A balance the statement states."""

    kind = serializers.CharField(help_text="opening, closing, opening_available, closing_available, interim")
    date = serializers.DateField(allow_null=True)
    currency = serializers.CharField()
    amount = AmountField()

    example = {"kind": "closing", "date": "2026-03-31", "currency": "EUR", "amount": "1204.55"}


class StatementQuery(AccountFilter):
    """Which statements."""

    q = serializers.CharField(max_length=200, default="", allow_blank=True, help_text="Part of the file's name.")
    state = serializers.ChoiceField(LoadState.choices, required=False)


class LineQuery(Shape):
    """Which lines."""

    q = serializers.CharField(
        max_length=200,
        default="",
        allow_blank=True,
        help_text="In reference, description or counterparty; or an amount.",
    )
    state = serializers.ChoiceField(STATES, required=False, help_text="Open or matched; both by default.")


@operation(TAG, query=StatementQuery, gives=StatementShape, paged=True)
def list_statements(call: Call) -> Paged:
    """List statements, the newest first."""
    rows: QuerySet[Statement] = STATEMENTS.filter(
        **{name: call.query[name] for name in ("account", "state") if name in call.query}
    )
    if text := call.query["q"]:
        rows = rows.filter(name__icontains=text)
    return paged(rows, call.query, key="number")


@operation(
    TAG, scope="upload", takes=StatementFile, gives=StatementShape, status=201,
    files=True, repeatable=True, in_steps=True,
)  # fmt: skip
def upload_statement(call: Call) -> Statement:
    """Upload a statement file.

    Any format that `inspect_statement_file` reads. Whole or, with `good_rows_only`, as far as it can be read."""
    if earlier := done_earlier(call.request, "statement"):
        return statement_of(earlier)
    given: dict[str, Any] = call.given
    file = given["file"]
    made = imports.import_statement(
        call.by,
        given["account"],
        source_of(file),
        file.name,
        mapping=given.get("mapping"),
        good_rows_only=given["good_rows_only"],
        repeats=given["repeats"],
        replaces=given.get("replaces"),
        accepting=given["accepting"],
        label=given["source"],
    )
    return statement_of(made.pk)


@operation(TAG, scope="upload", takes=PastedRows, gives=StatementShape, status=201, repeatable=True, in_steps=True)
def create_statement(call: Call) -> Statement:
    """Create a statement from rows.

    For programs that hold the lines themselves: each needs at least an amount, and a currency unless the account has
    one. The same rows may be sent again."""
    if earlier := done_earlier(call.request, "statement"):
        return statement_of(earlier)
    given = call.given
    rows = given["rows"] if "rows" in given else given["text"]
    return statement_of(imports.import_pasted(call.by, given["account"], rows, label=given["source"]).pk)


@operation(TAG, scope="upload", takes=FileInput, gives=PreviewShape, files=True)
def inspect_statement_file(call: Call) -> dict[str, Any]:
    """Inspect a statement file without storing it.

    How it is read: format, mapping, rows, totals in and out, balance checks, errors, open questions, and what of it is
    there already."""
    given = call.given
    file = given["file"]
    return shown_preview(
        preview(source_of(file), file.name, given.get("account"), Side.STATEMENT, given.get("mapping"))
    )


@operation(TAG, gives=StatementShape)
def get_statement(call: Call, upload_id: str) -> Statement:
    """Get a statement."""
    return statement_of(upload_id)


@operation(TAG, query=LineQuery, gives=LineShape, paged=True)
def list_statement_lines(call: Call, upload_id: str) -> Paged:
    """List the lines of a statement, as they stand in the file."""
    wanted = RowFilter(text=call.query["q"], matched={"open": False, "matched": True}.get(call.query.get("state", "")))
    lines = statement_lines(statement_of(upload_id).number, wanted)
    page = page_in_file_order(lines, number(call.query), size=call.query["limit"])
    return Paged(shown_lines(page.rows), str(page.next_after or ""))


@operation(TAG, gives=BalanceShape, paged=True)
def list_statement_balances(call: Call, upload_id: str) -> Paged:
    """List the balances a statement states, all in one page."""
    return in_one_page(statement_of(upload_id).balances.all())


@operation(TAG, gives=ProofShape, paged=True)
def check_statement(call: Call, upload_id: str) -> Paged:
    """Check a statement's balances.

    Per currency: opening + movements = closing. All in one page."""
    return in_one_page(statement_facts(statement_of(upload_id)))


@operation(TAG, downloads="application/octet-stream")
def download_statement(call: Call, upload_id: str) -> FileResponse:
    """Download a statement's file, byte for byte."""
    statement = statement_of(upload_id)
    if not statement.file:
        raise Problem("not-found", "This statement was made without a file.")
    return FileResponse(
        statement.file.open("rb"), as_attachment=True, filename=statement.name, content_type="application/octet-stream"
    )


@operation(TAG, scope="upload", takes=Why, gives=StatementShape)
def discard_statement(call: Call, upload_id: str) -> Statement:
    """Take a statement back.

    Refused while one of its lines is in a confirmed match."""
    imports.discard_statement(call.by, statement_of(upload_id), why=call.given["why"])
    return statement_of(upload_id)


@operation(TAG, gives=LineShape)
def get_line(call: Call, line_id: int) -> Shown:
    """Get a statement line."""
    return shown_lines([line_of(line_id)])[0]


@operation(TAG, gives=MatchShape, paged=True)
def list_line_matches(call: Call, line_id: int) -> Paged:
    """List the matches a statement line was ever part of.

    Also those that were rejected, undone or withdrawn."""
    return matches_of(call, Side.STATEMENT, line_of(line_id).pk)


def statement_of(upload_id: str) -> Statement:
    statement: Statement = found(STATEMENTS, "statement", upload_id)
    return statement


def line_of(line_id: int) -> StatementLine:
    line: StatementLine = found(StatementLine.objects, "statement line", line_id)
    return line
