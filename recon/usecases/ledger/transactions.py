"""Ledger entries made one by one or in bulk through the API: Blnk's transactions."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final

import pyarrow as pa
import simplejson
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from recon.models import LedgerEntry, reserve_ids
from recon.rows import MAX_SCALE, MAX_UNITS
from recon.usecases.bulk.rows import arrow_schema, load_rows
from recon.usecases.events import Actor, record
from recon.usecases.imports.rows import keyed
from rules.criteria.text import text_key

STATUSES: Final = ("APPLIED", "QUEUED", "SCHEDULED", "INFLIGHT", "REJECTED", "VOID", "COMMIT", "EXPIRED")
"""Blnk's words; only APPLIED (or none) takes part in matching."""

NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""How Go writes a time that was not set."""

TEXTS: Final = ("reference", "description", "source", "destination", "parent_transaction")

_COLUMNS: Final = (
    "id", "units", "scale", "currency", "booking_date", "booked_at", "status", "created_at", "api_reference",
    "amount_text", "extra", "counterparty", *TEXTS,
)  # fmt: skip


class TransactionRefused(Exception):  # noqa: N818 - it is an answer, not a fault
    """One transaction cannot be accepted. ``code`` is one of Blnk's error codes."""

    def __init__(self, message: str, code: str = "TXN_VALIDATION_ERROR") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True)
class Failure:
    """Why one transaction of a bulk that is not atomic was left out; `index` counts from 0."""

    index: int
    reference: str
    refused: TransactionRefused


def transaction_id(entry_id: int) -> str:
    """The public id of a ledger entry: a UUID made of its id, so that bulk tables need no second key."""
    check = hashlib.blake2b(entry_id.to_bytes(8), digest_size=8, key=b"tieout transaction").digest()
    bits = int.from_bytes(check + entry_id.to_bytes(8))
    # Version 8 (RFC 9562: vendor specific) and variant take six bits; ids stay far below the 62 that remain.
    bits = bits & ~(0xF << 76) | (0x8 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    return f"txn_{uuid.UUID(int=bits)}"


def entry_id(public: str) -> int | None:
    """The ledger entry's id that `transaction_id` hid in this text; None if the text is no such id."""
    try:
        value = uuid.UUID(public.removeprefix("txn_")).int & ((1 << 62) - 1)
    except ValueError:
        return None
    return value if transaction_id(value) == public else None


@transaction.atomic
def create_transaction(by: Actor, given: Mapping[str, Any]) -> LedgerEntry:
    """Add one unowned ledger entry. Raises TransactionRefused."""
    entry = LedgerEntry(id=reserve_ids(LedgerEntry, 1), **_with_keys(entry_values(given)))
    with _unique([entry.api_reference]):
        entry.save(force_insert=True)
    record(by, "ledger entry created", "entry", entry.id, after={"reference": entry.reference})
    return entry


def create_transactions(
    by: Actor, items: Sequence[Mapping[str, Any]], *, atomic: bool
) -> tuple[list[int], list[Failure]]:
    """Add many; the ids of the entries. Atomic: all of them or, raising TransactionRefused that names the first bad
    one, none."""
    checked, failures = _checked(items, stop_at_first=atomic)
    first = reserve_ids(LedgerEntry, max(1, len(checked)))
    entries = [(index, {"id": first + place, **values}) for place, (index, values) in enumerate(checked)]
    if not entries:
        return [], failures
    try:
        with transaction.atomic():
            _load([values for _, values in entries])
            _record_bulk(by, first, len(entries))
        return [values["id"] for _, values in entries], failures
    except TransactionRefused:
        if atomic:
            raise
    return _one_by_one(by, entries, failures)


def _one_by_one(
    by: Actor, entries: Sequence[tuple[int, dict[str, Any]]], failures: list[Failure]
) -> tuple[list[int], list[Failure]]:
    """Some reference was taken already: find out which, keeping the others."""
    kept: list[int] = []
    with transaction.atomic():
        for index, values in entries:
            try:
                with _unique([values["api_reference"]]):
                    LedgerEntry(**_with_keys(values)).save(force_insert=True)
                kept.append(values["id"])
            except TransactionRefused as refused:
                failures.append(Failure(index, values["reference"], refused))
        if kept:
            _record_bulk(by, kept[0], len(kept))
    return kept, sorted(failures, key=lambda failure: failure.index)


def _record_bulk(by: Actor, first: int, count: int) -> None:
    if count:
        record(by, "ledger entries created", "entry", first, after={"count": count})


def _checked(
    items: Sequence[Mapping[str, Any]], *, stop_at_first: bool
) -> tuple[list[tuple[int, dict[str, Any]]], list[Failure]]:
    entries: list[tuple[int, dict[str, Any]]] = []
    failures: list[Failure] = []
    for index, given in enumerate(items):
        try:
            entries.append((index, entry_values(given)))
        except TransactionRefused as refused:
            if stop_at_first:
                raise TransactionRefused(f"transactions[{index}]: {refused.message}", refused.code) from refused
            reference = given.get("reference") if isinstance(given, Mapping) else ""
            failures.append(Failure(index, str(reference or ""), refused))
    return entries, failures


def _load(entries: Sequence[dict[str, Any]]) -> None:
    """Many at once, as files are loaded: a thousandth of a second for a hundred."""
    table = keyed(pa.Table.from_pylist(list(entries), schema=arrow_schema(LedgerEntry, _COLUMNS)))
    with _unique([values["api_reference"] for values in entries]):
        load_rows(LedgerEntry, table)


@contextmanager
def _unique(references: Sequence[str | None]) -> Iterator[None]:
    """Turn the database's word that a reference was there already into a refusal that names it."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        taken = LedgerEntry.objects.filter(api_reference__in=references).values_list("api_reference", flat=True)
        raise already_used(taken.first() or _repeated(references)) from error


def already_used(reference: str | None) -> TransactionRefused:
    return TransactionRefused(f"reference {reference} has already been used", "TXN_DUPLICATE_REFERENCE")


def _repeated(references: Sequence[str | None]) -> str:
    seen: set[str | None] = set()
    for reference in references:
        if reference in seen:
            return str(reference)
        seen.add(reference)
    return ""


def _with_keys(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, **{f"{name}_key": text_key(values[name]) for name in ("reference", "description")}}


def entry_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an entry, but its id and the comparable form of its texts. Raises TransactionRefused."""
    if not isinstance(given, Mapping):
        raise TransactionRefused("expected a transaction as a JSON object")
    texts = {name: _text(given, name) for name in TEXTS}
    if not texts["reference"]:
        raise TransactionRefused("reference is required")
    _refuse_parts(given)
    units, scale = _money(given)
    meta = given.get("meta_data") or {}
    if not isinstance(meta, Mapping):
        raise TransactionRefused("meta_data must be an object")
    at = _instant(given, "effective_date") or timezone.now()
    return {
        "units": units,
        "scale": scale,
        "currency": _currency(given),
        "booking_date": at.date(),
        "booked_at": at,
        "status": _status(given),
        "created_at": timezone.now(),
        "api_reference": texts["reference"],
        "amount_text": str(given.get("amount", given.get("precise_amount"))),
        "extra": simplejson.dumps({"meta_data": meta}, use_decimal=True, separators=(",", ":")) if meta else None,
        **texts,
    }


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise TransactionRefused(f"{name} must be a text")
    if "\x00" in value:
        raise TransactionRefused(f"{name} holds a NUL character, which cannot be stored")
    return value


def _refuse_parts(given: Mapping[str, Any]) -> None:
    """Blnk makes a transaction of each part; as one entry without its balances they would be other books."""
    for name in ("sources", "destinations"):
        if given.get(name):
            one = name.removesuffix("s")
            raise TransactionRefused(f"{name} cannot be taken; expected one {one}: send each part as a transaction")


def _status(given: Mapping[str, Any]) -> str:
    """What the program says; else in flight or scheduled for a later time, which takes part in no run."""
    status = (_text(given, "status") or "").upper()
    if status and status not in STATUSES:
        raise TransactionRefused(f"status {status!r} is unknown; expected one of {', '.join(STATUSES)}")
    later = _instant(given, "scheduled_for")
    if given.get("inflight") is True:
        return "INFLIGHT"
    return status or ("SCHEDULED" if later and later > timezone.now() else "APPLIED")


def _currency(given: Mapping[str, Any]) -> str:
    currency = (_text(given, "currency") or "").upper()
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise TransactionRefused("currency is required; expected three letters such as USD")
    return currency


def _money(given: Mapping[str, Any]) -> tuple[int, int]:
    """Units and scale from `amount`, or from `precise_amount` in units of 1/`precision`.

    The scale is what `precision` says, by default cents, and more where the amount has more places. Blnk's Go client
    sends an amount of 0 beside every `precise_amount`.
    """
    precise, amount = given.get("precise_amount"), given.get("amount")
    if precise is None and amount is None:
        raise TransactionRefused("amount or precise_amount is required", "TXN_INVALID_AMOUNT")
    places = _places(given)
    with localcontext(prec=200):  # of numbers as long as `_number` lets through nothing is ever rounded
        if precise is not None:
            exact = _number(precise, "precise_amount").scaleb(-(places or 0))
            if amount is not None and _number(amount, "amount") not in (0, exact):
                raise TransactionRefused("amount and precise_amount / precision differ", "TXN_INVALID_AMOUNT")
            scale = places or 0
        else:
            exact = _number(amount, "amount")
            scale = max(2 if places is None else places, -int(exact.normalize().as_tuple().exponent))
        units = exact.scaleb(scale)
        if scale > MAX_SCALE or units != units.to_integral_value() or abs(units) > MAX_UNITS:
            raise TransactionRefused(
                "the amount does not fit: at most 18 digits, of which at most 9 decimal places", "TXN_INVALID_AMOUNT"
            )
        return int(units), scale


def _places(given: Mapping[str, Any]) -> int | None:
    """Decimal places of `precision` (100 is two); None if it is not given. Blnk's clients send 0 for "not given"."""
    value = given.get("precision")
    precision = None if value is None else _number(value, "precision")
    if not precision:
        return None
    places = precision.adjusted()
    if precision != Decimal(10) ** places or not 0 <= places <= MAX_SCALE:
        raise TransactionRefused(
            f"precision {precision} is not a power of ten up to 1,000,000,000", "TXN_PRECISION_NOT_INTEGER"
        )
    return places


def _number(value: Any, name: str) -> Decimal:
    refused = TransactionRefused(f"{name} must be a number", "TXN_INVALID_AMOUNT")
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise refused
    if isinstance(value, str) and ("_" in value or not value.isascii()):  # Python would read 1_000 and １２
        raise refused
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError) as error:
        raise refused from error
    if not number.is_finite() or abs(number.adjusted()) > 30 or len(number.as_tuple().digits) > 60:
        raise refused
    return number


def _instant(given: Mapping[str, Any], name: str) -> datetime | None:
    """A time, in UTC; None if it is not given, for which programs in Go send the first second of the year 1."""
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None:
        raise TransactionRefused(f"{name} must be a time such as 2026-01-31T12:00:00Z")
    try:
        instant = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise TransactionRefused(f"{name} lies outside the years 1 to 9999") from error
    return None if instant == NEVER else instant
