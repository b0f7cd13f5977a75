"""A small run of rows that come with the request: matched in memory, then stored as a whole in one transaction.

Nobody sees such a run before it is over, so that it needs neither lease nor heartbeat and its records are written
once, as they end. A process that dies over it leaves nothing behind.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from django.db import transaction
from django.utils import timezone

from recon.engine import EngineError, Options, match
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
    Side,
    Statement,
    StatementLine,
    Strategy,
    reserve_blocks,
)
from recon.usecases.accounts.closing import refuse_closed_rows
from recon.usecases.accounts.scope import as_read, entries_in_scope
from recon.usecases.bulk.inserting import insert_new
from recon.usecases.bulk.rows import load_rows
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, event_of
from recon.usecases.imports.importing import first_date, new_statement, said_of_import
from recon.usecases.imports.preparing import AS_THEY_STAND, Prepared, prepare
from recon.usecases.imports.rows import line_rows
from recon.usecases.outside.webhook_outbox import announce_run
from recon.usecases.review.open_items import sides_reported
from recon.usecases.runs import results as run_results
from recon.usecases.runs.claims import ClaimedError, claim_rows
from recon.usecases.runs.engine_options import explained, rules_in, unwatched_options
from recon.usecases.runs.execution import MATCHINGS, Laps, itself, settle
from recon.usecases.runs.input import RunInput, compared, how_read, narrowed_entries, next_entry_id
from recon.usecases.runs.results import Results
from recon.usecases.runs.starting import as_started, check_account, check_method, instant_places
from rules.criteria import Rule
from rules.models import RuleVersion

logger = logging.getLogger(__name__)

MOST_ROWS: Final = 1_000
"""Rows of such a run. It takes a moment then, in which it need not be cancelled, and holds up nobody who writes."""


@dataclass(frozen=True)
class _Begun:
    """What is known before anything is matched."""

    by: Actor
    account: Account
    prepared: Prepared
    statement: Statement
    lines: pa.Table  # as `StatementLine` has them
    run: MatchingRun
    versions: Sequence[RuleVersion]
    first_match: int  # of as many ids as there are lines: one to one, there are not more matches


def may_run_at_once(account: Account, rows: int, strategy: str) -> bool:
    """Whether `run_at_once` takes so many rows for the account.

    The account of programs only: its statements are not replaced and its open entries are not listed, so that nobody
    need be held up and asked. One to one only: groups may be claimed in part, which takes more reading.
    """
    listed = Side.LEDGER in sides_reported(account)
    return account.is_builtin and not listed and rows <= MOST_ROWS and strategy == Strategy.ONE_TO_ONE


def run_at_once(
    by: Actor, account: Account, source: bytes, name: str, versions: Sequence[RuleVersion], *, is_dry_run: bool
) -> MatchingRun:
    """Store rows as a statement and run `versions` on them, one to one; the run is over when this returns.

    What cannot be matched is the run's outcome (state failed, with its error). Raises Refused, with nothing stored, if
    the rows cannot be read.
    """
    prepared = prepare(account, Side.STATEMENT, source, name, repeats="import", accepting=AS_THEY_STAND)
    check_account(account, None, kind=RunKind.INSTANT, is_dry_run=is_dry_run)
    check_method(versions, Strategy.ONE_TO_ONE, "", {})
    begun = _begin(by, account, prepared, versions, is_dry_run=is_dry_run)
    with instant_places:
        for _ in range(MATCHINGS):
            laps = Laps()
            results = _matched(begun, laps)
            try:
                return _store(begun, results, laps)
            except ClaimedError:
                logger.info("Run %s matches again: another one claimed a row of its matches", begun.run.run_id)
        begun.run.error = f"Other runs took rows of this one's matches {MATCHINGS} times; start it again."
        return _store(begun, None, laps)


def _begin(
    by: Actor, account: Account, prepared: Prepared, versions: Sequence[RuleVersion], *, is_dry_run: bool
) -> _Begun:
    rows = prepared.row_count
    first = reserve_blocks({Statement: 1, StatementLine: max(rows, 1), MatchingRun: 1, Match: rows})
    statement = new_statement(by, account, prepared, "", first[Statement])
    statement.state = LoadState.READY
    lines = line_rows(
        prepared.rows, statement_number=statement.number, account_id=account.pk, first_id=first[StatementLine]
    )
    now = timezone.now()
    run = MatchingRun(
        number=first[MatchingRun],
        account=account,
        statement=statement,
        kind=RunKind.INSTANT,
        is_dry_run=is_dry_run,
        sign=account.sign,
        attempts=1,
        created_by=by.user,
        started_at=now,
        heartbeat_at=now,
        lines_total=rows,
    )
    return _Begun(by, account, prepared, statement, lines, run, versions, first[Match])


def _matched(begun: _Begun, laps: Laps) -> Results | None:
    """The results; None, with the run's error, if there are none."""
    run = begun.run
    run.explanation = {}
    try:
        rules, options = rules_in(begun.versions), unwatched_options(run)
        rows = _read(begun, rules, options, laps)
        outcome = match(rules, rows.statement, rows.ledger, options)
        laps.end("matching")
        run.explanation = {
            "rules": [explained(rule) for rule in outcome.rules],
            "rows": rows.explanation,
            "next_entry": rows.next_entry,
        }
        return run_results.prepare(run, rows, outcome, [each.pk for each in begun.versions], begun.first_match)
    except (Refused, EngineError) as error:
        run.error = str(error)
    except Exception as error:
        logger.exception("Run %s failed", run.run_id)
        run.error = f"An unexpected error stopped this run ({type(error).__name__}: {error})."
    return None


def _read(begun: _Begun, rules: Sequence[Rule], options: Options, laps: Laps) -> RunInput:
    """The rows as they are about to be stored, of which nothing can be claimed or split yet, and the open entries."""
    run = begun.run
    next_entry = next_entry_id()
    statement = as_read(Side.STATEMENT, begun.lines, compared(run.strategy, Side.STATEMENT))
    in_scope = entries_in_scope(begun.account)
    choice, ledger = narrowed_entries(run, rules, statement, in_scope, _unheard, options)
    laps.end("reading")
    return RunInput(statement, ledger, next_entry, how_read(choice, statement, ledger))


def _store(begun: _Begun, results: Results | None, laps: Laps) -> MatchingRun:
    """All of it in one transaction. Raises `ClaimedError` if another run was first."""
    run, account = begun.run, begun.account
    with transaction.atomic():
        refuse_closed_rows(account, [first_date(begun.prepared)], begun.prepared.name)
        load_rows(StatementLine, begun.lines)
        if results is not None:
            if results.claims.num_rows:
                claim_rows(results.claims, _unheard)
            run_results.load(results, _unheard)
        _end(run, results, laps)
        insert_new([begun.statement, run, *_rules(begun, results), *_events(begun, results)])
        if results is not None and not run.is_dry_run:
            settle(run, results)
        announce_run(run.run_id)
    return run


def _end(run: MatchingRun, results: Results | None, laps: Laps) -> None:
    """Give the run's record its end."""
    run.completed_at = timezone.now()
    if results is None:
        run.state, run.lines_total = RunState.FAILED, 0
        return
    laps.end("storing")
    run.state, run.stage = RunState.COMPLETED, RunStage.DONE
    run.timings, run.totals = laps.seconds, results.totals
    for name, count in results.counts.items():
        setattr(run, name, count)


def _rules(begun: _Begun, results: Results | None) -> list[RunRule]:
    by_rule = results.by_rule if results else [(0, 0)] * len(begun.versions)
    places = enumerate(zip(begun.versions, by_rule, strict=True), start=1)
    return [
        RunRule(run=begun.run, version=version, position=place, matched=matched, suggested=suggested)
        for place, (version, (matched, suggested)) in places
    ]


def _events(begun: _Begun, results: Results | None) -> list[Event]:
    run, statement, account_id = begun.run, begun.statement, begun.account.pk
    imported = said_of_import("statement", statement, begun.prepared)
    started = as_started(run, begun.versions)
    end: dict[str, Any] = dict(results.counts) if results else {"error": run.error}
    return [
        event_of(
            begun.by, "statement imported", "statement", statement.upload_id, account_id=account_id, after=imported
        ),
        event_of(begun.by, "run started", "run", run.run_id, account_id=account_id, after=started),
        event_of(itself(run), f"run {run.state}", "run", run.run_id, account_id=account_id, after=end),
    ]


def _unheard(*_: object) -> None:
    """Nobody follows a run that is over in a moment."""
