"""A file on its way in: read, compared with what is there, and decided upon; nothing is stored yet."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Plain
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
from django.db import transaction
from django.db.models import Count, Max

from recon.models import Account, LedgerImport, LoadState, Side, Statement
from recon.statements.model import MORE_ROWS, Question, Reading, RowError
from recon.usecases.accounts.scope import builtin_account
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.files import Source, sha256_of
from recon.usecases.imports.preview import Preview, examine, read_source
from recon.usecases.imports.reissues import Comparison, compare, refuse_if_busy
from recon.usecases.imports.rows import keyed

AS_THEY_STAND: Final = frozenset({"sign=as_given", "columns.booking_date"})
"""What rows from a program or a person's hand need not say: plus is money in, and a row may have no date. Rows whose
signs look turned round are refused all the same: nothing is inverted in silence."""

Repeats = Literal["ask", "skip", "import", "replace", "update"]
"""What to do about rows that are there already: refuse and say so; leave them out; import them once more; take the
file for a new issue of a statement; or, for ledger entries that changed, bring those up to date, leaving out the rest.
"""


class NothingNew(Refused):
    """Everything in the file is there already, and was to be left out; the event says so."""


@dataclass(frozen=True)
class Prepared:
    """A file that was read and may be stored: nothing speaks against it."""

    source: Source
    name: str
    reading: Reading
    sha256: str
    mapping: Plain[str, Any] | None = None  # if somebody chose one: it will be remembered
    repeats: Repeats = "ask"
    found: Preview | None = None  # what was known of its rows when that was decided; None: nobody looked
    replaces: Comparison | None = None
    arrived: tuple[int, int] = (0, 0)  # which imports there were then, see `_arrivals`
    left_out: pa.Array = field(default_factory=lambda: pa.array([], pa.int64()))  # positions that are not stored

    @property
    def rows(self) -> pa.Table:
        """What is stored, with the comparable form of its texts."""
        return self._stored_of(self.found.rows if self.found else keyed(self.reading.lines))

    @property
    def stored(self) -> pa.Table:
        """What is stored, as it was read."""
        return self._stored_of(self.reading.lines)

    def _stored_of(self, rows: pa.Table) -> pa.Table:
        return rows.filter(pc.invert(pc.is_in(rows["position"], self.left_out))) if len(self.left_out) else rows

    @property
    def row_count(self) -> int:
        """How many rows are stored."""
        return int(self.reading.lines.num_rows) - len(self.left_out)


def prepare(
    account: Account | None,
    side: Side,
    source: Source,
    name: str,
    *,
    mapping: Plain[str, Any] | None = None,
    good_rows_only: bool = False,
    repeats: Repeats = "ask",
    replaces: Statement | None = None,
    unowned: bool = False,
    accepting: Collection[str] = (),
    every_row: bool = False,
) -> Prepared:
    """Read a file for an account, which need not be saved yet, without storing anything.

    `accepting` names questions (what they are about: sign, currency …) whose suggested answer will do, or, as
    "sign=as_given", the one suggestion that will. `replaces` is the statement that this one is a new issue of, with
    `repeats="replace"`. `unowned` ledger entries are read as the account's are, but will be nobody's. `every_row`:
    nothing is left out for what it says, as a file's totals are. Raises Refused if the file cannot be read, has row
    errors (unless `good_rows_only`), leaves another question open, or repeats what is there (unless `repeats` says
    what to do about it).
    """
    holder = None if unowned else account
    arrived = _arrivals(holder, side)
    reading = read_source(source, name, account, side, mapping, every_row=every_row)
    _refuse_errors(reading, good_rows_only)
    if not reading.statements:
        raise Refused("The file holds no statement.", reading.errors)
    if asked := [question for question in reading.questions if not {*_names(question)} & {*accepting}]:
        raise Refused(" ".join(each.text for each in asked), [_open(each) for each in asked])
    sha256 = sha256_of(source)
    found = None if repeats == "import" else examine(reading, holder, side, sha256)
    if found and repeats == "ask" and found.repeats:
        raise Refused(" ".join(each.text for each in found.repeats))
    comparison = _compared(account, found, replaces) if repeats == "replace" else None
    left_out = _left_out(found, comparison)
    return Prepared(source, name, reading, sha256, mapping, repeats, found, comparison, arrived, left_out)


def _refuse_errors(reading: Reading, good_rows_only: bool) -> None:
    if not reading.errors:
        return
    if not good_rows_only:
        more = f" (and {len(reading.errors) - 1:,} more)" if len(reading.errors) > 1 else ""
        raise Refused(f"{reading.errors[0].message}{more}", reading.errors)
    if any(error.expected == MORE_ROWS for error in reading.errors):
        # Not every bad row has an error of its own, so that some would be lost.
        raise Refused("Too many rows cannot be read to keep them for repair: correct the mapping or the file first.")


def _open(question: Question) -> RowError:
    """A question as what is wrong at a place: the key of the mapping that answers it."""
    values = ", ".join(value for value, _ in question.options)
    expected = f"an answer in the mapping: one of {values}" if values else "an answer in the mapping"
    return RowError(None, f"mapping.{question.about}", None, expected, question.text)


def _names(question: Question) -> tuple[str, str]:
    return question.about, f"{question.about}={question.suggested}"


def _compared(account: Account | None, found: Preview | None, replaces: Statement | None) -> Comparison:
    if replaces is None or account is None or found is None:
        raise Refused("Choose the statement that this file replaces.")
    if replaces.account_id != account.pk:
        raise Refused(f"{replaces.name} is a statement of another account.")
    if replaces.state != LoadState.READY:
        raise Refused(f"{replaces.name} is {replaces.state} and cannot be replaced.")
    refuse_if_busy(account)
    comparison = compare(replaces, found.rows)
    if comparison.is_identical:
        raise Refused(f"The file says exactly what {replaces.name} says: there is nothing to replace.")
    return comparison


def _left_out(found: Preview | None, comparison: Comparison | None) -> pa.Array:
    """The positions of rows that are not stored as new ones."""
    if comparison is not None:
        return comparison.of_kind("same")["position"].combine_chunks()
    if found is None:
        return pa.array([], pa.int64())
    return pa.concat_arrays([found.changes.positions, found.known.positions.cast(pa.int64())])


def _arrivals(account: Account | None, side: Side) -> tuple[int, int]:
    """How many imports the account has, and the number of the latest: another import in between changes it."""
    if account is not None and (account.pk is None or account.is_builtin):
        return (0, 0)
    kept: Any = Statement if side == Side.STATEMENT else LedgerImport
    imports = kept.objects.exclude(state=LoadState.LOADING).filter(account=account)
    counted = imports.aggregate(count=Count("pk"), latest=Max("number"))
    return counted["count"], counted["latest"] or 0


def still_so(account: Account | None, side: Side, prepared: Prepared) -> None:
    """Hold other imports of the account off, and make sure that none came in between with the same rows.

    In the transaction that makes the import ready. Raises Refused: somebody must look again.
    """
    if account is not None and account.is_builtin:
        return  # programs import side by side, and say themselves what is a repetition
    # Not its key: two imports at once both hold a share of that by now, and would wait for each other for ever.
    Account.objects.select_for_update(no_key=True).get(pk=account.pk if account else builtin_account().pk)
    if _arrivals(account, side) == prepared.arrived:
        return
    now = examine(prepared.reading, account, side, prepared.sha256).repeats
    before = prepared.found.repeats if prepared.found else ()
    if prepared.repeats == "import":
        now = tuple(each for each in now if each.kind == "same_file" and _arrived_since(account, side, prepared))
    if now != before:
        said = " ".join(each.text for each in now)
        raise Refused(f"Another file was imported while this one was on its way. {said} Look at the preview again.")


def _arrived_since(account: Account | None, side: Side, prepared: Prepared) -> bool:
    kept: Any = Statement if side == Side.STATEMENT else LedgerImport
    fresh = kept.objects.filter(account=account, sha256=prepared.sha256, number__gt=prepared.arrived[1])
    return bool(fresh.exclude(state__in=(LoadState.LOADING, LoadState.DISCARDED)).exists())


def nothing_new(by: Actor, account: Account | None, side: Side, prepared: Prepared) -> NothingNew:
    """The answer to a file all of which is to be left out, recorded."""
    rows = prepared.reading.lines.num_rows
    what = "lines" if side == Side.STATEMENT else "entries"
    with transaction.atomic():
        record(
            by, f"{side.label} skipped", side.label, prepared.sha256,
            account_id=account.pk if account else None, after={"name": prepared.name, "rows": rows},
        )  # fmt: skip
    return NothingNew(f"All {rows:,} {what} of {prepared.name} are there already; nothing was imported.")
