"""Explanations come from the very conditions that match."""

from recon.engine import Options, explain_pairs, explain_plan, match
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


def test_what_every_rule_asks_is_told_when_it_fails():
    [told] = explained([row("5.00", reference="a")], [row("-5.00", reference="a")], [([(1, 0)], [(1, 0)])])
    assert [verdict.criterion for verdict in told.verdicts if not verdict.passed] == [0, 1]


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


def test_a_plan_is_estimated_before_it_runs():
    tables = table([row()] * 100), table([row()] * 100, "ledger")
    [plan] = explain_plan([rule(("amount", "eq"))], *tables, Options(candidate_budget=5000))
    assert (plan.blocking_key, plan.estimated_candidates, plan.too_broad) == ("amt", 10_000, True)
