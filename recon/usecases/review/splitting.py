"""Splitting an open item: a row that is settled by several things takes part in matching as several parts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max, Sum
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    ItemState,
    LedgerEntry,
    Match,
    MatchingRun,
    MatchRow,
    MatchState,
    OpenItem,
    RowPart,
    Side,
    StatementLine,
    reserve_ids,
)
from recon.rows import amount
from recon.usecases.accounts.closing import refuse_closed_item
from recon.usecases.accounts.scope import hold_still, signed_units
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record


def split_item(by: Actor, item: OpenItem, part: Decimal, why: str = "") -> OpenItem:
    """Make an open item one of `part`, and what remains another one, which is returned. Raises `Refused`.

    `part` has the item's sign and is nearer to zero. Suggestions for the whole are withdrawn.
    """
    with transaction.atomic():
        item, account = _locked(item)
        units = _part_units(item, part)
        before = {"amount": str(item.amount), "part": item.part}
        if item.part == 0:
            turn = _turn(account, item)  # parts are seen from the account's side, whole rows as the ledger has them
            own, rest = units * turn, (item.units - units) * turn
            _withdraw_suggestions(item)
            item.part = 1
            RowPart.objects.create(**_key(item), units=own)
        else:
            own, rest = units, item.units - units
            _withdraw_suggestions(item)
            RowPart.objects.filter(**_key(item)).update(units=own)
        item.units, item.reason = own, "split"  # what the latest run said was said of the whole
        item.save(update_fields=["part", "units", "reason"])
        remainder = _remainder(item, rest)
        after = {"parts": [str(item.amount), str(remainder.amount)], "part": item.part, "next_part": remainder.part}
        record(by, "item split", "item", item.pk, account_id=account.pk, before=before, after=after, why=why)
    return remainder


def join_item(by: Actor, item: OpenItem, why: str = "") -> OpenItem:
    """Put the open parts of a split row together again: into the whole row if none is settled. Raises `Refused`."""
    with transaction.atomic():
        item, account = _locked(item)
        if item.part == 0:
            raise Refused("This row was not split.")
        of_row = _row(item)
        claims = Claim.objects.filter(**of_row).values_list("part", flat=True)
        open_parts = RowPart.objects.filter(**of_row).exclude(part__in=claims)
        others = OpenItem.objects.select_for_update().filter(**of_row).exclude(pk=item.pk).exclude(part__in=claims)
        if not others:
            raise Refused("The other parts are matched; unmatch one of them first.")
        for each in (item, *others):
            refuse_closed_item(each)
            _withdraw_suggestions(each)
        before = {"parts": [str(amount(part.units, item.scale)) for part in open_parts.order_by("part")]}
        total = open_parts.aggregate(total=Sum("units"))["total"]
        others.delete()
        if claims:
            open_parts.exclude(part=item.part).delete()
            RowPart.objects.filter(**_key(item)).update(units=total)
            item.units = total
        else:
            open_parts.delete()
            item.units, item.part = total * _turn(account, item), 0
        item.reason = "joined"
        item.save(update_fields=["part", "units", "reason"])
        after = {"amount": str(item.amount)}
        record(by, "item joined", "item", item.pk, account_id=account.pk, before=before, after=after, why=why)
    return item


def _locked(item: OpenItem) -> tuple[OpenItem, Account]:
    """The item and its account, held until the transaction is over: no run may take the row as it was."""
    account = Account.objects.get(pk=item.account_id)
    if account.is_builtin:
        raise Refused("Rows of the API's own account take part as a whole; its runs may start at any moment.")
    hold_still(account.pk)
    if run := MatchingRun.objects.active().filter(account=account, is_dry_run=False).first():
        raise Refused(f"Run {run.number} of {account} is {run.state}; split the item when it is over.")
    found = OpenItem.objects.unresolved().select_for_update().filter(pk=item.pk).first()
    if found is None or Claim.objects.filter(**_key(found)).exists():
        raise Refused("This item is resolved; unmatch its match to open it again.")
    refuse_closed_item(found)
    return found, account


def _part_units(item: OpenItem, part: Decimal) -> int:
    units = part.scaleb(item.scale)
    if units != units.to_integral_value():
        raise Refused(f"{part} has more decimals than the row, which has {item.scale}.")
    if not 0 < units / item.units < 1:
        raise Refused(f"A part of {item.amount} lies between 0 and {item.amount}; {part} does not.")
    return int(units)


def _turn(account: Account, item: OpenItem) -> int:
    """-1 if the account sees the row with the other sign: an entry that leaves its balance."""
    rows: Any = StatementLine if item.side == Side.STATEMENT else LedgerEntry
    row = rows.objects.annotate(signed=signed_units(account, Side(item.side))).get(pk=item.row_id)
    return 1 if row.signed == row.units else -1


def _remainder(item: OpenItem, units: int) -> OpenItem:
    """What is left, as the next part, with the item's owner; notes on the item stay there."""
    last: int = RowPart.objects.filter(**_row(item)).aggregate(last=Max("part"))["last"] or 0
    RowPart.objects.create(**_row(item), part=last + 1, units=units)
    return OpenItem.objects.create(
        id=reserve_ids(OpenItem, 1), **_row(item), part=last + 1, units=units, scale=item.scale,
        currency=item.currency, row_date=item.row_date, state=ItemState.OPEN, owner=item.owner, reason=item.reason,
        run_number=item.run_number, opened_at=timezone.now(), over_sla_at=item.over_sla_at,
    )  # fmt: skip


def _withdraw_suggestions(item: OpenItem) -> None:
    """What was suggested for the row part as it was; what a dry run found does not hold any more by itself."""
    dry = MatchingRun.objects.filter(account_id=item.account_id, is_dry_run=True).values("number")
    matches = MatchRow.objects.filter(side=item.side, row_id=item.row_id, part=item.part).values("match_id")
    found = Match.objects.filter(pk__in=matches, account_id=item.account_id, state=MatchState.SUGGESTED)
    found.exclude(run_number__in=dry).update(state=MatchState.WITHDRAWN, state_changed_at=timezone.now())


def _row(item: OpenItem) -> dict[str, Any]:
    return {"account_id": item.account_id, "side": item.side, "row_id": item.row_id}


def _key(item: OpenItem) -> dict[str, Any]:
    return {**_row(item), "part": item.part}
