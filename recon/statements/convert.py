"""A table and its full mapping to a statement: every row is a line, left out with its reason, or a row error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import ROW_SCHEMA
from recon.statements.amounts import ONE_OF_BOTH, row_amounts
from recon.statements.balances import account_named, balances_of
from recon.statements.columns import currencies_of, dates_of, has_letter, mapped, or_null, without_placeholders
from recon.statements.continuations import continued, joined, told
from recon.statements.currencies import UNKNOWN
from recon.statements.dates import DateError, DateOrder, Moment, instant, parse_date, parse_time, zone_named
from recon.statements.extras import extras_of
from recon.statements.leftovers import OF_OTHERS, Verdicts, left_out_by_rule, left_out_for_want
from recon.statements.mapping import JOINED_ROLES, Mapping, Role
from recon.statements.model import MORE_ROWS, Hints, LeftOut, Question, RowError, Statement
from recon.statements.surplus import surplus_cells
from recon.statements.tables import UNNAMED, Table


@dataclass
class Failures:
    """Cells that could not be read, by row: the column, what stood there, what was expected."""

    by_row: dict[int, tuple[str, str, str]] = field(default_factory=dict)

    def add(self, column: str, texts: pa.Array, failed: dict[int, str]) -> None:
        """Remember the first failure of each row."""
        for row, expected in failed.items():
            self.by_row.setdefault(row, (column, texts[row].as_py(), expected))


def converted(table: Table, mapping: Mapping, hints: Hints) -> tuple[Statement, tuple[RowError, ...]]:
    """The statement that a table holds under a full mapping, and its row errors in file order."""
    failures = Failures()
    verdicts = Verdicts() if hints.every_row else left_out_by_rule(table, mapping, hints)
    currencies = _currencies(table, mapping, hints, failures)
    if surplus := surplus_cells(table, mapping):
        failures.add(*surplus)
    amounts = row_amounts(table, mapping, hints, currencies, failures)
    bad_amounts = set(failures.by_row)
    zone = ZoneInfo(hints.time_zone) if hints.time_zone else UTC
    days, values, instants = _dates(table, mapping, zone, failures)
    settled = bad_amounts | set(verdicts)
    if hints.every_row:
        verdicts |= _without_amount(mapping, amounts.units, settled)
    else:
        verdicts |= left_out_for_want(table, mapping, amounts.units, days, settled, set(failures.by_row) - settled)
        verdicts |= _sums_of_both(table, mapping, days, failures)
    for row, (column, expected) in verdicts.wanting.items():
        failures.by_row.setdefault(row, (column, "", expected))
    for row in verdicts.reasons:
        failures.by_row.pop(row, None)
    texts = _texts(table, mapping)
    if owners := continued(table, mapping, verdicts, set(failures.by_row)):
        texts["description"] = joined(table, texts["description"], owners)
        verdicts = told(verdicts, owners)
    keep = _kept(table.rows, verdicts.reasons.keys() | failures.by_row.keys())
    columns = {
        "line": table.lines, "units": amounts.units, "scale": amounts.scales, "currency": amounts.currencies,
        "booking_date": days, "value_date": values, "booked_at": instants, "amount_text": amounts.texts,
        "extra": extras_of(table, mapping, amounts.extra), **texts,
    }  # fmt: skip
    lines = _lines(columns, keep, table.rows)
    return _statement(table, mapping, hints, lines, verdicts), _errors(table, failures, hints)


def _without_amount(mapping: Mapping, units: pa.Array, settled: set[int]) -> Verdicts:
    """Where every row is a line those without an amount are errors."""
    column = mapping.column("amount") or mapping.column("debit") or mapping.column("credit") or ""
    missing = pc.indices_nonzero(pc.is_null(units)).to_pylist() if units.null_count else []
    return Verdicts(wanting={row: (column, "an amount") for row in missing if row not in settled})


def _sums_of_both(table: Table, mapping: Mapping, days: pa.Array, failures: Failures) -> Verdicts:
    """Rows with an amount in both columns and neither a date nor a text: the sums below the columns."""
    texts = [name for role in JOINED_ROLES for name in mapping.columns.get(role, ())]
    return Verdicts(
        {
            row: "total"
            for row, (_column, _found, expected) in failures.by_row.items()
            if expected == ONE_OF_BOTH
            and not days[row].is_valid
            and not any(table.texts(name)[row].as_py() for name in texts)
        }
    )


def _currencies(table: Table, mapping: Mapping, hints: Hints, failures: Failures) -> pa.Array:
    """A code per row, null where the row names none."""
    name = mapping.column("currency")
    if name is None:
        return pa.nulls(table.rows, pa.string())
    texts = table.first_filled(mapping.columns["currency"])
    codes, failed = currencies_of(texts, hints.currency)
    failures.add(name, texts, failed)
    return codes


def _dates(table: Table, mapping: Mapping, zone: tzinfo, failures: Failures) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Booking dates, value dates and instants. A row without a booking date takes its value date."""
    order = mapping.date_order or "dmy"
    empty = pa.nulls(table.rows, pa.date32())
    values, instants = empty, pa.nulls(table.rows, pa.timestamp("us", "UTC"))
    if name := mapping.column("value_date"):
        texts = table.first_filled(mapping.columns["value_date"])
        read = dates_of(texts, order, zone)
        failures.add(name, texts, read.failures)
        values = read.days
    name = mapping.column("booking_date")
    if name is None:
        return values, values, instants
    texts = table.first_filled(mapping.columns["booking_date"])
    read = dates_of(texts, order, zone)
    failures.add(name, texts, read.failures)
    instants = read.instants if _has_times(read.instants, zone) else instants
    if clock := mapping.column("time"):
        named = mapping.column("time_zone")
        zones = table.texts(named) if named else pa.array([""] * table.rows, pa.string())
        instants = _with_clock(texts, table.texts(clock), zones, order, zone)
    return pc.coalesce(read.days, values), values, instants


def _has_times(instants: pa.Array, zone: tzinfo) -> bool:
    """Whether times of day were meant: an export that writes midnight everywhere knows no times."""
    known = instants.drop_null()
    return any(
        each.astimezone(zone).time() != time()
        for part in (known.slice(0, 100), pc.unique(known))
        for each in _some(part)
    )


def _some(instants: pa.Array) -> list[Any]:
    some: list[Any] = instants.slice(0, 10_000).to_pylist()
    return some


def _with_clock(days: pa.Array, clocks: pa.Array, zones: pa.Array, order: DateOrder, zone: tzinfo) -> pa.Array:
    """Instants from columns of dates, times and time zones; null where a time is missing or no time."""

    def at(place: int, text: str) -> datetime | None:
        day, clock, named = text.split("\t")
        try:
            clock_time, own = parse_time(clock) if clock else (None, None)
            moment = parse_date(day, order) if day and clock_time else None
            return instant(Moment(moment.day, clock_time, own), zone_named(named) or zone) if moment else None
        except (DateError, OverflowError):
            return None

    spaced = [pc.replace_substring(column, "\t", " ") for column in (days, clocks, zones)]
    instants, indices = mapped(pc.binary_join_element_wise(*spaced, "\t"), at)
    return pa.array(instants, pa.timestamp("us", "UTC")).take(indices)


def _texts(table: Table, mapping: Mapping) -> dict[str, pa.Array]:
    roles: tuple[Role, ...] = (
        "external_id", "reference", "description", "counterparty", "type_code", "source", "destination",
        "parent_transaction", "status",
    )  # fmt: skip
    return {role: _text(table, mapping, role) for role in roles if role in mapping.columns}


def _text(table: Table, mapping: Mapping, role: Role) -> pa.Array:
    names = mapping.columns[role]
    if len(names) == 1 or role not in JOINED_ROLES:
        return or_null(_on_one_line(without_placeholders(table.texts(names[0]))))
    parts = [_on_one_line(without_placeholders(table.texts(name))) for name in names]
    spaced = [pc.if_else(pc.equal(part, ""), "", pc.binary_join_element_wise(" ", part, "")) for part in parts]
    return or_null(pc.utf8_ltrim_whitespace(pc.binary_join_element_wise(*spaced, "")))


def _on_one_line(texts: pa.Array) -> pa.Array:
    """Line ends inside cells as spaces."""
    if not has_letter(texts, "\n"):
        return texts
    return pc.replace_substring_regex(texts, r"\s*\n\s*", " ")


def _kept(rows: int, dropped: set[int]) -> pa.Array | None:
    """Which rows become lines; None when all do."""
    if not dropped:
        return None
    keep = bytearray(b"\1" * rows)
    for row in dropped:
        keep[row] = 0
    return pa.array(keep, pa.uint8()).cast(pa.bool_())


def _lines(columns: dict[str, pa.Array], keep: pa.Array | None, rows: int) -> pa.Table:
    """The kept rows in the shape of every reader."""
    fields = [each for each in ROW_SCHEMA if each.name != "position"]
    whole = pa.table(
        [columns[each.name].cast(each.type) if each.name in columns else pa.nulls(rows, each.type) for each in fields],
        names=[each.name for each in fields],
    )
    if keep is not None:
        whole = whole.filter(keep).combine_chunks()
    positions = pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), whole.num_rows))
    return whole.add_column(0, "position", positions).cast(ROW_SCHEMA)


def _statement(table: Table, mapping: Mapping, hints: Hints, lines: pa.Table, verdicts: Verdicts) -> Statement:
    currencies = pc.unique(lines["currency"]).to_pylist() or [mapping.currency or hints.currency or UNKNOWN]
    currency = currencies[0] if len(currencies) == 1 else None
    balances, facts = balances_of(table, mapping, lines, currency, verdicts)
    span = pc.min_max(lines["booking_date"]).as_py()
    accounts = _accounts(table, mapping, facts.account, verdicts)
    return Statement(
        account=facts.account or (accounts[0] if len(accounts) == 1 else None),
        currency=None if currency == UNKNOWN else currency,
        number=None,
        period_start=facts.start or span["min"],
        period_end=facts.end or span["max"],
        balances=balances,
        lines=lines,
        left_out=tuple(_left_out(table, verdicts)),
        accounts=accounts if len(accounts) > 1 else (),
    )


def _accounts(table: Table, mapping: Mapping, above: str | None, verdicts: Verdicts) -> tuple[str, ...]:
    """The accounts that a file names: above its rows and again among them, else in a column of its own."""
    if above:
        heads = [account_named(table.cells(row)) for row in sorted(verdicts.reasons)]
        return tuple(dict.fromkeys(filter(None, [above, *heads])))
    name = mapping.column("account")
    named = pc.unique(table.texts(name)).to_pylist() if name and table.rows else []
    if OF_OTHERS in verdicts.reasons.values():
        others = {table.texts(name or "")[row].as_py() for row in verdicts if verdicts.reasons[row] == OF_OTHERS}
        named = [text for text in named if text not in others]
    return () if "" in named else tuple(named)  # the other party's, if some rows have none


def _left_out(table: Table, verdicts: Verdicts) -> list[LeftOut]:
    rows = [
        LeftOut(table.lines[row].as_py(), table.raw(row), reason) for row, reason in sorted(verdicts.reasons.items())
    ]
    unlike = [LeftOut(row.line, row.raw, "no line: it has other columns than the rest") for row in table.unlike]
    return sorted(rows + unlike, key=lambda each: each.line or 0)


def _errors(table: Table, failures: Failures, hints: Hints) -> tuple[RowError, ...]:
    limit = hints.limits.max_errors
    errors = []
    for row in sorted(failures.by_row)[:limit]:
        column, found, expected = failures.by_row[row]
        line = table.lines[row].as_py()
        what = f"found {found!r}" if found else "it is empty"
        place = column if UNNAMED.fullmatch(column) else f"column {column}"
        message = f"Line {line}, {place}: {what}, expected {expected}."
        cells = dict(zip(table.header, table.cells(row), strict=True))
        errors.append(RowError(line, column, found, expected, message, table.raw(row), cells))
    if len(failures.by_row) > limit:
        rest = len(failures.by_row) - limit
        errors.append(RowError(None, None, None, MORE_ROWS, f"And {rest:,} more rows cannot be read."))
    return tuple(errors)


def missing_questions(table: Table, mapping: Mapping, lines: pa.Table) -> tuple[Question, ...]:
    """Asked when nothing said which currency the amounts are in, or which column has the dates."""
    questions = []
    if UNKNOWN in pc.unique(lines["currency"]).to_pylist():
        questions.append(Question("currency", "Which currency are the amounts in?", (), UNKNOWN))
    if table.rows and not (mapping.column("booking_date") or mapping.column("value_date")):
        questions.append(undated(table.header))
    return tuple(questions)


def undated(header: Sequence[str]) -> Question:
    """What to ask about a table without dates."""
    options = tuple((name, name) for name in header)
    return Question("columns.booking_date", "Which column has the dates?", options, "")
