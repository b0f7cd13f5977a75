"""The records of a run that is stored as a whole (`recon.usecases.runs.at_once`): made before anything is matched,
and written once, as they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import Model
from django.utils import timezone

from recon.models import (
    Account,
    Event,
    LoadState,
    Match,
    MatchingRun,
    RunKind,
    RunRule,
    RunStage,
    RunState,
    Statement,
    StatementLine,
    reserve_blocks,
)
from recon.usecases.bulk.inserting import insert_new
from recon.usecases.events import Actor, event_of
from recon.usecases.imports.importing import new_statement, said_of_import
from recon.usecases.imports.preparing import Prepared
from recon.usecases.imports.rows import keyed, line_rows
from recon.usecases.runs.execution import itself
from recon.usecases.runs.results import Results
from recon.usecases.runs.starting import as_started
from rules.models import RuleVersion


@dataclass(frozen=True)
class Asked:
    """Who wants what matched by which rules. The rows may be stored: nothing speaks against them."""

    by: Actor
    account: Account
    prepared: Prepared
    versions: Sequence[RuleVersion]
    is_dry_run: bool


@dataclass(frozen=True)
class Begun:
    """What is known of a run before anything is matched."""

    asked: Asked
    statement: Statement
    lines: pa.Table  # as `StatementLine` has them, of one table with those of the runs begun with it
    run: MatchingRun
    first_match: int  # of as many ids as there are lines: one to one, there are not more matches


def begin(asked: Sequence[Asked]) -> list[Begun]:
    """The records of the runs, with their ids, of which nothing is stored yet."""
    counts = [each.prepared.row_count for each in asked]
    models: tuple[type[Model], ...] = (Statement, StatementLine, MatchingRun, Match)
    first = reserve_blocks(dict(zip(models, (len(asked), max(sum(counts), 1), len(asked), sum(counts)), strict=True)))
    lines, begun = _lines(asked, counts, first), []
    for place, (each, rows) in enumerate(zip(asked, counts, strict=True)):
        before = sum(counts[:place])
        ids = {model: first[model] + (before if model in (StatementLine, Match) else place) for model in models}
        begun.append(_begun(each, lines.slice(before, rows), ids))
    return begun


def _lines(asked: Sequence[Asked], counts: Sequence[int], first: Mapping[type[Model], int]) -> pa.Table:
    """The lines of all runs: one table costs about as much as that of one run."""
    read = pa.concat_tables([each.prepared.stored for each in asked]).combine_chunks()
    lines = line_rows(
        keyed(read),
        statement_number=first[Statement],
        account_id=asked[0].account.pk,
        first_id=first[StatementLine],
    )
    numbers = np.repeat(np.arange(first[Statement], first[Statement] + len(asked)), counts)
    return lines.set_column(lines.column_names.index("statement_number"), "statement_number", pa.array(numbers))


def _begun(asked: Asked, lines: pa.Table, first: Mapping[type[Model], int]) -> Begun:
    prepared, account = asked.prepared, asked.account
    statement = new_statement(asked.by, account, prepared, "", first[Statement])
    statement.state = LoadState.READY
    now = timezone.now()
    run = MatchingRun(
        number=first[MatchingRun],
        account=account,
        statement=statement,
        kind=RunKind.INSTANT,
        is_dry_run=asked.is_dry_run,
        sign=account.sign,
        attempts=1,
        created_by=asked.by.user,
        started_at=now,
        heartbeat_at=now,
        lines_total=lines.num_rows,
    )
    return Begun(asked, statement, lines, run, first[Match])


def records_of(begun: Begun, results: Results | None, storing: float) -> list[Model]:
    """What says what has become of a run, after so many seconds of storing."""
    _end(begun.run, results, storing)
    return [begun.statement, begun.run, *_rules(begun, results), *_events(begun, results)]


def insert_records(records: list[Model]) -> None:
    """Insert the records, each kind at once, in the order in which they came; the list is empty then."""
    kinds = (Statement, MatchingRun, RunRule, Event)
    insert_new(sorted(records, key=lambda record: kinds.index(type(record))))
    records.clear()


def _end(run: MatchingRun, results: Results | None, storing: float) -> None:
    """Give the run's record its end."""
    run.completed_at = timezone.now()
    if results is None:
        run.state, run.lines_total, run.timings, run.explanation = RunState.FAILED, 0, {}, {}
        return
    run.state, run.stage = RunState.COMPLETED, RunStage.DONE
    run.timings, run.totals = {**run.timings, "storing": storing}, results.totals
    for name, count in results.counts.items():
        setattr(run, name, count)


def _rules(begun: Begun, results: Results | None) -> list[RunRule]:
    versions = begun.asked.versions
    by_rule = results.by_rule if results else [(0, 0)] * len(versions)
    places = enumerate(zip(versions, by_rule, strict=True), start=1)
    return [
        RunRule(run=begun.run, version=version, position=place, matched=matched, suggested=suggested)
        for place, (version, (matched, suggested)) in places
    ]


def _events(begun: Begun, results: Results | None) -> list[Event]:
    asked, run, statement, account_id = begun.asked, begun.run, begun.statement, begun.asked.account.pk
    imported = said_of_import("statement", statement, asked.prepared)
    started = as_started(run, asked.versions)
    end: dict[str, Any] = dict(results.counts) if results else {"error": run.error}
    return [
        event_of(
            asked.by, "statement imported", "statement", statement.upload_id, account_id=account_id, after=imported
        ),
        event_of(asked.by, "run started", "run", run.run_id, account_id=account_id, after=started),
        event_of(itself(run), f"run {run.state}", "run", run.run_id, account_id=account_id, after=end),
    ]
