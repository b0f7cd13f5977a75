"""Starting a run from an account: what is not said is taken from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from recon.models import Account, MatchingRun, RunKind, Statement
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.runs.engine_options import check_method, rules_in
from recon.usecases.runs.starting import start_run
from rules.models import RuleVersion


@dataclass(frozen=True)
class Method:
    """How a run is to match, beside its rules; rates as ``{"USD/EUR": "0.92"}``, ledger units per statement unit."""

    strategy: str
    grouping: str
    rates: Mapping[str, Any]


def run_account(
    by: Actor,
    account: Account,
    statement: Statement | None,
    versions: Sequence[RuleVersion],
    *,
    is_dry_run: bool,
    kind: RunKind | None = None,
    strategy: str | None = None,
    grouping: str | None = None,
    rates: Mapping[str, Any] | None = None,
    with_open_lines: bool = False,
) -> MatchingRun:
    """Start a run of a statement, or of the open lines of all. A small one is over when this returns, unless `kind`
    says otherwise. Raises Refused."""
    strategy = account.strategy if strategy is None else strategy
    grouping = account.grouping if grouping is None else grouping
    method = Method(strategy, grouping, rates or {})
    refuse_what_cannot_run(account, versions, method, is_dry_run=is_dry_run)
    if kind is None:
        is_small = statement is not None and statement.record_count <= settings.INSTANT_LIMIT
        kind = RunKind.INSTANT if is_small else RunKind.BATCH
    return start_run(
        by,
        account,
        statement,
        versions,
        kind=kind,
        is_dry_run=is_dry_run,
        strategy=strategy,
        grouping=grouping,
        options={"rates": dict(rates)} if rates else None,
        with_open_lines=with_open_lines or statement is None,
    )


def refuse_what_cannot_run(
    account: Account, versions: Sequence[RuleVersion], method: Method, *, is_dry_run: bool
) -> None:
    """What can be said before a file is imported for the run. Raises Refused."""
    check_method(rules_in(versions), method.strategy, method.grouping, method.rates)
    if account.scope is None and not is_dry_run:
        raise Refused(f"Choose the ledger scope of {account} first; a dry run works without.")
