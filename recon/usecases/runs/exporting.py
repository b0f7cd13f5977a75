"""A run's results as rows of a table, a thousand at a time, for CSV and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar

from recon.models import LedgerEntry, MatchingRun, MatchState, Side
from recon.usecases.ledger.transactions import transaction_id
from recon.usecases.runs.reading import MatchView, Page, Placed, Row, UnmatchedView, run_matches, run_unmatched

Cell = str | Decimal | int | None
Item = TypeVar("Item")

CHUNK = 1000
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula."""

MATCH_HEADER = (
    "match", "state", "origin", "rule", "rule_version", "decided_by", "cleared_on", "currency", "statement_ids",
    "statement_references", "statement_amount", "ledger_ids", "ledger_references", "ledger_amount", "difference",
    "difference_types",
)  # fmt: skip
UNMATCHED_HEADER = (
    "side", "id", "part", "date", "currency", "amount", "reference", "description", "reason", "rule", "criterion",
    "nearest_id", "nearest_reference", "nearest_date", "nearest_amount", "difference",
)  # fmt: skip


def match_rows(run: MatchingRun) -> Iterator[Sequence[Cell]]:
    """All matches of a run, state by state."""
    for state in MatchState.values:
        for view in _every(partial(_matches_after, run, state)):
            yield _match_row(view)


def unmatched_rows(run: MatchingRun) -> Iterator[Sequence[Cell]]:
    """All row parts a run left open, the statement's first."""
    for side in Side:
        for view in _every(partial(_unmatched_after, run, side)):
            yield _unmatched_row(view)


def neutral(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula: texts that start like one get an apostrophe in front.

    Numbers are left alone: they are ours, and a minus in front of an amount is no formula. A text is looked at after
    its leading spaces, which some spreadsheets drop, and full-width signs count like their narrow twins.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" \n").startswith(FORMULA_SIGNS) else cell


def _matches_after(run: MatchingRun, state: str, after: str) -> Page[MatchView]:
    return run_matches(run, state, after=after, limit=CHUNK)


def _unmatched_after(run: MatchingRun, side: Side, after: str) -> Page[UnmatchedView]:
    return run_unmatched(run, side, after=after, limit=CHUNK)


def _every(page_after: Callable[[str], Page[Item]]) -> Iterator[Item]:
    page = page_after("")
    yield from page.items
    while page.next_after:
        page = page_after(page.next_after)
        yield from page.items


def _match_row(view: MatchView) -> Sequence[Cell]:
    match = view.match
    return (
        match.pk, match.state, match.origin, view.rule.rule.name if view.rule else "",
        view.rule.number if view.rule else None, match.decided_by,
        match.cleared_on.isoformat() if match.cleared_on else "", match.currency,
        _ids(view.lines), _references(view.lines), match.line_amount,
        _ids(view.entries), _references(view.entries), match.entry_amount,
        match.difference, " ".join(difference.type for difference in view.differences),
    )  # fmt: skip


def _unmatched_row(view: UnmatchedView) -> Sequence[Cell]:
    item, row, nearest = view.item, view.row, view.nearest
    return (
        Side(item.side).label, _id(row), item.part,
        row.booking_date.isoformat() if row and row.booking_date else "", row.currency if row else "", view.amount,
        row.reference if row else "", row.description if row else "", item.reason,
        view.rule.rule.name if view.rule else "", item.criterion, _id(nearest),
        nearest.reference if nearest else "",
        nearest.booking_date.isoformat() if nearest and nearest.booking_date else "",
        nearest.amount if nearest else None, view.difference,
    )  # fmt: skip


def _ids(placed: Sequence[Placed]) -> str:
    return " ".join(_id(each.row) for each in placed if each.row)


def _id(row: Row | None) -> str:
    """The id that the bank or the books gave a row; without one ours, as the API has it."""
    if row is None:
        return ""
    return row.external_id or (transaction_id(row.pk) if isinstance(row, LedgerEntry) else str(row.pk))


def _references(placed: Sequence[Placed]) -> str:
    return " ".join(each.row.reference for each in placed if each.row and each.row.reference)
