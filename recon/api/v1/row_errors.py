"""Rows of a statement's file that could not be read: put right, or said to be none."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from recon.api.v1.fields import InstantField, Shape
from recon.api.v1.paging import Paged, number
from recon.api.v1.rows import LineShape, Shown, shown_lines
from recon.api.v1.spec import Call, found, operation
from recon.api.v1.statements import StatementShape, statement_of
from recon.api.v1.uploads import PlaceShape
from recon.models import Statement, StatementRowError
from recon.usecases.imports import repair as row_repair

TAG = "Statements"


class RowErrorShape(PlaceShape):
    """A row that could not be read."""

    id = serializers.IntegerField(source="pk")
    cells = serializers.DictField(
        child=serializers.CharField(), allow_null=True, help_text="Its values by column, for files that are tables."
    )
    line_position = serializers.IntegerField(allow_null=True, help_text="The line it became once it was repaired.")
    settled_at = InstantField(allow_null=True)
    settled_by = serializers.CharField(source="settled_by.username", default=None, allow_null=True)
    settled_why = serializers.CharField()

    example = {
        "id": 2,
        "line": 12,
        "column": "Amount",
        "found": "12,3.4",
        "expected": "an amount like 1234.56",
        "message": "Line 12: the amount 12,3.4 cannot be read.",
        "raw": "2026-03-31;12,3.4;EUR",
        "cells": {"Date": "2026-03-31", "Amount": "12,3.4", "Currency": "EUR"},
        "line_position": None,
        "settled_at": None,
        "settled_by": None,
        "settled_why": "",
    }


class RepairInput(Shape):
    """The row's values as they should be, by column; `date`, `amount`, `currency` … where the file is no table."""

    cells = serializers.DictField(child=serializers.CharField(max_length=10_000, allow_blank=True))

    example = {"cells": {"Date": "2026-03-31", "Amount": "12.34", "Currency": "EUR"}}


class WhyInput(Shape):
    """Why; it must be said."""

    why = serializers.CharField(max_length=500)

    example = {"why": "a subtotal of the bank"}


class RowErrorQuery(Shape):
    """Which rows."""

    settled = serializers.BooleanField(required=False, help_text="Repaired or set aside; both by default.")


@operation(TAG, query=RowErrorQuery, gives=RowErrorShape, paged=True)
def list_statement_row_errors(call: Call, upload_id: str) -> Paged:
    """List the rows of a statement's file that could not be read."""
    rows = statement_of(upload_id).row_errors.select_related("settled_by").order_by("pk")
    if "settled" in call.query:
        rows = rows.filter(settled_at__isnull=not call.query["settled"])
    limit = call.query["limit"]
    errors = list(rows.filter(pk__gt=number(call.query) or 0)[: limit + 1])
    return Paged(errors[:limit], str(errors[limit - 1].pk) if len(errors) > limit else "")


@operation(TAG, gives=RowErrorShape)
def get_row_error(call: Call, upload_id: str, error_id: int) -> StatementRowError:
    """Get a row that could not be read."""
    return error_of(upload_id, error_id)


@operation(TAG, scope="upload", takes=RepairInput, gives=LineShape, status=201, repeatable=True)
def repair_row(call: Call, upload_id: str, error_id: int) -> Shown:
    """Repair a row that could not be read.

    It becomes a further line of its statement. Refused, with the place, while it still cannot be read."""
    line = row_repair.repair_row(call.by, error_of(upload_id, error_id), call.given["cells"])
    return shown_lines([line])[0]


@operation(TAG, scope="upload", takes=WhyInput, gives=RowErrorShape, repeatable=True)
def set_row_aside(call: Call, upload_id: str, error_id: int) -> StatementRowError:
    """Set a row aside.

    It is no booking and shall not become one."""
    row_repair.set_aside(call.by, error_of(upload_id, error_id), call.given["why"])
    return error_of(upload_id, error_id)


@operation(TAG, scope="upload", takes=WhyInput, gives=StatementShape, repeatable=True)
def set_all_rows_aside(call: Call, upload_id: str) -> Statement:
    """Set all rows aside that could not be read and are left."""
    row_repair.set_all_aside(call.by, statement_of(upload_id), call.given["why"])
    return statement_of(upload_id)


def error_of(upload_id: str, error_id: int) -> StatementRowError:
    rows: Any = StatementRowError.objects.select_related("statement__account", "settled_by")
    error: StatementRowError = found(rows.filter(statement_id=upload_id), "row", error_id)
    return error
