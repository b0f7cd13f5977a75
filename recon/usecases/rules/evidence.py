"""What is known about an account's rows: pairs that people and rules settled, pairs people refused, rows still open.

A proposed rule is judged by it: what would it do to rows whose partner is known?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from django.db.models import Exists, OuterRef, Q, QuerySet

from recon.models import (
    Account,
    Claim,
    LedgerEntry,
    Match,
    MatchingRun,
    MatchRow,
    MatchState,
    OpenItem,
    Origin,
    Side,
    StatementLine,
    UnmatchedItem,
)
from recon.usecases.accounts.scope import all_rows, entries_in_scope, lines_in_scope, open_rows

HISTORY = 2_000
"""The newest decided matches that a proposal is judged by."""
OPEN_LINES = 2_000
OPEN_ENTRIES = 20_000
"""Open rows that a proposal is tried on beside them, the newest: they are what could be taken by mistake."""
DAYS_AROUND = 45

Pair = tuple[int, int]
"""Ids of a statement line and a ledger entry."""


@dataclass(frozen=True)
class Evidence:
    """Rows of both sides, and which of them are known to belong together, or not to."""

    account: Account
    lines: pa.Table
    entries: pa.Table
    known: frozenset[Pair] = frozenset()
    refused: frozenset[Pair] = frozenset()  # a person rejected or unmatched them
    settled_lines: frozenset[int] = frozenset()
    settled_entries: frozenset[int] = frozenset()


def gather(account: Account, run: MatchingRun | None, wanted: Sequence[Pair] = ()) -> Evidence:
    """The newest history, the open rows, and the rows of the wanted pairs."""
    known = pairs_of(newest_confirmed(account))
    refused = pairs_of(newest_refused(account)) - known
    settled = known | set(wanted)
    evidence = evidence_of(account, settled, refused, run)
    return replace(evidence, known=frozenset(known))


def evidence_of(
    account: Account, settled: set[Pair], refused: Iterable[Pair] = (), run: MatchingRun | None = None
) -> Evidence:
    """The rows of settled and refused pairs, and beside them the open ones."""
    pairs = settled | set(refused)
    open_lines, open_entries = open_sides(account, run)
    lines = _table(account, Side.STATEMENT, {line for line, _ in pairs}, open_lines)
    entries = _table(account, Side.LEDGER, {entry for _, entry in pairs}, open_entries)
    return Evidence(
        account,
        lines,
        entries.append_column("transaction_id", entries["external_id"]),
        frozenset(settled),
        frozenset(refused),
        frozenset(line for line, _ in settled),
        frozenset(entry for _, entry in settled),
    )


def pairs_of(match_ids: Iterable[int]) -> set[Pair]:
    """The matches of one whole line with one whole entry; others say nothing that a rule for pairs could learn."""
    sides: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: {Side.STATEMENT: [], Side.LEDGER: []})
    rows = MatchRow.objects.filter(match_id__in=list(match_ids))
    for match_id, side, row_id, part in rows.values_list("match_id", "side", "row_id", "part"):
        sides[match_id][side].append((row_id, part))
    found = [(each[Side.STATEMENT], each[Side.LEDGER]) for each in sides.values()]
    return {
        (lines[0][0], entries[0][0])
        for lines, entries in found
        if len(lines) == len(entries) == 1 and lines[0][1] == entries[0][1] == 0
    }


def matched_by_hand(account: Account, limit: int) -> list[Match]:
    """The newest matches that people made."""
    made = Match.objects.filter(account_id=account.pk, origin=Origin.MANUAL, state=MatchState.CONFIRMED)
    return list(made.order_by("-pk")[:limit])


def open_sides(account: Account, run: MatchingRun | None) -> tuple[pa.Table, pa.Table]:
    """Open lines (those that the run left, if there is one), and the open entries around their dates."""
    left: QuerySet[Any]
    if run is not None:
        left = UnmatchedItem.objects.filter(run_number=run.number, side=Side.STATEMENT, part=0).order_by("-row_id")
    else:
        left = OpenItem.objects.unresolved().for_account(account).filter(side=Side.STATEMENT, part=0).order_by("-pk")
    ids = list(left.values_list("row_id", flat=True)[:OPEN_LINES])
    lines = open_rows(account, Side.STATEMENT, lines_in_scope(account).filter(pk__in=_some(ids)))
    entries = entries_in_scope(account)
    days = pc.min_max(lines["booking_date"]).as_py()
    if days["min"] is not None:
        around = (days["min"] - timedelta(days=DAYS_AROUND), days["max"] + timedelta(days=DAYS_AROUND))
        entries = entries.filter(Q(booking_date__range=around) | Q(booking_date__isnull=True))
    claimed = Claim.objects.filter(account_id=account.pk, side=Side.LEDGER, row_id=OuterRef("pk"))
    newest = entries.filter(~Exists(claimed)).order_by("-pk").values_list("pk", flat=True)[:OPEN_ENTRIES]
    return lines, open_rows(account, Side.LEDGER, entries.filter(pk__in=_some(newest)))


def _some(ids: Iterable[int]) -> list[int]:
    """The ids; the id of no row if there are none, because no query can be written for an empty list."""
    return list(ids) or [0]


def newest_confirmed(account: Account) -> list[int]:
    """Ids of the newest matches that stand."""
    return _newest(account, MatchState.CONFIRMED)


def newest_refused(account: Account) -> list[int]:
    """Ids of the newest matches that people rejected or unmatched."""
    return _newest(account, MatchState.REJECTED, MatchState.UNDONE)


def _newest(account: Account, *states: MatchState) -> list[int]:
    found = Match.objects.visible().filter(account_id=account.pk, state__in=states).order_by("-pk")
    return list(found.values_list("pk", flat=True)[:HISTORY])


def _table(account: Account, side: Side, ids: set[int], beside: pa.Table) -> pa.Table:
    """The rows with these ids, and beside them those of a table that are not among them."""
    model = StatementLine if side == Side.STATEMENT else LedgerEntry
    rows = all_rows(account, side, model._default_manager.filter(pk__in=_some(ids)))
    others = beside.filter(pc.invert(pc.is_in(beside["id"], pa.array(sorted(ids), pa.int64()))))
    return pa.concat_tables([rows, others.filter(pc.equal(others["part"], 0)).select(rows.column_names)])
