"""Files on their way in: what a form with a file says, and what a file would become before anything is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from recon.api.json import loads
from recon.api.v1.fields import AmountField, IdField, PlainField, Shape
from recon.models import Account
from recon.rows import amount
from recon.statements.model import Reading
from recon.usecases.imports.facts import reading_facts
from recon.usecases.imports.files import Source
from recon.usecases.imports.preview import Preview

SHOWN_ROWS = 20
SHOWN_ERRORS = 100


@extend_schema_field({"type": "string", "contentMediaType": "application/json"})
class MappingField(PlainField):
    """A mapping as JSON: in a form as text."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return super().to_internal_value(loads(data) if isinstance(data, str) else data)
        except ValueError as error:
            raise serializers.ValidationError("Expected a JSON object.") from error


class Why(Shape):
    """Why."""

    why = serializers.CharField(max_length=500, allow_blank=True, default="", help_text="Kept in the audit trail.")

    example = {"why": "sent twice"}


class FileInput(Shape):
    """A file, and how to read it."""

    file = serializers.FileField(max_length=255)
    account = IdField(queryset=Account.objects.all(), required=False, pk_field=serializers.IntegerField())
    mapping = MappingField(
        required=False, help_text="How columns are read, as JSON; remembered for the account. `inspect` shows one."
    )
    accepting = serializers.ListField(
        child=serializers.CharField(max_length=100), default=list, max_length=20,
        help_text="Open questions whose suggested answer will do, such as `sign` or `sign=as_given`.",
    )  # fmt: skip


class PlaceShape(Shape):
    """Something in a file that could not be read."""

    line = serializers.IntegerField(allow_null=True)
    column = serializers.CharField(allow_null=True)
    found = serializers.CharField(allow_null=True)
    expected = serializers.CharField()
    message = serializers.CharField()
    raw = serializers.CharField(allow_null=True)


class AnnouncementShape(Shape):
    """What to know before importing."""

    kind = serializers.CharField()
    text = serializers.CharField()
    rows = serializers.IntegerField()


class QuestionShape(Shape):
    """What the file does not decide: `about` names the key of the mapping that answers it."""

    about = serializers.CharField()
    text = serializers.CharField()
    options = serializers.ListField(child=serializers.CharField())
    suggested = serializers.CharField()


class ProofShape(Shape):
    """What the lines of one statement move in one currency, and whether its balances prove it."""

    name = serializers.CharField(help_text="Tells several statements of a file apart.")
    currency = serializers.CharField()
    lines = serializers.IntegerField()
    money_in = AmountField()
    money_out = AmountField()
    opening = AmountField(allow_null=True)
    closing = AmountField(allow_null=True)
    difference = AmountField(allow_null=True, help_text="Closing less what opening and movements make.")
    verdict = serializers.ChoiceField(["ok", "differs", "unknown"])

    example = {
        "name": "",
        "currency": "EUR",
        "lines": 128,
        "money_in": "5000.00",
        "money_out": "4212.45",
        "opening": "417.00",
        "closing": "1204.55",
        "difference": "0.00",
        "verdict": "ok",
    }


class SampleRowShape(Shape):
    """A row as it would be stored."""

    line = serializers.IntegerField(allow_null=True)
    booking_date = serializers.DateField(allow_null=True)
    amount = AmountField()
    currency = serializers.CharField()
    reference = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    counterparty = serializers.CharField(allow_null=True)


class PreviewShape(Shape):
    """What an import would store, and what to know before."""

    format = serializers.CharField()
    encoding = serializers.CharField(allow_null=True)
    mapping = PlainField(allow_null=True, help_text="As it was used; send it back, changed, to read otherwise.")
    header = serializers.ListField(child=serializers.CharField())
    row_count = serializers.IntegerField()
    rows = SampleRowShape(many=True)
    totals = serializers.ListField(child=serializers.CharField(), help_text="In words, one sentence a currency.")
    checks = ProofShape(many=True)
    announcements = AnnouncementShape(many=True)
    questions = QuestionShape(many=True)
    error_count = serializers.IntegerField()
    errors: Any = PlaceShape(many=True)
    left_out = serializers.IntegerField(help_text="Rows that are no booked lines.")
    replaceable = serializers.ListField(
        child=serializers.CharField(), help_text="Ids of statements of which this may be a new issue."
    )
    profile = serializers.IntegerField(allow_null=True, help_text="Id of the import profile it was read by.")
    can_import = serializers.BooleanField(help_text="No error, no open question, nothing repeated.")

    example = {
        "format": "csv",
        "encoding": "utf-8",
        "mapping": {"columns": {"booking_date": "Date", "amount": "Amount"}, "date_order": "ymd", "currency": "EUR"},
        "header": ["Date", "Amount", "Text"],
        "row_count": 1,
        "rows": [
            {
                "line": 2,
                "booking_date": "2026-03-31",
                "amount": "-152.75",
                "currency": "EUR",
                "reference": "INV-2026-0042",
                "description": None,
                "counterparty": None,
            }
        ],
        "totals": ["1 lines in EUR: 0 in, 152.75 out, net -152.75"],
        "checks": [],
        "announcements": [],
        "questions": [],
        "error_count": 0,
        "errors": [],
        "left_out": 0,
        "replaceable": [],
        "profile": None,
        "can_import": True,
    }


def source_of(file: Any) -> Source:
    """An uploaded file where it lies: a large one is on disk already."""
    if isinstance(file, TemporaryUploadedFile):
        return Path(file.temporary_file_path())
    content: bytes = file.read()
    return content


def shown_preview(found: Preview) -> dict[str, Any]:
    """A preview as `PreviewShape` takes it."""
    reading = found.reading
    count = reading.lines.num_rows
    return {
        "format": reading.format,
        "encoding": reading.encoding,
        "mapping": reading.mapping.to_dict() if reading.mapping else None,
        "header": reading.header,
        "row_count": count,
        "rows": [
            {**row, "amount": amount(row["units"], row["scale"])}
            for row in reading.lines.slice(0, SHOWN_ROWS).to_pylist()
        ],
        "totals": found.totals,
        "checks": reading_facts(reading),
        "announcements": found.announcements,
        "questions": [
            {"about": each.about, "text": each.text, "suggested": each.suggested,
             "options": [value for value, _ in each.options]}
            for each in reading.questions
        ],
        "error_count": len(reading.errors),
        "errors": reading.errors[:SHOWN_ERRORS],
        "left_out": left_out(reading),
        "replaceable": [statement.pk for statement in found.replaceable],
        "profile": found.profile.pk if found.profile else None,
        "can_import": bool(count) and not (reading.errors or reading.questions or found.repeats),
    }  # fmt: skip


def left_out(reading: Reading) -> int:
    return sum(len(statement.left_out) for statement in reading.statements)
