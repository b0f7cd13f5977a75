"""Every item that stays open says why, and names what came nearest."""

from decimal import Decimal

import pytest

from tests.engine.tables import pairs, reasons, row, rule, run

AMOUNT = ("amount", "eq")
REFERENCE = ("reference", "eq")


def nearest(outcome, side=0):
    return {
        each["id"]: (each["nearest_id"], each["difference_units"])
        for each in outcome.unmatched.to_pylist()
        if each["side"] == side
    }


@pytest.mark.parametrize(
    ("criteria", "line", "entry", "reason"),
    [
        ([AMOUNT, REFERENCE], row("10.00", reference="a"), row("11.00", reference="a"), "amount_differs"),
        ([AMOUNT, REFERENCE], row("10.00", reference="a"), row("10.00", reference="b"), "reference_differs"),
        (
            [AMOUNT, ("description", "contains")],
            row(description="abcde"),
            row(description="xyzzy"),
            "description_differs",
        ),
        (
            [AMOUNT, ("date", "within_range", "2d")],
            row(day="2026-01-05"),
            row(day="2026-01-01"),
            "date_outside_window",
        ),
        ([AMOUNT, ("date", "within_range", "2d")], row(), row(day="2026-01-01"), "date_missing"),
        ([AMOUNT, ("date", "after", "2026-02-01")], row(), row(day="2026-01-01"), "date_missing"),
        ([AMOUNT, ("date", "after", "2026-02-01")], row(day="2026-01-01"), row(), "date_outside_window"),
        ([AMOUNT, REFERENCE], row(reference="a", currency="USD"), row(reference="a"), "currency_differs"),
        ([AMOUNT, REFERENCE], row("5.00", reference="a"), row("-5.00", reference="a"), "opposite_sign"),
        ([AMOUNT, REFERENCE], row("5.00", reference="a"), row("7.00", reference="b"), "no_candidate"),
    ],
)
def test_the_criterion_that_failed_is_the_reason(criteria, line, entry, reason):
    outcome = run(rule(*criteria), [line], [entry])
    assert reasons(outcome) == reasons(outcome, side=1) == {1: reason}


def test_entries_that_are_read_the_wrong_way_round_have_the_opposite_sign():
    line, entry = row("5.00", reference="a"), row("5.00", reference="a")
    outcome = run(rule(AMOUNT, REFERENCE), [line], [entry], sign="inverted")
    assert reasons(outcome) == reasons(outcome, side=1) == {1: "opposite_sign"}


def test_the_difference_to_the_nearest_miss_is_statement_minus_ledger():
    outcome = run(rule(AMOUNT, REFERENCE), [row("10.00", reference="a")], [row("12.00", reference="a")])
    assert nearest(outcome) == nearest(outcome, side=1) == {1: (1, -200)}


def test_the_same_reference_says_more_than_the_same_day():
    three = rule(AMOUNT, REFERENCE, ("date", "within_range", "2d"))
    entries = [row("10.00", "2026-01-01", "other"), row("12.00", "2026-01-01", "a")]
    outcome = run(three, [row("10.00", "2026-01-01", "a")], entries)
    assert (reasons(outcome), nearest(outcome)) == ({1: "amount_differs"}, {1: (2, -200)})


def test_a_converted_amount_that_differs_is_named_without_taking_dollars_from_euros():
    crossing = rule(AMOUNT, REFERENCE, cross_currency=True)
    rates = {("USD", "EUR"): Decimal("2")}
    outcome = run(crossing, [row("60.00", reference="a", currency="USD")], [row("121.00", reference="a")], rates=rates)
    assert reasons(outcome) == reasons(outcome, side=1) == {1: "amount_differs"}
    assert nearest(outcome) == {1: (1, None)}


def test_rows_of_a_currency_that_no_rate_leads_from_or_to_say_which_rates_are_missing():
    crossing = rule(AMOUNT, REFERENCE, cross_currency=True)
    lines = [row(reference="a", currency="USD"), row(reference="b", currency="GBP"), row(reference="c")]
    entries = [row("20.00", reference="a"), row("12.00", reference="b"), row("7.00", currency="CHF")]
    outcome = run([rule(AMOUNT, REFERENCE), crossing], lines, entries, rates={("USD", "EUR"): Decimal("2")})
    told = {(each["side"], each["id"]): (each["reason"], each["detail"]) for each in outcome.unmatched.to_pylist()}
    assert pairs(outcome) == [([1], [1])]
    assert told == {
        (0, 2): ("no_rate", '{"rates_missing":["GBP/CHF", "GBP/EUR"]}'),
        (0, 3): ("no_candidate", None),  # euros can be compared
        (1, 2): ("no_candidate", None),
        (1, 3): ("no_rate", '{"rates_missing":["EUR/CHF", "GBP/CHF", "USD/CHF"]}'),
    }


def test_what_another_line_has_claimed_is_said():
    lines = [row(reference="a"), row(reference="a", description="late")]
    outcome = run(rule(AMOUNT, REFERENCE, on_ambiguity="best"), lines, [row(reference="a")])
    assert reasons(outcome) == {2: "claimed_by_another"}


@pytest.mark.parametrize(("by_first", "by_own"), [("10.00", "10.01"), ("10.03", "10.02")])
def test_of_what_this_rule_and_an_earlier_one_have_taken_the_nearest_is_said(by_first, by_own):
    near = rule({"field": "amount", "operator": "eq", "allowable_drift": "0.05"}, on_ambiguity="best")
    lines = [row(by_first, reference="a"), row(by_own), row("10.00", description="late")]
    entries = [row(by_first, reference="a"), row(by_own)]
    outcome = run([rule(AMOUNT, REFERENCE), near], lines, entries)
    assert reasons(outcome) == {3: "claimed_by_another"}
    assert nearest(outcome) == {3: (1, 0) if by_first == "10.00" else (2, -2)}


@pytest.mark.parametrize(
    ("limit", "reason"), [({"max_difference": "0.50"}, "difference_over_limit"), ({}, "claimed_by_another")]
)
def test_what_was_claimed_and_differs_by_more_than_may_be_confirmed_is_said(limit, reason):
    near = rule({"field": "amount", "operator": "eq", "allowable_drift": 1}, REFERENCE, on_ambiguity="best", **limit)
    lines = [row("10.00", reference="a"), row("10.80", reference="a")]
    outcome = run(near, lines, [row("10.00", reference="a")])
    assert (reasons(outcome), nearest(outcome)) == ({2: reason}, {2: (1, 80)})


def test_one_too_many_of_the_same_is_a_possible_duplicate_of_its_twin():
    outcome = run(rule(AMOUNT), [row(), row()], [row()])
    assert (reasons(outcome), nearest(outcome)) == ({2: "possible_duplicate"}, {2: (1, None)})


def test_what_a_rule_skips_is_ambiguous():
    outcome = run(rule(AMOUNT, on_ambiguity="skip"), [row()], [row(reference="a"), row(reference="b")])
    assert reasons(outcome) == {1: "ambiguous"}
    assert reasons(outcome, side=1) == {1: "ambiguous", 2: "ambiguous"}


def test_a_group_whose_total_differs_says_by_how_much():
    entries = [row("100.00", reference="p"), row("50.00", reference="p")]
    outcome = run(
        rule(AMOUNT, REFERENCE),
        [row("140.00", reference="p")],
        entries,
        strategy="one_to_many",
        grouping=("reference",),
    )
    assert reasons(outcome) == {1: "group_total_differs"}
    assert reasons(outcome, side=1) == {1: "group_total_differs", 2: "group_total_differs"}
    assert nearest(outcome)[1][1] == -1000


ANN = {"counterparty": "Ann"}


def searched(lines, entries, *criteria, **options):
    """What a search for sums says of the lines and of the entries, with the nearest and the difference."""
    body = rule(AMOUNT, ("counterparty", "eq"), *criteria, on_ambiguity=options.pop("on_ambiguity", "review"))
    outcome = run(body, lines, entries, strategy="one_to_many", **options)
    return [
        {
            each["id"]: (each["reason"], each["nearest_id"], each["difference_units"])
            for each in outcome.unmatched.to_pylist()
            if each["side"] == side
        }
        for side in (0, 1)
    ]


def test_a_line_that_no_sum_reaches_names_the_nearest_sum():
    lines, entries = searched([row("100.00", **ANN)], [row("60.00", **ANN), row("39.50", **ANN), row("7.00", **ANN)])
    assert lines == {1: ("group_total_differs", 1, 50)}
    # The entry that is in the nearest sum knows what is missing; the other only whose sum it might be in.
    assert entries == {
        1: ("group_total_differs", 1, 50),
        2: ("group_total_differs", 1, 50),
        3: ("group_total_differs", 1, None),
    }


def test_a_line_of_which_the_only_sum_went_to_another_line_says_so():
    lines, _ = searched([row("100.00", **ANN), row("100.00", **ANN)], [row("60.00", **ANN), row("40.00", **ANN)])
    assert lines == {2: ("claimed_by_another", 1, None)}


def test_a_line_with_too_many_candidates_for_a_sum_says_so():
    lines, entries = searched([row("3.00", **ANN)], [row("1.00", **ANN) for _ in range(5)], sum_pool=4)
    assert lines == {1: ("too_many_candidates", 1, None)}
    assert entries == dict.fromkeys(range(1, 6), ("too_many_candidates", 1, None))


def test_sums_that_were_skipped_for_being_ambiguous_say_so():
    amounts = ("60.00", "40.00", "70.00", "30.00")
    lines, entries = searched([row("100.00", **ANN)], [row(each, **ANN) for each in amounts], on_ambiguity="skip")
    assert lines == {1: ("ambiguous", 1, None)}
    assert entries[1] == entries[2] == ("ambiguous", 1, None)


def test_a_criterion_that_keeps_a_row_from_a_sum_is_named():
    lines, entries = searched(
        [row("100.00", "2026-01-20", **ANN)],
        [row("60.00", "2026-01-01", **ANN), row("40.00", "2026-01-01", **ANN)],
        ("date", "within_range", "2d"),
    )
    assert lines == {1: ("date_outside_window", 1, None)}
    assert {entry: told[0] for entry, told in entries.items()} == dict.fromkeys((1, 2), "date_outside_window")


@pytest.mark.parametrize(("how", "reason"), [("review", "claimed_by_another"), ("skip", "ambiguous")])
def test_a_row_of_another_sum_is_told_which_line_could_have_had_it(how, reason):
    body = rule(AMOUNT, ("counterparty", "eq"), on_ambiguity=how)
    entries = [row("1.00", **ANN), row("2.00", reference="x", **ANN), row("2.00", **ANN)]
    outcome = run(body, [row("3.00", **ANN)], entries, strategy="one_to_many")
    assert reasons(outcome, side=1)[3] == reason
    assert nearest(outcome, side=1)[3][0] == 1


def test_the_twin_that_a_sum_has_no_need_of_is_a_possible_duplicate():
    entries = [row("60.00", **ANN), row("40.00", **ANN), row("40.00", **ANN)]
    _, left = searched([row("100.00", **ANN)], entries)
    assert left == {3: ("possible_duplicate", 2, None)}


@pytest.mark.parametrize("more", [{}, {"cross_currency": True}], ids=["one currency", "across currencies"])
@pytest.mark.parametrize(
    "criteria",
    [[], [("amount", "within_range", "5")], [("amount", "greater_than")], [("amount", "within_range", "99999999999")]],
    ids=["no amount", "near", "more", "very far"],
)
def test_amounts_too_far_apart_for_any_difference_are_named_though_no_criterion_says_so(criteria, more):
    lines = [row("99999999999.00", reference="a"), row("0.00000001", reference="b")]
    rates = {("USD", "EUR"): Decimal(2)} if more else {}
    made = run(rule(("reference", "eq"), *criteria, **more), lines, [row("1.00", reference="a")], rates=rates)
    left = {(each["side"], each["id"]): each for each in made.unmatched.to_pylist()}
    assert made.matches.num_rows == 0
    for side in (0, 1):
        assert (left[side, 1]["reason"], left[side, 1]["nearest_id"]) == ("amount_differs", 1)
        assert left[side, 1]["difference_units"] is None
