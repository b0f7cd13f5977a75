"""Ledger entries that runs pass over become open items all the same.

A run of few lines reads only the entries that its lines imply (`recon.usecases.runs.pushdown`), and reports on those.
What else of the account's ledger is open by the end of its statement is work too: a period does not close over it. The
run leaves a note, and the worker goes through the ledger, a piece at a time, while no run of the account is at work.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from django.db import transaction

from recon.models import Account, MatchingRun, PassedOver, Side
from recon.usecases.accounts.scope import entries_in_scope, hold_still
from recon.usecases.review.open_items import open_entries_passed_over, untouched, up_to
from recon.usecases.runs.input import next_entry_id

PIECE: Final = 20_000
"""Ids of entries that are looked at in one transaction: whoever wants to match something by hand waits that long."""


def note_passed_over(run: MatchingRun, until: date) -> None:
    """Have the worker list what is open by a day of a ledger that a run has not read as a whole."""
    with transaction.atomic():
        before = PassedOver.objects.select_for_update().filter(account=run.account).first()
        latest = {"run_number": run.number, "until": max(until, before.until) if before else until, "next_id": 0}
        PassedOver.objects.update_or_create(account=run.account, defaults=latest)


def list_passed_over() -> int:
    """List a piece of the ledger of every account that waits for it; returns how many have more."""
    return sum(_list_piece(note.account_id) for note in PassedOver.objects.all())


@transaction.atomic
def _list_piece(account_id: int) -> bool:
    """Whether there is more to be listed, and nothing in the way."""
    # No run starts, and nobody matches by hand, until this is over: what is open now is open when it is listed.
    hold_still(account_id)
    note = PassedOver.objects.select_related("account").select_for_update(of=("self",)).filter(pk=account_id).first()
    if note is None or MatchingRun.objects.active().filter(account=account_id).exists():
        return False
    ids = _open_ids(note.account, note.next_id, note.until)
    open_entries_passed_over(note.account, ids)
    note.next_id += PIECE
    if note.next_id >= next_entry_id():
        note.delete()
        return False
    note.save(update_fields=["next_id"])
    return True


def _open_ids(account: Account, first: int, until: date) -> list[int]:
    entries = entries_in_scope(account).filter(up_to(until, "booking_date"), pk__gte=first, pk__lt=first + PIECE)
    return list(untouched(account, Side.LEDGER, entries).order_by("pk").values_list("pk", flat=True))
