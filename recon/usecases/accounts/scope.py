"""Accounts, their ledger scope, and the rows of theirs that are still open."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final
from zoneinfo import available_timezones

import pyarrow as pa
from django.db import connection, transaction
from django.db.models import (
    BigIntegerField,
    Case,
    Exists,
    Expression,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    When,
)

from recon.models import (
    FINAL_STATUSES,
    Account,
    Claim,
    LedgerEntry,
    LedgerImport,
    LoadState,
    Match,
    RowPart,
    Side,
    Statement,
    StatementLine,
    Strategy,
)
from recon.usecases.bulk.among import Among
from recon.usecases.bulk.rows import Progress, arrow_schema, read_rows
from recon.usecases.errors import Refused
from recon.usecases.events import Actor, record
from recon.usecases.grouping import check_grouping
from rules.kept_queries import KeptQuery

SCOPE_KEYS: Final = ("owned", "balances", "sources", "statuses")

_SHARED_COLUMNS: Final = (
    "external_id", "scale", "currency", "booking_date", "value_date", "booked_at", "reference", "description",
    "counterparty", "type_code", "source", "amount_text", "extra", "reference_key", "description_key",
    "counterparty_key",
)  # fmt: skip
ROW_COLUMNS: Final[dict[Side, tuple[str, ...]]] = {
    Side.STATEMENT: (*_SHARED_COLUMNS, "position", "statement_number"),
    Side.LEDGER: (*_SHARED_COLUMNS, "destination", "parent_transaction", "status", "created_at"),
}
"""What `open_rows` reads beside id, part, order and units."""


def builtin_account() -> Account:
    """The account behind the Blnk routes: every unowned ledger entry is in its scope, amounts are as given."""
    if (known := _builtin.first()) is not None:
        return known
    account, _ = Account.objects.get_or_create(is_builtin=True, defaults={"name": "API", "scope": {}})
    return account


_builtin = KeptQuery(lambda: Account.objects.filter(is_builtin=True))


def create_account(by: Actor, *, name: str, scope: dict[str, Any] | None = None, **settings: Any) -> Account:
    """A new account; `settings` are fields of `Account`. Raises Refused for a taken name, an unknown time zone or a
    scope with unknown keys."""
    name = name.strip()
    if not name:
        raise Refused("An account needs a name.")
    zone = settings.get("time_zone", "UTC")
    if zone not in available_timezones():
        raise Refused(f"{zone!r} is not a time zone; expected a name such as Europe/Berlin.")
    check_grouping(settings.get("strategy", Strategy.ONE_TO_ONE), settings.get("grouping", ""))
    with transaction.atomic():
        if Account.objects.filter(name=name).exists():
            raise Refused(f"There is already an account named {name!r}.")
        account = Account.objects.create(name=name, scope=checked_scope(scope), **settings)
        record(
            by, "account created", "account", account.pk, account_id=account.pk, after={"name": name, "scope": scope}
        )
    return account


def hold_still(account_id: int) -> None:
    """Keep statements of the account from being replaced until this transaction is over: its lines are about to be
    matched. A lock of the account's row, so that the database need not read anything twice."""
    Account.objects.select_for_update(no_key=True).filter(pk=account_id).first()


def checked_scope(scope: dict[str, Any] | None) -> dict[str, Any] | None:
    """The scope itself. Raises Refused if it is not one."""
    if scope is None:
        return None
    if unknown := sorted(scope.keys() - set(SCOPE_KEYS)):
        raise Refused(f"The ledger scope knows {', '.join(SCOPE_KEYS)}; it does not know {', '.join(unknown)}.")
    if not isinstance(scope.get("owned", False), bool):
        raise Refused("The ledger scope's 'owned' is true or false.")
    for key in SCOPE_KEYS[1:]:
        values = scope.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Refused(f"The ledger scope's {key!r} is a list of texts.")
    if stray := set(scope.get("statuses", [])) - set(FINAL_STATUSES):
        raise Refused(f"Only final entries take part in matching; {', '.join(sorted(stray))} is not a final status.")
    return scope


def entries_in_scope(account: Account, unfinished: Collection[int] | None = None) -> QuerySet[LedgerEntry]:
    """The ledger entries that may settle the account's statement lines, open or not.

    Final ones only, of finished imports, from the cut-over date on. Entries owned by the account if the scope says
    so; unowned ones if it names balances or sources, or nothing at all. No scope chosen yet: none. `unfinished`: what
    `unfinished_imports` gave, if that is known.
    """
    if account.scope is None:
        return LedgerEntry.objects.none()
    rows = LedgerEntry.objects.filter(_scope_filter(account, account.scope))
    if loading := unfinished_imports() if unfinished is None else unfinished:
        rows = rows.exclude(import_number__in=loading)
    if account.cut_over:
        rows = rows.exclude(booking_date__lt=account.cut_over)
    return rows


def _scope_filter(account: Account, scope: dict[str, Any]) -> Q:
    owned, balances, sources = scope.get("owned", False), scope.get("balances", []), scope.get("sources", [])
    wanted = Q(pk__in=[])
    if owned:
        wanted |= Q(account_id=account.pk)
    if balances or sources or not owned:
        unowned = Q(account_id__isnull=True)
        if balances:
            unowned &= Q(source__in=balances) | Q(destination__in=balances)
        if sources:
            unowned &= Q(source__in=sources)
        wanted |= unowned
    return wanted & Q(status__in=scope.get("statuses") or FINAL_STATUSES)


def unfinished_imports() -> list[int]:
    """Numbers of ledger imports whose entries nothing may read."""
    return [imported.number for imported in _unfinished_imports()]


_unfinished_imports = KeptQuery(lambda: LedgerImport.objects.exclude(state=LoadState.READY).only("number"))


def lines_in_scope(account: Account, statement: Statement | None = None) -> QuerySet[StatementLine]:
    """The lines of one statement, or of all ready statements of the account; superseded lines never."""
    rows = StatementLine.objects.filter(account_id=account.pk, superseded=False)
    if statement is not None:
        return rows.filter(statement_number=statement.number)
    return rows.filter(statement_number__in=Statement.objects.ready().filter(account=account).values("number"))


def open_rows(
    account: Account,
    side: Side,
    rows: QuerySet[Any],
    *,
    columns: Sequence[str] | None = None,
    progress: Progress | None = None,
    few: bool = False,
    most: bool = False,
) -> pa.Table:
    """Those of `rows` that no confirmed match of the account has claimed, as the engine takes them.

    `rows` is `lines_in_scope(…)` or `entries_in_scope(…)`, filtered further where that helps. A row that a person
    split comes as its open parts. Columns: ``id, part, ord, units`` and the row's own (all of them unless `columns`
    names some). ``ord`` is the order of arrival: the position in the statement, the ledger's acceptance number. `few`
    as for `read_rows`; `most`: nearly all rows of their table are among `rows`.
    """
    names = tuple(columns if columns is not None else ROW_COLUMNS[side])
    among = _among(account, side, rows, names) if most else None
    asked = open_query(account, side, rows, names)
    return with_open_parts(account, side, lambda: rows, names, read_rows(*asked, progress, few=few, among=among))


def open_query(
    account: Account, side: Side, rows: QuerySet[Any], names: Sequence[str]
) -> tuple[str, tuple[Any, ...], pa.Schema]:
    """What `open_rows` asks the database, but for rows that were split: SQL, parameters, and what comes."""
    of_row = {"account_id": account.pk, "side": side, "row_id": OuterRef("pk")}
    whole = rows.filter(~Exists(Claim.objects.filter(**of_row, part=0)), ~Exists(RowPart.objects.filter(**of_row)))
    return _query(account, side, whole, names)


def with_open_parts(
    account: Account, side: Side, rows: Callable[[], QuerySet[Any]], names: Sequence[str], whole: pa.Table
) -> pa.Table:
    """What `open_query` gave in the shape of `open_rows`, with the open parts of those of `rows` that were split."""
    table = _whole(whole)
    parts = _open_parts(account, side)
    if not parts.num_rows:
        return table
    ids = parts["id"].unique().to_pylist()
    split = _read(account, side, rows().filter(pk__in=ids), names, few=True).drop_columns(["part", "units"])
    return pa.concat_tables([table, split.join(parts, "id", join_type="inner").select(table.column_names)])


def claimed_values(
    account: Account, side: Side, rows: QuerySet[Any], columns: Sequence[str], *, but_in: QuerySet[Match]
) -> pa.Table:
    """What those of `rows` have in `columns` of which a confirmed match, none of `but_in`, has claimed any part.

    Each combination once. Columns are those of `open_rows`, ``units`` among them; those of rows that were split are
    the whole row's.
    """
    claims = Claim.objects.filter(account_id=account.pk, side=side, row_id=OuterRef("pk"))
    taken = rows.filter(Exists(claims.filter(~Exists(but_in.filter(pk=OuterRef("match_id"))))))
    signed = taken.order_by().annotate(signed=signed_units(account, side))
    read = signed.values_list(*("signed" if name == "units" else name for name in columns)).distinct()
    sql, params = read.query.sql_with_params()
    return read_rows(sql, params, arrow_schema(rows.model, columns))


def all_rows(account: Account, side: Side, rows: QuerySet[Any], columns: tuple[str, ...] | None = None) -> pa.Table:
    """`rows` in the shape of `open_rows`, as if nothing of them were matched or split."""
    return _read(account, side, rows, ROW_COLUMNS[side] if columns is None else columns)


def _read(
    account: Account,
    side: Side,
    rows: QuerySet[Any],
    names: Sequence[str],
    progress: Progress | None = None,
    *,
    few: bool = False,
) -> pa.Table:
    return _whole(read_rows(*_query(account, side, rows, names), progress, few=few))


def _query(
    account: Account, side: Side, rows: QuerySet[Any], names: Sequence[str]
) -> tuple[str, tuple[Any, ...], pa.Schema]:
    signed = rows.order_by().annotate(signed=signed_units(account, side))
    sql, params = signed.values_list("pk", "signed", *names).query.sql_with_params()
    return sql, params, pa.schema([("id", pa.int64()), ("units", pa.int64()), *arrow_schema(rows.model, names)])


def _among(account: Account, side: Side, rows: QuerySet[Any], names: Sequence[str]) -> Among:
    """`rows` as they are, claimed or not: files leave many columns empty, and have one currency."""
    fields = [rows.model._meta.get_field(name) for name in names if name not in _OWN]
    sql, params, _ = _query(account, side, rows, names)
    taken = (_ANY_TAKEN, [account.pk, int(side)] * 2)
    nullable = frozenset(each.name for each in fields if each.null)
    return Among(sql, params, [each.name for each in fields], nullable, taken)


_ANY_TAKEN: Final = """
    EXISTS (SELECT FROM recon_claim WHERE account_id = %s AND side = %s)
    OR EXISTS (SELECT FROM recon_rowpart WHERE account_id = %s AND side = %s)
"""


_OWN: Final = {"booking_date", "reference", "description", "external_id", "amount_text", "position"}
"""Columns in which rows of a file differ."""


def as_read(side: Side, stored: pa.Table, names: Sequence[str]) -> pa.Table:
    """Rows as `open_rows` gives them, from those in memory that were stored."""
    columns = arrow_schema(LedgerEntry if side == Side.LEDGER else StatementLine, names)
    schema = pa.schema([("id", pa.int64()), ("units", pa.int64()), *columns])
    return _whole(stored.select(schema.names).cast(schema))


def _whole(table: pa.Table) -> pa.Table:
    """Rows that nobody split."""
    part = pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)
    return table.add_column(1, "part", part).add_column(2, "ord", table["id"])


def signed_units(account: Account, side: Side) -> Expression | F:
    """An entry of one of the scope's balances, seen from that balance: what leaves it is negative."""
    balances = (account.scope or {}).get("balances", [])
    if side == Side.STATEMENT or not balances:
        return F("units")
    leaves = Q(account_id__isnull=True, source__in=balances) & ~Q(destination__in=balances)
    reverse = ExpressionWrapper(-F("units"), BigIntegerField())
    return Case(When(leaves, then=reverse), default=F("units"), output_field=BigIntegerField())


def _open_parts(account: Account, side: Side) -> pa.Table:
    """Parts of split rows that are not claimed: ``id, part, units``. People split rows one by one: there are few."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_PARTS, [account.pk, int(side)])
        columns = list(zip(*cursor.fetchall(), strict=True)) or [(), (), ()]
    return pa.table([pa.array(column, each.type) for column, each in zip(columns, _PART, strict=True)], _PART)


_PART: Final = pa.schema([("id", pa.int64()), ("part", pa.int32()), ("units", pa.int64())])
_OPEN_PARTS: Final = """
    SELECT p.row_id, p.part, p.units FROM recon_rowpart p WHERE p.account_id = %s AND p.side = %s AND NOT EXISTS (
        SELECT 1 FROM recon_claim c
        WHERE c.account_id = p.account_id AND c.side = p.side AND c.row_id = p.row_id AND c.part = p.part)
"""
