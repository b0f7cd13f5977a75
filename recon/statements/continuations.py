"""Texts that go on below their booking: rows with a text under the description and neither a date nor an amount.

Swiss cantonal banks, Raiffeisen, Cornèr and OCBC (Singapore) print them. The parts of a batch, which have an amount of
their own in a column of details, are no such texts; nor is what stands behind an empty line, or left of the dates.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.columns import PLACEHOLDERS
from recon.statements.currencies import stated_code
from recon.statements.leftovers import NEITHER, Verdicts
from recon.statements.mapping import Mapping
from recon.statements.tables import Table
from recon.statements.words import PENDING_WORDS, plain

GOES_ON: Final = "more text of the booking above, read as part of it"
_AMOUNT: Final = re.compile(r".*\d[.,]\d|[^\W\d]{0,3}\W*\d")
"""What may be an amount in a column of details: ``53.50``, ``CHF 20``, ``20,00- XXX``."""

_PAGE: Final = re.compile(r"(?:page|pagina|pág(?:ina)?|seite|strona|sida|side)\W*\d", re.IGNORECASE)


def continued(table: Table, mapping: Mapping, verdicts: Verdicts, bad: set[int]) -> dict[int, int]:
    """The rows whose texts belong to a booking above them, and the row of that booking."""
    name = mapping.column("description")
    dated = mapping.column("booking_date") or mapping.column("value_date")
    if not name or not dated or table.places[dated] > table.places[name]:
        return {}
    owners: dict[int, int] = {}
    above: dict[int, int] = {}  # parts of a batch are of the booking above them as well
    for row in sorted(row for row, reason in verdicts.reasons.items() if reason == NEITHER):
        before = row - 1
        if before < 0 or before in bad or not _adjoin(table, before):
            continue
        owner = above.get(before) if before in verdicts else before
        if owner is None or not table.texts(name)[row].as_py():
            continue
        above[row] = owner
        if _goes_on(table, mapping, row):
            owners[row] = owner
    return owners


def _adjoin(table: Table, before: int) -> bool:
    """Whether the next row follows without an empty line; line ends inside cells may count or not."""
    apart = table.lines[before + 1].as_py() - table.lines[before].as_py()
    return apart in {1, 1 + sum(cell.count("\n") for cell in table.cells(before))}


def _goes_on(table: Table, mapping: Mapping, row: int) -> bool:
    """Whether a row is nothing but text: under the description, and at most in columns that mean nothing else."""
    texts = mapping.columns["description"]
    others = {name for role, names in mapping.columns.items() if role != "description" for name in names}
    for name, cell in zip(table.header, table.cells(row), strict=True):
        is_own = name in texts
        if cell and not is_own and (name in others or _AMOUNT.match(cell) or stated_code(cell)):
            return False
        if is_own and (_PAGE.match(cell) or plain(cell) in PENDING_WORDS):
            return False
    return True


def joined(table: Table, descriptions: pa.Array, owners: dict[int, int]) -> pa.Array:
    """The descriptions with the texts of rows that go on, one after the other."""
    more: dict[int, list[str]] = {}
    for row, owner in owners.items():
        more.setdefault(owner, []).extend(cell for cell in table.cells(row) if cell and cell not in PLACEHOLDERS)
    whole = [" ".join([descriptions[row].as_py() or "", *more[row]]).replace("\n", " ") for row in sorted(more)]
    mask = [False] * len(descriptions)
    for row in more:
        mask[row] = True
    texts = pa.array([each.strip() for each in whole], pa.string())
    return pc.replace_with_mask(descriptions, pa.array(mask), texts)


def told(verdicts: Verdicts, owners: dict[int, int]) -> Verdicts:
    """The verdicts that say where a text has gone: the row keeps its own place among those that are no lines."""
    return Verdicts({**verdicts.reasons, **dict.fromkeys(owners, GOES_ON)}, verdicts.wanting)
