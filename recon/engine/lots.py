"""Several small books by the same rules at once: what a rule costs at all is then paid once for all of them.

The rows of all books are put into one, each with its ``lot``, which rows must share whatever a rule asks; so each book
comes out as if it were alone. Rows have other ids meanwhile, for an entry may be in several books.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.candidates import plain_join
from recon.engine.options import Options
from recon.engine.outcome import Outcome, RuleOutcome
from recon.engine.pairs import Ints, Rows
from recon.engine.rule_run import ALL, FEW_PAIRS, Work, step
from recon.engine.session import FEW
from recon.engine.sides import SIDES, dated, facts_of
from recon.engine.standing import Standing
from rules.criteria import Rule

Book = tuple[pa.Table, pa.Table]
"""A statement and a ledger."""


def alike(rules: Sequence[Rule], books: Sequence[Book], options: Options) -> list[list[int]]:
    """The places of books that may be matched together: those about which the same facts are true, by which the engine
    goes about them; and of which each is so small that it would compare all pairs at once."""
    kinds: dict[Hashable, list[int]] = defaultdict(list)
    for place, book in enumerate(books):
        kinds[_kind(rules, book, options) or place].append(place)
    return [some for places in kinds.values() for some in _in_room(places, books)]


def _kind(rules: Sequence[Rule], book: Book, options: Options) -> Hashable:
    """Which books a book may be matched with; None if with no other."""
    statement, ledger = book
    if options.strategy != "one_to_one" or not 0 < statement.num_rows * ledger.num_rows <= FEW_PAIRS:
        return None
    facts, _ = facts_of([dated(table, options.time_zone) for table in book], rules, options)
    return facts, statement["currency"][0].as_py() if facts.one_currency else None


def _in_room(places: Sequence[int], books: Sequence[Book]) -> list[list[int]]:
    """The places, in order, cut where the books would be more than a small match has rows."""
    cut, room = list[list[int]](), 0
    for place in places:
        rows = sum(table.num_rows for table in books[place])
        if not cut or rows > room:
            cut.append([])
            room = FEW
        cut[-1].append(place)
        room -= rows
    return cut


@dataclass(frozen=True)
class Lots:
    """The rows of several books in one, and what they are called in their own: by new id the id and the lot."""

    book: Book
    ids: Ints
    lots: Rows


def joined(books: Sequence[Book]) -> Lots:
    """The rows of books that are `alike`. Their order, where it is by id, stays."""
    ids, lots, tables = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], list[pa.Table]()
    for side in range(2):
        table = pa.concat_tables([book[side] for book in books])
        lot = np.repeat(np.arange(len(books), dtype=np.int32), [book[side].num_rows for book in books])
        own = table["id"].to_numpy()
        order = np.lexsort((own, lot))
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order)) + sum(map(len, ids))
        ids, lots = [*ids, own[order]], [*lots, lot[order]]
        renamed = table.set_column(table.schema.get_field_index("id"), "id", pa.array(number))
        tables.append(renamed.append_column("lot", pa.array(lot)))
    return Lots((tables[0], tables[1]), np.concatenate(ids), np.concatenate(lots))


def parted(whole: Outcome, lots: Lots, count: int) -> list[Outcome]:
    """The outcome of each of so many books."""
    rows = whole.match_rows
    line = rows["id"].filter(pc.equal(rows["side"], 0)).to_numpy()  # one to one, in the order of the matches
    of_match = lots.lots[line]
    first = np.searchsorted(of_match, np.arange(count))  # matches are in the order of their lines, these of their lots
    of_matches = (
        _parts(_renumbered(table, of_match, first, lots), of_match[table["match_no"].to_numpy() - 1], count)
        for table in (whole.matches, rows, whole.differences, whole.runners_up)
    )
    unmatched = _parts(_with_ids(whole.unmatched, lots), lots.lots[whole.unmatched["id"].to_numpy()], count)
    return [
        Outcome(
            matches,
            match_rows,
            differences,
            runners_up,
            open_rows,
            rules=[each.of_lots[lot] for each in whole.rules],
            match_seconds=whole.match_seconds / count,
            explain_seconds=whole.explain_seconds / count,
        )
        for lot, (matches, match_rows, differences, runners_up, open_rows) in enumerate(
            zip(*of_matches, unmatched, strict=True)
        )
    ]


def _renumbered(table: pa.Table, of_match: Rows, first: Ints, lots: Lots) -> pa.Table:
    """What belongs to matches, by the number that these have in their own book."""
    number = table["match_no"].to_numpy()
    own = pa.array(number - first[of_match[number - 1]])
    return _with_ids(table.set_column(0, table.schema.field(0), own), lots)


def _with_ids(table: pa.Table, lots: Lots) -> pa.Table:
    for name in ("id", "nearest_id"):
        if name in table.column_names:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), pa.array(lots.ids).take(table[name]))
    return table


def _parts(table: pa.Table, lot: Rows, count: int) -> list[pa.Table]:
    """The rows of each lot, in the order they have."""
    if np.any(lot[1:] < lot[:-1]):
        order = np.argsort(lot, kind="stable")
        table, lot = table.take(pa.array(order)), lot[order]
    bounds = np.searchsorted(lot, np.arange(count + 1)).tolist()
    return [table.slice(start, stop - start) for start, stop in pairwise(bounds)]


def by_lot(work: Work, verdict: Standing, whole: RuleOutcome) -> tuple[RuleOutcome, ...]:
    """What a rule did in each lot."""
    lots, of_line = work.sides.lots, work.sides.rows["statement"]["lot"].to_numpy()
    made, confirmed = (
        np.bincount(of_line[line], minlength=lots) for line in (verdict.line, verdict.line[verdict.confirmed])
    )
    rows = [_rows_of(work, side) for side in range(2)]
    pairs = np.zeros(lots, np.int64) if work.pairs_of is None else work.pairs_of
    join = plain_join(work.plan, "", "")
    return tuple(
        replace(
            whole,
            matched=int(confirmed[lot]),
            suggested=int(made[lot] - confirmed[lot]),
            plan=step(ALL, pairs[lot], join) if compared else "",
            blocking_key=join.key if compared else "",
            estimated_candidates=compared,
            candidates=int(pairs[lot]),
            seconds=whole.seconds / lots,
        )
        for lot, compared in enumerate((rows[0] * rows[1]).tolist())
    )


def _rows_of(work: Work, side: int) -> Ints:
    """How many rows of a side were open in each lot."""
    table, lots = (work.left, work.right)[side], work.sides.lots
    if table == work.units[side].table:
        return np.bincount(work.sides.rows[SIDES[side]]["lot"].to_numpy(), minlength=lots)
    return np.bincount(work.session.arrow(f"SELECT lot FROM {table}")["lot"].to_numpy(), minlength=lots)
