"""What must hold between the records, asked of the database itself in sets: fine at tens of millions of rows.

Bulk tables carry ids without a foreign key, and sums, claims and kept counts are written by code; here it is proved
that all of it agrees. Every check is a query for what breaks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from recon.usecases.review.items_apart import joined_whole


@dataclass(frozen=True)
class Check:
    """`broken_by` selects two texts per violation: which record, and what is wrong with it."""

    name: str
    broken_by: str


@dataclass(frozen=True)
class Violation:
    """One broken invariant, in one line."""

    check: str
    record: str
    detail: str

    def __str__(self) -> str:
        return f"{self.record}: {self.detail}".rstrip(": ")


def _dangling(table: str, column: str, target: str, key: str = "id", where: str = "", name: str = "") -> Check:
    """Ids in `table` that lead nowhere, each once."""
    named = name or f"{_bare(table)}.{column}"
    condition = f" AND {where}" if where else ""
    return Check(
        f"{named} leads to a record",
        f"""
        SELECT DISTINCT '{named} ' || t.{column}, 'leads to no {_bare(target)}'
        FROM {table} t LEFT JOIN {target} o ON o.{key} = t.{column}
        WHERE t.{column} IS NOT NULL AND o.{key} IS NULL{condition}
        """,
    )


def _bare(table: str) -> str:
    return table.partition("_")[2]


def _rows_of(table: str, column: str = "row_id", side: str = "t.side") -> tuple[Check, Check]:
    """Both kinds of rows that a table points to."""
    name = f"{_bare(table)}.{column}"
    return (
        _dangling(table, column, "recon_statementline", where=f"{side} = 0", name=f"{name} (statement)"),
        _dangling(table, column, "recon_ledgerentry", where=f"{side} = 1", name=f"{name} (ledger)"),
    )


_IDS: Final = (
    _dangling("recon_statementline", "statement_number", "recon_statement", "number"),
    _dangling("recon_statementline", "account_id", "recon_account"),
    _dangling("recon_ledgerentry", "import_number", "recon_ledgerimport", "number"),
    _dangling("recon_ledgerentry", "account_id", "recon_account"),
    _dangling("recon_match", "account_id", "recon_account"),
    _dangling("recon_match", "run_number", "recon_matchingrun", "number"),
    _dangling("recon_match", "rule_version_id", "rules_ruleversion"),
    _dangling("recon_matchrow", "match_id", "recon_match"),
    *_rows_of("recon_matchrow"),
    _dangling("recon_matchdifference", "match_id", "recon_match"),
    _dangling("recon_matchrunnerup", "match_id", "recon_match"),
    *_rows_of("recon_matchrunnerup"),
    _dangling("recon_claim", "match_id", "recon_match"),
    *_rows_of("recon_claim"),
    _dangling("recon_unmatcheditem", "run_number", "recon_matchingrun", "number"),
    _dangling("recon_unmatcheditem", "rule_version_id", "rules_ruleversion"),
    *_rows_of("recon_unmatcheditem"),
    *_rows_of(
        "recon_unmatcheditem",
        "nearest_row_id",
        # A nearest miss stands on the other side; a duplicate's twin, and what might cancel a row, on the same one.
        "CASE WHEN t.reason = 'possible_duplicate' OR t.detail LIKE '%nearest_is_beside%' THEN t.side"
        " ELSE 1 - t.side END",
    ),
    _dangling("recon_openitem", "account_id", "recon_account"),
    _dangling("recon_openitem", "run_number", "recon_matchingrun", "number"),
    *_rows_of("recon_openitem"),
    *_rows_of("recon_rowpart"),
    _dangling("recon_itemnote", "item_id", "recon_openitem"),
)

# Matches of a run that is still at work, or was cut off, exist for nobody.
_SETTLED: Final = """
    (m.run_number IS NULL OR m.run_number IN (
        SELECT number FROM recon_matchingrun WHERE state IN ('completed', 'reversed')))
"""
_ROW_PART: Final = "CASE r.side WHEN 0 THEN 'statement line ' ELSE 'ledger entry ' END || r.row_id || '/' || r.part"

_CLAIMS: Final = (
    Check(
        "no row part is in two confirmed matches of an account",
        f"""
        SELECT {_ROW_PART}, 'is in ' || COUNT(*) || ' confirmed matches of account ' || m.account_id
        FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
        WHERE m.state = 'confirmed' AND {_SETTLED}
        GROUP BY m.account_id, r.side, r.row_id, r.part HAVING COUNT(*) > 1
        """,
    ),
    Check(
        "no row part is claimed twice in an account",
        f"""
        SELECT {_ROW_PART}, 'is claimed ' || COUNT(*) || ' times in account ' || r.account_id
        FROM recon_claim r GROUP BY r.account_id, r.side, r.row_id, r.part HAVING COUNT(*) > 1
        """,  # what is claimed in tables of their own no key keeps apart
    ),
    Check(
        "every row of a confirmed match is claimed",
        f"""
        SELECT 'match ' || m.id, 'is confirmed, but does not hold the claim to ' || {_ROW_PART}
        FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
        LEFT JOIN recon_claim c ON c.account_id = m.account_id AND c.side = r.side AND c.row_id = r.row_id
            AND c.part = r.part AND c.match_id = m.id
        WHERE m.state = 'confirmed' AND c.match_id IS NULL AND {_SETTLED}
        """,
    ),
    Check(
        "every claim belongs to a confirmed match",
        f"""
        SELECT {_ROW_PART}, 'is claimed by match ' || r.match_id || ', which is not a confirmed match of it'
        FROM recon_claim r
        LEFT JOIN recon_match m ON m.id = r.match_id AND m.account_id = r.account_id AND m.state = 'confirmed'
        LEFT JOIN recon_matchrow o ON o.match_id = r.match_id AND o.side = r.side AND o.row_id = r.row_id
            AND o.part = r.part
        WHERE m.id IS NULL OR o.match_id IS NULL
        """,
    ),
)

_SUMS: Final = (
    Check(
        "a match's rows add up to its sums",
        f"""
        SELECT 'match ' || m.id, 'its rows add up to ' || s.line_units || ' and ' || s.entry_units
            || ', it says ' || m.line_units || ' and ' || m.entry_units
        FROM recon_match m JOIN (
            SELECT match_id, SUM(CASE side WHEN 0 THEN units ELSE 0 END) AS line_units,
                   SUM(CASE side WHEN 1 THEN units ELSE 0 END) AS entry_units
            FROM recon_matchrow GROUP BY match_id) s ON s.match_id = m.id
        WHERE (s.line_units <> m.line_units OR s.entry_units <> m.entry_units) AND {_SETTLED}
        """,
    ),
    Check(
        "a match has rows",
        f"""
        SELECT 'match ' || m.id, 'has no row'
        FROM recon_match m LEFT JOIN recon_matchrow r ON r.match_id = m.id
        WHERE r.match_id IS NULL AND {_SETTLED}
        """,
    ),
    Check(
        "lines less entries are the differences, to the cent",
        f"""
        SELECT 'match ' || m.id, 'lines less entries are ' || (m.line_units - m.entry_units)
            || ', its differences add up to ' || COALESCE(d.units, 0)
        FROM recon_match m LEFT JOIN (
            SELECT match_id, SUM(units) AS units FROM recon_matchdifference GROUP BY match_id) d ON d.match_id = m.id
        WHERE m.line_units - m.entry_units <> COALESCE(d.units, 0) AND {_SETTLED}
        """,
    ),
    Check(
        "a difference has the scale and currency of its match",
        """
        SELECT 'match ' || m.id, 'a difference is in ' || d.currency || ' at scale ' || d.scale
        FROM recon_matchdifference d JOIN recon_match m ON m.id = d.match_id
        WHERE d.scale <> m.scale OR d.currency <> m.currency
        """,
    ),
    Check(
        "the parts of a split row add up to it",
        """
        SELECT CASE p.side WHEN 0 THEN 'statement line ' ELSE 'ledger entry ' END || p.row_id,
               'its parts add up to ' || p.units || ', it is ' || COALESCE(l.units, e.units)
        FROM (SELECT account_id, side, row_id, SUM(units) AS units FROM recon_rowpart
              GROUP BY account_id, side, row_id) p
        LEFT JOIN recon_statementline l ON p.side = 0 AND l.id = p.row_id
        LEFT JOIN recon_ledgerentry e ON p.side = 1 AND e.id = p.row_id
        WHERE ABS(p.units) <> ABS(COALESCE(l.units, e.units))
        """,
    ),
)


def _count(kept: str, counted: str, rows: str) -> Check:
    """A kept count of completed runs, counted again."""
    return Check(
        f"a run's {kept} is what it stored",
        f"""
        SELECT r.run_id, '{kept} is ' || ({counted}) || ', stored are ' || COALESCE(s.held, 0)
        FROM recon_matchingrun r LEFT JOIN ({rows}) s ON s.run_number = r.number
        WHERE r.state IN ('completed', 'reversed') AND ({counted}) <> COALESCE(s.held, 0)
        """,
    )


def _placed(side: int) -> str:
    return f"""
        SELECT m.run_number, COUNT(*) AS held FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
        WHERE r.side = {side} AND m.run_number IS NOT NULL GROUP BY m.run_number
    """


def _left(side: int) -> str:
    return f"SELECT run_number, COUNT(*) AS held FROM recon_unmatcheditem WHERE side = {side} GROUP BY run_number"


def _rows_arrived(record: str, key: str, rows: str, column: str) -> Check:
    return Check(
        f"a {record} has as many rows as it says",
        f"""
        SELECT '{record} ' || s.{key}, 'says ' || s.record_count || ' rows, has ' || COALESCE(n.held, 0)
        FROM recon_{record} s
        LEFT JOIN (SELECT {column}, COUNT(*) AS held FROM {rows} GROUP BY {column}) n ON n.{column} = s.number
        WHERE s.state = 'ready' AND s.record_count <> COALESCE(n.held, 0)
        """,
    )


_COUNTS: Final = (
    _count("matches", "r.matches_confirmed + r.matches_suggested", """
        SELECT run_number, COUNT(*) AS held FROM recon_match WHERE run_number IS NOT NULL GROUP BY run_number
    """),
    _count("matched and suggested lines", "r.lines_matched + r.lines_suggested", _placed(0)),
    _count("matched and suggested entries", "r.entries_matched + r.entries_suggested", _placed(1)),
    _count("unmatched lines", "r.lines_unmatched", _left(0)),
    _count("unmatched entries", "r.entries_unmatched", _left(1)),
    _rows_arrived("statement", "upload_id", "recon_statementline", "statement_number"),
    _rows_arrived("ledgerimport", "import_id", "recon_ledgerentry", "import_number"),
)  # fmt: skip

_REISSUES: Final = (
    Check(
        "a superseded line belongs to a superseded statement, and the other way round",
        """
        SELECT 'statement line ' || l.id, CASE WHEN l.superseded THEN 'is superseded, but its statement is '
            ELSE 'is in force, but its statement is ' END || s.state
        FROM recon_statementline l JOIN recon_statement s ON s.number = l.statement_number
        WHERE (l.superseded AND s.state NOT IN ('superseded', 'discarded'))
           OR (NOT l.superseded AND s.state = 'superseded')
        """,
    ),
    Check(
        "a superseded line is neither matched nor an open item",
        """
        SELECT 'statement line ' || l.id, 'is superseded, but ' || CASE WHEN c.row_id IS NULL
            THEN 'open item ' || i.id || ' is about it' ELSE 'match ' || c.match_id || ' holds it' END
        FROM recon_statementline l
        LEFT JOIN recon_claim c ON c.account_id = l.account_id AND c.side = 0 AND c.row_id = l.id
        LEFT JOIN recon_openitem i ON i.account_id = l.account_id AND i.side = 0 AND i.row_id = l.id
            AND i.state <> 'resolved'
        WHERE l.superseded AND (c.row_id IS NOT NULL OR i.id IS NOT NULL)
        """,
    ),
    Check(
        "a superseded statement has a successor",
        """
        SELECT 'statement ' || s.upload_id, 'is superseded by none'
        FROM recon_statement s LEFT JOIN recon_statement n ON n.supersedes_id = s.upload_id
        WHERE s.state = 'superseded' AND n.upload_id IS NULL
        """,
    ),
    Check(
        "a repaired row is a line of its statement",
        """
        SELECT 'row error ' || e.id, 'says it became line ' || e.line_position || ', which is not there'
        FROM recon_statementrowerror e JOIN recon_statement s ON s.upload_id = e.statement_id
        LEFT JOIN recon_statementline l ON l.statement_number = s.number AND l.position = e.line_position
        WHERE e.line_position IS NOT NULL AND s.state = 'ready' AND l.id IS NULL
        """,
    ),
)

_ITEMS: Final = (
    Check(
        "a row part has one item",
        f"""
        SELECT {_ROW_PART}, 'has ' || COUNT(*) || ' items in account ' || r.account_id
        FROM recon_openitem r GROUP BY r.account_id, r.side, r.row_id, r.part HAVING COUNT(*) > 1
        """,  # what is in tables of their own no key keeps apart
    ),
    Check(
        "a claimed row part is no open item",
        f"""
        SELECT 'open item ' || i.id, 'is open, but ' || {_ROW_PART} || ' is claimed by match ' || r.match_id
        FROM recon_openitem i JOIN recon_claim r ON r.account_id = i.account_id AND r.side = i.side
            AND r.row_id = i.row_id AND r.part = i.part
        WHERE i.state <> 'resolved'
        """,
    ),
    Check(
        "what real runs left open is an open item",
        f"""
        SELECT DISTINCT {_ROW_PART}, 'was left open by a run of account ' || n.account_id || ', but is no open item'
        FROM recon_unmatcheditem r
        JOIN recon_matchingrun n ON n.number = r.run_number AND n.state = 'completed' AND NOT n.is_dry_run
        LEFT JOIN recon_openitem i ON i.account_id = n.account_id AND i.side = r.side AND i.row_id = r.row_id
            AND i.part = r.part AND i.state <> 'resolved'
        LEFT JOIN recon_claim c ON c.account_id = n.account_id AND c.side = r.side AND c.row_id = r.row_id
            AND c.part = r.part
        LEFT JOIN recon_rowpart p ON p.account_id = n.account_id AND p.side = r.side AND p.row_id = r.row_id
        LEFT JOIN recon_statementline l ON r.side = 0 AND l.id = r.row_id AND NOT l.superseded
        LEFT JOIN recon_statement s ON s.number = l.statement_number AND s.state = 'ready'
        LEFT JOIN recon_ledgerentry e ON r.side = 1 AND e.id = r.row_id
        LEFT JOIN recon_ledgerimport t ON t.number = e.import_number
        WHERE i.id IS NULL AND c.match_id IS NULL AND (r.part > 0 OR p.row_id IS NULL)
          AND (s.number IS NOT NULL OR (e.id IS NOT NULL AND (t.number IS NULL OR t.state = 'ready')))
        """,
    ),
    Check(
        "an open item has the amount of its row part",
        f"""
        SELECT 'open item ' || r.id, 'says ' || r.units || ', ' || {_ROW_PART} || ' is '
            || COALESCE(p.units, l.units, e.units)
        FROM recon_openitem r
        LEFT JOIN recon_rowpart p ON p.account_id = r.account_id AND p.side = r.side AND p.row_id = r.row_id
            AND p.part = r.part
        LEFT JOIN recon_statementline l ON r.side = 0 AND l.id = r.row_id
        LEFT JOIN recon_ledgerentry e ON r.side = 1 AND e.id = r.row_id
        WHERE r.units <> COALESCE(p.units, l.units, e.units) AND r.state <> 'resolved'
        """,
    ),
)

CHECKS: Final = (*_IDS, *_CLAIMS, *_SUMS, *_COUNTS, *_REISSUES, *_ITEMS)
"""Everything that must hold."""

_BATCH: Final = 1_000


def violations() -> Iterator[Violation]:
    """Everything that does not hold, as it is found."""
    for check in CHECKS:
        yield from (Violation(check.name, str(record), str(detail)) for record, detail in _what_breaks(check))


def _what_breaks(check: Check) -> list[tuple[Any, Any]]:
    """PostgreSQL, which knows nothing of how many rows the tables of large loads have together, would look millions of
    them up one by one in each. On SQLite a transaction would keep others from writing."""
    with (
        transaction.atomic() if connection.vendor == "postgresql" else nullcontext(),
        joined_whole(),
        connection.cursor() as cursor,
    ):
        cursor.execute(check.broken_by)
        return list(cursor.fetchall())
