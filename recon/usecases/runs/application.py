"""Applying a dry run: its outcome, read back, as far as it still holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from django.db.models import F, QuerySet

from recon.engine import Outcome, match
from recon.models import (
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchRunnerUp,
    MatchState,
    Side,
    UnmatchedItem,
)
from recon.usecases.accounts.scope import entries_in_scope, lines_in_scope, open_rows
from recon.usecases.bulk.rows import read_queryset
from recon.usecases.runs.engine_options import engine_options, rules_of
from recon.usecases.runs.input import RunInput, next_entry_id, open_entries, open_lines
from recon.usecases.runs.lease import Heartbeat
from rules.models import RuleVersion

TAKEN = "claimed_by_another"
"""The reason of an open row whose match in the dry run no longer holds."""

ROW_KEY = ["side", "id", "part"]
MATCH_COLUMNS = ("origin", "decided_by", "currency", "scale", "line_units", "entry_units", "cleared_on")


@dataclass(frozen=True)
class Application:
    """A dry run seen from now: its rows that are still open, its outcome on them, and what no longer holds."""

    rows: RunInput
    outcome: Outcome
    dropped: int  # matches that would have been confirmed and no longer hold
    changed_rules: list[str]  # names of rules that were changed since; their matches are among the dropped


def read_application(dry: MatchingRun) -> Application:
    """The outcome of a dry run, without matches of which a row is no longer open or the rule was changed since."""
    rows = _open_rows_of(dry)
    placed = _read_rows(dry)
    matches = read_queryset(_matches(dry), ("id", "rule_version_id", "state", *MATCH_COLUMNS))
    version_ids = list(dry.run_rules.values_list("version_id", flat=True))
    changed = RuleVersion.objects.filter(pk__in=version_ids).exclude(number=F("rule__version")).select_related("rule")
    broken = placed.join(_keys(rows), ROW_KEY, join_type="left anti")
    fails = pc.or_(
        pc.is_in(matches["id"], value_set=broken["match_id"].combine_chunks()),
        pc.is_in(matches["rule_version_id"], value_set=pa.array([each.pk for each in changed], pa.int64())),
    )
    proposed = pc.equal(matches["state"], MatchState.PROPOSED.value)
    dropped = matches.filter(pc.and_(fails, proposed)).num_rows
    outcome = _outcome(dry, rows, matches.filter(pc.invert(fails)), placed, version_ids)
    return Application(rows, outcome, dropped, sorted({each.rule.name for each in changed}))


def competing(run: MatchingRun, dry: MatchingRun, heartbeat: Heartbeat) -> dict[str, int]:
    """How many ledger entries arrived since a dry run, and how many of them its matched lines would have had too."""
    arrived = open_entries(run, entries_in_scope(run.account).filter(pk__gte=dry.explanation["next_entry"]))
    if not arrived.num_rows:
        return {"arrived": 0, "would_have_competed": 0}
    matched = _match_rows(dry).filter(side=Side.STATEMENT).values("row_id")
    lines = open_lines(run, lines_in_scope(run.account).filter(pk__in=matched))
    found = match(rules_of(run), lines, arrived, engine_options(run, heartbeat)).match_rows
    rivals = found.filter(pc.equal(found["side"], int(Side.LEDGER))).num_rows
    return {"arrived": arrived.num_rows, "would_have_competed": rivals}


def _matches(dry: MatchingRun) -> QuerySet[Match]:
    return Match.objects.filter(run_number=dry.number).order_by()


def _match_rows(dry: MatchingRun) -> QuerySet[MatchRow]:
    return MatchRow.objects.filter(match_id__in=_matches(dry).values("id"))


def _unmatched_items(dry: MatchingRun) -> QuerySet[UnmatchedItem]:
    return UnmatchedItem.objects.filter(run_number=dry.number)


def _open_rows_of(dry: MatchingRun) -> RunInput:
    """The rows that the dry run placed or left, as far as they are still open."""
    found = {}
    for side, rows in ((Side.STATEMENT, lines_in_scope(dry.account)), (Side.LEDGER, entries_in_scope(dry.account))):
        placed = _match_rows(dry).filter(side=side).values("row_id")
        left = _unmatched_items(dry).filter(side=side).values("row_id")
        found[side] = open_rows(dry.account, side, rows.filter(pk__in=placed.union(left, all=True)))
    statement, ledger = found[Side.STATEMENT], found[Side.LEDGER]
    read = {"how": f"the rows of dry run {dry.number}", "lines": statement.num_rows, "entries": ledger.num_rows}
    if dry.explanation["rows"].get("narrowed"):
        read["narrowed"] = True
    return RunInput(statement, ledger, next_entry_id(), read)


def _read_rows(dry: MatchingRun) -> pa.Table:
    table = read_queryset(_match_rows(dry), ("match_id", "side", "row_id", "part", "units"))
    return table.rename_columns(["match_id", *ROW_KEY, "units"])


def _keys(rows: RunInput) -> pa.Table:
    """The open rows of both sides by side, id and part, with the types of stored rows."""
    return pa.concat_tables(
        pa.table(
            {
                "side": pa.repeat(pa.scalar(int(side), pa.int16()), table.num_rows),
                "id": table["id"],
                "part": table["part"],
            }
        )
        for side, table in ((Side.STATEMENT, rows.statement), (Side.LEDGER, rows.ledger))
    )


def _outcome(
    dry: MatchingRun, rows: RunInput, kept: pa.Table, placed: pa.Table, version_ids: Sequence[int]
) -> Outcome:
    """The stored outcome in the engine's shape, with the kept matches numbered anew."""
    ids, versions = kept["id"].combine_chunks(), pa.array(version_ids, pa.int64())
    of_kept = _numbered(placed, ids)
    confirmed = pc.equal(kept["state"], MatchState.PROPOSED.value)
    differences = MatchDifference.objects.filter(match_id__in=_matches(dry).values("id")).order_by()
    runners_up = MatchRunnerUp.objects.filter(match_id__in=_matches(dry).values("id")).order_by()
    runner_up_columns = ("match_id", "rank", "side", "row_id", "part", "gap")
    return Outcome(
        matches=kept.select(MATCH_COLUMNS)
        .append_column("match_no", pa.array(range(1, kept.num_rows + 1), pa.int64()))
        .append_column("rule_index", pc.index_in(kept["rule_version_id"], value_set=versions))
        .append_column("state", pc.if_else(confirmed, MatchState.CONFIRMED.value, kept["state"])),
        match_rows=of_kept,
        differences=_numbered(read_queryset(differences, ("match_id", "currency", "units", "scale", "type")), ids),
        runners_up=_numbered(read_queryset(runners_up, runner_up_columns), ids).rename_columns({"row_id": "id"}),
        unmatched=_left_open(dry, rows, of_kept, versions),
        rules=[],
    )


def _numbered(table: pa.Table, ids: pa.Array) -> pa.Table:
    """What belongs to the matches `ids`, by their new numbers: the place in `ids`, from 1."""
    numbers = pc.add(pc.index_in(table["match_id"], value_set=ids), 1).cast(pa.int64())
    return table.append_column("match_no", numbers).filter(pc.is_valid(numbers))


def _left_open(dry: MatchingRun, rows: RunInput, of_kept: pa.Table, versions: pa.Array) -> pa.Table:
    """What the dry run left open and is open still, and the open rows of matches that no longer hold."""
    columns = ("side", "row_id", "part", "reason", "rule_version_id", "criterion", "nearest_row_id", "detail")
    left = read_queryset(_unmatched_items(dry), columns)
    left = left.rename_columns({"row_id": "id", "nearest_row_id": "nearest_id"})
    left = left.append_column("rule_index", pc.index_in(left["rule_version_id"], value_set=versions))
    open_keys = _keys(rows)
    still_left = left.drop_columns("rule_version_id").join(open_keys, ROW_KEY, join_type="left semi")
    freed = open_keys.join(of_kept.select(ROW_KEY), ROW_KEY, join_type="left anti")
    freed = freed.join(still_left.select(ROW_KEY), ROW_KEY, join_type="left anti")
    freed = freed.append_column("reason", pa.repeat(TAKEN, freed.num_rows))
    both = pa.concat_tables([still_left, freed], promote_options="default")
    for name in ("difference_units", "scale"):  # a stored item has them in its detail already
        both = both.append_column(name, pa.nulls(both.num_rows, pa.int64()))
    return both
