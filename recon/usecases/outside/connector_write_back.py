"""Writing back: a pulled transaction's `meta_data` in Blnk shows the match of its entry.

What should stand there (the claims) is compared with what was written, so a worker that dies, a Blnk that is away, a
match that is undone in between need no case of their own. A match is written again only if its answer was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from recon.blnk_core import Core, CoreError, write_metadata
from recon.models import (
    Account,
    Claim,
    Connector,
    Match,
    MatchingRun,
    MatchRow,
    PulledTransaction,
    Side,
    StatementLine,
)
from recon.usecases.errors import Refused
from recon.usecases.outside.connectors import newest_event
from recon.usecases.outside.secrets import unseal
from recon.usecases.runs.lease import shutting_down

BATCH: Final = 200
AT_ONCE: Final = 8
TRIES: Final = 5
"""How often one transaction that Blnk refuses is tried before it is left alone until its match changes."""

PAUSE: Final = timedelta(minutes=2)
"""After a failure that may pass."""

LOOK_EVERY: Final = timedelta(minutes=10)
"""Events that were written side by side may become visible out of order; so everything is looked at now and then."""

FLOAT_DIGITS: Final = 15
"""Blnk keeps numbers of `meta_data` as floats; a longer one goes as text, so that nothing of it is lost."""

NOTHING: Final = {
    "reconciled": False,
    "reconciliation_id": None,
    "external_txn_id": None,
    "reconciled_at": None,
    "reconciliation_amount": None,
}


def write_back_due() -> int:
    """One batch for each connector that has something to write; returns how many were written."""
    connectors = Connector.objects.filter(writes_back=True, enabled=True)
    return sum(write_batch(connector) for connector in connectors)


def write_batch(connector: Connector) -> int:
    """Write what differs, at most a batch of it. Once nothing differs the next look waits for an event, or a while."""
    newest = newest_event()
    is_quiet = bool(connector.write_error) or newest <= connector.written_event
    if is_quiet and connector.write_after is not None and connector.write_after > timezone.now():
        return 0
    pending = list(differing(connector)[:BATCH])
    if not pending:
        looked = {"written_event": newest, "write_after": timezone.now() + LOOK_EVERY, "write_error": ""}
        Connector.objects.filter(pk=connector.pk).update(**looked)
        return 0
    try:
        core = Core(unseal(connector.sealed_url), unseal(connector.sealed_key))
    except Refused as refused:
        pause(connector, refused.message)
        return 0
    return write(connector, core, pending)


def differing(connector: Connector) -> QuerySet[Any]:
    """Transactions whose written match is not the present one, with `wanted`: the match's id, 0 for none.

    An entry that belongs to no account may be matched in several; the earliest match is the one that is told.
    """
    accounts = [connector.account_id] if connector.account_id else list(Account.objects.values_list("pk", flat=True))
    claims = Claim.objects.filter(account_id__in=accounts, side=Side.LEDGER, row_id=OuterRef("entry_id"))
    earliest = Subquery(claims.order_by("match_id").values("match_id")[:1])
    refused = Q(tried_match=F("wanted"), tries__gte=TRIES)
    return (
        connector.pulled.annotate(wanted=Coalesce(earliest, Value(0)))
        .exclude(wanted=F("written_match"))
        .exclude(refused, tried_match__isnull=False)
        .order_by("pk")
    )


def write(connector: Connector, core: Core, pending: Sequence[Any]) -> int:
    """Send what each transaction should show, and keep what became of it."""
    facts = {each.pk: meta_data(each) for each in pending}
    written = 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="write-back") as pool:
        outcomes = pool.map(lambda each: attempt(core, each.transaction_id, facts[each.pk]), pending)
        for each, error in zip(pending, outcomes, strict=True):
            this = PulledTransaction.objects.filter(pk=each.pk)
            if error is None:
                this.update(written_match=each.wanted, tried_match=None, tries=0, error="")
                written += 1
            elif error.is_passing:
                pause(connector, error.message, at_least=error.wait)
            else:
                tries = each.tries + 1 if each.tried_match == each.wanted else 1
                this.update(tried_match=each.wanted, tries=tries, error=error.message)
    return written


def attempt(core: Core, name: str, meta: dict[str, Any]) -> CoreError | None:
    if shutting_down.is_set():
        return CoreError("The worker stops.", is_passing=True)
    try:
        write_metadata(core, name, meta)
    except CoreError as error:
        return error
    return None


def pause(connector: Connector, why: str, at_least: timedelta = timedelta(0)) -> None:
    after = timezone.now() + max(PAUSE, at_least)
    Connector.objects.filter(pk=connector.pk).update(write_after=after, write_error=why)


def meta_data(pulled: Any) -> dict[str, Any]:
    """The keys Blnk's own reconciliation writes. The same for the same match, whenever it is sent."""
    if not pulled.wanted:
        return NOTHING
    match = Match.objects.get(pk=pulled.wanted)
    run = MatchingRun.objects.filter(number=match.run_number).first() if match.run_number else None
    rows = MatchRow.objects.filter(match_id=match.pk)
    lines = rows.filter(side=Side.STATEMENT).values("row_id")
    names = StatementLine.objects.filter(pk__in=lines).order_by("pk").values_list("external_id", flat=True)
    settled = sum(rows.filter(side=Side.LEDGER, row_id=pulled.entry_id).values_list("units", flat=True))
    amount = Decimal(settled).scaleb(-match.scale)
    return {
        "reconciled": True,
        "reconciliation_id": run.run_id if run else "",
        "external_txn_id": ",".join(name or "" for name in names),
        "reconciled_at": (match.state_changed_at or match.created_at).isoformat(),
        "reconciliation_amount": amount if len(amount.as_tuple().digits) <= FLOAT_DIGITS else f"{amount:f}",
    }
