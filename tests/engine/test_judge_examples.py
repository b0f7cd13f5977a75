"""Hard cases by name: here the expected answer stands in the test, and both the engine and the judge must give it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.engine.judging import Body, outcome, row, sayable, taken
from tests.engine.reference import judge
from tests.engine.reference_rows import Books

AMOUNT: Body = {"field": "amount", "operator": "eq"}
MONDAY, TUESDAY, WEDNESDAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
NINE, TEN = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)


def rule(*criteria: Body, **more: object) -> Body:
    return {"name": "example", "criteria": list(criteria), **more}


def verdict(
    rules: list[Body], lines: list[Body], entries: list[Body], books: Books | None = None
) -> list[tuple[list[int], list[int], str]]:
    """(lines, entries, state) of every match, after making sure that both judges say the same."""
    books = books or Books()
    found = taken(outcome(rules, lines, entries, books))
    assert sayable(found) == sayable(judge(rules, lines, entries, books))
    return sorted((sorted(i for i, _ in m.lines), sorted(i for i, _ in m.entries), m.state) for m in found)


def test_the_longer_of_two_references_in_one_text_is_preferred_but_a_person_decides() -> None:
    contains = {"field": "description", "operator": "contains", "ledger_field": "reference"}
    lines = [row(1, 100, booking_date=MONDAY, description="paid INV-001 and INV-0001234")]
    entries = [
        row(1, 100, booking_date=MONDAY, reference="INV-001"),
        row(2, 100, booking_date=MONDAY, reference="INV-0001234"),
    ]
    assert verdict([rule(contains, AMOUNT)], lines, entries) == [([1], [2], "suggested")]


def test_a_line_without_a_date_does_not_choose_between_two_dates() -> None:
    lines = [row(1, 100)]
    entries = [row(1, 100, booking_date=TUESDAY), row(2, 100, booking_date=MONDAY)]
    assert verdict([rule(AMOUNT, on_ambiguity="date")], lines, entries) == [([1], [2], "suggested")]


def test_a_line_without_a_date_fails_a_date_criterion() -> None:
    within = {"field": "date", "operator": "within_range", "value": "30d"}
    assert verdict([rule(AMOUNT, within)], [row(1, 100)], [row(1, 100, booking_date=MONDAY)]) == []


def test_a_line_with_only_a_day_does_not_choose_between_two_times_of_that_day() -> None:
    same_day = {"field": "date", "operator": "eq"}
    lines = [row(1, 100, booking_date=MONDAY)]
    entries = [row(1, 100, booked_at=TEN, booking_date=MONDAY), row(2, 100, booked_at=NINE, booking_date=MONDAY)]
    assert verdict([rule(AMOUNT, same_day, on_ambiguity="date")], lines, entries) == [([1], [1], "suggested")]


def test_a_line_with_a_time_prefers_the_nearer_time() -> None:
    within = {"field": "date", "operator": "within_range", "value": "1d"}
    lines = [row(1, 100, booked_at=NINE, booking_date=MONDAY)]
    entries = [row(1, 100, booked_at=TEN, booking_date=MONDAY), row(2, 100, booked_at=NINE, booking_date=MONDAY)]
    assert verdict([rule(AMOUNT, within, on_ambiguity="date")], lines, entries) == [([1], [2], "confirmed")]


def test_two_near_names_are_ambiguous() -> None:
    similar = {"field": "counterparty", "operator": "similar", "value": "80"}
    lines = [row(1, 100, counterparty="Adithya Medical Stores")]
    entries = [row(1, 100, counterparty="Adithya Medical Store"), row(2, 100, counterparty="Aditya Medical Stores")]
    assert verdict([rule(AMOUNT, similar)], lines, entries) == [([1], [1], "suggested")]


@pytest.mark.parametrize(
    ("reference", "met"),
    [
        (None, True),
        ("  ", True),
        ("ord-77", True),
        ("ORD-7", True),
        ("ORD-78", False),
    ],  # cut short is no contradiction
)
def test_a_reference_that_names_something_else_contradicts_an_amount(reference: str | None, met: bool) -> None:
    agrees = {"field": "reference", "operator": "agrees"}
    found = verdict([rule(AMOUNT, agrees)], [row(1, 100, reference=reference)], [row(1, 100, reference="ORD-77")])
    assert found == ([([1], [1], "confirmed")] if met else [])


def test_a_group_keeps_the_member_that_a_row_filter_would_drop() -> None:
    books = Books(strategy="one_to_many", grouping=("reference",))
    positive = {"field": "amount", "operator": "greater_than", "value": "0", "applies_to": "both"}
    lines = [row(1, 10_000, reference="P1")]
    entries = [row(n, units, reference="P1") for n, units in enumerate((10_000, 5_000, -5_000), 1)]
    assert verdict([rule(AMOUNT, positive)], lines, entries, books) == [([1], [1, 2, 3], "confirmed")]


def test_a_group_is_not_cut_by_a_date_window() -> None:
    books = Books(strategy="one_to_many", grouping=("reference",))
    within = {"field": "date", "operator": "within_range", "value": "2d"}
    lines = [row(1, 300, reference="P1", booking_date=TUESDAY)]
    entries = [
        row(1, 100, reference="P1", booking_date=MONDAY),
        row(2, 200, reference="P1", booking_date=date(2026, 3, 30)),
    ]
    assert verdict([rule(AMOUNT, within)], lines, entries, books) == [([1], [1, 2], "confirmed")]


def test_a_group_of_mixed_currencies_never_matches() -> None:
    books = Books(strategy="one_to_many", grouping=("reference",))
    entries = [row(1, 100, reference="P1"), row(2, 200, reference="P1", currency="USD")]
    assert verdict([rule(AMOUNT)], [row(1, 300, reference="P1")], entries, books) == []


def test_exact_amounts_go_before_near_ones_but_a_person_decides() -> None:
    near = {**AMOUNT, "allowable_drift": "0.02"}
    lines = [row(1, 101, reference="a"), row(2, 100, reference="b")]
    assert verdict([rule(near)], lines, [row(1, 100)]) == [([2], [1], "suggested")]


def test_a_narrow_rule_before_a_wide_one_confirms_the_exact() -> None:
    near = {**AMOUNT, "allowable_drift": "0.02"}
    lines = [row(1, 101, reference="a"), row(2, 100, reference="b")]
    entries = [row(1, 100, reference="c"), row(2, 102, reference="d")]
    assert verdict([rule(AMOUNT), rule(near)], lines, entries) == [([1], [2], "confirmed"), ([2], [1], "confirmed")]


def test_what_lost_its_candidate_is_not_confirmed_with_another() -> None:
    near = {**AMOUNT, "allowable_drift": "0.02"}
    lines = [row(1, 100, reference="a"), row(2, 100, reference="b")]
    entries = [row(1, 100, reference="c"), row(2, 102, reference="d")]
    assert verdict([rule(near)], lines, entries) == [([1], [1], "suggested"), ([2], [2], "suggested")]


def test_what_is_left_when_suggestions_are_set_aside_is_not_confirmed() -> None:
    near = {**AMOUNT, "allowable_drift": "0.03"}
    lines = [row(1, 100, reference="a"), row(2, 102, reference="b")]
    entries = [row(1, 101, reference="c"), row(2, 105, reference="d")]
    # The second line's only other entry is in the first line's suggestion, which claims nothing.
    assert verdict([rule(near)], lines, entries) == [([1], [1], "suggested"), ([2], [2], "suggested")]


@pytest.mark.parametrize(
    ("lines", "entries", "confirmed"),
    [
        (2, 2, 2),  # as many on either side
        (3, 2, 2),  # one line too many stays open
        (2, 3, 2),  # one entry too many stays open
    ],
)
def test_identical_rows_are_confirmed_up_to_the_smaller_count(lines: int, entries: int, confirmed: int) -> None:
    found = verdict(
        [rule(AMOUNT)], [row(n, 100) for n in range(1, lines + 1)], [row(n, 100) for n in range(1, entries + 1)]
    )
    assert found == [([n], [n], "confirmed") for n in range(1, confirmed + 1)]


def test_the_excess_of_identical_rows_is_a_possible_duplicate() -> None:
    result = outcome([rule(AMOUNT)], [row(1, 100), row(2, 100)], [row(1, 100)], Books())
    assert [(left["side"], left["id"], left["reason"]) for left in result.unmatched.to_pylist()] == [
        (0, 2, "possible_duplicate")
    ]


def test_equal_amounts_of_two_customers_are_not_interchangeable() -> None:
    lines = [row(1, 100, counterparty="Ann"), row(2, 100, counterparty="Bea")]
    entries = [row(1, 100), row(2, 100)]
    assert verdict([rule(AMOUNT)], lines, entries) == [([1], [1], "suggested"), ([2], [2], "suggested")]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("review", [([1], [2], "suggested")]),
        ("date", [([1], [2], "confirmed")]),  # its date is strictly nearer
        ("best", [([1], [2], "confirmed")]),
        ("skip", []),
    ],
)
def test_a_rule_says_what_happens_to_the_ambiguous(how: str, expected: object) -> None:
    lines = [row(1, 100, booking_date=WEDNESDAY)]
    entries = [row(1, 100, booking_date=MONDAY), row(2, 100, booking_date=TUESDAY)]
    assert verdict([rule(AMOUNT, on_ambiguity=how)], lines, entries) == expected


def test_books_lead_banks() -> None:
    lines = [row(1, 100, booking_date=TUESDAY)]
    entries = [row(1, 100, booking_date=WEDNESDAY), row(2, 100, booking_date=MONDAY)]
    assert verdict([rule(AMOUNT)], lines, entries) == [([1], [2], "suggested")]


def test_fees_are_deducted_so_the_larger_ledger_amount_goes_first() -> None:
    near = {**AMOUNT, "allowable_drift": "0.01"}
    assert verdict([rule(near)], [row(1, 100)], [row(1, 99), row(2, 101)]) == [([1], [2], "suggested")]


def test_opposite_signs_never_meet() -> None:
    near = {**AMOUNT, "allowable_drift": "1000"}
    assert verdict([rule(near)], [row(1, -100)], [row(1, 100)]) == []
    assert verdict([rule(near)], [row(1, -100)], [row(1, 100)], Books(sign="unsigned")) == [([1], [1], "confirmed")]


def test_the_order_of_rules_decides() -> None:
    by_reference = rule({"field": "reference", "operator": "eq"})
    lines = [row(1, 100, reference="R1")]
    entries = [row(1, 100, reference="R2"), row(2, 500, reference="R1")]
    assert verdict([by_reference, rule(AMOUNT)], lines, entries) == [([1], [2], "confirmed")]
    assert verdict([rule(AMOUNT), by_reference], lines, entries) == [([1], [1], "confirmed")]


def test_a_later_rule_may_take_the_rows_of_a_suggestion() -> None:
    by_reference = rule({"field": "reference", "operator": "eq"})
    lines = [row(1, 100, reference="R1")]
    entries = [row(1, 100, reference="R2"), row(2, 100, reference="R1")]
    assert verdict([rule(AMOUNT), by_reference], lines, entries) == [([1], [2], "confirmed")]


def test_above_the_largest_difference_a_match_is_only_suggested() -> None:
    near = rule({**AMOUNT, "allowable_drift": "1"}, max_difference="0.05")
    lines = [row(1, 1_004, reference="a"), row(2, 2_006, reference="b")]
    entries = [row(1, 1_000, reference="c"), row(2, 2_000, reference="d")]
    assert verdict([near], lines, entries) == [([1], [1], "confirmed"), ([2], [2], "suggested")]


def test_a_row_of_a_group_without_a_reference_contradicts_none() -> None:
    agrees = {"field": "reference", "operator": "agrees"}
    equal = {"field": "reference", "operator": "eq"}
    group = [row(1, 100, reference="A", description="payout"), row(2, 200, description="payout")]
    by_description = Books(strategy="one_to_many", grouping=("description",))
    whole = [([1], [1, 2], "confirmed")]
    assert verdict([rule(AMOUNT, agrees)], [row(1, 300, reference="B")], group, by_description) == whole
    assert verdict([rule(AMOUNT, equal)], [row(1, 300, reference="B")], group, by_description) == []
    assert verdict([rule(AMOUNT, equal)], [row(1, 300, reference="A")], group, by_description) == whole


def test_of_several_usual_lags_the_first_that_is_one_counts() -> None:
    near = {"field": "date", "operator": "within_range", "value": "5d"}
    entries = [row(1, 100, booking_date=WEDNESDAY), row(2, 100, booking_date=MONDAY)]
    lags = rule(AMOUNT, {**near, "expected": "0d"}, {**near, "expected": "2d"})
    assert verdict([lags], [row(1, 100, booking_date=WEDNESDAY)], entries) == [([1], [2], "suggested")]


def test_clocks_going_forward_do_not_move_a_calendar_day() -> None:
    within = {"field": "date", "operator": "within_range", "value": "1d"}
    lines = [row(1, 100, booked_at=datetime(2026, 3, 29, 22, 30, tzinfo=UTC), booking_date=date(2026, 3, 30))]
    entries = [row(1, 100, booked_at=datetime(2026, 3, 28, 22, 30, tzinfo=UTC), booking_date=date(2026, 3, 28))]
    # In Berlin these are the 30th, half past midnight, and the 28th, half past eleven at night.
    assert verdict([rule(AMOUNT, within)], lines, entries, Books("Europe/Berlin")) == []
    assert verdict([rule(AMOUNT, within)], lines, entries, Books("UTC")) == [([1], [1], "confirmed")]
