"""Statements and ledger files: import, take back."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Plain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    ImportProfile,
    ItemState,
    LedgerEntry,
    LedgerImport,
    LoadState,
    Match,
    MatchRow,
    MatchState,
    OpenItem,
    Side,
    Statement,
    StatementBalance,
    StatementLine,
    StatementRowError,
    UnmatchedItem,
    reserve_ids,
)
from recon.statements.model import Reading
from recon.usecases.bulk import Progress
from recon.usecases.duplicates import period
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.files import Source, keep, sha256_of, stage_file
from recon.usecases.import_preview import Preview, examine, preview, read_source, totals_in_words
from recon.usecases.import_rows import entry_rows, keyed, line_rows, load_unseen

__all__ = [
    "Preview",
    "discard_statement",
    "import_ledger",
    "import_pasted",
    "import_statement",
    "preview",
    "reverse_ledger_import",
    "stage_file",
]


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
    """Store a statement file for an account: lines, balances, row errors and the original.

    All or nothing, also when killed half-way. `label` is the source named with the upload; lines that name none get
    it. `accepting` names questions (what they are about: sign, currency …) whose suggested answer will do. Raises
    Refused if the file cannot be read, has row errors (unless `good_rows_only`), leaves another question open, or
    repeats what is there (unless `allow_duplicate`).
    """
    reading, sha256 = _read_checked(
        account,
        Side.STATEMENT,
        source,
        name,
        mapping,
        good_rows_only=good_rows_only,
        allow_duplicate=allow_duplicate,
        accepting={"sign"} if account.is_builtin else accepting,
    )
    start, end = period(reading)
    first = reading.statements[0]
    statement = Statement(
        number=reserve_ids(Statement, 1),
        account=account,
        source=label or account.name,
        name=name[:255],
        sha256=sha256,
        file=keep(source, sha256),
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
        _remember(account, Side.STATEMENT, mapping)
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
    return import_statement(by, account, source, name, allow_duplicate=True, accepting={"sign"}, label=label)


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
    """Store a file of ledger entries: owned by the account, or anybody's if none is given.

    All or nothing, also when killed half-way. Raises Refused as `import_statement` does; a ledger with row errors is
    never stored in part.
    """
    reading, sha256 = _read_checked(
        account,
        Side.LEDGER,
        source,
        name,
        mapping,
        good_rows_only=False,
        allow_duplicate=allow_duplicate,
        accepting=accepting,
    )
    imported = LedgerImport(
        number=reserve_ids(LedgerImport, 1),
        account=account,
        name=name[:255],
        sha256=sha256,
        file=keep(source, sha256),
        format=reading.format,
        mapping=reading.mapping.to_dict() if reading.mapping else None,
        record_count=reading.lines.num_rows,
        imported_by=by.user,
    )

    def rows() -> pa.Table:
        owner = account.pk if account else None
        return entry_rows(
            keyed(reading.lines), import_number=imported.number, account_id=owner, created_at=timezone.now()
        )

    def reveal() -> None:
        if account is not None:
            _remember(account, Side.LEDGER, mapping)
        LedgerImport.objects.filter(pk=imported.pk).update(state=LoadState.READY)
        _record_import(by, "ledger", imported, account, reading)

    load_unseen(LedgerEntry, rows, announce=lambda: _insert(imported), reveal=reveal, progress=progress)
    imported.refresh_from_db()
    return imported


def _insert(imported: Statement | LedgerImport) -> None:
    imported.save(force_insert=True)


def _read_checked(
    account: Account | None,
    side: Side,
    source: Source,
    name: str,
    mapping: Plain[str, Any] | None,
    *,
    good_rows_only: bool,
    allow_duplicate: bool,
    accepting: Collection[str],
) -> tuple[Reading, str]:
    """The reading and the file's hash, once nothing speaks against storing it."""
    reading = read_source(source, name, account, side, mapping)
    if reading.errors and not good_rows_only:
        more = f" (and {len(reading.errors) - 1:,} more)" if len(reading.errors) > 1 else ""
        raise Refused(f"{reading.errors[0].message}{more}", reading.errors)
    if not reading.statements:
        raise Refused("The file holds no statement.", reading.errors)
    if asked := [question.text for question in reading.questions if question.about not in accepting]:
        raise Refused(" ".join(asked))
    sha256 = sha256_of(source)
    if not allow_duplicate and (repeats := examine(reading, account, side, sha256).repeats):
        raise Refused(" ".join(each.text for each in repeats))
    return reading, sha256


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


# --- taking back --------------------------------------------------------------------------------------------------


def discard_statement(by: Actor, statement: Statement, *, why: str = "") -> None:
    """Take a statement back. Raises Refused while a line of it is in a confirmed match."""
    lines = StatementLine.objects.filter(statement_number=statement.number)
    with transaction.atomic():
        _take_back(by, statement, Side.STATEMENT, lines, why)


def reverse_ledger_import(by: Actor, imported: LedgerImport, *, why: str = "") -> None:
    """Take a ledger import back. Raises Refused while an entry of it is in a confirmed match."""
    entries = LedgerEntry.objects.filter(import_number=imported.number)
    with transaction.atomic():
        _take_back(by, imported, Side.LEDGER, entries, why)


def _take_back(by: Actor, imported: Statement | LedgerImport, side: Side, rows: QuerySet[Any], why: str) -> None:
    """Rows that no run has reported on are deleted; others stay for the runs' history, where nothing reads them."""
    kind = "statement" if side == Side.STATEMENT else "ledger"
    locked = type(imported)._default_manager.select_for_update().get(pk=imported.pk)
    if locked.state != LoadState.READY:
        raise Refused(f"{imported.name} is not there to be taken back: it is {locked.state}.")
    of_row = {"side": side, "row_id": OuterRef("pk")}
    if claimed := rows.filter(Exists(Claim.objects.filter(**of_row))).count():
        raise Refused(f"{claimed:,} rows of {imported.name} are matched; unmatch them first.")
    _withdraw_suggestions(side, rows)
    now = timezone.now()
    items = OpenItem.objects.filter(side=side, row_id__in=rows.values("pk")).unresolved()
    items.update(state=ItemState.RESOLVED, resolved_at=now, hold_until=None, reason="taken_back")
    reported = Exists(MatchRow.objects.filter(**of_row)) | Exists(UnmatchedItem.objects.filter(**of_row))
    rows.exclude(reported | Exists(OpenItem.objects.filter(**of_row))).delete()
    locked.state = LoadState.DISCARDED
    locked.save(update_fields=["state"])
    verb = "statement discarded" if side == Side.STATEMENT else "ledger import reversed"
    before = {"name": imported.name, "rows": imported.record_count}
    record(by, verb, kind, imported.pk, account_id=imported.account_id, before=before, why=why)


def _withdraw_suggestions(side: Side, rows: QuerySet[Any]) -> None:
    matches = MatchRow.objects.filter(side=side, row_id__in=rows.values("pk")).values("match_id")
    Match.objects.filter(pk__in=matches, state__in=(MatchState.SUGGESTED, MatchState.PROPOSED)).update(
        state=MatchState.WITHDRAWN, state_changed_at=timezone.now()
    )
