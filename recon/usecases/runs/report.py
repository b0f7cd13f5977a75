"""A finished run as one JSON object, in the files' own ids; made in bulk, a million matches in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import duckdb
import pyarrow as pa
from django.db.models import Min

from recon.models import LedgerEntry, MatchingRun, RunState, Side, Statement
from recon.usecases.bulk.rows import read_rows
from rules.authoring import parsed

_STATUS: Final = {RunState.QUEUED: "started", RunState.RUNNING: "in_progress", RunState.CANCELLED: "failed"}
_BATCH: Final = 50_000

_MATCHES = """
    SELECT m.id, m.rule_version_id, m.state, m.decided_by, m.line_units, m.entry_units, m.scale, r.side, r.row_id
    FROM recon_match m JOIN recon_matchrow r ON r.match_id = m.id
    WHERE m.run_number = %s AND m.state IN ('confirmed', 'suggested', 'proposed')
"""
_MATCH_COLUMNS = pa.schema(
    [
        ("match_id", pa.int64()),
        ("rule_version_id", pa.int64()),
        ("state", pa.string()),
        ("decided_by", pa.string()),
        ("line_units", pa.int64()),
        ("entry_units", pa.int64()),
        ("scale", pa.int16()),
        ("side", pa.int16()),
        ("row_id", pa.int64()),
    ]
)
_UNMATCHED = "SELECT side, row_id, reason FROM recon_unmatcheditem WHERE run_number = %s"
_UNMATCHED_COLUMNS = pa.schema([("side", pa.int16()), ("row_id", pa.int64()), ("reason", pa.string())])
_ID_COLUMNS = pa.schema([("side", pa.int16()), ("row_id", pa.int64()), ("external_id", pa.string())])

# A file without ids gives its rows the numbers of their places.
_LINE_IDS = """
    SELECT 0, id, COALESCE(external_id, CAST(position AS VARCHAR(20))) FROM recon_statementline
    WHERE statement_number = %s
"""
_ENTRY_IDS = """
    SELECT 1, id, COALESCE(external_id, CAST(id - %s + 1 AS VARCHAR(20))) FROM recon_ledgerentry
    WHERE import_number = %s
"""


def summary(run: MatchingRun) -> dict[str, Any]:
    """The run's counts, as the Blnk routes name them: suggested lines count as unmatched."""
    return {
        "reconciliation_id": run.run_id,
        "status": _STATUS.get(RunState(run.state), run.state),
        "is_dry_run": run.is_dry_run,
        "matched_transactions": run.lines_matched,
        "unmatched_transactions": run.lines_total - run.lines_matched,
        "suggested": run.lines_suggested,
    }


def report(run: MatchingRun, statement: Statement, ledger_number: int) -> Iterator[str]:
    """The run's summary, matches and unmatched items as JSON, in pieces of one line of text.

    ``matches``: ids of either side, rule, status, amount difference (statement minus ledger, exact text) and what the
    rule compared. ``unmatched``: id and reason by side. In the order of the statement's and the ledger's rows.
    """
    with duckdb.connect() as con:
        _register(con, run, statement, ledger_number)
        yield json.dumps(summary(run))[:-1] + ', "matches": ['
        yield from _joined(con, _MATCHES_AS_JSON)
        yield '], "unmatched": {"external": ['
        yield from _joined(con, _UNMATCHED_AS_JSON.format(side=int(Side.STATEMENT)))
        yield '], "internal": ['
        yield from _joined(con, _UNMATCHED_AS_JSON.format(side=int(Side.LEDGER)))
        yield "]}}"


def _register(con: duckdb.DuckDBPyConnection, run: MatchingRun, statement: Statement, ledger_number: int) -> None:
    first_entry = LedgerEntry.objects.filter(import_number=ledger_number).aggregate(first=Min("id"))["first"] or 0
    ids = [
        read_rows(_LINE_IDS, [statement.number], _ID_COLUMNS),
        read_rows(_ENTRY_IDS, [first_entry, ledger_number], _ID_COLUMNS),
    ]
    con.register("ids", pa.concat_tables(ids))
    con.register("placed", read_rows(_MATCHES, [run.number], _MATCH_COLUMNS))
    con.register("unmatched", read_rows(_UNMATCHED, [run.number], _UNMATCHED_COLUMNS))
    versions = [each.version for each in run.run_rules.select_related("version__rule")]
    rules = {
        "rule_version_id": [version.pk for version in versions],
        "rule": [version.rule.name for version in versions],
        "reasons": [[criterion.sentence() for criterion in parsed(version).criteria] for version in versions],
    }
    con.register("rules", pa.table(rules))


_MATCHES_AS_JSON = """
    WITH named AS (
        SELECT p.*, COALESCE(i.external_id, CAST(p.row_id AS VARCHAR)) AS external_id
        FROM placed p LEFT JOIN ids i USING (side, row_id)),
    grouped AS (
        SELECT match_id, any_value(rule_version_id) AS rule_version_id, any_value(state) AS state,
               any_value(decided_by) AS decided_by,
               any_value(line_units::HUGEINT - entry_units) AS units, any_value(scale) AS scale,
               COALESCE(list(external_id ORDER BY row_id) FILTER (side = 0), []) AS external,
               COALESCE(list(external_id ORDER BY row_id) FILTER (side = 1), []) AS internal
        FROM named GROUP BY match_id),
    padded AS (
        SELECT *, abs(units)::VARCHAR AS bare, lpad(bare, greatest(length(bare), scale + 1)::INTEGER, '0') AS d
        FROM grouped)
    SELECT to_json({
        'external': external, 'internal': internal, 'rule': rule,
        'status': CASE state WHEN 'proposed' THEN 'confirmed' ELSE state END,
        'amount_difference': CASE WHEN units < 0 THEN '-' ELSE '' END
            || CASE WHEN scale = 0 THEN d ELSE d[:-scale - 1] || '.' || d[-scale:] END,
        'decided_by': decided_by,
        'reasons': reasons})
    FROM padded LEFT JOIN rules USING (rule_version_id) ORDER BY match_id
"""
_UNMATCHED_AS_JSON = """
    SELECT to_json({{'id': COALESCE(i.external_id, CAST(u.row_id AS VARCHAR)), 'reason': u.reason}})
    FROM unmatched u LEFT JOIN ids i USING (side, row_id) WHERE u.side = {side} ORDER BY u.row_id
"""


def _joined(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[str]:
    """One text per row, commas between them. Not streamed from DuckDB: large ordered results may then never come."""
    lead = ""
    for batch in con.sql(sql).to_arrow_table().to_batches(max_chunksize=_BATCH):
        yield lead + ", ".join(batch.column(0).to_pylist())
        lead = ", "
