"""Talking to a running Blnk Core: what its public API gives and takes.

Facts from Blnk's public API (github.com/blnkfinance/blnk, Apache-2.0: api/api.go, api/filter_helper.go,
database/transaction_filters.go, api/metadata.go): `POST /transactions/filter` takes filters, `sort_by`, `sort_order`,
`limit` up to 100 (any other becomes 20) and `offset`, and answers a bare array, or with `include_count` an object with
`data` and `total_count`; null stands for an empty list. `POST /{id}/metadata` merges `meta_data` into what is there.
The key goes into the header `X-Blnk-Key`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import simplejson

from recon.outbound import AddressRefusedError, Answer, Call, Limits, OutboundError, fetch

PAGE: Final = 100
LIMITS: Final = Limits(seconds=20, max_bytes=32 * 1024 * 1024)
BUSY: Final = frozenset({408, 425, 429})


class OddValueError(ValueError):
    """Something in an answer is not what it should be; the text says what was found and expected."""


class CoreError(Exception):
    """Blnk did not do what it was asked. `is_passing`: it may, later; `wait` is what it asked for."""

    def __init__(self, message: str, *, is_passing: bool = False, wait: timedelta = timedelta(0)) -> None:
        super().__init__(message)
        self.message, self.is_passing, self.wait = message, is_passing, wait


@dataclass(frozen=True)
class Core:
    """Where a Blnk Core answers, and the key to it."""

    url: str
    key: str


@dataclass(frozen=True)
class Filter:
    field: str
    operator: str  # eq, gt, gte, lte …
    value: str


def find_transactions(
    core: Core, filters: Sequence[Filter], *, sort_by: str = "created_at", offset: int = 0, limit: int = PAGE
) -> list[dict[str, Any]]:
    """One page of transactions, in rising order of `sort_by`. Numbers come as exact decimals. Raises CoreError."""
    found = _post(core, "/transactions/filter", _query(filters, sort_by, offset, limit))
    return _transactions(found)


def count_transactions(core: Core, filters: Sequence[Filter]) -> int:
    """How many transactions meet the filters. Raises CoreError."""
    query = _query(filters, "created_at", 0, 1) | {"include_count": True}
    found = _post(core, "/transactions/filter", query)
    count = found.get("total_count") if isinstance(found, dict) else None
    return int(count) if isinstance(count, int | Decimal) else 0


def write_metadata(core: Core, transaction_id: str, meta_data: Mapping[str, Any]) -> None:
    """Merge `meta_data` into a transaction's. Raises CoreError."""
    _post(core, f"/{quote(transaction_id, safe='')}/metadata", {"meta_data": dict(meta_data)})


def instant(text: Any) -> datetime:
    """An instant as Blnk writes it. Raises OddValueError."""
    try:
        found = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError as error:
        raise OddValueError(f"the time is {text!r}; expected one such as 2026-01-31T12:00:00Z") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def in_blnk(at: datetime) -> str:
    """An instant as Blnk reads it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _query(filters: Sequence[Filter], sort_by: str, offset: int, limit: int) -> dict[str, Any]:
    told = [{"field": each.field, "operator": each.operator, "value": each.value} for each in filters]
    return {"filters": told, "sort_by": sort_by, "sort_order": "asc", "limit": limit, "offset": offset}


def _post(core: Core, path: str, body: Mapping[str, Any]) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "X-Blnk-Key": core.key}
    sent = simplejson.dumps(body, use_decimal=True).encode()
    try:
        answer = fetch(Call("POST", core.url.rstrip("/") + path, headers, sent), LIMITS)
    except AddressRefusedError as error:
        raise CoreError(str(error)) from error
    except OutboundError as error:
        raise CoreError(str(error), is_passing=True) from error
    if not answer.is_success:
        raise _refusal(answer)
    return _parsed(answer)


def _parsed(answer: Answer) -> Any:
    try:
        return json.loads(answer.body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise CoreError(
            "Blnk's answer is not the JSON it should be; it may have been cut off.", is_passing=True
        ) from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _transactions(found: Any) -> list[dict[str, Any]]:
    if found is None:  # Go's empty list
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CoreError("The answer is not a list of transactions. Is this the address of a Blnk Core?")
    return found


def _refusal(answer: Answer) -> CoreError:
    said = _said(answer)
    if answer.status in {401, 403}:
        return CoreError(f"Blnk does not accept the key (answered {answer.status}{said}).")
    if answer.status in {404, 405}:
        return CoreError(f"Blnk knows no such thing (answered {answer.status}{said}).")
    if answer.status in BUSY or answer.status >= 500:
        after = answer.headers.get("retry-after", "")
        wait = timedelta(seconds=int(after)) if after.isdecimal() and len(after) < 6 else timedelta(0)
        return CoreError(f"Blnk is in trouble (answered {answer.status}{said}).", is_passing=True, wait=wait)
    return CoreError(f"Blnk refused (answered {answer.status}{said}).")


def _said(answer: Answer) -> str:
    """What the answer says in Blnk's own words, if it does."""
    try:
        error = json.loads(answer.body).get("error", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return f": {error[:200]}" if isinstance(error, str) and error else ""
