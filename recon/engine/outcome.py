"""What a run of the engine gives back, as Arrow tables ready to be copied into a database."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

MATCHES = pa.schema(
    [
        pa.field(
            "match_no", pa.int64()
        ),  # from 1, in the order of the first line (else the first entry) of each match
        pa.field("rule_index", pa.int32()),
        pa.field("origin", pa.string()),  # rule | subset_sum
        pa.field("state", pa.string()),  # confirmed | suggested
        # sole: the only candidate; twins: its candidates are interchangeable; date: strictly nearer; best: taken all
        # the same; ambiguous: there are others; limit: difference over the limit; reversal: rows of one side
        pa.field("decided_by", pa.string()),
        pa.field("currency", pa.string()),
        pa.field("scale", pa.int16()),
        pa.field("line_units", pa.int64()),
        pa.field("entry_units", pa.int64()),
        pa.field("cleared_on", pa.date32()),
    ]
)
MATCH_ROWS = pa.schema(
    [
        pa.field("match_no", pa.int64()),
        pa.field("side", pa.int8()),  # 0 statement, 1 ledger
        pa.field("id", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("units", pa.int64()),  # as compared: after sign and exchange rate
        pa.field("scale", pa.int16()),
    ]
)
DIFFERENCES = pa.schema(
    [
        pa.field("match_no", pa.int64()),
        pa.field("currency", pa.string()),
        pa.field("units", pa.int64()),  # lines minus entries
        pa.field("scale", pa.int16()),
        pa.field("type", pa.string()),
    ]
)
RUNNERS_UP = pa.schema(
    [
        pa.field("match_no", pa.int64()),
        pa.field("rank", pa.int32()),  # from 1, nearest first
        pa.field("side", pa.int8()),  # the side that has another candidate
        pa.field("id", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("gap", pa.int64()),  # its absolute amount difference in units
        pa.field("scale", pa.int8()),  # of the gap
    ]
)
UNMATCHED = pa.schema(
    [
        pa.field("side", pa.int8()),
        pa.field("id", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("reason", pa.string()),
        pa.field("rule_index", pa.int32()),  # the rule that came nearest
        pa.field("criterion", pa.int32()),  # its criterion that failed, from 1; 0 for currency or sign
        pa.field("nearest_id", pa.int64()),  # on the other side; beside it for possible_duplicate or NEAREST_BESIDE
        pa.field("difference_units", pa.int64()),  # statement minus ledger
        pa.field("scale", pa.int16()),
        pa.field("detail", pa.string()),  # a JSON object, or null
    ]
)


REASONS = (
    "no_candidate", "amount_differs", "group_total_differs", "date_outside_window", "date_missing",
    "reference_differs", "description_differs", "counterparty_differs", "currency_differs", "no_rate", "opposite_sign",
    "ambiguous", "too_many_candidates", "claimed_by_another", "group_already_settled", "group_partly_claimed",
    "possible_duplicate", "difference_over_limit",
)  # fmt: skip
"""Why a row may be left; `docs/matching.md` says what each means."""

NEAREST_BESIDE = '{"nearest_is_beside":true}'
"""The detail of a row of which the nearest miss stands on its own side."""


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule did, and how."""

    index: int
    matched: int
    suggested: int
    plan: str
    blocking_key: str
    estimated_candidates: int
    candidates: int
    seconds: float
    of_lots: tuple[RuleOutcome, ...] = ()  # in each of several books, see `recon.engine.lots`


@dataclass(frozen=True)
class Outcome:
    """The result of a run. Every row part is in exactly one match or once in ``unmatched``."""

    matches: pa.Table
    match_rows: pa.Table
    differences: pa.Table
    runners_up: pa.Table
    unmatched: pa.Table
    rules: list[RuleOutcome]
    match_seconds: float = 0.0  # from rows in memory to the tables of matches
    explain_seconds: float = 0.0  # the reasons of all that is left
