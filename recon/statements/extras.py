"""Everything else a row said, as one JSON object per row: nothing of a file is thrown away."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.mapping import Mapping, Role
from recon.statements.tables import Table


def extras_of(table: Table, mapping: Mapping, numbers: dict[Role, pa.Array]) -> pa.Array:
    """A JSON text per row with the columns that have no role of their own, or null when there is nothing more.

    Gross, fee, net and balance stand under these names as plain decimals; other columns under their header.
    """
    used = {name for names in mapping.columns.values() for name in names}
    rest = {name: table.texts(name) for name in table.header if name not in used}
    named: dict[str, pa.Array] = {**rest, **dict(numbers.items())}
    for role in ("account", "sign", "time", "time_zone"):
        if name := mapping.column(role):
            named[role] = table.texts(name)
    if not named:
        return pa.nulls(table.rows, pa.string())
    return objects_of(named)


def objects_of(named: dict[str, pa.Array]) -> pa.Array:
    """A JSON object per row of the texts that are there, or null when none is."""
    plain = all(not pc.any(pc.match_substring_regex(column, _CONTROL)).as_py() for column in named.values())
    if not plain:
        rows = zip(*(column.to_pylist() for column in named.values()), strict=True)
        return pa.array([_object(list(named), values) for values in rows], pa.string())
    members = [_member(name, column) for name, column in named.items()]
    inside = pc.utf8_slice_codeunits(pc.binary_join_element_wise(*members, ""), len(", "))
    whole = pc.binary_join_element_wise("{", inside, "}", "")
    return pc.if_else(pc.equal(inside, ""), pa.scalar(None, pa.string()), whole)


_CONTROL = r"[\x00-\x1f]"
"""Characters that JSON writes as escapes; so rare in cells that these files are written row by row."""


def _member(name: str, column: pa.Array) -> pa.Array:
    """``, "name": "text"`` for each row, nothing where the cell is empty or null."""
    column = pc.fill_null(column, "")
    for special in ("\\", '"'):
        if pc.any(pc.match_substring(column, special)).as_py():
            column = pc.replace_substring(column, special, "\\" + special)
    text = pc.binary_join_element_wise(", " + json.dumps(name, ensure_ascii=False) + ': "', column, '"', "")
    return pc.if_else(pc.equal(column, ""), "", text)


def _object(names: list[str], values: tuple[str | None, ...]) -> str | None:
    said = {name: value for name, value in zip(names, values, strict=True) if value}
    return json.dumps(said, ensure_ascii=False) if said else None
