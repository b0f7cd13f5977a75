"""Statements and ledger files: import, take back."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Plain
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.utils import timezone

from recon.models import (
    Account,
    ImportProfile,
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
from recon.statements.model import Question, Reading
from recon.usecases.bulk import Progress
from recon.usecases.duplicates import period
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.files import Source, keep, sha256_of, stage_file
from recon.usecases.import_preview import Preview, examine, preview, read_source, totals_in_words
from recon.usecases.import_rows import entry_rows, keyed, line_rows, load_unseen
from recon.usecases.taking_back import discard_statement, reverse_ledger_import

__all__ = [
    "Prepared",
    "Preview",
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


AS_THEY_STAND: Final = frozenset({"sign=as_given", "columns.booking_date"})
"""What rows from a program or a person's hand need not say: plus is money in, and a row may have no date. Rows whose
signs look turned round are refused all the same: nothing is inverted in silence."""


@dataclass(frozen=True)
class Prepared:
    """A file that was read and may be stored: nothing speaks against it."""

    source: Source
    name: str
    reading: Reading
    sha256: str
    mapping: Plain[str, Any] | None = None  # if somebody chose one: it will be remembered


def import_statement(
    by: Actor,
    account: Account,
    source: Source,
    name: str,
    *,
    mapping: Plain[str, Any] | None = None,
    good_rows_only: bool = False,
    allow_duplicate: bool = False,
    accepting: Collection[str] = (),
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
        allow_duplicate=allow_duplicate,
        accepting=AS_THEY_STAND if account.is_builtin else accepting,
    )
    return store_statement(by, account, prepared, label=label, progress=progress)


def prepare(
    account: Account | None,
    side: Side,
    source: Source,
    name: str,
    *,
    mapping: Plain[str, Any] | None = None,
    good_rows_only: bool = False,
    allow_duplicate: bool = False,
    accepting: Collection[str] = (),
) -> Prepared:
    """Read a file for an account, which need not be saved yet, without storing anything.

    `accepting` names questions (what they are about: sign, currency …) whose suggested answer will do, or, as
    "sign=as_given", the one suggestion that will. Raises Refused if the file cannot be read, has row errors (unless
    `good_rows_only`), leaves another question open, or repeats what is there (unless `allow_duplicate`).
    """
    reading = read_source(source, name, account, side, mapping)
    if reading.errors and not good_rows_only:
        more = f" (and {len(reading.errors) - 1:,} more)" if len(reading.errors) > 1 else ""
        raise Refused(f"{reading.errors[0].message}{more}", reading.errors)
    if not reading.statements:
        raise Refused("The file holds no statement.", reading.errors)
    if asked := [question.text for question in reading.questions if not {*_names(question)} & {*accepting}]:
        raise Refused(" ".join(asked))
    sha256 = sha256_of(source)
    if not allow_duplicate and (repeats := examine(reading, account, side, sha256).repeats):
        raise Refused(" ".join(each.text for each in repeats))
    return Prepared(source, name, reading, sha256, mapping)


def _names(question: Question) -> tuple[str, str]:
    return question.about, f"{question.about}={question.suggested}"


def store_statement(
    by: Actor, account: Account, prepared: Prepared, *, label: str = "", progress: Progress | None = None
) -> Statement:
    """Store lines, balances, row errors and the original. All or nothing, also when killed half-way.

    `label` is the source named with the upload; lines that name none get it.
    """
    reading, sha256 = prepared.reading, prepared.sha256
    start, end = period(reading)
    first = reading.statements[0]
    statement = Statement(
        number=reserve_ids(Statement, 1),
        account=account,
        source=label or account.name,
        name=prepared.name[:255],
        sha256=sha256,
        file=keep(prepared.source, sha256),
        format=reading.format,
        encoding=reading.encoding or "",
        mapping=reading.mapping.to_dict() if reading.mapping else None,
        account_number=(first.account or "")[:64],
        statement_number=(first.number or "")[:64],
        period_start=start,
        period_end=end,
        record_count=reading.lines.num_rows,
        uploaded_by=by.user,
    )

    def rows() -> pa.Table:
        lines = _labelled(keyed(reading.lines), label)
        return line_rows(lines, statement_number=statement.number, account_id=account.pk)

    def reveal() -> None:
        _store_around(statement, reading)
        _remember(account, Side.STATEMENT, prepared.mapping)
        Statement.objects.filter(pk=statement.pk).update(state=LoadState.READY)
        _record_import(by, "statement", statement, account, reading)

    load_unseen(StatementLine, rows, announce=lambda: _insert(statement), reveal=reveal, progress=progress)
    statement.refresh_from_db()
    return statement


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
    reading = read_source(source, name, account, Side.STATEMENT)
    if reading.lines.num_rows > settings.INSTANT_LIMIT:
        raise Refused(
            f"{reading.lines.num_rows:,} rows were pasted; at most {settings.INSTANT_LIMIT:,} can be: upload a file."
        )
    return import_statement(by, account, source, name, allow_duplicate=True, accepting=AS_THEY_STAND, label=label)


def import_ledger(
    by: Actor,
    account: Account | None,
    source: Source,
    name: str,
    *,
    mapping: Plain[str, Any] | None = None,
    allow_duplicate: bool = False,
    accepting: Collection[str] = (),
    progress: Progress | None = None,
) -> LedgerImport:
    """Store a file of ledger entries: `prepare` and `store_ledger`. One with row errors is never stored in part."""
    prepared = prepare(
        account, Side.LEDGER, source, name, mapping=mapping, allow_duplicate=allow_duplicate, accepting=accepting
    )
    return store_ledger(by, account, prepared, progress=progress)


def store_ledger(
    by: Actor, account: Account | None, prepared: Prepared, *, progress: Progress | None = None
) -> LedgerImport:
    """Store ledger entries, owned by the account or anybody's if none is given. All or nothing, also when killed."""
    reading, owner = prepared.reading, account.pk if account else None
    imported = LedgerImport(
        number=reserve_ids(LedgerImport, 1),
        account=account,
        name=prepared.name[:255],
        sha256=prepared.sha256,
        file=keep(prepared.source, prepared.sha256),
        format=reading.format,
        mapping=reading.mapping.to_dict() if reading.mapping else None,
        record_count=reading.lines.num_rows,
        imported_by=by.user,
    )

    def rows() -> pa.Table:
        entries = keyed(reading.lines)
        return entry_rows(entries, import_number=imported.number, account_id=owner, created_at=timezone.now())

    def reveal() -> None:
        if account is not None:
            _remember(account, Side.LEDGER, prepared.mapping)
        LedgerImport.objects.filter(pk=imported.pk).update(state=LoadState.READY)
        _record_import(by, "ledger", imported, account, reading)

    load_unseen(LedgerEntry, rows, announce=lambda: _insert(imported), reveal=reveal, progress=progress)
    imported.refresh_from_db()
    return imported


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
        )
        for error in reading.errors
    )


def _remember(account: Account, side: Side, mapping: Plain[str, Any] | None) -> None:
    """A mapping that somebody chose becomes the account's import profile."""
    if mapping is None or account.is_builtin:
        return
    name = f"{account.name[:170]}: {side.label} files"
    profile, _ = ImportProfile.objects.update_or_create(name=name, defaults={"mapping": dict(mapping)})
    field = "statement_profile" if side == Side.STATEMENT else "ledger_profile"
    setattr(account, field, profile)
    account.save(update_fields=[field])


def _record_import(
    by: Actor, kind: str, imported: Statement | LedgerImport, account: Account | None, reading: Reading
) -> None:
    side = Side.STATEMENT if kind == "statement" else Side.LEDGER
    after = {
        "name": imported.name,
        "sha256": imported.sha256,
        "rows": imported.record_count,
        "row_errors": len(reading.errors),
        "totals": list(totals_in_words(reading, side)),
    }
    record(by, f"{kind} imported", kind, imported.pk, account_id=account.pk if account else None, after=after)
