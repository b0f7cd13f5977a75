"""A new issue taken back: the statement that it had replaced takes its place again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from django.db.models import Exists, OuterRef

from recon.models import Account, Claim, ItemState, LoadState, OpenItem, Side, Statement, StatementLine
from recon.usecases.accounts.closing import refuse_closed_import
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.reissues import move_lines, refuse_if_busy


def give_way(by: Actor, new: Statement, why: str = "") -> Statement | None:
    """Let the statement that a new issue superseded be as it was, before that issue is taken back.

    Lines that both have go back with their ids and matches, the others take part again, their items open. Matches that
    were undone when it was replaced stay undone: what they held may have been matched since. In the transaction that
    takes the new issue back, with the account locked. Returns the statement, None if nothing was replaced. Raises
    Refused while a run is at work, or while a line that only the new issue has is matched.
    """
    if new.supersedes_id is None:
        return None
    refuse_if_busy(Account.objects.select_for_update().get(pk=new.account_id))
    old = Statement.objects.select_for_update().get(pk=new.supersedes_id)
    if old.state != LoadState.SUPERSEDED or new.state != LoadState.READY:
        return None
    left = StatementLine.objects.filter(statement_number=old.number)
    refuse_closed_import(left, Account.objects.filter(pk=old.account_id), old.name)
    shared = _shared_lines(old, new)
    _refuse_matched(new, shared)
    free = _free_positions(old)
    move_lines(list(zip(shared, islice(free, len(shared)), strict=True)), old.number)
    lines = left.filter(superseded=True)
    items = OpenItem.objects.filter(side=Side.STATEMENT, row_id__in=lines.values("pk"), reason="superseded")
    reopened = items.update(state=ItemState.OPEN, resolved_at=None, reason="")
    lines.update(superseded=False)
    Statement.objects.filter(pk=old.pk).update(state=LoadState.READY)
    Statement.objects.filter(pk=new.pk).update(supersedes=None, record_count=new.record_count - len(shared))
    after = {"name": old.name, "instead_of": new.pk, "lines_returned": len(shared), "items_reopened": reopened}
    record(by, "statement restored", "statement", old.pk, account_id=old.account_id, after=after, why=why)
    return old


def _shared_lines(old: Statement, new: Statement) -> list[int]:
    """The lines that came from the old statement, in file order: their ids were given out before the new ones'."""
    gone = old.record_count - StatementLine.objects.filter(statement_number=old.number).count()
    lines = StatementLine.objects.filter(statement_number=new.number).order_by("pk").values_list("pk", "position")
    return [pk for pk, _ in sorted(lines[:gone], key=lambda line: line[1])]


def _refuse_matched(new: Statement, shared: list[int]) -> None:
    claims = Claim.objects.filter(side=Side.STATEMENT, row_id=OuterRef("pk"))
    matched = StatementLine.objects.filter(Exists(claims), statement_number=new.number).values_list("pk", flat=True)
    if claimed := len({*matched} - {*shared}):
        raise Refused(f"{claimed:,} rows of {new.name} are matched; unmatch them first.")


def _free_positions(old: Statement) -> Iterator[int]:
    """The places in the old file that its lines have left."""
    taken = set(StatementLine.objects.filter(statement_number=old.number).values_list("position", flat=True))
    return (place for place in count(1) if place not in taken)
