"""From a Blnk transaction to a ledger entry, exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils import timezone

from recon.blnk_core import OddValueError, instant
from recon.models import Connector, LedgerEntry
from recon.rows import MAX_SCALE, MAX_UNITS
from rules.criteria.text import text_key

NOT_SET: Final = datetime(2, 1, 1, tzinfo=UTC)
"""Go writes a time that was never set as the first of January of the year 1."""


class UnreadableError(Exception):
    """A transaction that cannot become an entry; the text names it and says why."""


def transaction_id(given: Mapping[str, Any]) -> str:
    """Raises UnreadableError if there is none."""
    found = given.get("transaction_id")
    if not isinstance(found, str) or not 0 < len(found) <= 200:
        raise UnreadableError("A transaction came without its transaction_id.")
    return found


def concerns(connector: Connector, given: Mapping[str, Any]) -> bool:
    """Whether a transaction moves one of the balances that the connector is about."""
    return not connector.balances or not {given.get("source"), given.get("destination")}.isdisjoint(connector.balances)


def entry_of(connector: Connector, given: Mapping[str, Any]) -> LedgerEntry:
    """The entry a transaction becomes, still without its id and import. Raises UnreadableError."""
    name = transaction_id(given)
    try:
        with localcontext(prec=80):  # the usual 28 digits would round what is refused below
            units, scale = money(given)
        at = booked_at(given)
        zone = ZoneInfo(connector.account.time_zone) if connector.account else UTC
        texts = {each: text(given, each) for each in ("reference", "description", "source", "destination")}
        status = (text(given, "status") or "")[:12].upper()
        entry = LedgerEntry(
            account_id=connector.account_id,
            external_id=name,
            units=-units if leaves(connector, given) else units,
            scale=scale,
            currency=currency(given),
            booking_date=at.astimezone(zone).date(),
            booked_at=at,
            parent_transaction=text(given, "parent_transaction"),
            status=status,
            amount_text=str(given.get("amount", "")),
            created_at=timezone.now(),
            extra=extra(given),
            reference_key=text_key(texts["reference"]),
            description_key=text_key(texts["description"]),
            **texts,
        )
    except (OddValueError, OverflowError) as error:
        raise UnreadableError(f"Transaction {name}: {error}.") from error
    return entry


def leaves(connector: Connector, given: Mapping[str, Any]) -> bool:
    """Seen from the connector's balances: what leaves them is negative, what moves between them stays as it is.

    Only for entries with an owner. Those without are seen from each account's own balances when they are matched.
    """
    if connector.account_id is None or not connector.balances:
        return False
    return given.get("source") in connector.balances and given.get("destination") not in connector.balances


def money(given: Mapping[str, Any]) -> tuple[int, int]:
    """Units and scale: `precise_amount` over `precision` if it is there, since `amount` went through a float."""
    precise, precision = given.get("precise_amount"), given.get("precision")
    if precise is not None and precision:
        divisor = number(precision, "precision")
        places = divisor.adjusted()
        if divisor != Decimal(10) ** places or places < 0:
            raise OddValueError(f"precision is {precision}; expected a power of ten")
        whole = number(precise, "precise_amount")
        exact, scale = whole.scaleb(-places), places
    else:
        exact = number(given.get("amount"), "amount")
        scale = max(2, -int(exact.normalize().as_tuple().exponent))
    if scale > MAX_SCALE:  # digits that say nothing are given up, others are not
        scale = max(2, -int(exact.normalize().as_tuple().exponent))
    units = exact.scaleb(scale)
    if scale > MAX_SCALE or units != units.to_integral_value() or abs(units) > MAX_UNITS:
        raise OddValueError(f"the amount {exact:f} does not fit: at most 18 digits, of which 9 behind the point")
    return int(units), scale


def number(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise OddValueError(f"{name} is {value!r}; expected a number")
    found = Decimal(value)
    if not found.is_finite() or abs(found.adjusted()) > 40:
        raise OddValueError(f"{name} is {value}; expected a number of ordinary size")
    return found


def currency(given: Mapping[str, Any]) -> str:
    found = (text(given, "currency") or "").upper()
    if not (len(found) == 3 and found.isascii() and found.isalpha()):
        raise OddValueError(f"the currency is {found!r}; expected three letters such as EUR")
    return found


def booked_at(given: Mapping[str, Any]) -> datetime:
    """When it took effect if it says so, else when it was made."""
    if effective := given.get("effective_date"):
        at = instant(effective)
        if at >= NOT_SET:
            return at
    return instant(given.get("created_at"))


def text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise OddValueError(f"{name} is {value!r}; expected a text")
    if "\x00" in value:
        raise OddValueError(f"{name} holds a NUL character, which cannot be stored")
    return value


def extra(given: Mapping[str, Any]) -> str | None:
    meta = given.get("meta_data")
    if not isinstance(meta, Mapping) or not meta:
        return None
    return json.dumps({"meta_data": meta}, default=str, ensure_ascii=False).replace("\\u0000", "")
