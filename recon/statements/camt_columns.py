"""The texts of many CAMT entries of one shape to columns of rows: what ``camt_entries`` does entry by entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.camt_details import NOTHING, REFERENCES, ROLES
from recon.statements.camt_shapes import REMITTANCE, TRANSACTION, Shape
from recon.statements.columns import amounts_of, or_null
from recon.statements.extras import objects_of
from recon.statements.values import folded

Moment = tuple[date | None, datetime | None]
_PLAIN: Final = r"^(?:[!-~]+(?: [!-~]+)*)?$"
"""ASCII without white space to fold; other texts are folded one by one."""


class _Texts:
    """The texts of a group of entries by path, folded; null where there is none."""

    def __init__(self, shape: Shape, rows: Sequence[tuple[str, ...]]) -> None:
        self._rows = len(rows)
        self.columns = dict[str, list[pa.Array]]()
        for path, column in zip(shape.paths, zip(*rows, strict=True), strict=True):
            self.columns.setdefault(path, []).append(_folded(pa.array(column, pa.string())))

    def first(self, *paths: str) -> pa.Array:
        """Per row the text at the first of the paths that has one."""
        columns = [column for path in paths for column in self.columns.get(path, ())]
        return pc.coalesce(*columns) if columns else self.none()

    def joined(self, columns: Sequence[pa.Array], mark: str) -> pa.Array:
        """The texts of several columns, those that are there joined by a mark."""
        columns = [column for column in columns if column.null_count < len(column)]
        if not columns:
            return self.none()
        return or_null(pc.binary_join_element_wise(*columns, mark, null_handling="skip"))

    def none(self) -> pa.Array:
        """No text in any row."""
        return pa.nulls(self._rows, pa.string())


def columns_of(
    shape: Shape, indicator: str, rows: Sequence[tuple[str, ...]], moments: Mapping[str, Moment]
) -> dict[str, pa.Array]:
    """The columns of ``ROW_SCHEMA`` that the entries fill, but for position and line."""
    texts = _Texts(shape, rows)
    written = texts.first("Amt")
    units = amounts_of(written, ".", places=2).units.cast(pa.int64())
    booked, booked_at = _dates(shape, rows, "BookgDt", moments)
    valued, _ = _dates(shape, rows, "ValDt", moments)
    external = texts.first("AcctSvcrRef", "NtryRef")
    domain = [texts.first(f"BkTxCd/Domn/{path}") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    return {
        "external_id": external,
        "units": units if indicator == "CRDT" else pc.negate(units),
        "scale": pa.repeat(pa.scalar(2, pa.int16()), len(rows)),
        "currency": pa.repeat(pa.scalar(shape.currency), len(rows)),
        "booking_date": pc.coalesce(booked, valued),
        "value_date": valued,
        "booked_at": booked_at,
        "type_code": pc.coalesce(texts.joined(domain, "-"), texts.first("BkTxCd/Prtry/Cd")),
        "amount_text": pc.binary_join_element_wise(written, indicator, " "),
        **_described(shape, texts, external, is_credit=indicator == "CRDT"),
    }


def _described(shape: Shape, texts: _Texts, external: pa.Array, *, is_credit: bool) -> dict[str, pa.Array]:
    """Reference, description, counterparty and the rest, as the one transaction says."""
    note = texts.first("AddtlNtryInf")
    if not shape.has_transaction:
        return {"reference": _meaningful(external), "description": note}
    named = {
        path.rpartition("/")[2]: _meaningful(columns[0])
        for path, columns in texts.columns.items()
        if path.startswith(f"{TRANSACTION}Refs/")
    }
    found = {REFERENCES[name]: column for name, column in named.items()}
    structured = texts.first(*(f"{TRANSACTION}RmtInf/Strd/CdtrRefInf/{name}" for name in ("Ref", "CdtrRef")))
    best = ("end_to_end_id", None, "instruction_id", "payment_batch", "transaction_id")
    references = [structured if key is None else found[key] for key in best if key is None or key in found]
    free = texts.joined(
        [each for path, columns in texts.columns.items() if path in REMITTANCE for each in columns], " "
    )
    description = pc.coalesce(free, texts.first(f"{TRANSACTION}AddtlTxInf"), structured)
    name, party = _party(texts, is_credit=is_credit)
    more = pc.if_else(pc.fill_null(pc.not_equal(note, description), fill_value=False), note, texts.none())
    extra = {**found, **party, "creditor_reference": structured, "entry_information": more}
    return {
        "reference": pc.coalesce(*references, _meaningful(external)),
        "description": pc.coalesce(description, note),
        "counterparty": name,
        "extra": objects_of(extra),
    }


def _party(texts: _Texts, *, is_credit: bool) -> tuple[pa.Array, dict[str, pa.Array]]:
    role, account, agent, ultimate = ROLES[is_credit]
    parties, agents = f"{TRANSACTION}RltdPties", f"{TRANSACTION}RltdAgts"
    return texts.first(f"{parties}/{role}/Nm", f"{parties}/{role}/Pty/Nm"), {
        "ultimate_counterparty": texts.first(f"{parties}/{ultimate}/Nm", f"{parties}/{ultimate}/Pty/Nm"),
        "counterparty_account": texts.first(f"{parties}/{account}/Id/IBAN", f"{parties}/{account}/Id/Othr/Id"),
        "counterparty_bank": texts.first(f"{agents}/{agent}/FinInstnId/BICFI", f"{agents}/{agent}/FinInstnId/BIC"),
    }


def _dates(
    shape: Shape, rows: Sequence[tuple[str, ...]], stem: str, moments: Mapping[str, Moment]
) -> tuple[pa.Array, pa.Array]:
    """Days and instants of a date that is written as Dt or DtTm."""
    place = next((place for place, path in enumerate(shape.paths) if path.startswith(f"{stem}/")), None)
    found = [(None, None)] * len(rows) if place is None else [moments[row[place]] for row in rows]
    return (
        pa.array([day for day, _ in found], pa.date32()),
        pa.array([at for _, at in found], pa.timestamp("us", "UTC")),
    )


def _meaningful(column: pa.Array) -> pa.Array:
    """The texts without a bank's words for "not provided"."""
    nothing = pc.is_in(pc.utf8_upper(column), value_set=pa.array(sorted(NOTHING)))
    return pc.if_else(nothing, pa.scalar(None, pa.string()), column)


def _folded(column: pa.Array) -> pa.Array:
    plain = pc.match_substring_regex(column, _PLAIN)
    if not pc.all(plain).as_py():
        rest = pc.invert(plain)
        column = pc.replace_with_mask(
            column, rest, pa.array(map(folded, column.filter(rest).to_pylist()), pa.string())
        )
    return or_null(column)
