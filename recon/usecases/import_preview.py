"""A file read for an account, before anything is stored: its rows, its errors, and what there is to know."""

from __future__ import annotations

from collections.abc import Mapping as Plain
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings

from recon.models import FINAL_STATUSES, Account, AccountKind, Side
from recon.statements import read
from recon.statements.mapping import Mapping, MappingError
from recon.statements.model import Hints, Limits, Reading, StatementError, line_totals
from recon.usecases.duplicates import REPEATS, Announcement, repeated_file, repeated_rows, statement_neighbours
from recon.usecases.errors import Refused
from recon.usecases.files import Source, content, sha256_of
from recon.usecases.import_rows import final_status, keyed


@dataclass(frozen=True)
class Preview:
    """What an import would store, and what to know before. `totals` says in words what comes in and goes out."""

    reading: Reading
    announcements: tuple[Announcement, ...]
    totals: tuple[str, ...]

    @property
    def repeats(self) -> tuple[Announcement, ...]:
        """The announcements somebody must decide on: what is already there."""
        return tuple(each for each in self.announcements if each.kind in REPEATS)


def preview(
    source: Source, name: str, account: Account | None, side: Side, mapping: Plain[str, Any] | None = None
) -> Preview:
    """Read a file as `import_statement` or `import_ledger` would. Raises Refused for a file that cannot be read."""
    reading = read_source(source, name, account, side, mapping)
    return examine(reading, account, side, sha256_of(source))


def examine(reading: Reading, account: Account | None, side: Side, sha256: str) -> Preview:
    """What there is to know about a reading before it is stored."""
    rows = keyed(reading.lines)
    found = [repeated_file(account, side, sha256), repeated_rows(account, side, rows), _left_out(reading)]
    if side == Side.LEDGER:
        found.append(_not_final(reading))
    elif account is not None:
        found += [*statement_neighbours(account, reading), *_balances_that_differ(reading)]
    return Preview(reading, tuple(each for each in found if each), totals_in_words(reading, side))


def read_source(
    source: Source, name: str, account: Account | None, side: Side, mapping: Plain[str, Any] | None = None
) -> Reading:
    """The rows of a file that are the account's. Raises Refused, with row errors where it has a place to name.

    A mapping that is given must fit; one remembered for the account is tried first and gives way to the file itself.
    """
    hints = hints_for(account, side)
    remembered = None if mapping is not None else _remembered(account, side)
    try:
        if remembered is not None:
            try:
                return _of_account(read(content(source), name, replace(hints, mapping=remembered)), account)
            except (StatementError, MappingError):
                pass  # the bank has changed its layout: read the file as if it were the first
        given = None if mapping is None else Mapping.from_dict(dict(mapping))
        return _of_account(read(content(source), name, replace(hints, mapping=given)), account)
    except StatementError as error:
        raise Refused(str(error), error.errors) from error
    except MappingError as error:
        raise Refused(f"The mapping cannot be used: {error}.") from error


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
    return replace(hints, account_kind=kind, time_zone=account.time_zone, currency=currency)


def _remembered(account: Account | None, side: Side) -> Mapping | None:
    if account is None:
        return None
    profile = account.statement_profile if side == Side.STATEMENT else account.ledger_profile
    return Mapping.from_dict(profile.mapping) if profile else None


def _of_account(reading: Reading, account: Account | None) -> Reading:
    """Only the statements of the account's own number; a file of several others is nothing to guess about."""
    numbers = {_bare(each.account): each.account for each in reading.statements if each.account}
    if len(numbers) < 2:
        return reading
    own = _bare(account.number) if account else ""
    if own in numbers:
        return replace(reading, statements=tuple(each for each in reading.statements if _bare(each.account) == own))
    named = ", ".join(str(number) for number in numbers.values())
    raise Refused(f"The file holds statements of several accounts ({named}); give the account one of these numbers.")


def _bare(number: str | None) -> str:
    return "".join((number or "").split()).upper()


def totals_in_words(reading: Reading, side: Side) -> tuple[str, ...]:
    """One sentence per currency: how many rows, what comes in, what goes out."""
    what = "lines" if side == Side.STATEMENT else "entries"
    return tuple(
        f"{total.lines:,} {what} in {total.currency}: {total.credits:,} in, {total.debits:,} out, net {total.net:+,}"
        for total in line_totals(reading.lines)
    )


def _left_out(reading: Reading) -> Announcement | None:
    rows = [each for statement in reading.statements for each in statement.left_out]
    if not rows:
        return None
    reasons = ", ".join(sorted({each.reason for each in rows}))
    return Announcement("left_out", f"{len(rows):,} rows are left out: {reasons}.", len(rows))


def _not_final(reading: Reading) -> Announcement | None:
    """Entries that no run will take, because their status is not final."""
    statuses = final_status(reading.lines["status"])
    other = statuses.filter(pc.invert(pc.is_in(statuses, value_set=pa.array(FINAL_STATUSES))))
    if not len(other):
        return None
    named = ", ".join(sorted(set(other.unique().to_pylist()))[:5])
    text = f"{len(other):,} entries are not final ({named}) and take part in no run."
    return Announcement("not_final", text, len(other))


def _balances_that_differ(reading: Reading) -> list[Announcement]:
    return [
        Announcement(
            "balance_differs",
            f"The balance does not add up in {check.currency}: opening {check.opening} and movements"
            f" {check.movements:+} make {(check.opening or 0) + check.movements}, but it closes with {check.closing}.",
        )
        for statement in reading.statements
        for check in statement.balance_checks()
        if check.verdict == "differs"
    ]
