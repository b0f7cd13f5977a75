"""Two files and some rules: a finished reconciliation in one call, without a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pyarrow as pa
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from recon.models import Account, LedgerImport, MatchingRun, RunKind, RunState, Side, Statement, Strategy
from recon.usecases.accounts.scope import create_account
from recon.usecases.bulk.afterwards import indexes_afterwards
from recon.usecases.bulk.alongside import alongside
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.imports.importing import (
    Prepared,
    Repeats,
    discard_statement,
    prepare,
    reverse_ledger_import,
    store_ledger,
    store_statement,
)
from recon.usecases.runs.at_hand import Ahead, AtHand, matching_ahead
from recon.usecases.runs.engine_options import check_method, rule_in
from recon.usecases.runs.execution import execute_run
from recon.usecases.runs.input import RunInput, fresh_input
from recon.usecases.runs.starting import start_run
from rules.authoring import import_rules, set_status
from rules.bodies import read_json, write_json
from rules.criteria import RuleError, parse_rule
from rules.models import RuleStatus, RuleVersion

ASSUMED: Final = {"sign": "plus is money in", "currency": "all amounts have one currency, unnamed"}
"""Questions about a file that do not stop a reconciliation of two files: both sides are read the same way."""


@dataclass(frozen=True)
class Job:
    """What to reconcile, and how. Without an account the job makes its own, which owns its ledger entries."""

    statement: Path
    ledger: Path
    rules: str  # JSON: a rule, or a list of them
    account: Account | None = None
    strategy: str = Strategy.ONE_TO_ONE
    grouping: str = ""
    is_dry_run: bool = False
    repeats: Repeats = "ask"  # what to do about rows that the account has already
    good_rows_only: bool = False  # of the statement; its bad rows are kept for repair
    currency: str = ""
    time_zone: str = "UTC"
    statement_mapping: Mapping[str, Any] | None = None
    ledger_mapping: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A run that is over, what it was about, and seconds per stage."""

    run: MatchingRun
    statement: Statement
    ledger: LedgerImport
    assumed: list[str]
    seconds: dict[str, float]
    afterwards: float  # seconds after the results were there, for indexes


def reconcile_files(by: Actor, job: Job) -> Finished:
    """Read, store, match. Raises Refused if a file or a rule is refused: nothing is stored then, or taken back; if the
    run itself fails, its reason is in the run and the files stay."""
    started = time.monotonic()
    _refuse_bad_rules(job)
    job, (statement_file, ledger_file), assumed = _prepared(job)
    parsed = time.monotonic()
    account = job.account or create_account(by, name=_own_name(job), scope={"owned": True}, **_settings(job))
    with indexes_afterwards():
        with _all_or_nothing(by) as stored, _matching_ahead(job, account) as ahead:
            statement, ledger, at_hand = _store(by, job, account, (statement_file, ledger_file), stored, ahead)
            del statement_file, ledger_file  # and with them the columns that no run looks at
            loaded = time.monotonic()
            run = _run(by, job, account, statement, at_hand)
        over = time.monotonic()
    seconds = {"parse": parsed - started, "load": loaded - parsed, **run.timings}
    return Finished(run, statement, ledger, assumed, seconds, afterwards=time.monotonic() - over)


@contextmanager
def _all_or_nothing(by: Actor) -> Iterator[list[Statement | LedgerImport]]:
    """If the block fails, what it lists as stored is taken back: each file by itself is all or nothing already."""
    stored: list[Statement | LedgerImport] = []
    try:
        yield stored
    except Exception as error:
        why = error.message if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        for each in stored:
            if isinstance(each, Statement):
                discard_statement(by, each, why=why)
            else:
                reverse_ledger_import(by, each, why=why)
        raise


def _store(
    by: Actor,
    job: Job,
    account: Account,
    files: tuple[Prepared, Prepared],
    stored: list[Statement | LedgerImport],
    ahead: Ahead | None,
) -> tuple[Statement, LedgerImport, AtHand | None]:
    """Both sides stored, and their rows at hand if they are all that a run in the account would read."""
    owner = account if (account.scope or {}).get("owned") else None
    rows: dict[Side, pa.Table] = {}
    coming: list[Callable[[], AtHand]] = []
    second = Lock()

    def as_input() -> RunInput:
        return fresh_input(_like(job, account), rows[Side.STATEMENT], rows[Side.LEDGER])

    def to_come(side: Side, table: pa.Table) -> None:
        with second:
            rows[side] = table
            if ahead is not None and len(rows) == len(Side) and rows[Side.LEDGER].num_rows:
                coming.append(ahead(as_input))

    def lines() -> Statement:
        kept = store_statement(by, account, files[0], rows_go_to=partial(to_come, Side.STATEMENT))
        stored.append(kept)
        return kept

    def entries() -> LedgerImport:
        kept = store_ledger(by, owner, files[1], rows_go_to=partial(to_come, Side.LEDGER))
        stored.append(kept)
        return kept

    statement, ledger = alongside(lines, entries)
    if job.account is not None:
        return statement, ledger, None
    return statement, ledger, coming[0]() if coming else AtHand(as_input())


@contextmanager
def _matching_ahead(job: Job, account: Account) -> Iterator[Ahead | None]:
    """What matches the rows of a job while they are stored; none in an account that may hold more than they are."""
    if job.account is not None:
        yield None
        return
    rules = [rule_in(write_json(body)) for body in _bodies(job.rules)]
    with matching_ahead(_like(job, account), rules) as ahead:
        yield ahead


def _like(job: Job, account: Account) -> MatchingRun:
    """What the job's run will be like, for the engine."""
    return MatchingRun(
        account=account, strategy=job.strategy, grouping=job.grouping, sign=account.sign, options=dict(job.options)
    )


def _refuse_bad_rules(job: Job) -> None:
    try:
        rules = [parse_rule(body) for body in _bodies(job.rules)]
    except RuleError as error:
        raise Refused(f"The rules are refused: {error}") from error
    check_method(rules, job.strategy, job.grouping, job.options.get("rates", {}))


def _bodies(text: str) -> list[Any]:
    given = read_json(text)
    return given if isinstance(given, list) else [given]


def _own_name(job: Job) -> str:
    return f"{job.statement.name[:120]}, {timezone.now():%Y-%m-%d %H:%M:%S.%f}"


def _settings(job: Job) -> dict[str, Any]:
    return {"time_zone": job.time_zone, "currencies": [job.currency] if job.currency else []}


def _prepared(job: Job) -> tuple[Job, tuple[Prepared, Prepared], list[str]]:
    """Both files as they were read, and what was taken for what they leave open. If only one of them says what its
    amounts are, and the job does not, the other's are the same: then that is the job's currency from here on."""
    statement, ledger = alongside(
        partial(_prepare, job, Side.STATEMENT), partial(_prepare, job, Side.LEDGER), only_reading=True
    )
    job, notes = _with_currency_of_one(job, statement, ledger)
    if notes:
        statement, ledger = (_prepare(job, side) for side in (Side.STATEMENT, Side.LEDGER))
    return job, (statement, ledger), [*notes, *_assumed(statement), *_assumed(ledger)]


def _with_currency_of_one(job: Job, *files: Prepared) -> tuple[Job, list[str]]:
    silent = [file for file in files if any(question.about == "currency" for question in file.reading.questions)]
    if job.account is not None or len(silent) != 1:
        return job, []
    named = {total.currency for file in files if file is not silent[0] for total in file.reading.totals()}
    if len(named) != 1:
        return job, []
    [currency] = named
    note = f"{silent[0].name}: In which currency are the amounts? Taken: {currency}, as in the other file."
    return replace(job, currency=currency), [note]


def _prepare(job: Job, side: Side) -> Prepared:
    is_statement = side == Side.STATEMENT
    path = job.statement if is_statement else job.ledger
    account = job.account or Account(name=_own_name(job), **_settings(job))
    if not path.is_file():
        raise Refused(f"{path}: there is no such file.")
    try:
        return prepare(
            account,
            side,
            path,
            path.name,
            mapping=job.statement_mapping if is_statement else job.ledger_mapping,
            repeats="import" if job.account is None else job.repeats,
            good_rows_only=job.good_rows_only and is_statement,
            unowned=not is_statement and job.account is not None and not (account.scope or {}).get("owned"),
            accepting=ASSUMED,
        )
    except Refused as refused:
        raise Refused(f"{path}: {refused}", refused.row_errors) from refused


def _assumed(file: Prepared) -> list[str]:
    """What was taken for what a file leaves open: the option its reading used, in words."""
    return [
        f"{file.name}: {each.text} Taken: {dict(each.options).get(each.suggested, ASSUMED[each.about])}."
        for each in file.reading.questions
    ]


def _run(by: Actor, job: Job, account: Account, statement: Statement, at_hand: AtHand | None) -> MatchingRun:
    small = statement.record_count <= settings.INSTANT_LIMIT
    run = start_run(
        by,
        account,
        statement,
        _versions(by, job.rules),
        kind=RunKind.INSTANT if small else RunKind.BATCH,
        is_dry_run=job.is_dry_run,
        strategy=job.strategy,
        grouping=job.grouping,
        options=job.options,
    )
    execute_run(run.run_id, at_hand)  # a batch run is queued; nobody needs to be there to take it
    run.refresh_from_db()
    while run.state in RunState.active():  # a worker was faster
        time.sleep(0.2)
        run.refresh_from_db()
    return run


def _versions(by: Actor, text: str) -> Sequence[RuleVersion]:
    """The rules as versions a run can keep. They go to the archive, not among the rules people work with; the same
    rule given again is the same record."""
    versions = []
    for body in _bodies(text):
        written = write_json(body)
        known = RuleVersion.objects.filter(
            body=written, number=F("rule__version"), rule__status=RuleStatus.ARCHIVED
        ).first()
        if known is None:
            rule = import_rules(by, written)[0]
            known = rule.current
            set_status(by, rule.pk, RuleStatus.ARCHIVED)
        versions.append(known)
    return versions
