"""Matching by hand: rows a person chose on both sides, with a typed difference where they do not tie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from recon.models import (
    Account,
    DifferenceType,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchState,
    Origin,
    Side,
    Sign,
    reserve_ids,
)
from recon.rows import MAX_UNITS, amount
from recon.usecases.accounts.scope import entries_in_scope, hold_still, lines_in_scope, open_rows
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.review.decisions import settle
from recon.usecases.runs.claims import wait_to_claim

RowKey = int | tuple[int, int]
"""A row's id, or its id and part if it was split."""


@dataclass(frozen=True)
class Chosen:
    """A row part a person chose; its units at its own scale, from the account owner's view."""

    side: Side
    row_id: int
    part: int
    units: int
    scale: int
    currency: str
    booking_date: date | None


@dataclass(frozen=True)
class Tie:
    """What a selection adds up to. ``problem`` says why it cannot be matched, or nothing."""

    currency: str
    scale: int
    line_units: int
    entry_units: int
    problem: str = ""

    @property
    def lines(self) -> Decimal:
        return amount(self.line_units, self.scale)

    @property
    def entries(self) -> Decimal:
        return amount(self.entry_units, self.scale)

    @property
    def difference(self) -> Decimal:
        return amount(self.line_units - self.entry_units, self.scale)


def match_by_hand(
    by: Actor,
    account: Account,
    line_ids: Sequence[RowKey],
    entry_ids: Sequence[RowKey],
    *,
    difference_type: str = "",
    comment: str = "",
    run: MatchingRun | None = None,
) -> Match:
    """Make and confirm a match of the chosen rows; `run`: the run whose leftovers they are. Raises `Refused`.

    One side may be empty if the other adds up to nothing (a reversal, a returned payment). What the sides differ by
    needs a type.
    """
    with transaction.atomic():
        wait_to_claim(account.pk)
        hold_still(account.pk)
        rows = chosen_rows(account, line_ids, entry_ids)
        tie = add_up(rows, difference_type)
        if tie.problem:
            raise Refused(tie.problem)
        match = Match.objects.create(
            id=reserve_ids(Match, 1),
            account_id=account.pk,
            run_number=run.number if run else None,
            origin=Origin.MANUAL,
            state=MatchState.CONFIRMED,
            decided_by="hand",
            currency=tie.currency,
            scale=tie.scale,
            line_units=tie.line_units,
            entry_units=tie.entry_units,
            cleared_on=max((row.booking_date for row in rows if _is_line(row) and row.booking_date), default=None),
            created_at=timezone.now(),
        )
        MatchRow.objects.bulk_create(_match_row(match, row) for row in rows)
        if tie.difference:
            MatchDifference.objects.create(
                match_id=match.pk,
                units=tie.line_units - tie.entry_units,
                scale=tie.scale,
                currency=tie.currency,
                type=difference_type,
                comment=comment,
            )
        settle(match)
        after = {"lines": str(tie.lines), "entries": str(tie.entries), "difference": str(tie.difference)}
        after |= {"currency": tie.currency, "difference_type": difference_type}
        record(by, "matched by hand", "match", match.pk, account_id=account.pk, after=after, why=comment)
    return match


def add_up(rows: Sequence[Chosen], difference_type: str = "") -> Tie:
    """What the chosen rows add up to, and what stands in the way of matching them."""
    currencies = {row.currency for row in rows}
    if len(currencies) != 1:
        several = f"Rows of {', '.join(sorted(currencies))} cannot be matched with each other." if rows else ""
        return Tie("", 2, 0, 0, several or "Select rows to match.")
    scale = max(row.scale for row in rows)
    lines = sum(_at_scale(row, scale) for row in rows if _is_line(row))
    entries = sum(_at_scale(row, scale) for row in rows if not _is_line(row))
    return Tie(currencies.pop(), scale, lines, entries, _problem(rows, lines, entries, difference_type))


def chosen_rows(account: Account, line_ids: Iterable[RowKey], entry_ids: Iterable[RowKey]) -> list[Chosen]:
    """The chosen rows, each still open in this account. Raises `Refused`."""
    lines = _open_ones(account, Side.STATEMENT, lines_in_scope(account), line_ids)
    entries = _open_ones(account, Side.LEDGER, entries_in_scope(account), entry_ids)
    if account.sign == Sign.INVERTED or (account.sign == Sign.UNSIGNED and _opposite(lines, entries)):
        entries = [replace(entry, units=-entry.units) for entry in entries]
    return [*lines, *entries]


def _open_ones(account: Account, side: Side, among: QuerySet[Any], keys: Iterable[RowKey]) -> list[Chosen]:
    wanted = {key if isinstance(key, tuple) else (key, 0) for key in keys}
    if not wanted:
        return []
    rows = among.filter(pk__in=[row_id for row_id, _ in wanted])
    table = open_rows(account, side, rows, columns=("scale", "currency", "booking_date"))
    found = {(row["id"], row["part"]): row for row in table.to_pylist()}
    if wanted - found.keys():
        raise Refused(f"A chosen {side.label} row is no longer open in this account; reload to see which are.")
    return [
        Chosen(side, *key, row["units"], row["scale"], row["currency"], row["booking_date"])
        for key, row in sorted(found.items())
        if key in wanted
    ]


def _problem(rows: Sequence[Chosen], lines: int, entries: int, difference_type: str) -> str:
    if len(rows) < 2:
        return "Select at least two rows."
    if max(abs(lines), abs(entries)) > MAX_UNITS:
        return "The sum of these rows has more than 18 digits."
    if len({row.side for row in rows}) == 1 and lines != entries:
        return "Rows of one side can only be matched if they add up to zero."
    if lines != entries and difference_type not in DifferenceType.values:
        return "The two sides do not tie; say what the difference is."
    return ""


def _is_line(row: Chosen) -> bool:
    return row.side == Side.STATEMENT


def _at_scale(row: Chosen, scale: int) -> int:
    return int(row.units * 10 ** (scale - row.scale))


def _opposite(lines: Sequence[Chosen], entries: Sequence[Chosen]) -> bool:
    """Whether the two sides, of which an unsigned account does not compare the direction, point apart."""
    return (
        sum(amount(row.units, row.scale) for row in lines) * sum(amount(row.units, row.scale) for row in entries) < 0
    )


def _match_row(match: Match, row: Chosen) -> MatchRow:
    units = _at_scale(row, match.scale)
    return MatchRow(match_id=match.pk, side=row.side, row_id=row.row_id, part=row.part, units=units)
