"""Discrepancies: what is wrong with imported files, opened and resolved as the records change.

A file that does not balance, or does not join the one before, is kept all the same; what speaks against it stays on
somebody's list until it no longer holds or a person says why it may stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from recon.models import Account, Discrepancy, DiscrepancyKind, LedgerImport, LoadState, Statement
from recon.statements.values import bare_number
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.continuity import following, joint, span_of
from recon.usecases.imports.facts import CurrencyFacts, statement_facts
from recon.wording import counted

NO_LONGER: Final = "It no longer holds."
"""Why a discrepancy is resolved that resolved itself."""


@dataclass(frozen=True)
class Finding:
    """A discrepancy that holds now. `subject` tells those of one kind apart."""

    kind: DiscrepancyKind
    subject: str
    text: str
    detail: Mapping[str, Any] | None = None


def discrepancies(account: Account | None = None, *, with_resolved: bool = False) -> QuerySet[Discrepancy]:
    """The list somebody works: what is open, or everything, of one account or all."""
    found = Discrepancy.objects.select_related("account", "statement", "ledger_import", "resolved_by")
    if not with_resolved:
        found = found.open()
    return found if account is None else found.filter(account=account)


def resolve_discrepancy(by: Actor, discrepancy: Discrepancy, why: str) -> Discrepancy:
    """Say that a discrepancy may stand, and why. Raises Refused without a reason, or if it is resolved already."""
    if not why.strip():
        raise Refused("Say why this may stand: somebody will ask.")
    with transaction.atomic():
        locked = Discrepancy.objects.select_for_update().get(pk=discrepancy.pk)
        if locked.resolved_at is not None:
            raise Refused("This is resolved already.")
        _close(by, locked, why.strip())
    return locked


def reopen_discrepancy(by: Actor, discrepancy: Discrepancy, why: str = "") -> Discrepancy:
    """Put a resolved discrepancy back on the list."""
    with transaction.atomic():
        locked = Discrepancy.objects.select_for_update().get(pk=discrepancy.pk)
        if locked.resolved_at is None:
            raise Refused("This is open.")
        before = {"resolution": locked.resolution}
        locked.resolved_at, locked.resolved_by, locked.resolution = None, None, ""
        locked.save(update_fields=["resolved_at", "resolved_by", "resolution"])
        _record(by, locked, "discrepancy reopened", before=before, why=why)
    return locked


def check_statement(by: Actor, statement: Statement) -> None:
    """Bring the discrepancies of a statement up to date, and those of the one that follows it.

    To be called in the transaction that changes either.
    """
    _bring_up_to_date(by, statement, list(_findings(statement)))
    if not statement.account.is_builtin and (later := following(statement)) is not None:
        _bring_up_to_date(by, later, list(_findings(later)))


def open_for_ledger(by: Actor, imported: LedgerImport, findings: Mapping[int, Finding]) -> None:
    """Open discrepancies about ledger entries, by entry id; one that is open with the same text stays the one."""
    known = set(Discrepancy.objects.open().filter(entry_id__in=findings).values_list("entry_id", "text"))
    for entry_id, finding in findings.items():
        if (entry_id, finding.text) not in known:
            _open(by, finding, account=imported.account, ledger_import=imported, entry_id=entry_id)


def _findings(statement: Statement) -> Iterator[Finding]:
    """Everything that is wrong with a statement now; nothing with one that is no longer in force."""
    if statement.state != LoadState.READY:
        return
    for facts in statement_facts(statement):
        if facts.verdict == "differs":
            detail = {**facts.to_dict(), "difference": str(facts.difference)}
            yield Finding(DiscrepancyKind.BALANCE, f"{facts.name} {facts.currency}".strip(), difference(facts), detail)
    if unread := statement.row_errors.filter(settled_at=None).count():
        wait = "waits" if unread == 1 else "wait"
        text = f"{counted(unread, 'row')} of {statement.name} could not be read and {wait} for repair."
        yield Finding(DiscrepancyKind.UNREAD, "", text)
    if statement.account.is_builtin:
        return  # programs upload what they like, in any order
    found = joint(statement.account, span_of(statement), statement)
    if found.verdict == "gap":
        yield Finding(DiscrepancyKind.GAP, found.currency, f"{statement.name}: {found.text}")
    other = found.neighbour
    if found.verdict == "overlap" and other and not statement.skipped and other.number < statement.number:
        text = f"{statement.name}: {found.text} Look whether lines are there twice."
        yield Finding(DiscrepancyKind.OVERLAP, other.pk, text)
    if stranger := other_account(statement.account, statement.account_number):
        yield Finding(DiscrepancyKind.ACCOUNT, statement.account_number, f"{statement.name}: {stranger}")


def difference(facts: CurrencyFacts) -> str:
    """The sentence of a balance that does not add up."""
    where = f"{facts.name}: " if facts.name else ""
    should = (facts.opening or 0) + facts.net
    return (
        f"{where}The balance does not add up in {facts.currency}: opening {facts.opening:,} and movements"
        f" {facts.net:+,} make {should:,}, but it closes with {facts.closing:,}"
        f" ({facts.difference:+,})."
    )


def other_account(account: Account, number: str) -> str:
    """A sentence if a file names another account number than the account has; an IBAN holds a bank's own number."""
    theirs, own = bare_number(number), bare_number(account.number)
    if not theirs or not own or theirs in own or own in theirs:
        return ""
    digits = theirs.rpartition("/")[2].lstrip("0")
    if len(digits) >= 6 and own.endswith(digits):
        return ""
    return f"The file is of account {number}, but {account.name} has the number {account.number}."


def _bring_up_to_date(by: Actor, statement: Statement, holds: list[Finding]) -> None:
    """Open what holds and is not known yet, close what no longer holds; what a person has let stand is left alone."""
    kept = statement.discrepancies.exclude(resolution=NO_LONGER)
    known = {(each.kind, each.subject, each.text): each for each in kept}
    now = {(str(each.kind), each.subject, each.text): each for each in holds}
    for key, discrepancy in known.items():
        if key not in now and discrepancy.resolved_at is None:
            _close(by, discrepancy, NO_LONGER)
    for key, finding in now.items():
        if key not in known:
            _open(by, finding, account=statement.account, statement=statement)


def _open(by: Actor, finding: Finding, **about: Any) -> None:
    opened = Discrepancy.objects.create(
        kind=finding.kind, subject=finding.subject[:64], text=finding.text, detail=finding.detail, **about
    )
    _record(by, opened, "discrepancy opened", after={"kind": opened.kind, "text": opened.text})


def _close(by: Actor, discrepancy: Discrepancy, why: str) -> None:
    discrepancy.resolved_at, discrepancy.resolved_by, discrepancy.resolution = timezone.now(), by.user, why
    discrepancy.save(update_fields=["resolved_at", "resolved_by", "resolution"])
    _record(by, discrepancy, "discrepancy resolved", before={"text": discrepancy.text}, why=why)


def _record(by: Actor, discrepancy: Discrepancy, verb: str, **more: Any) -> None:
    record(by, verb, "discrepancy", discrepancy.pk, account_id=discrepancy.account_id, **more)
