"""What a run reads: the open rows of both sides, as the engine takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from django.db.models import QuerySet

from recon.models import IdBlock, LedgerEntry, MatchingRun, Side, Statement, StatementLine
from recon.usecases.accounts import entries_in_scope, lines_in_scope, open_rows
from recon.usecases.engine_options import rules_of
from recon.usecases.pushdown import implied_entries


@dataclass(frozen=True)
class RunInput:
    """Both sides of a run. Ledger entries with the id `next_entry` or a later one arrived after the reading."""

    statement: pa.Table
    ledger: pa.Table
    next_entry: int
    explanation: dict[str, Any]  # how the rows were read, and how many


def read_input(run: MatchingRun) -> RunInput:
    """Read the open lines a run is about, and the open entries: all in scope, or those that the lines imply."""
    next_entry = next_entry_id()
    statement = open_rows(run.account, Side.STATEMENT, lines_of_run(run))
    in_scope = entries_in_scope(run.account)
    implied = implied_entries(run, rules_of(run), statement, in_scope)
    ledger = open_entries(run, in_scope if implied is None else implied)
    how = "every open entry in scope" if implied is None else "the open entries that the lines imply, by index"
    read = {"how": how, "lines": statement.num_rows, "entries": ledger.num_rows}
    return RunInput(statement, ledger, next_entry, read)


def lines_of_run(run: MatchingRun) -> QuerySet[StatementLine]:
    """The lines a run is about: its statement's, and with `with_open_lines` those of earlier statements."""
    if run.statement is None or not run.with_open_lines:
        return lines_in_scope(run.account, run.statement)
    earlier = Statement.objects.ready().filter(account=run.account, number__lte=run.statement.number)
    return lines_in_scope(run.account).filter(statement_number__in=earlier.values("number"))


def open_entries(run: MatchingRun, entries: QuerySet[LedgerEntry]) -> pa.Table:
    """The open ones among `entries`; a ledger's transaction id is the entry's own id."""
    table = open_rows(run.account, Side.LEDGER, entries)
    return table.append_column("transaction_id", table["external_id"])


def next_entry_id() -> int:
    """The id the next ledger entry will get."""
    block = IdBlock.objects.filter(table=LedgerEntry._meta.db_table).first()
    return block.next_id if block else 1
