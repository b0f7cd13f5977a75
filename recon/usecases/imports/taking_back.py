"""Statements and ledger imports taken back: by mistake imported, or replaced."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    ItemState,
    LedgerEntry,
    LedgerImport,
    LoadState,
    MatchRow,
    OpenItem,
    Side,
    Statement,
    StatementLine,
    UnmatchedItem,
)
from recon.usecases.accounts.closing import refuse_closed_import
from recon.usecases.bulk.apart_indexes import make_missing
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.discrepancies import check_statement
from recon.usecases.imports.restoring import give_way
from recon.usecases.review.withdrawing import withdraw_suggestions_on


def discard_statement(by: Actor, statement: Statement, *, why: str = "") -> None:
    """Take a statement back; what it had replaced is there again, see `give_way`.

    Raises Refused while a line of it, other than those it has from its predecessor, is in a confirmed match.
    """
    lines = StatementLine.objects.filter(statement_number=statement.number)
    make_missing(MatchRow)  # by which each row's history is looked for
    with transaction.atomic():
        restored = give_way(by, statement, why)
        _take_back(by, statement, Side.STATEMENT, lines, why)
        if restored is not None:
            check_statement(by, restored)


def reverse_ledger_import(by: Actor, imported: LedgerImport, *, why: str = "") -> None:
    """Take a ledger import back. Raises Refused while an entry of it is in a confirmed match."""
    entries = LedgerEntry.objects.filter(import_number=imported.number)
    make_missing(MatchRow)  # by which each row's history is looked for
    with transaction.atomic():
        _take_back(by, imported, Side.LEDGER, entries, why)


def _take_back(by: Actor, imported: Statement | LedgerImport, side: Side, rows: QuerySet[Any], why: str) -> None:
    """Rows that no run has reported on are deleted; others stay for the runs' history, where nothing reads them."""
    kind = "statement" if side == Side.STATEMENT else "ledger"
    # The accounts first, as imports do.
    owners = Account.objects.filter(pk=imported.account_id) if imported.account_id else Account.objects.for_people()
    refuse_closed_import(rows, owners, imported.name)
    locked = type(imported)._default_manager.select_for_update().get(pk=imported.pk)
    if locked.state != LoadState.READY:
        raise Refused(f"{imported.name} is not there to be taken back: it is {locked.state}.")
    of_row = {"side": side, "row_id": OuterRef("pk")}
    if claimed := rows.filter(Exists(Claim.objects.filter(**of_row))).count():
        raise Refused(f"{claimed:,} rows of {imported.name} are matched; unmatch them first.")
    withdraw_suggestions_on(side, rows)
    now = timezone.now()
    items = OpenItem.objects.filter(side=side, row_id__in=rows.values("pk")).unresolved()
    resolved = {"state": ItemState.RESOLVED, "resolved_at": now, "hold_until": None, "reason": "taken_back"}
    items.update(**resolved)
    items.update(**resolved)  # those that a large run has moved to another table while the first look waited for it
    reported = Exists(MatchRow.objects.filter(**of_row)) | Exists(UnmatchedItem.objects.filter(**of_row))
    rows.exclude(reported | Exists(OpenItem.objects.filter(**of_row))).delete()
    locked.state = LoadState.DISCARDED
    locked.save(update_fields=["state"])
    verb = "statement discarded" if side == Side.STATEMENT else "ledger import reversed"
    before = {"name": imported.name, "rows": imported.record_count}
    record(by, verb, kind, imported.pk, account_id=imported.account_id, before=before, why=why)
    if isinstance(locked, Statement):
        check_statement(by, locked)
