"""A ledger file that comes again: entries that are the same are left out, changed ones never overwritten in silence.

An entry is known by its own id within its owner's entries. A changed entry that nothing settles may be brought up to
date if somebody says so; one that is matched or split stays as it is, and a discrepancy is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.models import (
    Account,
    Claim,
    DiscrepancyKind,
    LedgerEntry,
    LedgerImport,
    OpenItem,
    RowPart,
    Side,
)
from recon.rows import amount
from recon.usecases.accounts import unfinished_imports
from recon.usecases.discrepancies import Finding, open_for_ledger
from recon.usecases.events import Actor, record
from recon.usecases.import_rows import final_status
from recon.usecases.taking_back import withdraw_suggestions_on

COMPARED: Final = (
    "units", "scale", "currency", "booking_date", "value_date", "reference", "description", "counterparty",
    "type_code", "source", "destination", "parent_transaction", "status",
)  # fmt: skip
_KEYS: Final = ("reference_key", "description_key", "counterparty_key")
_CHUNK: Final = 10_000


@dataclass(frozen=True)
class ChangedEntry:
    """An entry as it is stored, and the row of the file that says otherwise."""

    entry: LedgerEntry
    row: dict[str, Any]
    is_settled: bool  # matched or split: never overwritten

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Per field what it was and what the file says; amounts as decimals."""
        before, after = as_shown(_stored_facts(self.entry)), as_shown(self.row)
        return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


@dataclass(frozen=True)
class LedgerChanges:
    """What of a ledger file is there already: positions of rows that are the same, and rows that changed."""

    same: pa.Array = field(default_factory=lambda: pa.array([], pa.int64()))
    changed: tuple[ChangedEntry, ...] = ()

    @property
    def settled(self) -> list[ChangedEntry]:
        return [each for each in self.changed if each.is_settled]

    @property
    def unsettled(self) -> list[ChangedEntry]:
        return [each for each in self.changed if not each.is_settled]

    @property
    def positions(self) -> pa.Array:
        """The rows that are no new entries."""
        return pa.concat_arrays([self.same, pa.array([each.row["position"] for each in self.changed], pa.int64())])


def ledger_changes(account: Account | None, rows: pa.Table) -> LedgerChanges:
    """Compare a file's keyed rows with the entries of the same ids. Ids that a file repeats are none."""
    named = _with_own_id(rows)
    if not named.num_rows:
        return LedgerChanges()
    status = final_status(named["status"])
    named = named.set_column(named.column_names.index("status"), "status", status)
    same: list[int] = []
    changed: list[ChangedEntry] = []
    for start in range(0, named.num_rows, _CHUNK):
        piece = {row["external_id"]: row for row in named.slice(start, _CHUNK).to_pylist()}
        stored = _stored(account, piece)
        settled = _settled(entry.pk for entry in stored)
        for entry in stored:
            row = piece[entry.external_id or ""]
            if _facts(row) == _stored_facts(entry):
                same.append(row["position"])
            else:
                changed.append(ChangedEntry(entry, row, entry.pk in settled))
    return LedgerChanges(pa.array(same, pa.int64()), tuple(changed))


def _with_own_id(rows: pa.Table) -> pa.Table:
    """The rows whose id no other row of the file has."""
    counts = pc.value_counts(rows["external_id"].drop_null())
    if not len(counts):
        return rows.slice(0, 0)
    once = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
    return rows.filter(pc.is_in(rows["external_id"], once))


def _stored(account: Account | None, rows: dict[str, dict[str, Any]]) -> list[LedgerEntry]:
    """The owner's entries with these ids, each id once."""
    entries = LedgerEntry.objects.filter(account_id=account.pk if account else None, external_id__in=list(rows))
    found: dict[str | None, list[LedgerEntry]] = {}
    for entry in entries.exclude(import_number__in=unfinished_imports()).order_by("id"):
        found.setdefault(entry.external_id, []).append(entry)
    return [entries[0] for entries in found.values() if len(entries) == 1]


def _settled(ids: Iterable[int]) -> set[int]:
    """Those that a confirmed match holds, or a person has split, in whichever account."""
    kept = {"side": Side.LEDGER, "row_id__in": list(ids)}
    claimed = Claim.objects.filter(**kept).values_list("row_id", flat=True)
    return {*claimed, *RowPart.objects.filter(**kept).values_list("row_id", flat=True)}


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """What makes an entry what it is; amounts of any scale compare equal, no text and an empty one too."""
    facts = {name: row[name] or None for name in COMPARED if name not in {"units", "scale"}}
    return {"amount": amount(row["units"], row["scale"]), **facts}


def _stored_facts(entry: LedgerEntry) -> dict[str, Any]:
    return _facts({name: getattr(entry, name) for name in COMPARED})


def as_shown(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of an entry or a row, texts for JSON and pages."""
    given = _facts(facts) if "units" in facts else facts
    return {name: None if value is None else str(value) for name, value in given.items()}


def apply_changes(by: Actor, imported: LedgerImport, changes: LedgerChanges, *, update: bool) -> dict[str, int]:
    """Bring changed entries up to date if `update` says so, and open a discrepancy for each that is settled.

    In the transaction that makes the import ready; what was settled since the comparison counts as settled.
    """
    settled = _settled(each.entry.pk for each in changes.changed)
    updated = [each for each in changes.changed if update and each.entry.pk not in settled]
    for each in updated:
        _update(by, imported, each)
    withdraw_suggestions_on(Side.LEDGER, LedgerEntry.objects.filter(pk__in=[each.entry.pk for each in updated]))
    held = [each for each in changes.changed if each.entry.pk in settled]
    open_for_ledger(by, imported, {each.entry.pk: _finding(each) for each in held})
    skipped = len(changes.changed) - len(updated) - len(held)
    return {
        "same": len(changes.same),
        "updated": len(updated),
        "changed_but_settled": len(held),
        "not_updated": skipped,
    }


def _update(by: Actor, imported: LedgerImport, changed: ChangedEntry) -> None:
    row = changed.row
    values = {name: row[name] for name in (*COMPARED, *_KEYS, "amount_text", "booked_at", "extra")}
    LedgerEntry.objects.filter(pk=changed.entry.pk).update(**values)
    # An open item copies what lists sort by.
    OpenItem.objects.filter(side=Side.LEDGER, row_id=changed.entry.pk, part=0).unresolved().update(
        units=row["units"], scale=row["scale"], currency=row["currency"], row_date=row["booking_date"]
    )
    before = {name: old for name, (old, _) in changed.changes.items()}
    after = {name: new for name, (_, new) in changed.changes.items()}
    record(
        by, "entry updated", "entry", changed.entry.pk,
        account_id=changed.entry.account_id, before=before, after=after, why=f"{imported.name} was imported again",
    )  # fmt: skip


def _finding(changed: ChangedEntry) -> Finding:
    said = "; ".join(
        f"{name.replace('_', ' ')} {old or 'none'}, now {new or 'none'}"
        for name, (old, new) in changed.changes.items()
    )
    entry = changed.entry
    text = f"Entry {entry.external_id} is matched, but the books now say otherwise: {said}. It was not changed."
    changes = {name: {"before": old, "after": new} for name, (old, new) in changed.changes.items()}
    return Finding(DiscrepancyKind.LEDGER, str(entry.external_id or entry.pk), text, changes)
