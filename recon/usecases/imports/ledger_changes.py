"""A ledger file that comes again: entries that are the same are left out, changed ones never overwritten in silence.

An entry is known by its own id within its owner's entries. A changed entry that nothing settles may be brought up to
date if somebody says so; one that is matched or split stays as it is, and a discrepancy is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
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
from recon.usecases.accounts.scope import unfinished_imports
from recon.usecases.bulk.rows import read_queryset
from recon.usecases.events import Actor, record
from recon.usecases.imports.discrepancies import Finding, open_for_ledger
from recon.usecases.imports.duplicates import MONEY
from recon.usecases.imports.rows import final_status
from recon.usecases.review.open_items import change_unresolved
from recon.usecases.review.withdrawing import withdraw_suggestions_on

COMPARED: Final = (
    "units", "scale", "currency", "booking_date", "value_date", "reference", "description", "counterparty",
    "type_code", "source", "destination", "parent_transaction", "status",
)  # fmt: skip
_KEYS: Final = ("reference_key", "description_key", "counterparty_key")


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

    @property
    def in_words(self) -> list[tuple[str, str, str]]:
        """Per field its name, what it was and what the file says, for a person."""
        return [
            (name.replace("_", " "), before or "none", after or "none")
            for name, (before, after) in self.changes.items()
        ]


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
    """Compare a file's keyed rows with the entries of the same ids. Ids that either side repeats are none."""
    entries = LedgerEntry.objects.filter(account_id=account.pk if account else None, external_id__isnull=False)
    entries = entries.exclude(import_number__in=unfinished_imports())
    if not rows.num_rows or rows["external_id"].null_count == rows.num_rows or not entries.exists():
        return LedgerChanges()
    if rows.num_rows <= FEW:
        entries = entries.filter(external_id__in=rows["external_id"].drop_null().unique().to_pylist())
    stored = read_queryset(entries.order_by(), ["id", "external_id", *COMPARED])
    status = final_status(rows["status"])
    fresh = rows.set_column(rows.column_names.index("status"), "status", status)
    with duckdb.connect() as con:
        con.register("stored_rows", stored)
        con.register("fresh_rows", fresh.select(["position", "external_id", *COMPARED]))
        pairs = con.execute(_COMPARE).to_arrow_table()
    same = pairs.filter(pairs["is_same"])["position"].combine_chunks().cast(pa.int64())
    return LedgerChanges(same, _changed(pairs.filter(pc.invert(pairs["is_same"])), fresh))


FEW: Final = 10_000
"""Rows whose ids are looked up; for more, reading all of the owner's entries is cheaper."""

_PLAIN = [name for name in COMPARED if name not in {"units", "scale", "booking_date", "value_date"}]
_AGREE = " AND ".join(
    [
        "f.money = s.money",
        "f.booking_date IS NOT DISTINCT FROM s.booking_date",
        "f.value_date IS NOT DISTINCT FROM s.value_date",
        *(f"coalesce(f.{name}, '') = coalesce(s.{name}, '')" for name in _PLAIN),
    ]
)
_COMPARE = f"""
    WITH fresh AS (SELECT *, {MONEY} AS money FROM fresh_rows QUALIFY count(*) OVER (PARTITION BY external_id) = 1),
    stored AS (SELECT *, {MONEY} AS money FROM stored_rows QUALIFY count(*) OVER (PARTITION BY external_id) = 1)
    SELECT f.position, s.id, {_AGREE} AS is_same FROM fresh f JOIN stored s ON s.external_id = f.external_id
    ORDER BY f.position
"""  # noqa: S608 - constants of ours


def _changed(pairs: pa.Table, rows: pa.Table) -> tuple[ChangedEntry, ...]:
    """The entries and rows of pairs that are not the same."""
    entries = LedgerEntry.objects.in_bulk(pairs["id"].to_pylist())
    settled = _settled(entries)
    differing = rows.filter(pc.is_in(rows["position"], pairs["position"].combine_chunks()))
    by_position = {row["position"]: row for row in differing.to_pylist()}
    return tuple(
        ChangedEntry(entries[pk], by_position[position], pk in settled)
        for position, pk in zip(pairs["position"].to_pylist(), pairs["id"].to_pylist(), strict=True)
    )


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
    items = OpenItem.objects.filter(side=Side.LEDGER, row_id=changed.entry.pk, part=0)
    shown = {"units": row["units"], "scale": row["scale"], "currency": row["currency"]}
    change_unresolved(items, **shown, row_date=row["booking_date"])
    before = {name: old for name, (old, _) in changed.changes.items()}
    after = {name: new for name, (_, new) in changed.changes.items()}
    record(
        by, "entry updated", "entry", changed.entry.pk,
        account_id=changed.entry.account_id, before=before, after=after, why=f"{imported.name} was imported again",
    )  # fmt: skip


def _finding(changed: ChangedEntry) -> Finding:
    said = "; ".join(f"{name} {before}, now {after}" for name, before, after in changed.in_words)
    entry = changed.entry
    text = f"Entry {entry.external_id} is matched, but the books now say otherwise: {said}. It was not changed."
    changes = {name: {"before": old, "after": new} for name, (old, new) in changed.changes.items()}
    return Finding(DiscrepancyKind.LEDGER, str(entry.external_id or entry.pk), text, changes)
