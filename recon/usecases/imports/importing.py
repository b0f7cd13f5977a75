"""Statements and ledger files: import, take back."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from collections.abc import Mapping as Plain
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.utils import timezone

from recon.models import (
    Account,
    LedgerEntry,
    LedgerImport,
    LoadState,
    Side,
    Statement,
    StatementBalance,
    StatementLine,
    StatementRowError,
    reserve_ids,
)
from recon.statements.model import Reading, line_totals
from recon.usecases.accounts.closing import refuse_closed_rows
from recon.usecases.bulk.rows import Progress
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.continuity import period
from recon.usecases.imports.discrepancies import check_statement
from recon.usecases.imports.facts import reading_facts
from recon.usecases.imports.files import Source, keep, stage_file
from recon.usecases.imports.ledger_changes import LedgerChanges, apply_changes
from recon.usecases.imports.preparing import (
    AS_THEY_STAND,
    NothingNew,
    Prepared,
    Repeats,
    nothing_new,
    prepare,
    still_so,
)
from recon.usecases.imports.preview import Preview, preview, read_source, totals_in_words
from recon.usecases.imports.profiles import remember
from recon.usecases.imports.reissues import take_the_place
from recon.usecases.imports.rows import entry_rows, line_rows, load_unseen
from recon.usecases.imports.taking_back import discard_statement, reverse_ledger_import
from recon.usecases.review.open_items import open_late_lines

__all__ = [
    "NothingNew",
    "Prepared",
    "Preview",
    "Repeats",
    "discard_statement",
    "import_ledger",
    "import_pasted",
    "import_statement",
    "prepare",
    "preview",
    "reverse_ledger_import",
    "stage_file",
    "store_ledger",
    "store_statement",
]


def import_statement(
    by: Actor,
    account: Account,
    source: Source,
    name: str,
    *,
    mapping: Plain[str, Any] | None = None,
    good_rows_only: bool = False,
    repeats: Repeats = "ask",
    replaces: Statement | None = None,
    accepting: Collection[str] = (),
    every_row: bool = False,
    label: str = "",
    progress: Progress | None = None,
) -> Statement:
    """Store a statement file for an account: `prepare` and `store_statement`, whose words hold here."""
    prepared = prepare(
        account,
        Side.STATEMENT,
        source,
        name,
        mapping=mapping,
        good_rows_only=good_rows_only,
        repeats=repeats,
        replaces=replaces,
        accepting=AS_THEY_STAND if account.is_builtin else accepting,
        every_row=every_row,
    )
    return store_statement(by, account, prepared, label=label, progress=progress)


def store_statement(
    by: Actor,
    account: Account,
    prepared: Prepared,
    *,
    label: str = "",
    progress: Progress | None = None,
    rows_go_to: Callable[[pa.Table], object] = len,
) -> Statement:
    """Store lines, balances, row errors and the original. All or nothing, also when killed half-way.

    `rows_go_to` gets the rows that are stored, with their ids.
    `label` is the source named with the upload; lines that name none get it. Raises NothingNew if every line is there
    already and was to be left out, Refused if the account changed in between so that somebody must look again.
    """
    reading = prepared.reading
    if prepared.replaces is None and len(prepared.left_out) and not prepared.row_count:
        raise nothing_new(by, account, Side.STATEMENT, prepared)
    statement = new_statement(by, account, prepared, label, reserve_ids(Statement, 1))
    ids: list[int] = []

    def rows() -> pa.Table:
        lines = _labelled(prepared.rows, label)
        made = line_rows(lines, statement_number=statement.number, account_id=account.pk)
        ids.extend((made["id"][0].as_py(), made["id"][-1].as_py()) if made.num_rows else ())
        rows_go_to(made)
        return made

    def reveal() -> None:
        still_so(account, Side.STATEMENT, prepared)
        refuse_closed_rows(account, [first_date(prepared)], prepared.name)
        _store_around(statement, reading)
        remember(by, account, Side.STATEMENT, prepared.mapping)
        if prepared.replaces is not None:
            take_the_place(by, prepared.replaces, statement)
        Statement.objects.filter(pk=statement.pk).update(state=LoadState.READY)
        statement.state = LoadState.READY
        _record_import(by, "statement", statement, account, prepared)
        if reading.errors or not account.is_builtin or any(each.balances for each in reading.statements):
            check_statement(by, statement)
        if prepared.replaces is not None:
            check_statement(by, Statement.objects.get(pk=prepared.replaces.old.pk))
            open_late_lines(account, prepared.replaces.old, ids)

    load_unseen(StatementLine, rows, announce=lambda: _insert(statement), reveal=reveal, progress=progress)
    if prepared.replaces is not None:
        statement.refresh_from_db()
    return statement


def new_statement(by: Actor, account: Account, prepared: Prepared, label: str, number: int) -> Statement:
    """The statement's own record, not stored yet; the original file is."""
    reading = prepared.reading
    start, end = period(reading)
    first = reading.statements[0]
    return Statement(
        number=number,
        account=account,
        source=label or account.name,
        name=prepared.name[:255],
        sha256=prepared.sha256,
        file=keep(prepared.source, prepared.sha256),
        format=reading.format,
        encoding=reading.encoding or "",
        mapping=reading.mapping.to_dict() if reading.mapping else None,
        account_number=(first.account or "")[:64],
        statement_number=(first.number or "")[:64],
        period_start=start,
        period_end=end,
        sections=[facts.to_dict() for facts in reading_facts(reading)],
        skipped=_skipped(prepared),
        record_count=reading.lines.num_rows if prepared.replaces else prepared.row_count,
        uploaded_by=by.user,
    )


def _skipped(prepared: Prepared) -> dict[str, Any] | None:
    """What was left out because it is there already, as the statement remembers it."""
    if prepared.replaces is not None or not len(prepared.left_out):
        return None
    lines = prepared.reading.lines
    out = lines.filter(pc.is_in(lines["position"], prepared.left_out))
    return {"lines": out.num_rows, "net": {total.currency: str(total.net) for total in line_totals(out)}}


def import_pasted(
    by: Actor, account: Account, pasted: str | Sequence[Plain[str, Any]], *, label: str = ""
) -> Statement:
    """Store pasted or typed rows, at most 10,000, as a statement: text as a table is copied, or rows as objects.

    The same rows may be pasted again. Raises Refused like `import_statement`.
    """
    if isinstance(pasted, str):
        source, name = pasted.encode(), "pasted.csv"
    else:
        source, name = json.dumps([dict(row) for row in pasted], default=str).encode(), "pasted.json"
    of_program = not isinstance(pasted, str)
    reading = read_source(source, name, account, Side.STATEMENT, every_row=of_program)
    if reading.lines.num_rows > settings.INSTANT_LIMIT:
        raise Refused(
            f"{reading.lines.num_rows:,} rows were pasted; at most {settings.INSTANT_LIMIT:,} can be: upload a file."
        )
    return import_statement(
        by, account, source, name, repeats="import", accepting=AS_THEY_STAND, every_row=of_program, label=label
    )


def import_ledger(
    by: Actor,
    account: Account | None,
    source: Source,
    name: str,
    *,
    mapping: Plain[str, Any] | None = None,
    repeats: Repeats = "ask",
    accepting: Collection[str] = (),
    progress: Progress | None = None,
) -> LedgerImport:
    """Store a file of ledger entries: `prepare` and `store_ledger`. One with row errors is never stored in part."""
    prepared = prepare(account, Side.LEDGER, source, name, mapping=mapping, repeats=repeats, accepting=accepting)
    return store_ledger(by, account, prepared, progress=progress)


def store_ledger(
    by: Actor,
    account: Account | None,
    prepared: Prepared,
    *,
    progress: Progress | None = None,
    rows_go_to: Callable[[pa.Table], object] = len,
) -> LedgerImport:
    """Store ledger entries, owned by the account or anybody's if none is given. All or nothing, also when killed.

    Entries that are there already, unchanged, are left out; what becomes of changed ones `apply_changes` says. Raises
    NothingNew if that leaves nothing to do.
    """
    reading, owner = prepared.reading, account.pk if account else None
    changes = prepared.found.changes if prepared.found else LedgerChanges()
    if len(prepared.left_out) and not prepared.row_count and not changes.changed:
        raise nothing_new(by, account, Side.LEDGER, prepared)
    imported = LedgerImport(
        number=reserve_ids(LedgerImport, 1),
        account=account,
        name=prepared.name[:255],
        sha256=prepared.sha256,
        file=keep(prepared.source, prepared.sha256),
        format=reading.format,
        mapping=reading.mapping.to_dict() if reading.mapping else None,
        record_count=prepared.row_count,
        imported_by=by.user,
    )

    def rows() -> pa.Table:
        made = entry_rows(prepared.rows, import_number=imported.number, account_id=owner, created_at=timezone.now())
        rows_go_to(made)
        return made

    def reveal() -> None:
        still_so(account, Side.LEDGER, prepared)
        changed = changes.changed if prepared.repeats == "update" else ()
        touched = [day for each in changed for day in (each.entry.booking_date, each.row["booking_date"])]
        refuse_closed_rows(account, [first_date(prepared), *touched], prepared.name)
        if account is not None:
            remember(by, account, Side.LEDGER, prepared.mapping)
        LedgerImport.objects.filter(pk=imported.pk).update(state=LoadState.READY)
        applied = apply_changes(by, imported, changes, update=prepared.repeats == "update")
        _record_import(by, "ledger", imported, account, prepared, **{key: n for key, n in applied.items() if n})

    load_unseen(LedgerEntry, rows, announce=lambda: _insert(imported), reveal=reveal, progress=progress)
    imported.refresh_from_db()
    return imported


def first_date(prepared: Prepared) -> date | None:
    """The earliest day that is stored."""
    first: date | None = pc.min(prepared.stored["booking_date"]).as_py()
    return first


def _insert(imported: Statement | LedgerImport) -> None:
    imported.save(force_insert=True)


def _labelled(rows: pa.Table, label: str) -> pa.Table:
    if not label:
        return rows
    place = rows.column_names.index("source")
    return rows.set_column(place, "source", pc.fill_null(rows["source"], label))


def _store_around(statement: Statement, reading: Reading) -> None:
    """Balances and row errors of a statement."""
    StatementBalance.objects.bulk_create(
        StatementBalance(
            statement=statement,
            kind=balance.kind,
            date=balance.date,
            currency=balance.currency,
            units=balance.units,
            scale=balance.scale,
        )
        for each in reading.statements
        for balance in each.balances
    )
    StatementRowError.objects.bulk_create(
        StatementRowError(
            statement=statement,
            line=error.line,
            column=(error.column or "")[:200],
            found=error.found or "",
            expected=error.expected,
            message=error.message,
            raw=error.raw or "",
            cells=error.cells,
        )
        for error in reading.errors
    )


def _record_import(
    by: Actor, kind: str, imported: Statement | LedgerImport, account: Account | None, prepared: Prepared, **more: int
) -> None:
    after = said_of_import(kind, imported, prepared, **more)
    record(by, f"{kind} imported", kind, imported.pk, account_id=account.pk if account else None, after=after)


def said_of_import(kind: str, imported: Statement | LedgerImport, prepared: Prepared, **more: int) -> dict[str, Any]:
    """What the audit trail says of an import."""
    side = Side.STATEMENT if kind == "statement" else Side.LEDGER
    after = {
        "name": imported.name,
        "sha256": imported.sha256,
        "rows": imported.record_count,
        "row_errors": len(prepared.reading.errors),
        "totals": list(totals_in_words(prepared.reading, side)),
        **more,
    }
    if prepared.repeats != "ask":
        after["rows_already_there"] = prepared.repeats
    if isinstance(imported, Statement) and imported.skipped:
        after["left_out_as_known"] = imported.skipped["lines"]
    return after
