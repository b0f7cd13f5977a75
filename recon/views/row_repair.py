"""Rows that could not be read: put right one by one, or set aside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST

from recon.forms.imports import ROLE_WORDS
from recon.models import Statement, StatementRowError
from recon.partials import page_or_fragment
from recon.usecases.errors import Refused
from recon.usecases.imports.repair import Cell, cells_of, repair_row, set_all_aside, set_aside, try_row
from recon.views.import_preview import shown_rows
from recon.views.people import on_screen
from recon.views.refusals import refusal_as_message
from recon.wording import counted


@require_http_methods(["GET", "HEAD", "POST"])
def row_repair(request: HttpRequest, upload_id: str, error_id: int) -> HttpResponse:
    """One bad row with its values to change: what it would become, then a further line of its statement."""
    error = get_object_or_404(
        StatementRowError.objects.select_related("statement__account", "settled_by"),
        pk=error_id,
        statement_id=upload_id,
    )
    given = posted_cells(error, request) if request.method == "POST" else None
    action = request.POST.get("action", "")
    problem, wrong, read = "", "", None
    try:
        if action == "repair" and given is not None:
            line = repair_row(on_screen(request), error, given)
            return onward(request, error, f"Line {error.line or ''} is repaired: it is no. {line.position} now.")
        if action == "set_aside":
            set_aside(on_screen(request), error, request.POST.get("why", ""))
            return onward(request, error, "The row is set aside.")
        if given is not None:
            read = try_row(error, given)
    except Refused as refused:
        problem = refused.message
        wrong = (refused.row_errors[0].column or "") if refused.row_errors else ""
    context: dict[str, Any] = {
        "error": error,
        "statement": error.statement,
        "cells": [in_words(cell) for cell in cells_of(error, given, wrong)],
        "problem": problem,
        "rows": shown_rows(read.lines) if read else [],
        "left": error.statement.row_errors.filter(settled_at=None).count(),
    }
    fragments = {"row-repair": "statements/_row_repair.html"}
    return page_or_fragment(request, "statements/row_repair.html", fragments, context, status=422 if problem else 200)


def in_words(cell: Cell) -> Cell:
    """The value with its role as the mapping's form calls it; nothing where the column is called so itself."""
    words = next((label for role, label in ROLE_WORDS.items() if role == cell.means), "")
    return replace(cell, means="" if words.casefold() == cell.column.casefold() else words[:1].lower() + words[1:])


def posted_cells(error: StatementRowError, request: HttpRequest) -> dict[str, str]:
    """The values on the page, by column: fields are numbered, as columns may be called anything."""
    return {
        cell.column: request.POST.get(f"cell_{place}", cell.text)
        for place, cell in enumerate(cells_of(error), start=1)
    }


def onward(request: HttpRequest, error: StatementRowError, done: str) -> HttpResponse:
    """To the next bad row, or back to the statement after the last."""
    left = StatementRowError.objects.filter(statement_id=error.statement_id, settled_at=None)
    count = left.count()
    left_over = f"{count:,} {'is' if count == 1 else 'are'} left." if count else "That was the last."
    messages.success(request, f"{done} {left_over}")
    following = left.filter(pk__gt=error.pk).order_by("pk").first() or left.order_by("pk").first()
    if following is None:
        return redirect("statement", upload_id=error.statement_id)
    return redirect("row_repair", upload_id=error.statement_id, error_id=following.pk)


@require_POST
def rows_set_aside(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Set aside all bad rows of a statement that are left."""
    statement = get_object_or_404(Statement, pk=upload_id)
    with refusal_as_message(request):
        count = set_all_aside(on_screen(request), statement, request.POST.get("why", ""))
        messages.success(request, f"{counted(count, 'row')} set aside.")
    return redirect("statement", upload_id=upload_id)
