"""Groups are formed whole, summed exactly and claimed once; one side can be matched with itself."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from recon.engine import LEDGER_GROUPING, STATEMENT_GROUPING, EngineError, Options, match
from tests.engine.tables import pairs, reasons, row, rule, run, table

AMOUNT = ("amount", "eq")
REFERENCE = ("reference", "eq")
SPLIT = [row("100.00", reference="p"), row("50.00", reference="P "), row("-50.00", reference="p"), row("7.00")]


def test_one_line_settles_a_group_with_all_its_members():
    outcome = run(
        rule(AMOUNT, REFERENCE), [row("100.00", reference="p")], SPLIT, strategy="one_to_many", grouping=("reference",)
    )
    assert pairs(outcome, "confirmed") == [([1], [1, 2, 3])]
    assert outcome.differences.num_rows == 0


def test_a_group_of_lines_settles_one_entry():
    outcome = run(
        rule(AMOUNT, REFERENCE), SPLIT, [row("100.00", reference="p")], strategy="many_to_one", grouping=("reference",)
    )
    assert pairs(outcome, "confirmed") == [([1, 2, 3], [1])]


@pytest.mark.parametrize("grouping", [("reference",), ("reference", "date"), ("currency", "reference")])
def test_what_is_left_of_a_group_with_a_claimed_member_is_no_group(grouping):
    entries = [row("60.00", "2026-01-01", "p"), row("40.00", "2026-01-01", "p"), row("7.00", "2026-01-01", "q")]
    lines = [row("100.00", "2026-01-01", "p"), row("7.00", "2026-01-01", "q")]
    claimed = {"ledger": table([row("50.00", "2026-01-01", "P "), row("7.00", "2026-01-01")], "ledger")}
    options = {"strategy": "one_to_many", "grouping": grouping}
    assert pairs(run(rule(AMOUNT), lines, entries, **options)) == [([1], [1, 2]), ([2], [3])]
    outcome = run(rule(AMOUNT), lines, entries, claimed=claimed, **options)
    assert pairs(outcome) == [([2], [3])]
    assert reasons(outcome, side=1) == {1: "group_partly_claimed", 2: "group_partly_claimed"}


def test_a_claimed_member_counts_on_the_side_that_is_grouped():
    claimed = {"statement": table(SPLIT[:1]), "ledger": table(SPLIT[:1], "ledger")}
    options = {"grouping": ("reference",), "claimed": claimed}
    entry = [row("100.00", reference="p")]
    grouped = run(rule(AMOUNT), SPLIT, entry, strategy="many_to_one", **options)
    assert (pairs(grouped), reasons(grouped)[1], reasons(grouped)[4]) == ([], "group_partly_claimed", "no_candidate")
    lines = [row("60.00", reference="p"), row("40.00", reference="p")]
    both = run(rule(AMOUNT), lines, SPLIT, strategy="many_to_many", **options)
    assert (pairs(both), reasons(both, side=1)[3]) == ([], "group_partly_claimed")


def test_groups_settle_groups():
    lines = [row("60.00", reference="p"), row("40.00", reference="p")]
    outcome = run(rule(AMOUNT, REFERENCE), lines, SPLIT, strategy="many_to_many", grouping=("reference",))
    assert pairs(outcome, "confirmed") == [([1, 2], [1, 2, 3])]


BY_DAY = ("date", "within_range", "2d")


def test_groups_have_the_grouping_values_in_common_that_no_criterion_compares():
    lines = [row("60.00", "2026-01-01", "p"), row("40.00", "2026-01-01", "P ")]
    entries = [*(row(amount, "2026-01-02", "q") for amount in ("70.00", "30.00")), row("100.00", "2026-01-02", "p")]
    options = {"strategy": "many_to_many", "grouping": ("reference", "date")}
    assert pairs(run(rule(AMOUNT, BY_DAY), lines, entries, **options), "confirmed") == [([1, 2], [3])]
    strangers = run(rule(AMOUNT, BY_DAY), lines, entries[:2], **options)
    assert (pairs(strangers), set(reasons(strangers).values())) == ([], {"no_candidate"})
    assert pairs(run(rule(AMOUNT), lines, entries, **options)) == []
    alike = rule(AMOUNT, BY_DAY, ("reference", "agrees"))
    assert pairs(run(alike, lines, entries[:2], **options)) == []


def test_a_group_of_mixed_currencies_never_matches():
    entries = [row("60.00", reference="p"), row("40.00", reference="p", currency="USD")]
    outcome = run(
        rule(AMOUNT), [row("100.00", reference="p")], entries, strategy="one_to_many", grouping=("reference",)
    )
    assert pairs(outcome) == []


@pytest.mark.parametrize(("group_date", "met"), [("earliest", False), ("latest", True)])
def test_the_date_of_a_group(group_date, met):
    entries = [row("60.00", "2026-01-01", "p"), row("40.00", "2026-01-09", "p")]
    near = rule(AMOUNT, ("date", "within_range", "2d"), group_date=group_date)
    outcome = run(near, [row("100.00", "2026-01-10")], entries, strategy="one_to_many", grouping=("reference",))
    assert bool(pairs(outcome)) is met


def test_a_text_criterion_holds_if_any_member_satisfies_it():
    entries = [row("60.00", source="shop", description="INV-7788"), row("40.00", source="shop", description="other")]
    outcome = run(
        rule(AMOUNT, ("description", "contains")),
        [row("100.00", description="paid inv-7788")],
        entries,
        strategy="one_to_many",
        grouping=("source",),
    )
    assert pairs(outcome, "confirmed") == [([1], [1, 2])]


def test_several_columns_can_make_the_group():
    entries = [row("60.00", "2026-01-01", "p"), row("40.00", "2026-01-01", "p"), row("40.00", "2026-01-02", "p")]
    outcome = run(rule(AMOUNT), [row("100.00")], entries, strategy="one_to_many", grouping=("reference", "date"))
    assert pairs(outcome) == [([1], [1, 2])]


LEDGER_VALUES = {
    "created_at": (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    "date": (date(2026, 1, 1), date(2026, 1, 2)),
    "currency": ("EUR", "USD"),
}


@pytest.mark.parametrize("name", LEDGER_GROUPING)
def test_entries_can_be_grouped_by_every_field_that_is_named(name):
    same, other = LEDGER_VALUES.get(name, ("Same", "other"))
    field = "booking_date" if name == "date" else name
    entries = [row("60.00") | {field: same}, row("40.00") | {field: same}, row("5.00") | {field: other}]
    outcome = run(rule(AMOUNT), [row("100.00")], entries, strategy="one_to_many", grouping=(name,))
    assert pairs(outcome, "confirmed") == [([1], [1, 2])]
    missing = [each | {field: None} for each in entries] if name != "currency" else []
    assert pairs(run(rule(AMOUNT), [row("100.00")], missing, strategy="one_to_many", grouping=(name,))) == []


@pytest.mark.parametrize("name", STATEMENT_GROUPING)
def test_lines_can_be_grouped_by_every_field_that_is_named(name):
    same, other = LEDGER_VALUES.get(name, ("Same", "other"))
    field = {"date": "booking_date", "id": "external_id"}.get(name, name)
    if name == "amount":
        lines = [row("50.00"), row("50.0"), row("5.00")]  # by value, however it is written
    else:
        lines = [row("60.00") | {field: same}, row("40.00") | {field: same}, row("5.00") | {field: other}]
    outcome = run(rule(AMOUNT), lines, [row("100.00")], strategy="many_to_one", grouping=(name,))
    assert pairs(outcome, "confirmed") == [([1, 2], [1])]


def test_many_to_many_needs_a_grouping():
    with pytest.raises(EngineError, match="at least one field to group by"):
        run(rule(AMOUNT), [row()], [row()], strategy="many_to_many")


def test_unknown_grouping_is_refused():
    with pytest.raises(EngineError, match="grouped by some of"):
        run(rule(AMOUNT), [row()], [row()], strategy="one_to_many", grouping=("colour",))


def test_reversals_in_the_ledger_are_suggested_and_net_to_zero():
    entries = [row("10.00", reference="a"), row("-10.00", reference="a"), row("-10.00", reference="b")]
    outcome = run(rule(REFERENCE), [row()], entries, strategy="within_ledger")
    assert pairs(outcome, "suggested") == [([], [1, 2])]
    assert sum(each["units"] for each in outcome.match_rows.to_pylist()) == 0
    assert sorted((each["side"], each["id"]) for each in outcome.unmatched.to_pylist()) == [(0, 1), (1, 3)]


@pytest.mark.parametrize(
    ("amount", "met"),
    [
        ("100.00", True),  # 100 x 0.925 = 92.50
        ("100.01", False),  # 92.50925 is 92.51
    ],
)
def test_a_rate_converts_to_the_ledgers_currency(amount, met):
    rates = {("USD", "EUR"): Decimal("0.925")}
    outcome = run(rule(AMOUNT, cross_currency=True), [row(amount, currency="USD")], [row("92.50")], rates=rates)
    assert bool(pairs(outcome, "confirmed")) is met
    assert {each["currency"] for each in outcome.matches.to_pylist()} == ({"EUR"} if met else set())


@pytest.mark.parametrize(
    ("currency", "amount", "entry"),
    [
        ("JPY", "1.00", "100"),  # 100.5 yen: half-even, to whole yen
        ("JPY", "3.00", "302"),  # 301.5 yen
        ("JPY", "-1.00", "-100"),
        ("KWD", "0.01", "1.005"),  # three places
        ("USD", "0.01", "1.00"),  # 1.005 dollars
    ],
)
def test_a_converted_amount_is_rounded_half_even_to_the_places_of_the_ledgers_currency(currency, amount, entry):
    rates = {("EUR", currency): Decimal("100.5")}
    outcome = run(rule(AMOUNT, cross_currency=True), [row(amount)], [row(entry, currency=currency)], rates=rates)
    assert pairs(outcome, "confirmed") == [([1], [1])]


@pytest.mark.parametrize("amount", [("eq",), ("within_range", "0.50")])
def test_a_rate_changes_nothing_between_rows_of_one_currency(amount):
    crossing = rule(("amount", *amount), cross_currency=True)
    rates = {("EUR", "USD"): Decimal("1.1")}
    assert pairs(run(crossing, [row("100.00")], [row("110.00")], rates=rates)) == []
    assert pairs(run(crossing, [row("100.00")], [row("100.00"), row("110.00")], rates=rates)) == [([1], [1])]


def test_crossing_currencies_without_a_rate_is_refused():
    with pytest.raises(EngineError, match="exchange rate"):
        run(rule(AMOUNT, cross_currency=True), [row(currency="USD")], [row()])


def test_sums_across_currencies_are_refused():
    crossing = rule(AMOUNT, cross_currency=True)
    with pytest.raises(EngineError, match="sums are sought in one only"):
        run(crossing, [row(currency="USD")], [row()], strategy="one_to_many", rates={("USD", "EUR"): Decimal("0.9")})


def test_without_a_grouping_key_the_only_sum_is_confirmed():
    entries = [row("60.00", counterparty="Ann"), row("40.00", counterparty="Ann"), row("99.00", counterparty="Ann")]
    outcome = run(
        rule(AMOUNT, ("counterparty", "eq")), [row("100.00", counterparty="Ann")], entries, strategy="one_to_many"
    )
    assert pairs(outcome, "confirmed") == [([1], [1, 2])]
    assert reasons(outcome, side=1) == {3: "no_candidate"}


def test_a_second_sum_makes_it_a_suggestion():
    entries = [row(amount, counterparty="Ann") for amount in ("60.00", "40.00", "70.00", "30.00")]
    outcome = run(
        rule(AMOUNT, ("counterparty", "eq")), [row("100.00", counterparty="Ann")], entries, strategy="one_to_many"
    )
    assert pairs(outcome, "suggested") == [([1], [1, 2])]


def test_two_payments_that_add_up_to_one_entry():
    lines = [row("10.00", reference="DUMMY1Z3AS"), row("13.00", reference="DUMMY1Z3AS")]
    loose = {"field": "reference", "operator": "eq", "loose": True}
    outcome = run(rule(AMOUNT, loose), lines, [row("23.00", reference="DUMMY-1Z3AS")], strategy="many_to_one")
    assert pairs(outcome, "confirmed") == [([1, 2], [1])]


def test_reversals_agree_in_the_grouping_columns():
    entries = [row("10.00", source="till"), row("-10.00", source="shop"), row("-10.00", source="TILL")]
    outcome = run(rule(AMOUNT), [], entries, strategy="within_ledger", grouping=("source",))
    assert pairs(outcome, "suggested") == [([], [1, 3])]


@pytest.mark.parametrize("grouping", ["amount", "date", "reference"])
def test_a_side_without_rows_forms_no_group(grouping):
    one = table([row("5.00", "2026-01-01", "p")])
    empty = pa.Table.from_batches([], schema=table([row()]).schema)
    entries = table([row("100.00")], "ledger")
    for taken in (one, empty):
        options = Options(strategy="many_to_one", grouping=(grouping,), claimed={"statement": taken})
        assert match([rule(AMOUNT)], empty, entries, options).unmatched.num_rows == 1


def test_a_match_across_currencies_is_told_with_as_many_decimals_as_it_needs():
    """At the nine decimals that some other row has, ten billion are more units than are stored."""
    lines = [
        row("10000000000", currency="IDR", reference="own"),
        row("1000000.123456789", currency="USD", reference="converted"),
        row("0.050000000", reference="fine"),
    ]
    entries = [
        row("10000000000", currency="IDR", reference="own"),
        row("16000501975.37", currency="IDR", reference="converted"),
        row("0.05", reference="fine"),
    ]
    given = rule(("amount", "eq"), ("reference", "eq"), cross_currency=True)
    found = run(given, lines, entries, rates={("USD", "IDR"): Decimal("16000.5")})
    told = [(each["line_units"], each["entry_units"], each["scale"]) for each in found.matches.to_pylist()]
    assert sorted(told) == [(5 * 10**7, 5 * 10**7, 9), (10**10, 10**10, 0), (1_600_050_197_537, 1_600_050_197_537, 2)]
