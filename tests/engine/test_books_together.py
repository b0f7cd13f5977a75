"""Books that are matched together come out exactly as each does alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.engine import Options, Outcome, match, match_each
from recon.engine import lots as engine_lots
from rules.criteria import parse_rule
from tests.engine.judging import LEDGER_SCHEMA, STATEMENT_SCHEMA, Body, options, table
from tests.engine.reference_rows import Books
from tests.engine.rulebook import rules
from tests.engine.tables import row, rule
from tests.engine.tables import table as plain_table
from tests.engine.worlds import ZONE, World, worlds

EXACT = [("amount", "eq"), ("reference", "eq")]


def said(found: Outcome) -> list[Any]:
    tables = (found.matches, found.match_rows, found.differences, found.runners_up, found.unmatched)
    return [*(each.to_pylist() for each in tables), [replace(each, seconds=0, of_lots=()) for each in found.rules]]


@pytest.mark.random
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(rules(), min_size=1, max_size=2),
    worlds(count=4),
    st.sampled_from(["as_given", "inverted", "unsigned"]),
    st.booleans(),
    st.booleans(),
)
def test_books_that_share_amounts_texts_days_and_ids_do_not_touch_each_other(
    ruleset: list[Body], some: list[World], sign: str, same_currency: bool, all_told: bool
):
    """Each world is a book, and again with the ledger of its neighbour, so that entries are in several books."""
    currency = {"currency": "EUR"} if same_currency else {}
    books = [
        (
            table([one | {"id": place} | currency for place, one in enumerate(lines, 1)], STATEMENT_SCHEMA),
            table([one | currency for one in entries], LEDGER_SCHEMA),
        )
        for (lines, _), (_, entries) in zip([*some, *some], [*some, *some[1:], some[0]], strict=True)
    ]
    parsed = [parse_rule(each) for each in ruleset]
    given_options = options(Books(ZONE, sign=sign), told=("statement", "ledger") if all_told else ("statement",))
    alone = [match(parsed, *book, given_options) for book in books]
    together = match_each(parsed, books, given_options)
    for one, other in zip(together, alone, strict=True):
        assert said(one) == said(other)
        assert [each.schema for each in (one.matches, one.match_rows, one.unmatched, one.runners_up)] == [
            each.schema for each in (other.matches, other.match_rows, other.unmatched, other.runners_up)
        ]


def book(*references: str, **more: Any) -> tuple[Any, Any]:
    rows = [row("10.00", reference=each, **more) for each in references]
    return plain_table(rows), plain_table(rows, "ledger")


def test_small_books_of_one_kind_are_matched_together():
    books = [book("A"), book("B", "C"), book("A", currency="USD"), book("D", "E"), book()]
    assert engine_lots.alike([rule(*EXACT)], books, Options()) == [[0, 1, 3], [2], [4]]
    assert engine_lots.alike([rule(*EXACT)], books, Options(strategy="one_to_many")) == [[0], [1], [2], [3], [4]]


def test_books_that_are_not_small_are_matched_alone_and_not_too_many_rows_at_once(monkeypatch):
    books = [book("A"), book("B", "C"), book("D"), book("E")]
    monkeypatch.setattr(engine_lots, "FEW_PAIRS", 3)
    assert engine_lots.alike([rule(*EXACT)], books, Options()) == [[0, 2, 3], [1]]
    monkeypatch.setattr(engine_lots, "FEW", 4)
    assert engine_lots.alike([rule(*EXACT)], books, Options()) == [[0, 2], [3], [1]]
