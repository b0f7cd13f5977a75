"""What a reader hands back: statements with their lines, balances, rows left out, row errors and open questions.

Everything here is plain data. Lines are an Arrow table of the shape ``recon.rows.ROW_SCHEMA``; amounts are integer
units with a scale, signed from the account owner's view (plus is money in).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import ROW_SCHEMA, amount, for_exact_sums
from recon.statements.mapping import Mapping

BalanceKind = Literal["opening", "closing", "opening_available", "closing_available", "interim"]
Verdict = Literal["ok", "differs", "unknown"]


@dataclass(frozen=True)
class Limits:
    """How much of a file is read at most; what is larger is refused with a clear message."""

    max_bytes: int = 1 << 30
    max_line_length: int = 1 << 20  # bytes of one physical line
    max_rows: int = 10_000_000
    max_unpacked: int = 1 << 30  # bytes an archive may unpack to
    max_errors: int = 10_000  # row errors listed one by one


@dataclass(frozen=True)
class Hints:
    """What is known before a file is read. Everything is optional; what the file itself says plainly goes first."""

    mapping: Mapping | None = None
    currency: str | None = None  # used where the file names none
    account: str | None = None  # its number: of a table that names it among others in a column only its rows count
    encoding: str | None = None
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    side: Literal["statement", "ledger"] = "statement"
    account_kind: Literal["asset", "liability"] = "asset"  # in the books of an asset account debit is money in
    sign: Literal["as_given", "inverted"] | None = None
    amount_column: Literal["gross", "net"] | None = None
    split_batches: bool = False
    every_row: bool = False  # a program's rows: each is a line or an error, whatever its words are
    undated_by_statement: bool = False  # lines without a date are of the statement's day, if it covers one day only
    time_zone: str | None = None  # for times of day that name no zone; UTC when nothing is known
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class RowError:
    """One thing that could not be read: where it stands, what was found and what was expected there.

    ``cells`` is the whole row of a table, by column, so that it can be put right and read again.
    """

    line: int | None
    column: str | None
    found: str | None
    expected: str
    message: str
    raw: str | None = None
    cells: dict[str, str] | None = None


MORE_ROWS: Final = "rows that can be read"
"""What is expected in the one error that stands for all rows beyond ``Limits.max_errors``."""


@dataclass(frozen=True)
class LeftOut:
    """A row that is no booked line (a total, a pending payment, legal text …), visible with its reason."""

    line: int | None
    raw: str
    reason: str


@dataclass(frozen=True)
class Question:
    """Something the file does not decide: ``about`` is the mapping key that answers it.

    ``suggested`` is what the reading at hand used, so that a preview can be shown before the answer.
    """

    about: str
    text: str
    options: tuple[tuple[str, str], ...]  # (value, label)
    suggested: str


@dataclass(frozen=True)
class Balance:
    """A balance the file states, for one currency on one day."""

    kind: BalanceKind
    currency: str
    date: date | None
    units: int
    scale: int

    @property
    def amount(self) -> Decimal:
        """The exact amount."""
        return amount(self.units, self.scale)


@dataclass(frozen=True)
class Totals:
    """Movements of one currency; credits and debits are positive sums."""

    currency: str
    lines: int
    credits: Decimal
    debits: Decimal

    @property
    def net(self) -> Decimal:
        """Money in less money out."""
        return self.credits - self.debits


@dataclass(frozen=True)
class BalanceCheck:
    """Opening + movements = closing, for one currency; ``difference`` is closing less what it should be."""

    currency: str
    verdict: Verdict
    opening: Decimal | None
    movements: Decimal
    closing: Decimal | None
    difference: Decimal | None


@dataclass(frozen=True)
class Statement:
    """One statement of one account. ``currency`` is None when its lines have several."""

    account: str | None
    currency: str | None
    number: str | None
    period_start: date | None
    period_end: date | None
    balances: tuple[Balance, ...]
    lines: pa.Table
    left_out: tuple[LeftOut, ...] = ()
    accounts: tuple[str, ...] = ()
    """Several accounts that a table's rows, or the heads of its parts, are of: ``lines`` has the rows of all."""

    def totals(self) -> tuple[Totals, ...]:
        """Number, credits and debits of the lines, per currency in alphabetical order."""
        return self._totals

    @cached_property
    def _totals(self) -> tuple[Totals, ...]:
        return line_totals(self.lines)

    def balance_checks(self) -> tuple[BalanceCheck, ...]:
        """The balance check of every currency that has a line or a balance."""
        movements = {total.currency: total.net for total in self.totals()}
        currencies = sorted(movements.keys() | {balance.currency for balance in self.balances})
        return tuple(_check(currency, movements.get(currency, Decimal(0)), self.balances) for currency in currencies)

    def balance_check(self) -> Verdict:
        """The worst verdict over all currencies; unknown when nothing can be checked."""
        verdicts = {check.verdict for check in self.balance_checks()}
        if "differs" in verdicts:
            return "differs"
        return "ok" if verdicts == {"ok"} else "unknown"


@dataclass(frozen=True)
class Reading:
    """All that one file gave. ``mapping``, ``header`` and ``sample`` are set for tables (CSV, XLSX, JSON) only."""

    format: str
    encoding: str | None
    statements: tuple[Statement, ...]
    errors: tuple[RowError, ...] = ()
    mapping: Mapping | None = None
    header: tuple[str, ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()
    questions: tuple[Question, ...] = ()
    warnings: tuple[RowError, ...] = ()
    """What was read, but may be wrong in the file itself."""

    @property
    def lines(self) -> pa.Table:
        """The lines of all statements, one after the other, positions counted through."""
        tables = [statement.lines for statement in self.statements]
        if len(tables) == 1:
            return tables[0]
        table = pa.concat_tables(tables) if tables else ROW_SCHEMA.empty_table()
        return table.set_column(0, ROW_SCHEMA.field("position"), pa.array(range(1, table.num_rows + 1), pa.int64()))

    def totals(self) -> tuple[Totals, ...]:
        """As `Statement.totals`, of the lines of all statements."""
        return self.statements[0].totals() if len(self.statements) == 1 else line_totals(self.lines)


class StatementError(Exception):
    """The whole file is refused. Its text is one clear sentence; ``errors`` says where.

    ``header`` and ``sample`` are those of the table, if it is one: with another mapping it may be read all the same.
    """

    header: tuple[str, ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()

    def __init__(self, message: str, *errors: RowError) -> None:
        super().__init__(message)
        self.errors: tuple[RowError, ...] = errors or (RowError(None, None, None, message, message),)

    @classmethod
    def at(
        cls,
        message: str,
        *,
        line: int | None = None,
        column: str | None = None,
        found: str | None = None,
        expected: str,
    ) -> StatementError:
        """A refusal that names one place."""
        return cls(message, RowError(line, column, found, expected, message))


def lines_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows given as dictionaries, as a table of ``ROW_SCHEMA``; a missing position is counted from 1."""
    counted = [{"position": place, **row} for place, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(counted, schema=ROW_SCHEMA)


def line_totals(lines: pa.Table) -> tuple[Totals, ...]:
    """Count, credits and debits per currency. Sums are exact (`for_exact_sums`)."""
    if lines.num_rows <= _FEW:
        return _totals_one_by_one(lines)
    totals: dict[str, list[Decimal]] = {}
    counts: dict[str, int] = {}
    groups = lines.group_by(["currency", "scale"], use_threads=False).aggregate([]).to_pylist()
    for group in groups:
        units = for_exact_sums(lines["units"] if len(groups) == 1 else _units_of(lines, group))
        sums = totals.setdefault(group["currency"], [Decimal(0), Decimal(0)])
        counts[group["currency"]] = counts.get(group["currency"], 0) + len(units)
        for place, wanted in enumerate((pc.greater(units, 0), pc.less(units, 0))):
            total = Decimal(pc.sum(units.filter(wanted)).as_py() or 0)
            sums[place] += abs(total).scaleb(-group["scale"])
    return tuple(Totals(currency, counts[currency], *totals[currency]) for currency in sorted(totals))


def _units_of(lines: pa.Table, group: dict[str, Any]) -> pa.ChunkedArray:
    chosen = pc.and_(pc.equal(lines["currency"], group["currency"]), pc.equal(lines["scale"], group["scale"]))
    return lines["units"].filter(chosen)


_FEW: Final = 1_000
"""Lines that Python adds up sooner than Arrow has begun."""


def _totals_one_by_one(lines: pa.Table) -> tuple[Totals, ...]:
    totals: dict[str, list[Decimal]] = {}
    counts: dict[str, int] = {}
    by_scale: dict[tuple[str, int], list[int]] = {}
    columns = (lines[name].to_pylist() for name in ("currency", "scale", "units"))
    for currency, scale, units in zip(*columns, strict=True):
        by_scale.setdefault((currency, scale), []).append(units)
    for (currency, scale), some in by_scale.items():
        sums = totals.setdefault(currency, [Decimal(0), Decimal(0)])
        counts[currency] = counts.get(currency, 0) + len(some)
        money_in = sum(units for units in some if units > 0)
        sums[0] += amount(money_in, scale)
        sums[1] += amount(money_in - sum(some), scale)
    return tuple(Totals(currency, counts[currency], *totals[currency]) for currency in sorted(totals))


def _check(currency: str, movements: Decimal, balances: Iterable[Balance]) -> BalanceCheck:
    opening = _first(balances, "opening", currency)
    closing = _last(balances, "closing", currency)
    if opening is None or closing is None:
        return BalanceCheck(currency, "unknown", opening, movements, closing, None)
    difference = closing - (opening + movements)
    return BalanceCheck(currency, "differs" if difference else "ok", opening, movements, closing, difference)


def _first(balances: Iterable[Balance], kind: BalanceKind, currency: str) -> Decimal | None:
    return next((each.amount for each in balances if (each.kind, each.currency) == (kind, currency)), None)


def _last(balances: Iterable[Balance], kind: BalanceKind, currency: str) -> Decimal | None:
    return _first(tuple(balances)[::-1], kind, currency)
