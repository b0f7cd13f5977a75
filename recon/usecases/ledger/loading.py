"""Ledger entries from programs: one, a list, or a stream of any length in bounded memory.

Many at once are a ledger import like a file: all or nothing, and reversible while none of them is matched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from django.db import transaction
from django.utils import timezone

from recon.models import Account, LedgerEntry, LedgerImport, LoadState, reserve_ids
from recon.statements.model import RowError
from recon.usecases.accounts.closing import refuse_closed_rows
from recon.usecases.bulk.rows import load_pieces
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.rows import entry_rows, keyed, load_all_unseen
from recon.usecases.ledger.entry_rows import entry_table, fault, refusal

PIECE_ROWS: Final = 25_000
"""Entries that are read, checked and stored at a time."""
PIECE_BYTES: Final = 16 << 20
LINE_BYTES: Final = 1 << 20
_BLOCK: Final = 1 << 18

Entries = Sequence[Mapping[str, Any]]


class Readable(Protocol):
    """A body on its way in."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass
class Body:
    """A stream of one JSON object a line, cut into lists; what went by is hashed and counted. Raises Refused."""

    stream: Readable
    most_bytes: int
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0

    def pieces(self) -> Iterator[Entries]:
        """The objects in lists of some thousands; blank lines are passed over."""
        number, lines, held = 1, [], 0
        for line in self._lines():
            lines.append(line)
            held += len(line)
            if len(lines) >= PIECE_ROWS or held >= PIECE_BYTES:
                yield _objects(lines, number)
                number, lines, held = number + len(lines), [], 0
        if lines:
            yield _objects(lines, number)

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while block := self.stream.read(_BLOCK):
            self.size += len(block)
            if self.size > self.most_bytes:
                raise Refused(f"The body is larger than {self.most_bytes:,} bytes; send it in several requests.")
            self.digest.update(block)
            *whole, rest = (rest + block).split(b"\n")
            yield from (line for line in whole if line.strip())
            if len(rest) > LINE_BYTES:
                raise Refused(f"A line is longer than {LINE_BYTES:,} bytes; expected one JSON object a line.")
        if rest.strip():
            yield rest


def store_stream(by: Actor, account: Account | None, stream: Readable, *, name: str, most_bytes: int) -> LedgerImport:
    """Store one JSON object a line as ledger entries. Raises Refused like `store_list`; nothing is stored then."""
    body = Body(stream, most_bytes)
    return _store(by, account, body.pieces(), body.digest, name, "ndjson")


def store_list(by: Actor, account: Account | None, entries: Entries, *, name: str) -> LedgerImport:
    """Store a list of objects as ledger entries. Raises Refused, with row errors by place, counted from 1."""
    digest = hashlib.sha256(json.dumps(entries, default=str).encode())
    pieces = (entries[start : start + PIECE_ROWS] for start in range(0, len(entries), PIECE_ROWS))
    return _store(by, account, pieces, digest, name, "json")


def create_entry(by: Actor, account: Account | None, entry: Mapping[str, Any]) -> LedgerEntry:
    """Store one ledger entry, owned by the account or anybody's. Raises Refused."""
    table = keyed(entry_table([entry], first=1, time_zone=_zone(account)))
    with transaction.atomic():
        refuse_closed_rows(account, table["booking_date"].to_pylist(), "The entry")
        row = entry_rows(
            table, import_number=0, account_id=account.pk if account else None, created_at=timezone.now()
        ).drop_columns(["import_number"])
        load_pieces(LedgerEntry, [row])
        made = LedgerEntry.objects.get(pk=row["id"][0].as_py())
        record(by, "ledger entry created", "entry", made.pk, account_id=made.account_id,
               after={"reference": made.reference, "amount": str(made.amount), "currency": made.currency})  # fmt: skip
    return made


def _store(
    by: Actor, account: Account | None, pieces: Iterable[Entries], digest: Any, name: str, form: str
) -> LedgerImport:
    imported = LedgerImport(
        number=reserve_ids(LedgerImport, 1),
        account=account,
        name=name[:255],
        format=form,
        imported_by=by.user,
    )
    created_at = timezone.now()
    first_days: list[date] = []

    def tables() -> Iterator[pa.Table]:
        first = 1
        for piece in pieces:
            table = keyed(entry_table(piece, first=first, time_zone=_zone(account)))
            first += len(piece)
            first_days.append(pc.min(table["booking_date"]).as_py())
            owner = account.pk if account else None
            yield entry_rows(table, import_number=imported.number, account_id=owner, created_at=created_at)

    def load() -> None:
        imported.record_count = load_pieces(LedgerEntry, tables())
        if not imported.record_count:
            raise Refused("There is no entry; expected at least one.")

    def reveal() -> None:
        refuse_closed_rows(account, first_days, name)
        imported.state, imported.sha256 = LoadState.READY, digest.hexdigest()
        imported.save(update_fields=["state", "sha256", "record_count"])
        after = {"name": imported.name, "sha256": imported.sha256, "rows": imported.record_count}
        owner = account.pk if account else None
        record(by, "ledger imported", "ledger", imported.pk, account_id=owner, after=after)

    load_all_unseen(load, announce=lambda: imported.save(force_insert=True), reveal=reveal)
    return imported


def _zone(account: Account | None) -> str:
    return account.time_zone if account else "UTC"


def _objects(lines: Sequence[bytes], first: int) -> list[Any]:
    """The lines as objects, all at once where that goes well. Raises Refused, naming the first line that is none."""
    try:
        found = _parsed(b"[" + b",".join(lines) + b"]")
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != len(lines):
        raise refusal(_broken(lines, first))
    return found


def _broken(lines: Sequence[bytes], first: int) -> list[RowError]:
    faults = []
    for number, line in enumerate(lines, start=first):
        try:
            _parsed(line)
        except ValueError:
            faults.append(fault(number, None, line.decode(errors="replace")[:80], "one JSON object"))
            if len(faults) == 10:
                break
    return faults or [fault(first, None, "", "one JSON object a line")]


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
