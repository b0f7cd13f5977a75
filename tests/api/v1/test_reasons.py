"""Every reason a row can be left for, from two files to what the page and the API say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.urls import reverse

from recon.engine.outcome import REASONS as CODES
from recon.models import LedgerEntry, RunKind, Side, StatementLine
from recon.usecases.imports.importing import import_ledger, import_statement
from recon.usecases.integrity import violations
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs.explained import run_in_words
from recon.usecases.runs.reconcile_files import ASSUMED
from recon.usecases.runs.starting import apply_run, start_run
from recon.wording import REASONS
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_rule

HEADER = "id,amount,currency,date,reference,description,counterparty\n"
NEAR = {"field": "amount", "operator": "eq", "allowable_drift": "1.00"}
WITHIN = {"field": "date", "operator": "within_range", "value": "2d"}
ALIKE = {"field": "description", "operator": "contains"}
PARTY = {"field": "counterparty", "operator": "eq"}


@dataclass
class Told:
    """Two files, a rule, and what is said of the first row that is left on a side."""

    lines: str
    entries: str
    criteria: list[dict[str, Any]]
    reason: str
    side: Side = Side.STATEMENT
    nearest: str | None = "A"
    difference: str | None = None
    rule: dict[str, Any] = field(default_factory=dict)
    strategy: str = "one_to_one"
    grouping: str = ""
    rates: dict[str, str] = field(default_factory=dict)
    by_hand: tuple[str, str] | None = None  # ids of a line and an entry that somebody matched before


BOTH = [SAME_AMOUNT, SAME_REFERENCE]
CASES = [
    Told("1,10,EUR,2026-03-02,R-1,,", "A,77,EUR,2026-03-02,R-9,,", BOTH, "no_candidate", nearest=None),
    Told("1,10,EUR,2026-03-02,R-1,,", "A,12.5,EUR,2026-03-02,R-1,,", BOTH, "amount_differs", difference="-2.50"),
    Told("1,10,EUR,2026-03-02,R-1,,", "A,10,EUR,2026-03-02,R-9,,", BOTH, "reference_differs", difference="0.00"),
    Told(
        "1,10,EUR,2026-03-02,,paid R-1,",
        "A,10,EUR,2026-03-02,,bought shoes,",
        [SAME_AMOUNT, ALIKE],
        "description_differs",
        difference="0.00",
    ),
    Told(
        "1,10,EUR,2026-03-02,,,Ann",
        "A,10,EUR,2026-03-02,,,Bea",
        [SAME_AMOUNT, PARTY],
        "counterparty_differs",
        difference="0.00",
    ),
    Told(
        "1,10,EUR,2026-03-09,R-1,,",
        "A,10,EUR,2026-03-02,R-1,,",
        [*BOTH, WITHIN],
        "date_outside_window",
        difference="0.00",
    ),
    Told("1,10,EUR,,R-1,,", "A,10,EUR,2026-03-02,R-1,,", [*BOTH, WITHIN], "date_missing", difference="0.00"),
    Told("1,10,USD,2026-03-02,R-1,,", "A,10,EUR,2026-03-02,R-1,,", BOTH, "currency_differs"),
    Told(
        "1,10,GBP,2026-03-02,R-1,,",
        "A,12,EUR,2026-03-02,R-1,,",
        BOTH,
        "no_rate",
        nearest=None,
        rule={"cross_currency": True},
        rates={"USD/EUR": "0.92"},
    ),
    Told("1,10,EUR,2026-03-02,R-1,,", "A,-10,EUR,2026-03-02,R-1,,", BOTH, "opposite_sign", difference="20.00"),
    Told(
        "1,10,EUR,2026-03-02,,,",
        "A,10,EUR,2026-03-02,a,,\nB,10,EUR,2026-03-02,b,,",
        [SAME_AMOUNT],
        "ambiguous",
        difference="0.00",
        rule={"on_ambiguity": "skip"},
    ),
    Told(
        "1,21,EUR,2026-03-02,R-1,,",
        "A,1,EUR,2026-03-02,R-1,,\n" + "\n".join(f"{n},{n},EUR,2026-03-02,R-1,," for n in range(2, 22)),
        BOTH,
        "too_many_candidates",
        strategy="one_to_many",
    ),
    Told(
        "1,10,EUR,2026-03-02,a,,\n2,10,EUR,2026-03-02,b,,",
        "A,10,EUR,2026-03-02,,,",
        [SAME_AMOUNT],
        "claimed_by_another",
        difference="0.00",
        rule={"on_ambiguity": "best"},
    ),
    Told(
        "1,10,EUR,2026-03-02,R-1,,\n2,10.8,EUR,2026-03-02,R-1,,",
        "A,10,EUR,2026-03-02,R-1,,",
        [NEAR, SAME_REFERENCE],
        "difference_over_limit",
        difference="0.80",
        rule={"on_ambiguity": "best", "max_difference": "0.50"},
    ),
    Told(
        "1,10,EUR,2026-03-02,R-1,,\n2,10,EUR,2026-03-02,R-1,,",
        "A,10,EUR,2026-03-02,R-1,,",
        BOTH,
        "possible_duplicate",
        nearest="1",
    ),
    Told(
        "1,15,EUR,2026-03-02,R-1,,",
        "A,10,EUR,2026-03-02,R-1,,\nB,4,EUR,2026-03-02,R-1,,",
        BOTH,
        "group_total_differs",
        difference="1.00",
        strategy="one_to_many",
        grouping="reference",
    ),
    Told(
        "1,14,EUR,2026-03-02,R-1,,\n2,14,EUR,2026-03-03,R-1,,",
        "A,10,EUR,2026-03-02,R-1,,\nB,4,EUR,2026-03-02,R-1,,",
        BOTH,
        "group_already_settled",
        difference="0.00",
        strategy="one_to_many",
        grouping="reference",
        rule={"on_ambiguity": "best"},
    ),
    Told(
        "1,14,EUR,2026-03-02,R-1,,\n2,10,EUR,2026-03-02,x,,",
        "A,10,EUR,2026-03-02,R-1,,\nB,4,EUR,2026-03-02,R-1,,",
        BOTH,
        "group_partly_claimed",
        Side.LEDGER,
        nearest=None,
        strategy="one_to_many",
        grouping="reference",
        by_hand=("2", "A"),
    ),
]


def test_every_code_the_engine_knows_is_reached_here_and_has_words():
    assert {case.reason for case in CASES} == set(CODES)
    assert set(CODES) <= set(REASONS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_a_row_that_is_left_says_why_on_the_page_and_in_the_api(alice, client, v1, settings, tmp_path, case):
    settings.MEDIA_ROOT = tmp_path
    by, account = actor(alice), make_account(currencies=["EUR", "USD", "GBP"])
    statement = import_statement(by, account, (HEADER + case.lines).encode(), "bank.csv", accepting=ASSUMED)
    import_ledger(by, account, (HEADER + case.entries).encode(), "books.csv", accepting=ASSUMED)
    named = {each.external_id: each for model in (StatementLine, LedgerEntry) for each in model.objects.all()}
    if case.by_hand:
        match_by_hand(by, account, [named[case.by_hand[0]].pk], [named[case.by_hand[1]].pk])
    run = start_run(
        by, account, statement, [make_rule("Rule", *case.criteria, **case.rule)], kind=RunKind.INSTANT,
        is_dry_run=False, strategy=case.strategy, grouping=case.grouping, options={"rates": case.rates},
    )  # fmt: skip

    told = v1.get(f"runs/{run.run_id}/unmatched?side={case.side.label}").data["items"][0]
    assert (told["reason"], told["difference"]) == (case.reason, case.difference)
    nearest = told["nearest"] and (told["nearest"]["line"] or told["nearest"]["entry"])
    assert bool(nearest) is (case.nearest is not None)
    if case.nearest:
        assert told["nearest"]["amount"] == f"{named[case.nearest].amount:.2f}"

    page = client.get(reverse("run_unmatched", args=[run.run_id])).content.decode()
    assert REASONS[case.reason] in page
    assert ("nearest: " in page) is bool(case.nearest)
    assert list(violations()) == []


def test_a_run_names_the_rates_that_rows_were_left_for(alice, client, v1, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    by, account = actor(alice), make_account(currencies=["EUR", "USD", "GBP"])
    lines = "1,10,USD,2026-03-02,R-1,,\n2,10,GBP,2026-03-02,R-2,,\n3,5,EUR,2026-03-02,R-3,,"
    entries = "A,9.2,EUR,2026-03-02,R-1,,\nB,12,EUR,2026-03-02,R-2,,\nC,5,EUR,2026-03-02,R-3,,"
    statement = import_statement(by, account, (HEADER + lines).encode(), "bank.csv", accepting=ASSUMED)
    import_ledger(by, account, (HEADER + entries).encode(), "books.csv", accepting=ASSUMED)
    dry = start_run(
        by, account, statement, [make_rule("Rule", *BOTH, cross_currency=True)], kind=RunKind.INSTANT,
        is_dry_run=True, options={"rates": {"USD/EUR": "0.92"}},
    )  # fmt: skip

    run = apply_run(by, dry)
    assert run.totals == dry.totals
    assert (run.lines_matched, run.lines_unmatched) == (2, 1)
    [told] = v1.get(f"runs/{run.run_id}/unmatched?side=statement").data["items"]
    assert (told["reason"], told["detail"]) == ("no_rate", {"rates_missing": ["GBP/EUR"]})
    assert v1.get(f"runs/{run.run_id}/summary").data["rates_missing"] == ["GBP/EUR"]
    assert "None was given for GBP/EUR" in client.get(reverse("run", args=[run.run_id])).content.decode()
    assert "No exchange rate for GBP/EUR" in client.get(reverse("run_unmatched", args=[run.run_id])).content.decode()
    assert any("GBP/EUR" in line for line in run_in_words(run))
