"""A file read for an account, before anything is stored: its rows, its errors, and what there is to know."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Plain
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings

from recon.models import FINAL_STATUSES, Account, AccountKind, ImportProfile, Side, Statement
from recon.statements import read
from recon.statements.balances import running_balance_disagrees
from recon.statements.currencies import UNKNOWN
from recon.statements.mapping import Mapping, MappingError
from recon.statements.model import Hints, Limits, Reading, StatementError
from recon.statements.values import bare_number
from recon.usecases.errors import Refused, SeveralAccounts
from recon.usecases.imports.continuity import Joint, joint, overlapping, span_of_reading
from recon.usecases.imports.discrepancies import difference, other_account
from recon.usecases.imports.duplicates import (
    NOTHING_KNOWN,
    REPEATS,
    Announcement,
    Known,
    known_rows,
    repeated_file,
    repeated_number,
    repeated_rows,
)
from recon.usecases.imports.facts import reading_facts
from recon.usecases.imports.files import Source, content, sha256_of
from recon.usecases.imports.ledger_changes import LedgerChanges, ledger_changes
from recon.usecases.imports.profiles import profile_of
from recon.usecases.imports.rows import final_status, keyed
from recon.wording import counted

_NAMED = 6
"""Account numbers a refusal lists."""

BANK_FORMATS = ("mt940", "mt942", "camt", "bai2")
"""What only banks write: on the ledger's side such a file is in the wrong place."""


@dataclass(frozen=True)
class Preview:
    """What an import would store, and what to know before. `totals` says in words what comes in and goes out."""

    reading: Reading
    announcements: tuple[Announcement, ...]
    totals: tuple[str, ...]
    rows: pa.Table  # the lines of the reading with the comparable form of their texts
    known: Known = NOTHING_KNOWN  # rows that are there already
    changes: LedgerChanges = field(default_factory=LedgerChanges)
    joint: Joint | None = None
    replaceable: tuple[Statement, ...] = ()  # statements of which this may be a new issue, the likeliest first
    profile: ImportProfile | None = None  # the saved one it was read by

    @property
    def repeats(self) -> tuple[Announcement, ...]:
        """The announcements somebody must decide on: what is already there."""
        return tuple(each for each in self.announcements if each.kind in REPEATS)


def preview(
    source: Source, name: str, account: Account | None, side: Side, mapping: Plain[str, Any] | None = None
) -> Preview:
    """Read a file as `import_statement` or `import_ledger` would. Raises Refused for a file that cannot be read."""
    reading, profile = read_by_profile(source, name, account, side, mapping)
    return replace(examine(reading, account, side, sha256_of(source)), profile=profile)


def examine(reading: Reading, account: Account | None, side: Side, sha256: str) -> Preview:
    """What there is to know about a reading before it is stored."""
    rows = keyed(reading.lines)
    changes = ledger_changes(account, rows) if side == Side.LEDGER else LedgerChanges()
    known = known_rows(account, side, _without(rows, changes.positions))
    found = [
        repeated_file(account, side, sha256),
        *repeated_rows(side, rows, known),
        _left_out(reading),
        _inexact(reading),
        _fees(reading),
        _undated(reading),
        _without_references(reading),
    ]
    made = Preview(reading, (), totals_in_words(reading, side), rows, known, changes)
    if side == Side.LEDGER:
        found += [*_of_ledger(changes), _not_final(reading), _wrong_place(reading)]
    elif account is not None:
        span = span_of_reading(reading)
        joined = joint(account, span)
        found += [
            repeated_number(account, span),
            _neighbour(joined),
            *_balances_that_differ(reading),
            _running(reading),
        ]
        made = replace(made, joint=joined, replaceable=tuple(overlapping(account, span)))
    if account is not None and not account.is_builtin:
        found += [*_of_other_account(account, reading), *_other_currencies(account, reading)]
    return replace(made, announcements=tuple(each for each in found if each))


def _without(rows: pa.Table, positions: pa.Array) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["position"], positions))) if len(positions) else rows


def read_source(
    source: Source,
    name: str,
    account: Account | None,
    side: Side,
    mapping: Plain[str, Any] | None = None,
    *,
    every_row: bool = False,
) -> Reading:
    """The rows of a file that are the account's, as `read_by_profile` gives them."""
    return read_by_profile(source, name, account, side, mapping, every_row=every_row)[0]


def read_by_profile(
    source: Source,
    name: str,
    account: Account | None,
    side: Side,
    mapping: Plain[str, Any] | None = None,
    *,
    every_row: bool = False,
) -> tuple[Reading, ImportProfile | None]:
    """The rows of a file that are the account's, and the saved profile they were read by, if it was one.

    A mapping that is given must fit; one remembered for the account is tried first and gives way to the file itself.
    Raises Refused, with row errors where it has a place to name.
    """
    hints = replace(hints_for(account, side), every_row=every_row)
    profile = None if mapping is not None else profile_of(account, side)
    try:
        for remembered in _ways(profile, account):
            try:
                return _of_account(read(content(source), name, replace(hints, mapping=remembered)), account), profile
            except (StatementError, MappingError):
                continue  # the bank has changed its layout: read the file as if it were the first
        given = None if mapping is None else Mapping.from_dict(dict(mapping))
        return _of_account(read(content(source), name, replace(hints, mapping=given)), account), None
    except StatementError as error:
        raise Refused(str(error), error.errors) from error
    except MappingError as error:
        raise Refused(f"The mapping cannot be used: {error}.") from error


def _ways(profile: ImportProfile | None, account: Account | None) -> Iterator[Mapping]:
    """A remembered mapping as it was, then without what differs from file to file: where the header stands, how the
    text is encoded."""
    if profile is None:
        return
    try:
        mapping = Mapping.from_dict(profile.mapping)
    except MappingError:
        return
    if account is not None and account.amount_column and mapping.column("gross") and mapping.column("net"):
        mapping = replace(mapping, amount_column=_amount_column(account))
    yield mapping
    if mapping.header_row or mapping.encoding:
        yield replace(mapping, header_row=mapping.header_row if mapping.header_row == 0 else None, encoding=None)


def hints_for(account: Account | None, side: Side) -> Hints:
    """What an account says about its files."""
    hints = Hints(
        side="statement" if side == Side.STATEMENT else "ledger", limits=Limits(max_bytes=settings.MAX_UPLOAD_BYTES)
    )
    if account is None:
        return hints
    if account.is_builtin:
        return replace(hints, sign="as_given")  # programs say what they mean
    currency = account.currencies[0] if len(account.currencies) == 1 else None
    kind: Literal["asset", "liability"] = "liability" if account.kind == AccountKind.LIABILITY else "asset"
    return replace(
        hints,
        account_kind=kind,
        time_zone=account.time_zone,
        currency=currency,
        account=account.number or None,
        split_batches=account.split_batches,
        undated_by_statement=True,
        amount_column=_amount_column(account),
    )


def _amount_column(account: Account) -> Literal["gross", "net"] | None:
    return "gross" if account.amount_column == "gross" else "net" if account.amount_column == "net" else None


def _of_account(reading: Reading, account: Account | None) -> Reading:
    """Only the statements of the account's own number; a file of several others is nothing to guess about."""
    numbers = {bare_number(each.account): each.account for each in reading.statements if each.account}
    if len(numbers) < 2:
        return reading
    own = bare_number(account.number) if account else ""
    if own in numbers:
        mine = tuple(each for each in reading.statements if bare_number(each.account) == own)
        return replace(reading, statements=mine)
    found = [str(number) for number in numbers.values()]
    named = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    message = f"The file holds statements of several accounts ({named}); give the account one of these numbers."
    raise SeveralAccounts(message, found)


def totals_in_words(reading: Reading, side: Side) -> tuple[str, ...]:
    """One sentence per currency: how many rows, what comes in, what goes out."""
    nouns = ("line", "lines") if side == Side.STATEMENT else ("entry", "entries")
    return tuple(
        f"{counted(total.lines, *nouns)} in {currency_in_words(total.currency)}: {total.credits:,} in,"
        f" {total.debits:,} out, net {total.net:+,}"
        for total in reading.totals()
    )


def currency_in_words(code: str) -> str:
    """The code itself; ISO's code for none is no currency to anybody."""
    return "a currency that is not known yet" if code == UNKNOWN else code


def _undated(reading: Reading) -> Announcement | None:
    """Lines without any date, which no rule about dates can match."""
    undated = reading.lines["booking_date"].null_count
    if not undated:
        return None
    have = "has" if undated == 1 else "have"
    text = (
        f"{undated:,} of {reading.lines.num_rows:,} lines {have} no date; rules that compare dates never match them."
    )
    return Announcement("no_date", text, undated)


def _without_references(reading: Reading) -> Announcement | None:
    """Rows of a table that have an id and no reference, as processors write them: which one a rule asks for is not
    obvious. The id is not taken for the reference by itself: it would be compared where nothing was compared before.
    """
    mapping, rows = reading.mapping, reading.lines
    column = mapping.column("external_id") if mapping else None
    if mapping is None or column is None or rows["reference"].null_count < rows.num_rows:
        return None
    if rows["external_id"].null_count == rows.num_rows:
        return None
    own = mapping.column("reference")
    lead = f"The column “{own}”, read as the reference, is empty" if own else "No column is read as the reference"
    text = (
        f"{lead}: a rule on references finds none of these rows. If the other side has the values of “{column}” as"
        " its references, choose that column as Reference too; it may be both."
    )
    return Announcement("no_reference", text, rows.num_rows)


def _left_out(reading: Reading) -> Announcement | None:
    rows = [each for statement in reading.statements for each in statement.left_out]
    if not rows:
        return None
    reasons = ", ".join(sorted({each.reason for each in rows}))
    return Announcement("left_out", f"{counted(len(rows), 'row')} left out: {reasons}.", len(rows))


def _inexact(reading: Reading) -> Announcement | None:
    """What the file itself has lost, by row."""
    if not reading.warnings:
        return None
    more = len(reading.warnings) - _TOLD
    text = " ".join(each.message for each in reading.warnings[:_TOLD])
    return Announcement("inexact", f"{text} And {more:,} more such." if more > 0 else text, len(reading.warnings))


_TOLD: Final = 3
"""So many rows are named one by one."""


def _fees(reading: Reading) -> Announcement | None:
    """Where fees come off the amounts, so that nobody wonders why lines are not what their column says."""
    mapping = reading.mapping
    if mapping is None or mapping.fees not in ("positive", "negative") or not mapping.column("fee"):
        return None
    return Announcement("fees", f"Every line is its amount less the fee of the column “{mapping.column('fee')}”.")


def _running(reading: Reading) -> Announcement | None:
    """A running balance that proves nothing, because the amounts do not make it."""
    if not running_balance_disagrees(reading):
        return None
    name = reading.mapping.column("balance") if reading.mapping else ""
    text = (
        f"The column “{name}” does not go up and down with the amounts, so that there is no balance check."
        " Look whether columns, signs and fees are read rightly."
    )
    return Announcement("no_balance_check", text)


def _not_final(reading: Reading) -> Announcement | None:
    """Entries that no run will take, because their status is not final."""
    statuses = final_status(reading.lines["status"])
    other = statuses.filter(pc.invert(pc.is_in(statuses, value_set=pa.array(FINAL_STATUSES))))
    if not len(other):
        return None
    named = ", ".join(sorted(set(other.unique().to_pylist()))[:5])
    take = "takes" if len(other) == 1 else "take"
    text = f"{counted(len(other), 'entry', 'entries')} not final ({named}): {take} part in no run."
    return Announcement("not_final", text, len(other))


def _balances_that_differ(reading: Reading) -> list[Announcement]:
    return [
        Announcement("balance_differs", difference(facts))
        for facts in reading_facts(reading)
        if facts.verdict == "differs"
    ]


def _neighbour(joined: Joint) -> Announcement | None:
    """How the file joins the account's other statements, where there is something to say."""
    if joined.verdict in {"overlap", "touches"}:
        return Announcement("same_period", joined.text, joined.neighbour.record_count if joined.neighbour else 0)
    return Announcement("gap", joined.text) if joined.verdict == "gap" else None


def _of_ledger(changes: LedgerChanges) -> list[Announcement]:
    """What of a ledger file is there already, by the entries' own ids."""
    found = []
    if same := len(changes.same):
        text = f"Left out: {counted(same, 'entry', 'entries')} that the ledger has already, unchanged."
        found.append(Announcement("left_out", text, same))
    if unsettled := len(changes.unsettled):
        text = (
            f"{counted(unsettled, 'entry', 'entries')} of the ledger changed in this file: update, or leave as it is?"
        )
        found.append(Announcement("changed", text, unsettled))
    if settled := len(changes.settled):
        what = counted(settled, "matched entry", "matched entries")
        text = f"{what} changed in this file: nothing is overwritten, and somebody is asked to look."
        found.append(Announcement("account", text, settled))
    return found


def _wrong_place(reading: Reading) -> Announcement | None:
    if not reading.format.startswith(BANK_FORMATS):
        return None
    text = f"This is a bank statement ({reading.format.upper()}), not a ledger: was it meant for Statements?"
    return Announcement("account", text)


def _of_other_account(account: Account, reading: Reading) -> list[Announcement]:
    """A file whose account number is not the account's, or which has rows of several."""
    numbers = dict.fromkeys(each.account for each in reading.statements if each.account)
    found = [Announcement("account", text) for number in numbers if (text := other_account(account, number))]
    for several in (each.accounts for each in reading.statements if each.accounts):
        named = ", ".join(several[:_NAMED]) + (f" and {len(several) - _NAMED} more" if len(several) > _NAMED else "")
        text = (
            f"The file names several accounts ({named}); all its rows would be stored for {account.name}."
            " If it had one of these numbers, only the rows of that one would be."
        )
        found.append(Announcement("account", text))
    return found


def _other_currencies(account: Account, reading: Reading) -> list[Announcement]:
    """Currencies that the account does not have."""
    found = pc.unique(reading.lines["currency"]).to_pylist()
    strange = [code for code in sorted(found) if account.currencies and code not in (*account.currencies, UNKNOWN)]
    if not strange:
        return []
    has = ", ".join(account.currencies)
    return [Announcement("currency", f"There are lines in {', '.join(strange)}; {account.name} is kept in {has}.")]
