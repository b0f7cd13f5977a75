"""Rows that could not be read: put right, they become further lines of their statement; or they are none."""

from __future__ import annotations

from collections.abc import Mapping as Plain
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from recon.models import LoadState, Side, Statement, StatementLine, StatementRowError
from recon.rows import amount
from recon.statements.currencies import UNKNOWN
from recon.statements.mapping import Mapping, MappingError
from recon.statements.model import RowError
from recon.statements.model import Statement as ReadStatement
from recon.statements.repair import PLAIN, reread
from recon.usecases.accounts.closing import refuse_closed_rows
from recon.usecases.accounts.scope import hold_still
from recon.usecases.bulk.rows import load_rows
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.discrepancies import check_statement
from recon.usecases.imports.facts import add_line
from recon.usecases.imports.preview import hints_for
from recon.usecases.imports.rows import keyed, line_rows
from recon.usecases.review.open_items import open_late_lines

MEANINGS = {
    "date": "2026-03-31",
    "amount": "-1234.56: minus is money out",
    "currency": "EUR",
    "reference": "",
    "description": "",
}
"""The columns of a row that is typed in, with how they are written."""


@dataclass(frozen=True)
class Cell:
    """One value of a row as a form shows it: `means` is the role of its column, empty if it has none."""

    column: str
    text: str
    means: str
    hint: str
    is_wrong: bool


def cells_of(error: StatementRowError, given: Plain[str, str] | None = None, wrong: str = "") -> list[Cell]:
    """The values of a bad row, as read or as `given`, those that mean something first."""
    mapping = mapping_of(error)
    means = {name: role for role, names in mapping.columns.items() for name in names}
    texts = error.cells if error.cells is not None else dict.fromkeys(MEANINGS, "")
    at_fault = wrong or error.column
    cells = [
        Cell(
            column=name,
            text=(given or {}).get(name, text),
            means=means.get(name, ""),
            hint="" if error.cells is not None else MEANINGS.get(name, ""),
            is_wrong=name == at_fault,
        )
        for name, text in texts.items()
    ]
    return sorted(cells, key=lambda cell: not cell.means)


def mapping_of(error: StatementRowError) -> Mapping:
    """How the row is read: as its file was, or as rows are typed in. Raises Refused."""
    if error.cells is None:
        return PLAIN
    try:
        return Mapping.from_dict(error.statement.mapping or {})
    except MappingError as problem:
        raise Refused(f"The mapping of this statement cannot be used: {problem}.") from problem


def try_row(error: StatementRowError, cells: Plain[str, str]) -> ReadStatement:
    """What the row would become. Raises Refused, with the place, if it still cannot be read."""
    known = error.cells if error.cells is not None else MEANINGS
    row = {name: str(cells.get(name, "")) for name in known}
    found = reread(row, mapping_of(error), hints_for(error.statement.account, Side.STATEMENT), error.line)
    if isinstance(found, RowError):
        raise Refused(found.message, [found])
    if UNKNOWN in found.lines["currency"].to_pylist():
        message = "Say which currency the amount is in."
        raise Refused(message, [RowError(error.line, "currency", "", "a currency such as EUR", message)])
    return found


def repair_row(by: Actor, error: StatementRowError, cells: Plain[str, str]) -> StatementLine:
    """Make a line of a row that somebody has put right, behind the other lines of its statement.

    Raises Refused if it still cannot be read, is settled already, or the statement is no longer in force.
    """
    read = try_row(error, cells)
    with transaction.atomic():
        hold_still(error.statement.account_id)
        statement, locked = _locked(error)
        refuse_closed_rows(statement.account, read.lines["booking_date"].to_pylist(), "The row")
        lines = StatementLine.objects.filter(statement_number=statement.number)
        place = (lines.aggregate(last=Max("position"))["last"] or 0) + 1
        rows = keyed(read.lines.set_column(0, read.lines.schema.field("position"), [[place]]))
        made = line_rows(rows, statement_number=statement.number, account_id=statement.account_id)
        load_rows(StatementLine, made)
        line = StatementLine.objects.get(pk=made["id"][0].as_py())
        _settle(by, locked, line_position=place)
        add_line(statement, line.currency, amount(line.units, line.scale))
        statement.record_count += 1
        statement.save(update_fields=["record_count", "sections"])
        after = {"position": place, "amount": str(line.amount), "currency": line.currency, "cells": dict(cells)}
        _record(by, "row repaired", locked, after)
        check_statement(by, statement)
        open_late_lines(statement.account, statement, [line.pk])
    return line


def set_aside(by: Actor, error: StatementRowError, why: str) -> None:
    """Say that a bad row is no booking and shall not become one. Needs a reason."""
    if not why.strip():
        raise Refused("Say why this row is no booking.")
    with transaction.atomic():
        statement, locked = _locked(error)
        _settle(by, locked, settled_why=why.strip())
        _record(by, "row set aside", locked, {"why": why.strip()})
        check_statement(by, statement)


def set_all_aside(by: Actor, statement: Statement, why: str) -> int:
    """Say of all bad rows of a statement that are left that they are no bookings; returns how many. Needs a reason."""
    if not why.strip():
        raise Refused("Say why these rows are no bookings.")
    with transaction.atomic():
        locked = Statement.objects.select_for_update().get(pk=statement.pk)
        if locked.state != LoadState.READY:
            raise Refused(f"{locked.name} is {locked.state}; its rows are history.")
        settled = locked.row_errors.filter(settled_at=None).update(
            settled_at=timezone.now(), settled_by=by.user, settled_why=why.strip()
        )
        if not settled:
            raise Refused("No bad row is left.")
        after = {"rows": settled, "why": why.strip()}
        record(by, "rows set aside", "statement", locked.pk, account_id=locked.account_id, after=after)
        check_statement(by, locked)
    return settled


def _locked(error: StatementRowError) -> tuple[Statement, StatementRowError]:
    statement = Statement.objects.select_for_update().get(pk=error.statement_id)
    locked = StatementRowError.objects.get(pk=error.pk)
    if statement.state != LoadState.READY:
        raise Refused(f"{statement.name} is {statement.state}; its rows are history.")
    if locked.settled_at is not None:
        what = f"became line {locked.line_position}" if locked.line_position else "was set aside"
        raise Refused(f"This row is settled already: it {what}.")
    return statement, locked


def _settle(by: Actor, error: StatementRowError, **values: Any) -> None:
    values = {**values, "settled_at": timezone.now(), "settled_by": by.user}
    StatementRowError.objects.filter(pk=error.pk).update(**values)


def _record(by: Actor, verb: str, error: StatementRowError, after: dict[str, Any]) -> None:
    before = {"line": error.line, "column": error.column, "found": error.found, "raw": error.raw}
    account = error.statement.account_id
    record(by, verb, "statement", error.statement_id, account_id=account, before=before, after=after)
