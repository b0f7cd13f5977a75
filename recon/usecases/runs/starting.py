"""Matching runs from outside: start, cancel, take up again."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from recon import tasks
from recon.models import (
    Account,
    LoadState,
    MatchingRun,
    RunKind,
    RunRule,
    RunState,
    Statement,
    Strategy,
    reserve_ids,
)
from recon.usecases.accounts.scope import hold_still
from recon.usecases.bulk.soon import soon
from recon.usecases.errors import PartlyGone, Refused
from recon.usecases.events import Actor, record
from recon.usecases.outside.webhook_outbox import announce_run
from recon.usecases.runs.application import read_application
from recon.usecases.runs.cancelling import asked_aloud
from recon.usecases.runs.engine_options import check_method, rules_in
from recon.usecases.runs.execution import execute_run, execute_taken
from recon.usecases.runs.lease import RULES, lease_end, taken_now
from recon.usecases.runs.undo import check_reversible, reverse_run
from rules.models import RuleVersion

REVERSED_AT_ONCE = 20_000
"""Matches up to which somebody who reverses a run waits for it: about two seconds."""

instant_places = threading.BoundedSemaphore(settings.INSTANT_RUNS_AT_ONCE)
"""Held by instant runs at work: more of them at the same time would only slow each other down."""


def start_run(
    by: Actor,
    account: Account,
    statement: Statement | None,
    versions: Sequence[RuleVersion],
    *,
    kind: RunKind,
    is_dry_run: bool,
    strategy: str = Strategy.ONE_TO_ONE,
    grouping: str = "",
    options: Mapping[str, Any] | None = None,
    with_open_lines: bool = False,
) -> MatchingRun:
    """Start a run of `versions`, in this order. An instant run is over when this returns, a batch run is queued.

    `options`: ``{"rates": {"USD/EUR": "0.92"}}`` (ledger units per statement unit). Raises `Refused`.
    """
    options = dict(options or {})
    check_account(account, statement, kind=kind, is_dry_run=is_dry_run)
    check_method(rules_in(versions), strategy, grouping, options.get("rates", {}))
    number = reserve_ids(MatchingRun, 1)
    with transaction.atomic():
        _hold(account, statement)
        run = MatchingRun.objects.create(
            **(_taken_at_once() if kind == RunKind.INSTANT else {"lease_until": lease_end()}),
            number=number,
            account=account,
            statement=statement,
            kind=kind,
            is_dry_run=is_dry_run,
            strategy=strategy,
            grouping=grouping,
            sign=account.sign,
            options=options,
            with_open_lines=with_open_lines,
            created_by=by.user,
        )
        places = enumerate(versions, start=1)
        RunRule.objects.bulk_create(RunRule(run=run, version=version, position=place) for place, version in places)
        record(by, "run started", "run", run.run_id, account_id=account.pk, after=as_started(run, versions))
    return submit(run)


def apply_run(by: Actor, run: MatchingRun, rest_only: bool = False) -> MatchingRun:
    """Make a dry run's outcome real, in a run of its own; its rows must still be open and its rules unchanged.

    If some matches no longer hold nothing is applied, unless `rest_only` says to apply the others. Rows that arrived
    since are counted and do not block. Raises `Refused`.
    """
    _check_application(run, rest_only)
    with transaction.atomic():
        _hold(run.account, run.statement)
        MatchingRun.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)
        _check_not_applied(run)  # from another tab meanwhile
        applied = MatchingRun.objects.create(
            number=reserve_ids(MatchingRun, 1),
            account=run.account,
            statement=run.statement,
            kind=run.kind,
            strategy=run.strategy,
            grouping=run.grouping,
            sign=run.sign,
            options={**run.options, "rest_only": rest_only},
            with_open_lines=run.with_open_lines,
            applied_from=run,
            lease_until=lease_end(),
            created_by=by.user,
        )
        places = run.run_rules.values_list("position", "version_id")
        RunRule.objects.bulk_create(RunRule(run=applied, position=at, version_id=version) for at, version in places)
        after = {"applied_as": applied.run_id, "rest_only": rest_only}
        record(by, "run applied", "run", run.run_id, account_id=run.account_id, after=after)
    return submit(applied)


def _check_application(run: MatchingRun, rest_only: bool) -> None:
    if not run.is_dry_run or run.state != RunState.COMPLETED:
        raise Refused("Only a completed dry run can be applied.")
    _check_not_applied(run)
    if run.account.scope is None:
        raise Refused(f"Choose the ledger scope of {run.account} before a real run.")
    if run.statement is not None and run.statement.state != LoadState.READY:
        raise Refused(f"The statement {run.statement} is {run.statement.state} by now.")
    application = read_application(run)
    if application.dropped and not rest_only:
        changed = ", ".join(application.changed_rules)
        why = f"a rule was changed ({changed}), or other matches took their rows" if changed else "others took rows"
        raise PartlyGone(
            f"{application.dropped:,} of the matches of this dry run no longer hold since then: {why}. "
            "Nothing was applied; you can apply the rest."
        )


def _check_not_applied(run: MatchingRun) -> None:
    if earlier := MatchingRun.objects.filter(applied_from=run).first():
        raise Refused(f"This dry run was already applied, as run {earlier.number}.")


def submit(run: MatchingRun) -> MatchingRun:
    """Have a queued run executed: at once if it is an instant one, else by the worker."""
    if run.kind == RunKind.INSTANT:
        with instant_places:
            if run.state == RunState.RUNNING:
                prefetch_related_objects([run], RULES)
                execute_taken(run)
            else:
                execute_run(run.run_id)
    else:
        with transaction.atomic():
            enqueue(run.run_id)
    run.refresh_from_db()
    return run


def _taken_at_once() -> dict[str, Any]:
    """An instant run is this request's own from the beginning; if its process dies, a worker takes it up."""
    return {**taken_now(), "attempts": 1}


def enqueue(run_id: str) -> None:
    """Put a run into the worker's queue; if nobody takes it up until its lease runs out, it is put there again."""
    MatchingRun.objects.filter(run_id=run_id, state=RunState.QUEUED).update(lease_until=lease_end())
    tasks.execute_run.enqueue(run_id)


def cancel_run(by: Actor, run: MatchingRun) -> MatchingRun:
    """Cancel a run: a queued one at once, a running one within two seconds. Raises `Refused` if it is over."""
    with asked_aloud(run.run_id):
        soon(partial(_cancel, by, run))
    run.refresh_from_db()
    return run


def _cancel(by: Actor, run: MatchingRun) -> None:
    now = timezone.now()
    with transaction.atomic():
        this = MatchingRun.objects.filter(pk=run.pk)
        at_once = this.filter(state=RunState.QUEUED).update(state=RunState.CANCELLED, completed_at=now)
        if not at_once and not this.filter(state=RunState.RUNNING).update(cancel_requested=True):
            raise Refused("This run is already over.")
        record(by, "run cancelled" if at_once else "cancel requested", "run", run.run_id, account_id=run.account_id)
        if at_once:
            announce_run(run.run_id)


def start_reversal(by: Actor, run: MatchingRun, include_manual: bool = False, why: str = "") -> MatchingRun:
    """Reverse a run as `reverse_run` does: at once if it is small, else by the worker; its state says whether it is
    done. All of it is one transaction, so that a worker that dies over it leaves the run as it was. Raises `Refused`.
    """
    if run.matches_confirmed <= REVERSED_AT_ONCE:
        return reverse_run(by, run, include_manual=include_manual, why=why)
    check_reversible(run)
    waiting = DBTaskResult.objects.filter(
        task_path=tasks.reverse_run.module_path,
        args_kwargs__args__0=run.run_id,
        status=TaskResultStatus.READY,
    )
    if waiting.exists():
        raise Refused("This run is being reversed already.")
    with transaction.atomic():
        tasks.reverse_run.enqueue(run.run_id, by.user.pk if by.user else None, str(by.via), include_manual, why)
        record(by, "reversal started", "run", run.run_id, account_id=run.account_id, why=why)
    return run


def take_up_stale_runs() -> list[str]:
    """Queue again the runs whose worker died, and those whose place in the queue was lost; returns their ids."""
    overdue = MatchingRun.objects.active().filter(lease_until__lt=timezone.now())
    taken_up = []
    for run in overdue.order_by("number"):
        waiting = DBTaskResult.objects.filter(args_kwargs__args=[run.run_id], status=TaskResultStatus.READY)
        if waiting.exists():
            continue
        with transaction.atomic():
            # Of several workers that look at once, the one that moves the lease on queues the run.
            mine = MatchingRun.objects.filter(pk=run.pk, state=run.state, lease_until=run.lease_until)
            if mine.update(state=RunState.QUEUED, lease_until=lease_end()):
                _close_dead_tasks(run.run_id)
                enqueue(run.run_id)
                taken_up.append(run.run_id)
    return taken_up


def _close_dead_tasks(run_id: str) -> None:
    """A killed worker's task would stay "running" for ever."""
    dead = DBTaskResult.objects.filter(args_kwargs__args=[run_id], status=TaskResultStatus.RUNNING)
    dead.update(status=TaskResultStatus.FAILED, finished_at=timezone.now())


def _hold(account: Account, statement: Statement | None) -> None:
    """Let no statement of the account be replaced between the look at it and the run: who replaces holds the account
    too, and asks for runs. Programs replace nothing, and start many runs at once."""
    if account.is_builtin:
        return
    hold_still(account.pk)
    if statement is not None and not Statement.objects.ready().filter(pk=statement.pk).exists():
        raise Refused(f"The statement {statement} was replaced or taken back; choose another one.")


def check_account(account: Account, statement: Statement | None, *, kind: RunKind, is_dry_run: bool) -> None:
    """Raise Refused if no such run of the account can be started."""
    if statement is not None and statement.account_id != account.pk:
        raise Refused(f"The statement {statement} belongs to another account.")
    if statement is not None and statement.state != LoadState.READY:
        raise Refused(f"The statement {statement} is {statement.state} and takes part in no run.")
    if account.scope is None and not is_dry_run:
        raise Refused(f"Choose the ledger scope of {account} before a real run; a dry run works without.")
    if kind == RunKind.INSTANT and statement is not None and statement.record_count > settings.INSTANT_LIMIT:
        raise Refused(f"An instant run takes at most {settings.INSTANT_LIMIT:,} rows; start a batch run instead.")


def as_started(run: MatchingRun, versions: Sequence[RuleVersion]) -> dict[str, Any]:
    """What the audit trail says of the start of a run."""
    return {
        "statement": run.statement_id,
        "kind": run.kind,
        "dry_run": run.is_dry_run,
        "strategy": run.strategy,
        "grouping": run.grouping,
        "rules": [f"{version.rule_id} v{version.number}" for version in versions],
    }
