"""A statement in a new issue: what is the same, changed, missing or new; and how the new one takes its place.

Lines that are the same keep their id and their match and move to the new statement. Changed and missing ones stay
with the old statement as superseded, their matches are undone, and no run takes them again. New ones are open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from django.db import IntegrityError, connection
from django.db.models import Exists, OuterRef
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    ItemState,
    LoadState,
    Match,
    MatchingRun,
    MatchRow,
    MatchState,
    OpenItem,
    Side,
    Statement,
    StatementLine,
)
from recon.rows import amount
from recon.usecases.accounts.closing import refuse_closed_import
from recon.usecases.bulk.apart_indexes import IN_STEP, make_missing
from recon.usecases.bulk.rows import read_queryset
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.imports.duplicates import MONEY
from recon.usecases.review.withdrawing import withdraw_suggestions_on
from recon.usecases.runs.undo import undo_matches

_BATCH: Final = 10_000
KINDS: Final = ("same", "changed", "missing", "new")

_FACTS = (
    "external_id", "units", "scale", "currency", "booking_date", "value_date", "reference_key", "description_key",
    "counterparty_key", "type_code",
)  # fmt: skip


@dataclass(frozen=True)
class ComparedRow:
    """One row of a comparison: the line that is stored, the one of the new file, or both if it changed."""

    kind: str
    old: StatementLine | None
    new: dict[str, Any] | None  # with "amount" as a decimal


@dataclass(frozen=True)
class Share:
    """What one kind of rows comes to in one currency: old amounts of the missing, new ones of the others."""

    kind: str
    currency: str
    count: int
    net: Decimal


@dataclass(frozen=True)
class Comparison:
    """A stored statement beside a new issue of it. `pairs` has ``kind, old_id, position``; null where a side lacks."""

    old: Statement
    rows: pa.Table  # of the new issue, keyed
    pairs: pa.Table
    stored: pa.Table  # of the old one: id, units, scale, currency
    matched: int  # confirmed matches that end with it

    def count(self, kind: str) -> int:
        """How many rows are of a kind."""
        return int(pc.sum(pc.equal(self.pairs["kind"], kind)).as_py() or 0)

    @property
    def same(self) -> int:
        return self.count("same")

    @property
    def changed(self) -> int:
        return self.count("changed")

    @property
    def missing(self) -> int:
        return self.count("missing")

    @property
    def new(self) -> int:
        return self.count("new")

    @property
    def is_identical(self) -> bool:
        return bool(self.same == self.pairs.num_rows)

    def of_kind(self, *kinds: str) -> pa.Table:
        """The pairs of some kinds."""
        return self.pairs.filter(pc.is_in(self.pairs["kind"], pa.array(kinds)))


def compare(old: Statement, rows: pa.Table) -> Comparison:
    """Compare a statement that is stored with the keyed rows of a new issue. The n-th of equal lines is the n-th."""
    lines = StatementLine.objects.filter(statement_number=old.number, superseded=False)
    stored = read_queryset(lines.order_by("position"), ["id", "position", *_FACTS])
    with duckdb.connect() as con:
        con.register("stored_rows", stored)
        con.register("fresh_rows", rows.select(["position", *_FACTS]))
        pairs = paired(con)
    gone = pairs.filter(pc.is_in(pairs["kind"], pa.array(["changed", "missing"])))["old_id"]
    money = stored.select(["id", "units", "scale", "currency"])
    return Comparison(old, rows, pairs, money, _matches_of(old, gone.to_pylist()))


_KEYS: Final = (
    ("same", ("external_id", "money", "currency", "booking_date", "value_date", "reference_key", "description_key",
              "counterparty_key", "type_code"), ""),
    ("changed", ("external_id",), "external_id IS NOT NULL"),
    ("changed", ("reference_key", "booking_date", "currency"), "reference_key IS NOT NULL"),
    ("changed", ("reference_key", "money", "currency"), "reference_key IS NOT NULL"),
    ("changed", ("booking_date", "money", "currency"), ""),
    ("changed", ("description_key", "counterparty_key", "booking_date", "currency"), "description_key IS NOT NULL"),
)  # fmt: skip
"""How rows of both issues find each other: each key takes what the ones before it have left."""


def paired(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """``kind, old_id, position`` for the tables ``stored_rows`` and ``fresh_rows``: every row of both, each once."""
    for ours, given in (("old_rows", "stored_rows"), ("new_rows", "fresh_rows")):
        con.execute(f"CREATE TABLE {ours} AS SELECT *, {MONEY} AS money FROM {given}")  # noqa: S608 - constants of ours
    con.execute("CREATE TABLE pairs (kind VARCHAR, old_id BIGINT, position BIGINT)")
    for kind, key, only in _KEYS:
        named = ", ".join(key)
        agree = " AND ".join(f"o.{name} IS NOT DISTINCT FROM n.{name}" for name in key)
        left = [
            f"SELECT *, row_number() OVER (PARTITION BY {named} ORDER BY position) AS nth FROM {side} WHERE"  # noqa: S608 - constants of ours
            f" {own} NOT IN (SELECT {taken} FROM pairs WHERE {taken} IS NOT NULL){' AND ' + only if only else ''}"
            for side, own, taken in (("old_rows", "id", "old_id"), ("new_rows", "position", "position"))
        ]
        con.execute(
            f"INSERT INTO pairs SELECT '{kind}', o.id, n.position FROM ({left[0]}) o JOIN ({left[1]}) n"  # noqa: S608 - constants of ours
            f" ON o.nth = n.nth AND {agree}"
        )
    con.execute(
        "INSERT INTO pairs SELECT 'missing', id, NULL FROM old_rows WHERE id NOT IN (SELECT old_id FROM pairs)"
    )
    con.execute(
        "INSERT INTO pairs SELECT 'new', NULL, position FROM new_rows"
        " WHERE position NOT IN (SELECT position FROM pairs WHERE position IS NOT NULL)"
    )
    return con.execute(
        "SELECT kind, old_id, position FROM pairs ORDER BY position NULLS LAST, old_id"
    ).to_arrow_table()


def _matches_of(old: Statement, line_ids: Sequence[int]) -> int:
    """Confirmed matches that hold one of the lines."""
    claims = Claim.objects.filter(account_id=old.account_id, side=Side.STATEMENT)
    found: set[int] = set()
    for start in range(0, len(line_ids), _BATCH):
        found.update(claims.filter(row_id__in=line_ids[start : start + _BATCH]).values_list("match_id", flat=True))
    return len(found)


def shares(comparison: Comparison) -> list[Share]:
    """Counts and net amounts by kind and currency, in the order of `KINDS`."""
    money = ["units", "scale", "currency"]
    placed = comparison.pairs.filter(pc.is_valid(comparison.pairs["position"])).select(["kind", "position"])
    gone = comparison.of_kind("missing").select(["kind", "old_id"])
    found = [
        placed.join(comparison.rows.select(["position", *money]), "position").select(["kind", *money]),
        gone.join(comparison.stored, "old_id", "id").select(["kind", *money]),
    ]
    table = pa.concat_tables(each.cast(found[0].schema) for each in found)
    table = table.set_column(1, "units", table["units"].cast(pa.decimal128(38, 0)))  # sums of a million 18-digit units
    sums: dict[tuple[str, str], Share] = {}
    groups = table.group_by(["kind", "currency", "scale"]).aggregate([("units", "count"), ("units", "sum")])
    for row in groups.to_pylist():
        key = row["kind"], row["currency"]
        share = sums.get(key, Share(*key, 0, Decimal(0)))
        net = share.net + row["units_sum"].scaleb(-row["scale"])
        sums[key] = Share(*key, share.count + row["units_count"], net)
    return sorted(sums.values(), key=lambda share: (KINDS.index(share.kind), share.currency))


def differing(comparison: Comparison, limit: int) -> list[ComparedRow]:
    """The first rows that are not the same in both issues, the changed ones first."""
    found = [pair for kind in KINDS[1:] for pair in comparison.of_kind(kind).slice(0, limit).to_pylist()][:limit]
    old = StatementLine.objects.in_bulk([pair["old_id"] for pair in found if pair["old_id"]])
    places = pa.array([pair["position"] for pair in found if pair["position"]], pa.int64())
    fresh = comparison.rows.filter(pc.is_in(comparison.rows["position"], places)).to_pylist()
    new = {row["position"]: row | {"amount": amount(row["units"], row["scale"])} for row in fresh}
    return [ComparedRow(pair["kind"], old.get(pair["old_id"]), new.get(pair["position"])) for pair in found]


def refuse_if_busy(account: Account) -> None:
    """Raises Refused while a run of the account is queued or at work: it may be about to match what is replaced."""
    run = MatchingRun.objects.active().filter(account=account).first()
    if run is not None:
        raise Refused(f"Run {run.number} of {account.name} is {run.state}; replace the statement when it is over.")


def take_the_place(by: Actor, comparison: Comparison, new: Statement, why: str = "") -> None:
    """Let the new statement, whose differing lines are loaded, supersede the old one.

    In the transaction that makes it ready, with the account locked. Raises Refused if a run is at work, or if the old
    statement is no longer what was compared.
    """
    refuse_if_busy(new.account)
    old = Statement.objects.select_for_update().get(pk=comparison.old.pk)
    if old.state != LoadState.READY or old.record_count != comparison.old.record_count:
        raise Refused(f"{old.name} has changed since the comparison was made; look at it again.")
    same = comparison.of_kind("same")
    move_lines(list(zip(same["old_id"].to_pylist(), same["position"].to_pylist(), strict=True)), new.number)
    left = StatementLine.objects.filter(statement_number=old.number)
    refuse_closed_import(left, Account.objects.filter(pk=old.account_id), old.name)
    undone = _let_go(by, new.account, left, f"{old.name} was replaced by {new.name}")
    left.update(superseded=True)
    Statement.objects.filter(pk=old.pk).update(state=LoadState.SUPERSEDED)
    Statement.objects.filter(pk=new.pk).update(supersedes=old)
    counts = {kind: comparison.count(kind) for kind in KINDS}
    after = {"replaced_by": new.pk, **counts, "matches_undone": undone}
    before = {"name": old.name, "rows": old.record_count}
    record(
        by, "statement replaced", "statement", old.pk, account_id=old.account_id, before=before, after=after, why=why
    )


def _let_go(by: Actor, account: Account, lines: Any, why: str) -> int:
    """Undo the matches of lines that take part no longer, and close their items. Returns how many were undone."""
    of_line = MatchRow.objects.filter(side=Side.STATEMENT, row_id__in=lines.values("pk"), match_id=OuterRef("pk"))
    standing = Match.objects.visible().filter(account_id=account.pk, state=MatchState.CONFIRMED)
    undone = undo_matches(by, account, standing.filter(Exists(of_line)), why)
    withdraw_suggestions_on(Side.STATEMENT, lines)
    items = OpenItem.objects.filter(side=Side.STATEMENT, row_id__in=lines.values("pk")).unresolved()
    items.update(state=ItemState.RESOLVED, resolved_at=timezone.now(), hold_until=None, reason="superseded")
    return undone


_MOVE: Final = {
    "sqlite": """
        UPDATE recon_statementline SET statement_number = %s, position = moved.position
        FROM (
            SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS position FROM json_each(%s)) moved
        WHERE recon_statementline.id = moved.id
    """,
    "postgresql": """
        UPDATE recon_statementline SET statement_number = %s, position = moved.position
        FROM (SELECT (value->>0)::bigint AS id, (value->>1)::bigint AS position FROM json_array_elements(%s)) moved
        WHERE recon_statementline.id = moved.id
    """,
}


def move_lines(places: Sequence[tuple[int, int]], number: int) -> None:
    """Give lines, by id, their positions in the statement of that number. Raises Refused if they cannot change yet."""
    make_missing(StatementLine)  # until then the positions of a load that was just made cannot change
    try:
        with connection.cursor() as cursor:
            for start in range(0, len(places), _BATCH):
                cursor.execute(_MOVE[connection.vendor], [number, json.dumps(places[start : start + _BATCH])])
    except IntegrityError as error:
        if IN_STEP not in str(error):
            raise
        raise Refused(
            "The lines were loaded a moment ago and others are at work on them; try again shortly."
        ) from error
