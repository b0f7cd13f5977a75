"""The two sides as the engine compares them: one scale, days of one zone, only texts that some criterion reads.

Table ``s`` has the statement's rows, ``l`` the ledger's. ``u`` numbers the rows of a side in the order that breaks
ties: statement by position; ledger by booking date, then acceptance number. What is not compared (ids, parts) stays in
the Arrow tables and is looked up there by ``u``. Rows of several books (`recon.engine.lots`) also have a ``lot``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.currencies import exponent
from recon.engine.grouping import group_numbers, grouping_column
from recon.engine.options import Options
from recon.engine.session import Session, in_pieces
from recon.rows import MAX_SCALE
from rules.criteria import Rule
from rules.criteria.patterns import has_group
from rules.criteria.scope import ALIAS, Scope, Side, TextColumn, quoted
from rules.criteria.text import ascii_tokens, both_loose_sql, loose_tokens_sql, text_keys, tokens_sql

SIDES: tuple[Side, Side] = ("statement", "ledger")
_INT64_SAFE = 10**15  # a thousand of these still fit 64 bits, with room for windows around them
_BOTH = ("both_loose", "both_loose_tokens")
_LIKE = 4  # times as many rows: sides of about one size


@dataclass(frozen=True)
class Facts:
    """What is true of all rows of both sides, by which plans are made and results written."""

    scope: Scope
    wide: bool
    one_currency: bool
    one_scale: bool
    dated: bool
    undated: bool  # one of the sides has no date at all
    signed: bool  # some amount is negative, or compared as if it were


@dataclass(frozen=True)
class Sides(Facts):
    """The loaded rows. ``rows`` are the Arrow tables in order: row ``u`` is the ``u``-th.

    ``texts`` are the columns of text that ``s`` and ``l`` have. ``lots``: how many books the rows are of, 0 if of one.
    """

    bound: int  # what no amount of a row, a group or a converted row exceeds, without its sign
    rows: dict[Side, pa.Table]
    texts: dict[Side, tuple[TextColumn, ...]]
    lots: int

    @property
    def sizes(self) -> tuple[int, int]:
        """The number of rows of the statement and of the ledger."""
        return self.rows["statement"].num_rows, self.rows["ledger"].num_rows


def load(session: Session, rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> Sides:
    """Create ``s`` and ``l``."""
    rows: dict[Side, pa.Table] = {
        "statement": _ordered(dated(statement, options.time_zone), "statement"),
        "ledger": _ordered(dated(ledger, options.time_zone), "ledger"),
    }
    facts, most = facts_of(tuple(rows.values()), rules, options)
    rows = {side: _with_amounts(table, side, facts.scope.scale, facts.wide, options) for side, table in rows.items()}
    sizes = [table.num_rows for table in rows.values()]
    in_place = len(rules) == 1 and (bool(grouped_sides(options.strategy)) or max(sizes) <= _LIKE * min(sizes))
    if options.grouping:
        for side in grouped_sides(options.strategy):
            rows[side] = _with_groups(session, rows[side], side, options)
    for side, table in rows.items():
        _create(session, side, table, _columns(rules, side), facts.wide, options, in_place=in_place)
    facts = replace(facts, scope=replace(facts.scope, compact=_any_compact(session, rules)))
    return Sides(
        **vars(facts),
        bound=most * max([1, *(math.ceil(rate) for rate in options.rates.values())]) + 10**facts.scope.scale,
        rows=rows,
        texts={side: tuple(_columns(rules, side)) for side in SIDES},
        lots=pc.max(statement["lot"]).as_py() + 1 if _lot(statement) else 0,
    )


def _any_compact(session: Session, rules: Sequence[Rule]) -> bool:
    """Whether a loose text has a compact key of its own; where none has, its loose key says it all."""
    return any(
        session.number(f"SELECT count(*) FROM {ALIAS[side]} WHERE contains({column.name}, '|')")
        for side in SIDES
        for column in _columns(rules, side)
        if column.form in _BOTH
    )


def facts_of(tables: Sequence[pa.Table], rules: Sequence[Rule], options: Options) -> tuple[Facts, int]:
    """The facts about both sides' rows, which have their days (`dated`), and what no amount of a row or a group
    exceeds at their scale."""
    scale, one_scale = _scale(tables, rules, options)
    rows_in_group = max(table.num_rows for table in tables) if grouped_sides(options.strategy) else 1
    most = max(_reach(table, scale) for table in tables) * rows_in_group
    facts = Facts(
        scope=Scope(scale, any(_any(table["instant"]) for table in tables), options.time_zone),
        wide=most >= _INT64_SAFE * 1000,
        one_currency=_currencies(tables) <= 1,
        one_scale=one_scale,
        dated=all(table["day"].null_count == 0 for table in tables),
        undated=any(table["day"].null_count == table.num_rows for table in tables),
        signed=options.sign == "inverted"
        or any(table.num_rows and pc.min(table["units"]).as_py() < 0 for table in tables),
    )
    return facts, most


def _lot(table: pa.Table) -> list[str]:
    """The name of the column that says which book a row is of, if it is of one of several."""
    return ["lot"] if "lot" in table.column_names else []


def dated(table: pa.Table, time_zone: str) -> pa.Table:
    """Add ``day`` (days since 1970; of an instant in the account's zone) and ``instant`` (microseconds since 1970)."""
    day = table["booking_date"].cast(pa.int32())
    booked_at = table["booked_at"].cast(pa.timestamp("us", tz="UTC"))
    if _any(booked_at):
        local = pc.local_timestamp(booked_at.cast(pa.timestamp("us", tz=time_zone)))
        day = pc.coalesce(local.cast(pa.date32(), safe=False).cast(pa.int32()), day)
    return table.append_column("day", day).append_column("instant", booked_at.cast(pa.int64()))


def _ordered(table: pa.Table, side: Side) -> pa.Table:
    """Put the rows in the order of their side and number them from 0: ``u``."""
    names = ["ord", "part", "id"] if side == "statement" else ["day", "ord", "part", "id"]
    names = [*_lot(table), *names]
    if not _is_sorted([table[name].combine_chunks() for name in names]):
        table = table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names]))
    return table.append_column("u", pa.arange(0, table.num_rows).cast(pa.int32()))


def _is_sorted(columns: list[pa.Array]) -> bool:
    """Whether rows strictly ascend by these columns, nulls last in the first."""
    size = len(columns[0])
    if size < 2:
        return True
    if any(column.null_count for column in columns):
        return False
    ascends: pa.Array | None = None
    for column in reversed(columns):
        before, after = column.slice(0, size - 1), column.slice(1)
        more = pc.less(before, after)
        ascends = more if ascends is None else pc.or_(more, pc.and_(pc.equal(before, after), ascends))
    return bool(pc.all(ascends).as_py())


def _scale(tables: Iterable[pa.Table], rules: Sequence[Rule], options: Options) -> tuple[int, bool]:
    limits = [pc.min_max(table["scale"]).as_py() for table in tables if table.num_rows]
    lowest = min((limit["min"] for limit in limits), default=0)
    highest = max((limit["max"] for limit in limits), default=0)
    scale = highest
    if any(rule.cross_currency for rule in rules):
        scale = max([highest, *(exponent(target) for _, target in options.rates)])
    return scale, lowest == highest == scale


def _reach(table: pa.Table, scale: int) -> int:
    """The largest absolute amount at the scale of the run, or a bound above it."""
    if table.num_rows == 0:
        return 0
    units, scales = pc.min_max(table["units"]).as_py(), pc.min_max(table["scale"]).as_py()
    return int(max(abs(units["min"]), abs(units["max"])) * 10 ** (scale - scales["min"]))


def _currencies(tables: Iterable[pa.Table]) -> int:
    return len({name for table in tables for name in pc.unique(table["currency"]).to_pylist()})


def _any(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count < len(column))


def _columns(rules: Sequence[Rule], side: Side) -> list[TextColumn]:
    wanted = {column for rule in rules for criterion in rule.criteria for column in criterion.columns(side)}
    return sorted(wanted, key=lambda column: column.name)


def _create(
    session: Session,
    side: Side,
    table: pa.Table,
    columns: Sequence[TextColumn],
    wide: bool,
    options: Options,
    *,
    in_place: bool,
) -> None:
    """Table ``s`` or ``l``, or ``in_place`` a view: what is read once or twice is not worth copying.

    A view has no statistics, by which the smaller side of a join is found, and would make its texts anew each time.
    """
    names = {
        (column.field, column.pattern, column.must_match): f"key_{number}" for number, column in enumerate(columns)
    }
    source = table.select(["u", "ord", "amt", "scale", "currency", "day", "instant", *_lot(table)])
    texts = []
    for column in columns:
        key = names[column.field, column.pattern, column.must_match]
        if key not in source.column_names:
            source = source.append_column(key, _key_column(session, table, column))
        if column.form == "tokens":
            source = source.append_column(column.name, _token_column(session, source[key]))
        texts.append(column.name if column.form == "tokens" else f"{_form_sql(column, key)} AS {column.name}")
    if "grp" in table.column_names:
        source = source.append_column("grp", table["grp"])
        texts.append("grp")
    for number, name in enumerate(options.grouping if keeps_group_values(options.strategy) else ()):
        source = source.append_column(f"group_{number}", grouping_column(table, name))
        texts.append(f"group_{number}")
    in_place = in_place and all(column.form in ("key", "tokens") for column in columns)
    if in_place and not wide and len(texts) == len(columns) and not grouped_sides(options.strategy):
        session.lend(ALIAS[side], _renamed(source, columns, names))
        return
    session.connection.register(f"{side}_in", in_pieces(source))
    fixed = ["u", "amt::HUGEINT AS amt" if wide else "amt", "currency AS ccy", "day", "instant", *_lot(table)]
    if grouped_sides(options.strategy):
        fixed += ["ord", "scale"]  # of groups; those of rows are known without
    chosen = ", ".join([*fixed, *texts])
    session.run(f"CREATE {'VIEW' if in_place else 'TABLE'} {ALIAS[side]} AS SELECT {chosen} FROM {side}_in")
    session.has(ALIAS[side], table.num_rows)
    if not in_place:
        session.connection.unregister(f"{side}_in")


def _renamed(
    source: pa.Table, columns: Sequence[TextColumn], names: Mapping[tuple[str, str | None, bool], str]
) -> pa.Table:
    """What a view would show, where it only renames columns."""
    shown = source.select(["u", "amt", "day", "instant", *_lot(source)]).append_column("ccy", source["currency"])
    for column in columns:
        name = names[column.field, column.pattern, column.must_match] if column.form == "key" else column.name
        shown = shown.append_column(column.name, source[name])
    return shown


def _with_groups(session: Session, table: pa.Table, side: Side, options: Options) -> pa.Table:
    """Add ``grp``, and make table ``taken_s`` or ``taken_l`` of the groups of which earlier matches have claimed rows,
    if there are any."""
    claimed = options.claimed.get(side)
    if claimed is not None and "date" in options.grouping:
        claimed = dated(claimed, options.time_zone)
    groups, taken = group_numbers(table, claimed, options.grouping)
    if len(taken):
        session.create_from(
            "taken", pa.table({"grp": taken}), "SELECT DISTINCT grp FROM given", name=f"taken_{ALIAS[side]}"
        )
    return table.append_column("grp", groups)


def grouped_sides(strategy: str) -> tuple[Side, ...]:
    """The sides whose rows a strategy groups."""
    grouped: dict[str, tuple[Side, ...]] = {
        "one_to_many": ("ledger",),
        "many_to_one": ("statement",),
        "many_to_many": ("statement", "ledger"),
    }
    return grouped.get(strategy, ())


def one_sided(strategy: str) -> bool:
    """Whether the strategy pairs rows of one side with each other: its money in against its money out."""
    return strategy in ("within_statement", "within_ledger")


def keeps_group_values(strategy: str) -> bool:
    """Whether units of both sides have grouping values, as columns ``group_0``, ``group_1`` and so on."""
    return one_sided(strategy) or len(grouped_sides(strategy)) == 2


def _with_amounts(table: pa.Table, side: Side, scale: int, wide: bool, options: Options) -> pa.Table:
    """Add ``amt``: amounts as they are compared, in units of the run's scale; decimals where these need more than 64
    bits."""
    if wide:
        powers = pa.array([10 ** max(scale - each, 0) for each in range(MAX_SCALE + 1)], pa.decimal128(10, 0))
        amounts = pc.multiply(table["units"].cast(pa.decimal128(19, 0)), powers.take(table["scale"].combine_chunks()))
    else:
        powers = np.array([10 ** max(scale - each, 0) for each in range(MAX_SCALE + 1)], np.int64)
        amounts = pa.array(table["units"].to_numpy() * powers[table["scale"].to_numpy()])
    if options.sign == "unsigned" and side not in grouped_sides(options.strategy):
        amounts = pc.abs(amounts)  # of a group the sum loses its sign, not its rows
    elif options.sign == "inverted" and side == "ledger":
        amounts = pc.negate(amounts)
    return table.append_column("amt", amounts)


def _form_sql(column: TextColumn, key: str) -> str:
    if column.form == "key":
        return key
    if column.form in _BOTH:
        return both_loose_sql(key, tokens=column.form == "both_loose_tokens")
    return loose_tokens_sql(key) if column.form == "loose_tokens" else f"replace({loose_tokens_sql(key)}, ' ', '')"


def _key_column(session: Session, table: pa.Table, column: TextColumn) -> pa.Array:
    made = f"{column.field}_key"
    if column.pattern is None:
        return table[made] if made in table.column_names else text_keys(table[column.field])
    return text_keys(_extracted(session, table.select([column.field]), column))


def _token_column(session: Session, keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """The tokens of keys; those beyond ASCII are left to DuckDB."""
    tokens = pa.chunked_array([ascii_tokens(chunk) for chunk in keys.chunks], pa.string())
    other = pc.invert(pc.string_is_ascii(keys).fill_null(True)).combine_chunks()
    if not pc.any(other).as_py():
        return tokens
    session.connection.register("tokens_in", pa.table({"key": keys.filter(other)}))
    found = session.arrow(f"SELECT {tokens_sql('key')} AS found FROM tokens_in")
    session.connection.unregister("tokens_in")
    return pc.replace_with_mask(tokens, other, found["found"].combine_chunks())


def _extracted(session: Session, table: pa.Table, column: TextColumn) -> pa.ChunkedArray:
    """The part of the raw text that the pattern finds; without a match nothing, or the whole text."""
    pattern = column.pattern or ""
    session.connection.register("extract_in", table)
    part = f"regexp_extract({column.field}, {quoted(pattern)}, {1 if has_group(pattern) else 0}, 'i')"
    otherwise = "NULL" if column.must_match else column.field
    matched = f"regexp_matches({column.field}, {quoted(pattern)}, 'i')"
    found = session.arrow(f"SELECT CASE WHEN {matched} THEN {part} ELSE {otherwise} END AS found FROM extract_in")
    session.connection.unregister("extract_in")
    return found["found"]
