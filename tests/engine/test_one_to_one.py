"""One line, one entry: who gets whom, and when that is certain."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from recon.rows import ROW_SCHEMA
from rules.criteria import parse_rule
from tests.engine.tables import pairs, reasons, row, rule, run

AMOUNT = ("amount", "eq")
REFERENCE = ("reference", "eq")
BLNK_LEDGER = ["152.75", "329.40", "87.15", "413.60", "276.89", "199.99", "540.25", "135.70", "92.80", "480.55"]
BLNK_STATEMENT = ["152.75", "328.80", "90.00", "417.00", "278.00", "250.00", "545.00", "150.00", "92.80", "399.99"]


def practice():
    return [
        [row(amount, reference=f"txn_{n:03}") for n, amount in enumerate(side)]
        for side in (BLNK_STATEMENT, BLNK_LEDGER)
    ]


def test_blnks_practice_example_within_one_percent():
    within = {"field": "amount", "operator": "equals", "allowable_drift": 0.01}
    outcome = run(rule(within, REFERENCE), *practice())
    assert [lines[0] for lines, _ in pairs(outcome, "confirmed")] == [1, 2, 4, 5, 7, 9]


def test_blnks_practice_example_exactly():
    assert [lines[0] for lines, _ in pairs(run(rule(AMOUNT, REFERENCE), *practice()))] == [1, 9]


def test_the_smallest_difference_comes_first_but_does_not_decide():
    near = {"field": "amount", "operator": "eq", "allowable_drift": "1"}
    rows = [row("10.00")], [row("10.50"), row("10.00")]
    assert pairs(run(rule(near), *rows), "suggested") == [([1], [2])]
    assert pairs(run([rule(AMOUNT), rule(near)], *rows), "confirmed") == [([1], [2])]  # the narrow rule first


def test_equal_candidates_are_suggested_with_the_runner_up():
    outcome = run(rule(AMOUNT), [row()], [row(reference="a"), row(reference="b")])
    assert pairs(outcome, "suggested") == [([1], [1])]
    assert [(each["side"], each["id"]) for each in outcome.runners_up.to_pylist()] == [(1, 2)]


@pytest.mark.parametrize(
    ("on_ambiguity", "state"),
    [("review", "suggested"), ("date", "confirmed"), ("best", "confirmed"), ("skip", None)],
)
def test_a_nearer_date_decides_only_if_the_rule_says_so(on_ambiguity, state):
    entries = [row(day="2026-01-05", reference="a"), row(day="2026-01-02", reference="b")]
    outcome = run(rule(AMOUNT, on_ambiguity=on_ambiguity), [row(day="2026-01-01")], entries)
    assert [each["state"] for each in outcome.matches.to_pylist()] == ([state] if state else [])
    assert pairs(outcome) == ([([1], [2])] if state else [])


def test_interchangeable_rows_are_confirmed_in_order_and_the_excess_stays_open():
    outcome = run(rule(AMOUNT), [row(), row(), row()], [row(), row()])
    assert pairs(outcome, "confirmed") == [([1], [1]), ([2], [2])]


def test_a_payment_and_its_return_are_no_twins_even_where_direction_is_not_compared():
    outcome = run(rule(AMOUNT), [row("5.00")], [row("5.00"), row("-5.00")], sign="unsigned")
    assert outcome.matches["decided_by"].to_pylist() == ["ambiguous"]


NAMES = {"external_id", "amount_text", "position", "line"}  # what a row is called, and how its amount was written
KINDS: dict[str, object] = {"value_date": date(2026, 1, 7), "booking_date": date(2026, 1, 7)}
KINDS |= {"booked_at": datetime(2026, 1, 7, 9, tzinfo=UTC), "extra": '{"fee": "1"}'}


@pytest.mark.parametrize("name", sorted(set(ROW_SCHEMA.names) - NAMES - {"units", "scale", "currency"}))
def test_rows_that_differ_in_any_business_field_are_not_interchangeable(name):
    other = {name: KINDS.get(name, "other")}
    outcome = run(rule(AMOUNT), [row()], [row(), row() | other])
    assert outcome.matches["decided_by"].to_pylist() == ["ambiguous"]


@pytest.mark.parametrize("name", ["external_id", "amount_text", "position"])
def test_what_a_row_is_called_and_how_its_amount_was_written_tells_no_twins_apart(name):
    other = {name: 7 if name == "position" else "7"}
    assert pairs(run(rule(AMOUNT), [row("10.00")], [row("10.00"), row("10.0") | other]), "confirmed") == [([1], [1])]


def test_what_an_earlier_rule_confirmed_is_gone_for_later_ones():
    outcome = run(
        [rule(REFERENCE), rule(AMOUNT)], [row("1", reference="a"), row("2")], [row("2", reference="a"), row("2")]
    )
    assert [(each["rule_index"], each["state"]) for each in outcome.matches.to_pylist()] == [
        (0, "confirmed"),
        (1, "confirmed"),
    ]


def test_a_suggestion_is_withdrawn_when_a_later_rule_confirms_one_of_its_rows():
    lines = [row(reference="x")]
    entries = [row(reference="a"), row(reference="x")]
    outcome = run([rule(AMOUNT), rule(AMOUNT, REFERENCE)], lines, entries)
    assert pairs(outcome, "confirmed") == [([1], [2])]
    assert pairs(outcome, "suggested") == []


def test_a_difference_over_the_limit_is_only_suggested():
    near = {"field": "amount", "operator": "eq", "allowable_drift": "5"}
    outcome = run(rule(near, max_difference="1.00", difference_type="fee"), [row("10.00")], [row("12.00")])
    assert pairs(outcome, "suggested") == [([1], [1])]
    assert [(d["units"], d["type"]) for d in outcome.differences.to_pylist()] == [(-200, "fee")]


def test_a_rule_that_only_suggests_confirms_nothing_and_keeps_nothing_from_a_later_one():
    lines, entries = [row("10.00"), row("20.00", reference="x")], [row("10.00"), row("20.00", reference="x")]
    outcome = run([rule(AMOUNT, suggest_only=True, on_ambiguity="best"), rule(AMOUNT, REFERENCE)], lines, entries)
    assert pairs(outcome, "suggested") == [([1], [1])]
    assert pairs(outcome, "confirmed") == [([2], [2])]
    assert outcome.matches["decided_by"].to_pylist() == ["suggest_only", "sole"]


def test_an_accounts_limit_counts_too():
    near = {"field": "amount", "operator": "eq", "allowable_drift": "5"}
    outcome = run(rule(near), [row("10.00")], [row("12.00")], tolerance_limit=Decimal("1.99"))
    assert pairs(outcome, "suggested") == [([1], [1])]


@pytest.mark.parametrize(
    ("line", "entry", "drift", "met"),
    [
        ("100.01", "100.00", "0.01", True),  # bounds are included
        ("100.011", "100.00", "0.01", False),  # and nothing is rounded
        ("100.01", "100", "0.009", False),
        ("0", "0", "0", True),
        ("-5.00", "5.00", "100", False),  # opposite signs never match
        ("0.00", "-1.00", "1", True),  # zero has no direction
    ],
)
def test_amount_drift_is_exact_at_the_edge(line, entry, drift, met):
    near = {"field": "amount", "operator": "eq", "allowable_drift": drift}
    assert bool(pairs(run(rule(near), [row(line)], [row(entry)]))) is met


@pytest.mark.parametrize(
    ("line", "entry", "window", "met"),
    [
        ("2026-01-03", "2026-01-01", "2d", True),
        ("2026-01-04", "2026-01-01", "2d", False),
        ("2026-01-02", "2026-01-01", "36h", True),  # without a time, whole days
        ("2026-01-03", "2026-01-01", "36h", False),
        ("2026-01-02T12:00", "2026-01-01T00:00", "36h", True),
        ("2026-01-02T12:01", "2026-01-01T00:00", "36h", False),
        ("2026-01-03T23:59", "2026-01-01T00:00", "2d", True),  # d is always calendar days
        ("2026-01-01", "2026-01-02", "0d..3d", False),  # plus is bank later
        (None, "2026-01-02", "3d", False),  # no date, no match
    ],
)
def test_date_windows(line, entry, window, met):
    outcome = run(rule(("date", "within_range", window)), [row(day=line)], [row(day=entry)])
    assert bool(pairs(outcome)) is met


@pytest.mark.parametrize(
    ("options", "line", "entry", "met"),
    [
        ({}, "5.00", "-5.00", False),
        ({"sign": "inverted"}, "5.00", "-5.00", True),
        ({"sign": "inverted"}, "5.00", "5.00", False),
        ({"sign": "unsigned"}, "5.00", "-5.00", True),
    ],
)
def test_the_sign_setting(options, line, entry, met):
    assert bool(pairs(run(rule(AMOUNT), [row(line)], [row(entry)], **options))) is met


@pytest.mark.parametrize(
    ("text", "reference", "options", "met"),
    [
        ("Payment INV-1234 thanks", "inv-1234", {}, True),
        ("Payment INV-12345", "INV-1234", {}, False),  # whole tokens
        ("Payment INV-12345", "INV-1234", {"substring": True}, True),
        ("pay inv 0012 now", "INV-12", {"loose": True}, True),
        ("pay inv12 now", "INV-0012", {"loose": True}, True),
        ("pay inv123 now", "INV-12", {"loose": True}, False),
        ("pay RF18 5390 0754 7034 now", "RF18539007547034", {"loose": True}, True),  # printed in groups
        ("pay RF18539007547034 now", "RF18 5390 0754 7034", {"loose": True}, True),
        ("pay 2024-0012 now", "INV-2024-12", {"loose": True}, False),
        ("pay INV 2024-0012 now", "INV-2024-12", {"loose": True}, True),  # each group lost its own zeros
        ("pay RF18 5390 0754 7034 now", "RF18539007547034", {}, False),
        ("RF18 5390 0754", "RF18539007547", {"loose": True}, False),  # not the whole token
        ("RF18 5390 0754", "RF18539007547", {"loose": True, "substring": True}, True),
        ("RF18 5390 0754 7", "539007547", {"loose": True}, True),
        ("a 12 b", "12", {}, False),  # too short to mean anything
        ("INV-1234", "Payment of INV-1234", {}, True),  # either way round
    ],
)
def test_a_reference_inside_a_description(text, reference, options, met):
    inside = {"field": "description", "operator": "contains", "ledger_field": "reference"} | options
    assert bool(pairs(run(rule(inside), [row(description=text)], [row(reference=reference)]))) is met


def test_a_pattern_takes_its_first_group_and_ledger_texts_without_it_count_whole():
    extracted = {"field": "reference", "operator": "eq", "pattern": r"order (\d+)"}
    outcome = run(rule(extracted), [row(reference="ORDER 77 paid"), row(reference="77")], [row(reference="77")])
    assert pairs(outcome) == [([1], [1])]


def test_no_match_has_a_difference_of_nineteen_digits():
    same_day = rule(("date", "eq"))
    day, nothing = "2026-01-01", row("0.000", "2026-01-01")
    assert pairs(run(same_day, [row("999999999999999.999", day)], [nothing])) == [([1], [1])]
    outcome = run(same_day, [row("1000000000000000.00", day)], [nothing])
    assert (pairs(outcome), reasons(outcome)) == ([], {1: "amount_differs"})


def test_amounts_of_eighteen_digits_and_other_scales_stay_exact():
    big = "999999999999999999"
    outcome = run(rule(AMOUNT), [row(big), row("0.000000001")], [row("0.000000001"), row(big)])
    assert pairs(outcome) == [([1], [2]), ([2], [1])]
    assert outcome.matches.column("line_units").to_pylist() == [int(big), 1]


@pytest.mark.parametrize(
    ("drift", "day", "met"),
    [
        (1800, "2026-01-01T10:30", True),  # both have a time: seconds count
        (1800, "2026-01-01T10:31", False),
        (90000, "2026-01-02T11:00", True),  # 25 hours, not two calendar days
        (90000, "2026-01-02T11:01", False),
        (1800, "2026-01-01", True),  # a day only: less than a day is the same day
        (1800, "2026-01-02", False),
        ("0 days", "2026-01-01T23:00", True),  # days are calendar days, none of them too
        ("0 days", "2026-01-02T00:30", False),
    ],
)
def test_a_time_within_the_drift_of_a_fixed_time(drift, day, met):
    size, _, unit = str(drift).partition(" ")
    fixed = {"field": "date", "operator": "eq", "value": "2026-01-01T10:00:00Z", "allowable_drift": size}
    fixed |= {"drift_unit": unit} if unit else {}
    assert bool(pairs(run(rule(AMOUNT, fixed), [row(day=day), row("9.00", "2026-01-01T08:00")], [row()]))) is met


def test_a_line_without_a_date_contests_an_entry_that_another_line_is_a_day_from():
    """The last of these pairs would have had the very rank that stands for no pair."""
    lines = [row("10.00", "2026-01-02"), row("10.00")]
    found = run(rule(("amount", "eq")), lines, [row("10.00", "2026-01-01")])
    assert (pairs(found, "confirmed"), pairs(found, "suggested")) == ([], [([1], [1])])
    assert reasons(found) == {2: "claimed_by_another"}


@pytest.mark.parametrize(("more", "entry"), [({}, 1), ({"expected": "2d"}, 2)])
def test_a_rule_that_was_saved_with_a_lag_beside_a_fixed_date_goes_on_ordering_candidates_by_it(more, entry):
    fixed = {"field": "date", "operator": "eq", "value": "2026-03-10"} | more
    body = {"name": "Saved", "criteria": [fixed, {"field": "amount", "operator": "eq"}], "on_ambiguity": "date"}
    lines, entries = [row(day="2026-03-10")], [row(day="2026-03-10"), row(day="2026-03-08")]
    assert pairs(run(parse_rule(body, stored=True), lines, entries)) == [([1], [entry])]
