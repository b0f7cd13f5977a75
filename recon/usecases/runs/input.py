"""What a run reads: the open rows of both sides, as the engine takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from django.db.models import QuerySet

from recon.engine import Options, match
from recon.engine.sides import grouped_sides
from recon.models import FINAL_STATUSES, IdBlock, LedgerEntry, MatchingRun, Side, Statement, StatementLine, Strategy
from recon.usecases.accounts.scope import ROW_COLUMNS, as_read, entries_in_scope, lines_in_scope, open_rows
from recon.usecases.bulk.alongside import alongside
from recon.usecases.bulk.rows import Progress
from recon.usecases.errors import Refused
from recon.usecases.grouping import grouping_fields
from recon.usecases.runs.engine_options import rules_of
from recon.usecases.runs.entries_by_id import open_entries_by_id
from recon.usecases.runs.group_members import claimed_members, last_event, taken_back_since
from recon.usecases.runs.pushdown import (
    Choice,
    WithLines,
    choose_for_each,
    everything,
    may_be_narrowed,
    with_near_misses,
)
from rules.criteria import Rule
from rules.criteria.scope import Side as EngineSide
from rules.kept_queries import KeptQuery

READINGS = 5
"""How often groups are read again because a match was undone meanwhile."""


@dataclass(frozen=True)
class RunInput:
    """Both sides of a run. Ledger entries with the id `next_entry` or a later one arrived after the reading."""

    statement: pa.Table
    ledger: pa.Table
    next_entry: int
    explanation: dict[str, Any]  # how the rows were read, and how many
    claimed: dict[EngineSide, pa.Table] = field(default_factory=dict)  # see `claimed_members`


def read_input(run: MatchingRun, progress: Progress, options: Options | None = None) -> RunInput:
    """Read the open lines a run is about, and the open entries: all in scope, or those that the lines imply.

    With the engine's `options` the nearest misses of many lines are looked up only for those that it leaves open.

    `progress` hears of the rows of both, and may raise to stop.
    """
    if not (grouped_sides(run.strategy) and grouping_fields(run.grouping)):
        return _read_once(run, progress, options)
    for _ in range(READINGS):
        since = last_event(run.account)
        rows = _read_once(run, progress, options)
        # What was claimed when open rows were read, and no more when claimed ones were, is missing from its group.
        if not taken_back_since(run.account, since):
            return rows
    raise Refused(f"Matches were undone {READINGS} times while this run read its rows; start it again.")


def _read_once(run: MatchingRun, progress: Progress, options: Options | None) -> RunInput:
    done: dict[Side, int] = {}

    def heard(side: Side, rows: int) -> None:
        done[side] = rows
        progress(sum(done.values()))

    of_lines, of_entries = partial(heard, Side.STATEMENT), partial(heard, Side.LEDGER)
    next_entry, lines, in_scope = next_entry_id(), lines_of_run(run), entries_in_scope(run.account)
    if may_be_narrowed(run, lines):
        statement = open_lines(run, lines, of_lines, few=True)
        choice, ledger = narrowed_entries(run, rules_of(run), statement, in_scope, of_entries, options or Options())
    else:
        choice = everything(in_scope, "groups or so many lines need most of them")
        statement, ledger = alongside(
            partial(open_lines, run, lines, of_lines, most=True),
            partial(open_entries, run, in_scope, of_entries, most=True),
        )
    # Only now: what is claimed meanwhile is then found in both, not in neither.
    claimed = _claimed(run, lines, in_scope)
    return RunInput(statement, ledger, next_entry, how_read(choice, statement, ledger), claimed)


def how_read(choice: Choice, lines: pa.Table, entries: pa.Table) -> dict[str, Any]:
    """How the rows of a run were read, as its explanation has it."""
    read = {"how": choice.how, "lines": lines.num_rows, "entries": entries.num_rows, **choice.estimate}
    return {**read, "narrowed": True} if choice.narrowed else read


def narrowed_entries(
    run: MatchingRun,
    rules: Sequence[Rule],
    lines: pa.Table,
    in_scope: QuerySet[LedgerEntry],
    progress: Progress,
    options: Options,
) -> tuple[Choice, pa.Table]:
    """The open entries that a small run reads, and how they were chosen."""
    return narrowed_for_each([(run, rules, lines)], in_scope, progress, [options])[0]


def narrowed_for_each(
    asked: Sequence[WithLines], in_scope: QuerySet[LedgerEntry], progress: Progress, options: Sequence[Options]
) -> list[tuple[Choice, pa.Table]]:
    """The same for several runs of one account and strategy, each as if it were alone; the ledger is read once."""
    choices = choose_for_each(asked, in_scope)
    read = _OpenEntries(asked[0][0], progress)
    read.by_id({each for choice in choices if choice.narrowed and choice.few for each in choice.found})
    return [
        _near_misses_too(each, choice, read(choice), progress, own)
        for each, choice, own in zip(asked, choices, options, strict=True)
    ]


class _OpenEntries:
    """The open entries that were chosen, of which none is read twice."""

    def __init__(self, run: MatchingRun, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self._found: pa.Table | None = None
        self._whole: dict[bool, pa.Table] = {}

    def by_id(self, ids: set[int]) -> None:
        if ids:
            columns = compared(self.run.strategy, Side.LEDGER)
            self._found = with_transaction_id(open_entries_by_id(self.run.account, sorted(ids), columns))

    def __call__(self, choice: Choice) -> pa.Table:
        if self._found is not None and choice.narrowed and choice.few:
            return self._found.filter(pc.is_in(self._found["id"], pa.array(choice.found, pa.int64())))
        if choice.narrowed:
            return open_entries(self.run, choice.entries, self.progress, few=choice.few)
        if choice.few not in self._whole:
            self._whole[choice.few] = open_entries(self.run, choice.entries, self.progress, few=choice.few)
        return self._whole[choice.few]


def _near_misses_too(
    asked: WithLines, choice: Choice, entries: pa.Table, progress: Progress, options: Options
) -> tuple[Choice, pa.Table]:
    """The entries that were read, with those that are looked up only for lines that these leave open."""
    run, rules, lines = asked
    if not (choice.narrowed and choice.later):
        return choice, entries
    taken = match(rules, lines, entries, replace(options, reasons=False)).match_rows
    of_lines = pc.equal(taken["side"], int(Side.STATEMENT))
    is_taken = pc.is_in(lines["id"], taken["id"].filter(of_lines).combine_chunks())
    left = lines.filter(pc.or_(pc.invert(is_taken), pc.greater(lines["part"], 0)))
    if left.num_rows:
        choice = with_near_misses(run, choice, left)
        so_far = entries.num_rows if choice.narrowed else 0
        more = open_entries(run, choice.entries, lambda done: progress(so_far + done), few=choice.few)
        entries = pa.concat_tables([entries, more]) if choice.narrowed else more
    return choice, entries


def fresh_input(run: MatchingRun, lines: pa.Table, entries: pa.Table) -> RunInput:
    """What `read_input` would read in an account that has nothing but a statement and a ledger that were just stored,
    given as they were. Nothing of theirs can be claimed or split yet, and nobody's balances turn their signs."""
    is_final = pc.is_in(entries["status"], pa.array(FINAL_STATUSES))
    statement = as_read(Side.STATEMENT, lines, compared(run.strategy, Side.STATEMENT))
    final = as_read(Side.LEDGER, entries, compared(run.strategy, Side.LEDGER))
    if not pc.all(is_final).as_py():
        final = final.filter(is_final)
    ledger = with_transaction_id(final)
    read = {"how": "the rows of both files, as they were stored", "lines": lines.num_rows, "entries": final.num_rows}
    return RunInput(statement, ledger, entries["id"][-1].as_py() + 1 if entries.num_rows else next_entry_id(), read)


def _claimed(
    run: MatchingRun, lines: QuerySet[StatementLine], entries: QuerySet[LedgerEntry]
) -> dict[EngineSide, pa.Table]:
    """By grouped side what open rows must not be the rest of (`claimed_members`)."""
    found: dict[EngineSide, pa.Table] = {}
    for side in grouped_sides(run.strategy) if grouping_fields(run.grouping) else ():
        if side == "statement":
            found[side] = claimed_members(run, Side.STATEMENT, lines)
        else:
            found[side] = with_transaction_id(claimed_members(run, Side.LEDGER, entries))
    return found


def lines_of_run(run: MatchingRun) -> QuerySet[StatementLine]:
    """The lines a run is about: its statement's, and with `with_open_lines` those of earlier statements."""
    if run.statement is None or not run.with_open_lines:
        return lines_in_scope(run.account, run.statement)
    earlier = Statement.objects.ready().filter(account=run.account, number__lte=run.statement.number)
    return lines_in_scope(run.account).filter(statement_number__in=earlier.values("number"))


def open_lines(
    run: MatchingRun, lines: QuerySet[StatementLine], progress: Progress | None = None, **how_many: bool
) -> pa.Table:
    """The open ones among `lines`; `how_many` as for `open_rows`: `few`, `most`."""
    columns = compared(run.strategy, Side.STATEMENT)
    return open_rows(run.account, Side.STATEMENT, lines, columns=columns, progress=progress, **how_many)


def open_entries(
    run: MatchingRun, entries: QuerySet[LedgerEntry], progress: Progress | None = None, **how_many: bool
) -> pa.Table:
    """The open ones among `entries`, in the same way; a ledger's transaction id is the entry's own id."""
    columns = compared(run.strategy, Side.LEDGER)
    table = open_rows(run.account, Side.LEDGER, entries, columns=columns, progress=progress, **how_many)
    return with_transaction_id(table)


def with_transaction_id(table: pa.Table) -> pa.Table:
    own_id = "external_id"
    return table.append_column("transaction_id", table[own_id]) if own_id in table.column_names else table


NOT_COMPARED: Final = {"external_id", "amount_text", "position", "statement_number", "created_at"}
"""What only a group may have in common. Pairs of rows differ in it and are twins all the same."""


def compared(strategy: str, side: Side) -> tuple[str, ...]:
    """The columns of a side that a run with this strategy may look at.

    Not the keys of texts: the engine makes those that a rule needs quicker than they are read.
    """
    left_out = NOT_COMPARED if strategy == Strategy.ONE_TO_ONE else set()
    return tuple(name for name in ROW_COLUMNS[side] if name not in left_out and not name.endswith("_key"))


def next_entry_id() -> int:
    """The id the next ledger entry will get."""
    block = _block.first(LedgerEntry._meta.db_table)
    return block.next_id if block else 1


_block = KeptQuery(lambda table: IdBlock.objects.filter(table=table))
