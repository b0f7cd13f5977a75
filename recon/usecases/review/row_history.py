"""A row's history: every match it was ever part of, with the rows on the other side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from recon.models import LedgerEntry, Match, MatchDifference, MatchingRun, MatchRow, Side, StatementLine
from rules.models import RuleVersion


@dataclass(frozen=True)
class Settlement:
    """One match of a row. `rule` and `run` are None for a match made by hand."""

    match: Match
    run: MatchingRun | None
    rule: RuleVersion | None
    lines: tuple[StatementLine, ...]
    entries: tuple[LedgerEntry, ...]
    differences: tuple[MatchDifference, ...]


def settlements(side: Side, row_id: int, limit: int = 20) -> list[Settlement]:
    """The row's matches, newest first: also what was rejected, undone or withdrawn. Seven queries at most."""
    ids = MatchRow.objects.filter(side=side, row_id=row_id).order_by("-match_id").values_list("match_id", flat=True)
    matches = list(Match.objects.visible().filter(pk__in=list(ids[:limit])).order_by("-pk"))
    runs = {run.number: run for run in MatchingRun.objects.filter(number__in={m.run_number for m in matches})}
    versions = RuleVersion.objects.select_related("rule").in_bulk({m.rule_version_id for m in matches} - {None})
    differences = defaultdict(list)
    for difference in MatchDifference.objects.filter(match_id__in=[match.pk for match in matches]):
        differences[difference.match_id].append(difference)
    rows = _rows_of(match.pk for match in matches)
    return [
        Settlement(
            match,
            runs.get(match.run_number) if match.run_number else None,
            versions.get(match.rule_version_id) if match.rule_version_id else None,
            tuple(row for row in rows[match.pk] if isinstance(row, StatementLine)),
            tuple(row for row in rows[match.pk] if isinstance(row, LedgerEntry)),
            tuple(differences[match.pk]),
        )
        for match in matches
    ]


def _rows_of(match_ids: Iterable[int]) -> defaultdict[int, list[StatementLine | LedgerEntry]]:
    places = list(MatchRow.objects.filter(match_id__in=list(match_ids)).order_by("match_id", "side", "row_id"))
    lines = StatementLine.objects.in_bulk({place.row_id for place in places if place.side == Side.STATEMENT})
    entries = LedgerEntry.objects.in_bulk({place.row_id for place in places if place.side == Side.LEDGER})
    rows = defaultdict(list)
    for place in places:
        row = lines.get(place.row_id) if place.side == Side.STATEMENT else entries.get(place.row_id)
        if row is not None:
            rows[place.match_id].append(row)
    return rows
