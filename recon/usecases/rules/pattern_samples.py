"""What a criterion's pattern takes out of the texts of a statement, for the eye."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import duckdb

from recon.models import Statement
from recon.usecases.accounts.scope import lines_in_scope
from rules.criteria import Criterion
from rules.criteria.patterns import has_group

LOOKED_AT = 500
TAKEN_SHOWN = 4
MISSED_SHOWN = 2


@dataclass(frozen=True)
class Extract:
    """A text cut around the part that is compared; ``taken`` is None where the pattern does not match."""

    before: str
    taken: str | None = None
    after: str = ""


def pattern_samples(statement: Statement, criterion: Criterion) -> list[Extract]:
    """A few texts of the field with what the pattern takes of each, then some that it does not match.

    The pattern runs in DuckDB, where it will run when it counts.
    """
    if criterion.pattern is None:
        return []
    texts = lines_in_scope(statement.account, statement).exclude(**{criterion.field.name: None}).order_by("position")
    found = [
        _extract(text, whole, group)
        for text, whole, group in _extracted(
            list(texts.values_list(criterion.field.name, flat=True)[:LOOKED_AT]), criterion.pattern
        )
    ]
    taken = [each for each in found if each.taken is not None][:TAKEN_SHOWN]
    missed = [each for each in found if each.taken is None][:MISSED_SHOWN]
    return list(chain(taken, missed))


def _extracted(texts: list[str], pattern: str) -> list[tuple[str, str | None, str]]:
    """Each text with the whole match (None: no match) and what is compared of it."""
    group = 1 if has_group(pattern) else 0
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            """SELECT text,
                      CASE WHEN regexp_matches(text, $pattern, 'i') THEN regexp_extract(text, $pattern, 0, 'i') END,
                      regexp_extract(text, $pattern, $group, 'i')
               FROM (SELECT unnest($texts) AS text)""",
            {"texts": texts, "pattern": pattern, "group": group},
        )
        return rows.fetchall()


def _extract(text: str, whole: str | None, group: str) -> Extract:
    if whole is None or not group:
        return Extract(text)
    start = text.find(whole) + whole.find(group)
    return Extract(text[:start], group, text[start + len(group) :])
