"""Explanations come from the very conditions that match."""

from decimal import Decimal

import pytest

from recon.engine import Options, TooBroad, explain_pairs, explain_plan, match
from tests.engine.tables import row, rule, table

TWO = rule({"field": "amount", "operator": "equals", "allowable_drift": 0.01}, ("reference", "eq"))


def explained(lines, entries, pairs, one=TWO, **options):
    return explain_pairs([one], table(lines), table(entries, "ledger"), pairs, Options(**options))


def test_each_criterion_says_what_it_expected_and_found():
    [told] = explained([row("101.50", reference="a")], [row("100.00", reference="A")], [([(1, 0)], [(1, 0)])])
    amount, reference = told.verdicts
    assert (amount.passed, amount.found, amount.difference) == (False, "101.50", "1.50")
    assert amount.expected == "equals 100.00, at most 1% of the ledger amount apart"
    assert (reference.passed, reference.found, reference.difference) == (True, "a", "100% alike")
    assert not told.passed


def test_a_group_is_explained_by_its_sum_and_any_of_its_texts():
    entries = [row("60.00", reference="x"), row("40.00", reference="a")]
    [told] = explained([row("100.00", reference="a")], entries, [([(1, 0)], [(1, 0), (2, 0)])])
    assert told.passed


GROUPED = {"strategy": "many_to_many", "grouping": ("reference", "date")}
SUM = rule(("amount", "eq"))
DAY = "2026-03-02"


@pytest.mark.parametrize(
    ("lines", "entries", "options", "told"),
    [
        # equal but for their writing: a group each, and the same one
        ([row("100.00", DAY, "a")], [row("60.00", DAY, "A"), row("40.00", DAY, " a")], GROUPED, []),
        ([row("100.00", DAY, "a")], [row("60.00", DAY, "b"), row("40.00", DAY, "b")], GROUPED,
         [("Both sides have the same reference", "b", "a")]),
        ([row("100.00", DAY, "a")], [row("60.00", DAY, "a"), row("40.00", "2026-03-03", "a")], GROUPED,
         [("The rows of the ledger's group have the same date", "one that all have", "2026-03-02, 2026-03-03"),
          ("Both sides have the same date", "2026-03-02, 2026-03-03", "2026-03-02")]),
        # one line with a group: only the group's rows have something in common
        ([row("100.00", DAY, "a")], [row("60.00", DAY, "b"), row("40.00", DAY)],
         {"strategy": "one_to_many", "grouping": ("reference",)},
         [("The rows of the ledger's group have the same reference", "one that all have", "b, nothing")]),
        ([row("100.00", DAY)], [row("60.00"), row("40.00", "2026-03-03")], {}, []),
    ],
)  # fmt: skip
def test_grouping_values_of_rows_picked_by_hand_are_told_where_they_differ(lines, entries, options, told):
    picked = [(number, 0) for number in range(1, len(entries) + 1)]
    [found] = explained(lines, entries, [([(1, 0)], picked)], SUM, **options)
    failed = [(each.sentence, each.expected, each.found) for each in found.verdicts if not each.passed]
    assert failed == told
    assert found.passed is not bool(told)
    matched = match([SUM], table(lines), table(entries, "ledger"), Options(**options))
    if options:
        assert bool(matched.matches.num_rows) is found.passed


def test_what_every_rule_asks_is_told_when_it_fails():
    [told] = explained([row("5.00", reference="a")], [row("-5.00", reference="a")], [([(1, 0)], [(1, 0)])])
    assert [verdict.criterion for verdict in told.verdicts if not verdict.passed] == [0, 1]


def test_a_constant_is_asked_of_a_rows_own_amount_whatever_it_is_converted_to():
    crossing = rule(("amount", "eq"), ("amount", "less_than", "100"), cross_currency=True)
    rates = {("USD", "EUR"): Decimal("2")}
    lines, entries = [row("60.00", currency="USD")], [row("120.00")]
    [told] = explained(lines, entries, [([(1, 0)], [(1, 0)])], crossing, rates=rates)
    assert told.passed
    assert match([crossing], table(lines), table(entries, "ledger"), Options(rates=rates)).matches.num_rows == 1


def test_every_match_of_a_run_is_explained_as_passed():
    lines = [row(str(n), reference=f"r{n}") for n in range(1, 20)]
    entries = [row(f"{n}.01", reference=f"R{n}") for n in range(1, 20)]
    tables = table(lines), table(entries, "ledger")
    made = match([TWO], *tables, Options())
    found: dict[int, tuple[list, list]] = {}
    for each in made.match_rows.to_pylist():
        found.setdefault(each["match_no"], ([], []))[each["side"]].append((each["id"], each["part"]))
    assert found
    assert all(told.passed for told in explain_pairs([TWO], *tables, list(found.values()), Options()))


DATE = ("date", "within_range", "1d")
DRIFT = {"field": "amount", "operator": "eq", "allowable_drift": "0.05"}
CONTAINS = {"field": "description", "operator": "contains", "ledger_field": "reference"}


@pytest.mark.parametrize(
    ("criteria", "key"),
    [
        ([("amount", "eq")], "amt"),
        ([("currency", "eq"), DATE], "day_cell"),  # the day says more than the only currency there is
        ([DRIFT, DATE], "amt"),  # the first band
        ([CONTAINS], "found"),  # texts that share a part
        ([("counterparty", "eq")], "counterparty_key"),  # rows of three kinds
        ([("amount", "eq"), ("counterparty", "eq")], "counterparty_key"),  # cells of one price
    ],
    ids=["equal", "cells of dates", "bands", "texts", "kinds", "cells"],
)
def test_the_plan_told_before_a_run_is_the_plan_of_the_run(criteria, key):
    def side(n):
        return row(
            str(10 + n % 290), f"2026-{1 + n % 3:02}-{1 + n % 28:02}", f"ref-{n:05}", description=f"paid ref-{n:05}",
            counterparty=("Ann", "Bea", "Cy")[n % 3],
        )  # fmt: skip

    one = rule(*criteria)
    rows = [side(n) for n in range(600)]
    if key == "counterparty_key":
        rows = [row("5.00", "2026-01-05", counterparty=each["counterparty"]) for each in rows]
    tables = table(rows), table(rows, "ledger")
    [told] = explain_plan([one], *tables, Options())
    [ran] = match([one], *tables, Options(reasons=False)).rules
    assert key in told.blocking_key
    assert told.blocking_key == ran.blocking_key
    assert not told.too_broad
    if len(ran.plan.splitlines()) == 1:  # later bands are not foreseen
        assert told.estimated_candidates == ran.estimated_candidates
    assert ran.candidates <= 2 * ran.estimated_candidates


def test_a_rule_that_would_be_refused_is_told_so_with_the_same_estimate():
    broad = rule(("reference", "similar", "90"))
    tables = table([row(str(n), reference=f"r{n}") for n in range(1500)]), table([row()] * 1500, "ledger")
    [told] = explain_plan([broad], *tables, Options(candidate_budget=5000))
    assert told.too_broad
    with pytest.raises(TooBroad) as refused:
        match([broad], *tables, Options(candidate_budget=5000))
    assert refused.value.estimate == told.estimated_candidates == 2_250_000


SIMILAR = ("description", "similar", "50")


@pytest.mark.parametrize(
    ("criteria", "advice"),
    [
        ([("currency", "eq")], "on reference, amount or date."),
        ([("reference", "eq")], "on amount, date or description."),
        (
            [("date", "within_range", "9d")],
            "on reference, amount or description, or narrow the tolerance of criterion 1.",
        ),
        ([("reference", "agrees"), ("amount", "greater_than")], "on reference, amount or date."),
        ([("reference", "eq"), ("currency", "eq"), SIMILAR], "on amount, date or counterparty."),
        ([("amount", "between", "1..2"), ("reference", "eq")], "on amount, date or description."),
    ],
)
def test_the_advice_names_what_a_broad_rule_does_not_ask_yet(criteria, advice):
    some = [
        row(f"1.{number:04}", f"2026-01-0{1 + number % 5}", reference="R", description=f"{number}")
        for number in range(1500)
    ]
    with pytest.raises(TooBroad) as refused:
        match([rule(*criteria)], table(some), table(some, "ledger"), Options(candidate_budget=1000))
    assert refused.value.advice == f"Add a criterion that both sides meet {advice}"
