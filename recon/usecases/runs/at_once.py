"""A small run of rows that come with the request: matched in memory, then stored as a whole in one transaction.

Nobody sees such a run before it is over, so that it needs neither lease nor heartbeat and its records are written
once, as they end. A process that dies over it leaves nothing behind.

Runs that wait at the same moment go together: the ledger is read once for all of them, those that cannot take anything
from each other are matched in one go, and one transaction stores them. They leave what they would leave one after the
other, in the order in which they came: what one claims those after it do not see. If anything is in the way of that,
each is done alone, so that nobody's run fails because of a neighbour's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection, transaction
from django.db.models import Model

from recon.engine import EngineError, Options, Outcome, match, match_each
from recon.models import (
    Account,
    MatchingRun,
    RunKind,
    Side,
    StatementLine,
    Strategy,
)
from recon.usecases.accounts.closing import refuse_closed_rows
from recon.usecases.accounts.scope import as_read, entries_in_scope
from recon.usecases.bulk.rows import load_rows
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.imports.importing import first_date
from recon.usecases.imports.preparing import AS_THEY_STAND, prepare
from recon.usecases.outside.webhook_outbox import announce_run
from recon.usecases.review.open_items import sides_reported
from recon.usecases.runs import results as run_results
from recon.usecases.runs.at_once_records import Asked, Begun, begin, insert_records, records_of
from recon.usecases.runs.claims import ClaimedError, claim_rows
from recon.usecases.runs.engine_options import check_method, explained, rules_in, unwatched_options
from recon.usecases.runs.execution import MATCHINGS, Laps, settle
from recon.usecases.runs.input import RunInput, compared, how_read, narrowed_for_each, next_entry_id
from recon.usecases.runs.pushdown import AT_ONCE, Choice, WithLines
from recon.usecases.runs.results import Results
from recon.usecases.runs.starting import check_account, instant_places
from recon.usecases.runs.together import Together
from rules.criteria import Rule
from rules.models import RuleVersion

logger = logging.getLogger(__name__)

MOST_ROWS: Final = 1_000
"""Rows of such a run. It takes a moment then, in which it need not be cancelled, and holds up nobody who writes."""

MOST_TOGETHER: Final = 2_000
"""Rows of runs that go together: a fraction of a second's work."""


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
    asked = asked_for(by, account, source, name, versions, is_dry_run=is_dry_run)
    return _with_others(asked) or _alone(asked)


def asked_for(
    by: Actor, account: Account, source: bytes, name: str, versions: Sequence[RuleVersion], *, is_dry_run: bool
) -> Asked:
    """The rows, read and checked. Raises Refused."""
    prepared = prepare(
        account, Side.STATEMENT, source, name, repeats="import", accepting=AS_THEY_STAND, every_row=True
    )
    check_account(account, None, kind=RunKind.INSTANT, is_dry_run=is_dry_run)
    check_method(rules_in(versions), Strategy.ONE_TO_ONE, "", {})
    return Asked(by, account, prepared, versions, is_dry_run)


def _with_others(asked: Asked) -> MatchingRun | None:
    """The run, done together with those that wait; None if it must be done alone."""
    rows = asked.prepared.row_count
    if rows > AT_ONCE or connection.in_atomic_block:  # near misses in two steps; or a transaction that is not over yet
        return None
    account = asked.account
    as_known = tuple(str(getattr(account, each.attname)) for each in account._meta.concrete_fields)
    return _waiting(asked, as_known, rows)


def run_together(asked: Sequence[Asked]) -> Sequence[MatchingRun]:
    """The runs of several at once, in the order in which they came: all of them, or none and an error."""
    with instant_places:
        begun = begin(asked)
        try:
            return _done(begun)
        except Exception:
            # The answer to a commit may be lost on its way; whoever did its run once more then would have it twice.
            if MatchingRun.objects.filter(pk=begun[0].run.pk).exists():
                return [each.run for each in begun]
            raise


_waiting = Together(run_together, most=MOST_TOGETHER)

on_the_way = _waiting.on_the_way
"""Around whatever leads to `run_at_once`, which others wait for that have come to the same point."""


def _alone(asked: Asked) -> MatchingRun:
    with instant_places:
        begun = begin([asked])
        for _ in range(MATCHINGS):
            try:
                return _done(begun)[0]
            except ClaimedError:
                logger.info("Run %s matches again: another one claimed a row of its matches", begun[0].run.run_id)
        begun[0].run.error = f"Other runs took rows of this one's matches {MATCHINGS} times; start it again."
        return _store(begun, [None], Laps())[0]


def _done(begun: Sequence[Begun]) -> Sequence[MatchingRun]:
    """The runs, matched and stored. Raises `ClaimedError` if somebody else was first, and whatever else is in the way
    of storing them."""
    laps, results = Laps(), list[Results | None]()
    taken = set[tuple[int, int]]()  # the row parts of the ledger that those before claim
    for some in _apart(zip(begun, _read(begun, laps), strict=True)):
        left = [read and replace(read, entries=_without(read.entries, taken)) for _, read in some]
        outcomes = _matched_together([read for read in left if read])
        if outcomes:
            laps.end("matching")
        for (each, _), read in zip(some, left, strict=True):
            results.append(_matched(each, read, outcomes, laps) if read else None)
            taken.update(_claimed(results[-1]))
    return _store(begun, results, laps)


@dataclass(frozen=True)
class _Read:
    """What a run matches: its lines as they are about to be stored, of which nothing can be claimed or split yet, and
    the open entries."""

    rules: Sequence[Rule]
    options: Options
    lines: pa.Table
    choice: Choice
    entries: pa.Table
    next_entry: int


def _read(begun: Sequence[Begun], laps: Laps) -> Sequence[_Read | None]:
    """What each run matches; None, with the run's error, for a run alone that has nothing to match."""
    if len(begun) > 1:
        return _read_each(begun, laps)
    with _as_outcome(begun[0].run):
        return _read_each(begun, laps)
    return [None]


def _read_each(begun: Sequence[Begun], laps: Laps) -> Sequence[_Read]:
    next_entry = next_entry_id()
    lines = as_read(Side.STATEMENT, _lines_of(begun), compared(Strategy.ONE_TO_ONE, Side.STATEMENT))
    asked: list[WithLines] = []
    for each, before in zip(begun, accumulate((each.lines.num_rows for each in begun), initial=0), strict=False):
        asked.append((each.run, rules_in(each.asked.versions), lines.slice(before, each.lines.num_rows)))
    options = [unwatched_options(run) for run, _, _ in asked]
    found = narrowed_for_each(asked, entries_in_scope(begun[0].asked.account), _unheard, options)
    laps.end("reading")
    return [
        _Read(rules, own, lines, choice, entries, next_entry)
        for (_, rules, lines), own, (choice, entries) in zip(asked, options, found, strict=True)
    ]


def _lines_of(begun: Sequence[Begun]) -> pa.Table:
    """The lines of all runs. They were made as one table, whose parts lie one after the other in memory."""
    return pa.concat_tables([each.lines for each in begun]).combine_chunks()


_Some = list[tuple[Begun, _Read | None]]


def _apart(begun: Iterable[tuple[Begun, _Read | None]]) -> Iterator[_Some]:
    """The runs in order, those together that cannot take anything from each other: nobody reads an entry that a real
    run before it in the same list may claim."""
    some, may_claim = _Some(), set[int]()
    for each, read in begun:
        entries = set(read.entries["id"].to_pylist()) if read and (may_claim or not each.run.is_dry_run) else set()
        if may_claim & entries:
            yield some
            some, may_claim = [], set()
        some.append((each, read))
        may_claim |= set() if each.run.is_dry_run else entries
    yield some


_Matched = tuple[Outcome, pa.Table]
"""What the engine says of a run, and the `placed_rows` of that."""


def _matched_together(read: Sequence[_Read]) -> Mapping[int, _Matched]:
    """What the engine says of runs, by where their reading is kept (`id`); those are missing that must be matched
    alone, if only to fail alone."""
    found: dict[int, _Matched] = {}
    rest = list(read)
    while len(rest) > 1:
        same = [each for each in rest if _go_together(rest[0], each)]
        if len(same) > 1:
            try:
                outcomes = match_each(same[0].rules, [(each.lines, each.entries) for each in same], same[0].options)
            except Exception as error:  # noqa: BLE001 - whoever it is about meets it again
                logger.info("%d runs are matched one by one: %s: %s", len(same), type(error).__name__, error)
            else:
                matched = zip(outcomes, run_results.placed_of_each(outcomes), strict=True)
                found |= dict(zip(map(id, same), matched, strict=True))
        rest = [each for each in rest if not any(each is one for one in same)]
    return found


def _go_together(one: _Read, other: _Read) -> bool:
    """Whether the engine is told the same about both."""
    return one.rules == other.rules and one.options == other.options


def _matched(begun: Begun, read: _Read, outcomes: Mapping[int, _Matched], laps: Laps) -> Results | None:
    """The results; None, with the run's error, if there are none."""
    run, entries = begun.run, read.entries
    with _as_outcome(run):
        outcome, placed = outcomes.get(id(read), (None, None))
        if outcome is None:
            outcome = match(read.rules, read.lines, entries, read.options)
            laps.end("matching")
        run.timings = dict(laps.seconds)
        rows = RunInput(read.lines, entries, read.next_entry, how_read(read.choice, read.lines, entries))
        run.explanation = {
            "rules": [explained(rule) for rule in outcome.rules],
            "rows": rows.explanation,
            "next_entry": rows.next_entry,
        }
        versions = [each.pk for each in begun.asked.versions]
        return run_results.prepare(run, rows, outcome, versions, begun.first_match, placed)
    return None


def _claimed(results: Results | None) -> Iterable[tuple[int, int]]:
    """The row parts of the ledger that a run claims."""
    if results is None or not results.claims.num_rows:
        return []
    claims = results.claims.filter(pc.equal(results.claims["side"], int(Side.LEDGER)))
    return zip(claims["row_id"].to_pylist(), claims["part"].to_pylist(), strict=True)


def _without(entries: pa.Table, taken: AbstractSet[tuple[int, int]]) -> pa.Table:
    """The entries that nobody took."""
    if not taken:
        return entries
    parts = zip(entries["id"].to_pylist(), entries["part"].to_pylist(), strict=True)
    return entries.filter(pa.array([each not in taken for each in parts], pa.bool_()))


@contextmanager
def _as_outcome(run: MatchingRun) -> Iterator[None]:
    """What is wrong with a run is its error, and ends the block."""
    try:
        yield
    except (Refused, EngineError) as error:
        run.error = str(error)
    except Exception as error:
        logger.exception("Run %s failed", run.run_id)
        run.error = f"An unexpected error stopped this run ({type(error).__name__}: {error})."


def _store(begun: Sequence[Begun], results: Sequence[Results | None], laps: Laps) -> Sequence[MatchingRun]:
    """All of it in one transaction. Raises `ClaimedError` if another run was first."""
    matched = [each for each in results if each is not None]
    with transaction.atomic():
        # If one of several has such rows each is done alone, and told of its own.
        days = [first_date(each.asked.prepared) for each in begun]
        refuse_closed_rows(begun[0].asked.account, days, begun[0].asked.prepared.name)
        load_rows(StatementLine, _lines_of(begun))
        if claiming := [each for each in matched if each.claims.num_rows]:
            claim_rows(run_results.claims_of(claiming), _unheard)
        if matched:
            run_results.load(matched, _unheard)
        laps.end("storing")
        records = list[Model]()
        for each, found in zip(begun, results, strict=True):
            if found is not None and not each.run.is_dry_run:
                insert_records(records)
                settle(each.run, found)  # before its record is there: its own suggestions are to be listed first
            records += records_of(each, found, laps.seconds["storing"])
        insert_records(records)
        announce_run(*(each.run.run_id for each in begun))
    return [each.run for each in begun]


def _unheard(*_: object) -> None:
    """Nobody follows a run that is over in a moment."""
