"""Rules suggested from matches by hand and from what a run left open, judged by what is decided already."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest
from django.urls import reverse

from recon.engine import Cancelled
from recon.models import Account, AccountRule, LedgerEntry, Match, MatchingRun, Origin, RunKind
from recon.usecases.review.manual import match_by_hand
from recon.usecases.rules.evidence import gather
from recon.usecases.rules.previews import Watch, preview_options
from recon.usecases.rules.proposals import judge, propose_for_leftovers, propose_from_matches
from recon.usecases.runs.starting import start_run
from recon.usecases.runs.undo import unmatch
from rules.criteria import parse_rule
from rules.criteria.ideas import Seen, ideas, links
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    actor,
    lines,
    make_account,
    make_entries,
    make_rule,
    make_statement,
    row,
)

NET = {"field": "description", "operator": "contains", "ledger_field": "reference"}
THREE_PERCENT = {"field": "amount", "operator": "within_range", "value": "-3%..0%"}


@pytest.fixture
def run(alice) -> MatchingRun:
    """A run that matched twenty lines by reference and left eight: paid out net of 2.5%, our reference in the text."""
    account = make_account()
    plain = [row(n, f"{n}.00", f"2026-03-{n:02}", f"INV-{n:04}") for n in range(1, 21)]
    gross = [row(100 + n, f"{100 * n}.00", f"2026-03-{n:02}", f"PO-77{n:02}") for n in range(1, 9)]
    net = [
        {
            **row(100 + n, f"{100 * n * Decimal('0.975')}", f"2026-03-{n + 1:02}", f"X{n}"),
            "description": f"Payout PO-77{n:02}",
            "description_key": f"payout po-77{n:02}",
        }
        for n in range(1, 9)
    ]
    make_entries(account, plain + gross)
    statement = make_statement(account, plain + net)
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    return start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)


def matched(alice, run: MatchingRun, count: int) -> list[Match]:
    """The first net lines, matched by hand with their entries."""
    net = lines(run.statement)[20:]
    entries = LedgerEntry.objects.filter(account_id=run.account_id, reference__startswith="PO").order_by("pk")
    return [
        match_by_hand(
            actor(alice), run.account, [net[n].pk], [entries[n].pk], difference_type="fee", comment="kept back"
        )
        for n in range(count)
    ]


def test_what_three_matches_by_hand_have_in_common_becomes_a_rule(alice, run):
    made = matched(alice, run, 3)
    search = propose_from_matches(run.account, [each.pk for each in made], Watch())
    best = search.proposals[0]
    assert best.body["criteria"] == [NET, THREE_PERCENT]
    assert best.body["difference_type"] == "fee"  # as they called it
    assert (best.judged.found, best.judged.agree, best.judged.differ, best.judged.fresh) == (3, 0, 0, 5)
    assert [ground.holding for ground in best.grounds] == [3, 3]
    assert best.grounds[1].spread == "they differ by -2.50% to -2.50%"
    assert (search.pairs, search.history) == (3, 20)
    assert parse_rule(best.body)


def test_what_a_run_left_open_is_linked_and_becomes_a_rule(run):
    search = propose_for_leftovers(run, Watch())
    best = search.proposals[0]
    assert best.body["criteria"][0]["field"] == "description"
    assert best.body["criteria"][1] == THREE_PERCENT
    assert best.judged.found == 8
    assert Match.objects.filter(account_id=run.account_id).count() == 20  # nothing was stored


def test_a_rule_is_judged_by_what_was_decided_and_by_what_people_took_back(alice, run):
    """Two pairs whose references say otherwise than the person, and one that a person unmatched."""
    account = run.account
    odd = [row(1, "70.00", "2026-04-01", "A-1"), row(2, "70.00", "2026-04-01", "A-2")]
    first, second = make_entries(account, odd)
    statement = make_statement(account, odd, sha256="1" * 64)
    one, other = lines(statement)
    match_by_hand(actor(alice), account, [one.pk], [second.pk])
    match_by_hand(actor(alice), account, [other.pk], [first.pk])
    taken_back = Match.objects.filter(origin=Origin.RULE).earliest("pk")
    unmatch(actor(alice), taken_back)
    rule = parse_rule({"name": "N", "criteria": [SAME_REFERENCE, SAME_AMOUNT]})
    judged = judge(rule, gather(account, None), [], preview_options(account, Watch()))
    assert (judged.agree, judged.differ, judged.precision) == (19, 3, Decimal("86.3"))
    assert sorted(pair != known for pair, known in judged.counterexamples) == [True, True, True]


def test_differences_are_seen_as_the_account_compares_amounts(alice):
    """In books of a liability what comes in has a minus."""
    account = make_account(sign="inverted")
    entries = make_entries(account, [row(n, f"-{n}00.00", reference=f"PO-{n}") for n in (1, 2, 3)])
    statement = make_statement(account, [row(n, f"{97 * n}.50", reference=f"PO-{n}") for n in (1, 2, 3)])
    made = [
        match_by_hand(actor(alice), account, [line.pk], [entry.pk], difference_type="fee")
        for line, entry in zip(lines(statement), entries, strict=True)
    ]
    best = propose_from_matches(account, [each.pk for each in made], Watch()).proposals[0]
    assert best.body["criteria"] == [SAME_REFERENCE, THREE_PERCENT]
    assert (best.judged.found, best.judged.differ) == (3, 0)


def test_one_match_teaches_nothing_and_groups_are_passed_over(alice, run):
    (made,) = matched(alice, run, 1)
    search = propose_from_matches(run.account, [made.pk], Watch())
    assert (search.proposals, search.pairs) == ([], 1)
    assert "at least two" in search.problem


def test_matches_of_one_line_with_many_entries_teach_what_names_the_group(client, alice):
    account = make_account("Payouts")
    entries = make_entries(account, [
        row(10 * batch + n, f"{batch}{n}.00", f"2026-03-{batch:02}", f"B-{batch}", source=f"till {n}")
        for batch in range(1, 6) for n in range(1, 5)
    ])  # fmt: skip
    sums = [sum(entry.units for entry in entries if entry.reference == f"B-{batch}") for batch in range(1, 6)]
    statement = make_statement(
        account,
        [row(n, str(Decimal(units) / 100), f"2026-03-{n + 1:02}", f"B-{n}") for n, units in enumerate(sums, 1)],
    )
    made = [
        match_by_hand(
            actor(alice), account, [line.pk], [each.pk for each in entries if each.reference == line.reference]
        )
        for line in lines(statement)[:3]
    ]
    search = propose_from_matches(account, [each.pk for each in made], Watch())
    assert (search.strategy, search.grouping) == ("one_to_many", "reference")
    assert (search.pairs, search.passed_over) == (3, 0)
    best = search.proposals[0]
    assert {"field": "amount", "operator": "eq"} in best.body["criteria"]
    assert (best.judged.found, best.judged.differ) == (3, 0)
    found = get(client, "?" + "&".join(f"match={each.pk}" for each in made), fragment=True)
    assert "if it settles one line to many entries, grouped by <code>reference</code>" in found
    run = start_run(
        actor(alice), account, statement, [make_rule("Learnt", *best.body["criteria"])], kind=RunKind.INSTANT,
        is_dry_run=True, strategy="one_to_many", grouping=search.grouping,
    )  # fmt: skip
    assert run.lines_matched == 2


@pytest.fixture
def payments(alice) -> list[Match]:
    """Three of four matches of two instalments each with their invoice, which names the contract as they do."""
    account = make_account("Instalments")
    entries = make_entries(account, [row(n, f"{n}00.00", "2026-03-01", f"C-{n}") for n in range(1, 5)])
    parts = [row(10 * n + k, f"{n}{k}.00", f"2026-03-{k:02}", f"C-{n}") for n in range(1, 5) for k in range(1, 3)]
    rest = [row(10 * n + 3, f"{100 * n - 20 * n - 3}.00", "2026-03-03", f"C-{n}") for n in range(1, 5)]
    statement = make_statement(account, parts + rest)
    of_contract = [[each.pk for each in lines(statement) if each.reference == entry.reference] for entry in entries]
    return [
        match_by_hand(actor(alice), account, line_ids, [entry.pk])
        for line_ids, entry in zip(of_contract[:3], entries, strict=False)
    ]


def test_matches_of_many_lines_with_one_entry_teach_what_names_the_group(alice, payments):
    account = Account.objects.get()
    search = propose_from_matches(account, [each.pk for each in payments], Watch())
    assert (search.strategy, search.grouping, search.pairs) == ("many_to_one", "reference", 3)
    best = search.proposals[0]
    assert best.body["criteria"][:2] == [SAME_REFERENCE, SAME_AMOUNT]
    assert (best.judged.found, best.judged.differ) == (3, 0)
    run = start_run(
        actor(alice), account, account.statements.get(), [make_rule("Learnt", *best.body["criteria"])],
        kind=RunKind.INSTANT, is_dry_run=True, strategy=search.strategy, grouping=search.grouping,
    )  # fmt: skip
    assert run.lines_matched == 3  # the three of the contract that nobody has matched yet


def test_a_group_that_somebody_took_back_counts_against_a_rule_that_would_match_it(alice, payments):
    unmatch(actor(alice), payments[2])
    best = propose_from_matches(Account.objects.get(), [each.pk for each in payments[:2]], Watch()).proposals[0]
    assert (best.judged.found, best.judged.agree, best.judged.differ) == (2, 0, 1)


@pytest.mark.parametrize(("ticked", "settles"), [({}, "one_to_one"), ({"settle": "on"}, "many_to_one")])
def test_only_who_ticks_it_changes_how_the_accounts_runs_settle(client, payments, ticked, settles):
    page = get(client, "?" + "&".join(f"match={each.pk}" for each in payments), fragment=True)
    assert "Start all runs of Instalments as many lines to one entry, grouped by reference" in page
    form = page.split('class="proposal-save"')[1].split("</form>")[0]
    fields = {name: html.unescape(value) for name, value in re.findall(r'name="([a-z_]+)" value="([^"]*)"', form)}
    answer = client.post(reverse("rule_suggest_save"), fields | ticked, follow=True).content.decode()
    account = Account.objects.get()
    assert (account.strategy, account.grouping) == (settles, "reference" if ticked else "")
    assert ("start as many lines to one entry, grouped by reference" in answer) == bool(ticked)
    if ticked:
        again = get(client, "?" + "&".join(f"match={each.pk}" for each in payments), fragment=True)
        assert "Runs of Instalments settle them so" in again
        assert 'name="settle"' not in again


def test_a_grouping_that_does_not_exist_saves_nothing(client, payments):
    body = '{"name": "N", "criteria": [{"field": "amount", "operator": "eq"}]}'
    form = {"account_id": Account.objects.get().pk, "body": body, "settle": "on", "strategy": "many_to_one"}
    answer = client.post(reverse("rule_suggest_save"), form | {"grouping": "destination"}, follow=True)
    assert "cannot group by destination" in answer.content.decode()
    assert not Account.objects.get().rule_places.exists()


def test_pairs_without_anything_in_common_give_no_rule(alice):
    account = make_account()
    entries = make_entries(account, [row(1, "10.00", "2026-01-01", "A"), row(2, "900.00", "2026-05-01", "B")])
    statement = make_statement(account, [row(1, "55.00", "2026-03-01", "C"), row(2, "1.00", "2026-03-09", "D")])
    made = [
        match_by_hand(actor(alice), account, [line.pk], [entry.pk], difference_type="unclassified")
        for line, entry in zip(lines(statement), entries, strict=True)
    ]
    search = propose_from_matches(account, [each.pk for each in made], Watch())
    assert search.proposals == []
    assert "too little in common" in search.problem


def test_a_search_that_takes_too_long_is_stopped(run):
    with pytest.raises(Cancelled):
        propose_for_leftovers(run, Watch(seconds=-1))


def test_tolerances_are_fitted_to_what_was_seen():
    seen = Seen(
        amounts=[Decimal("-0.30"), Decimal(0)], percents=[Decimal("-2.1"), Decimal(0)], days=[0, 4],
        texts={"description": ["Fee for March", "fee for April"]},
    )  # fmt: skip
    said = {(each.field.name, each.operator.name, (each.given or {}).get("value")) for each in ideas(seen)}
    assert {
        ("amount", "within_range", "-0.50..0"),
        ("amount", "within_range", "-3%..0%"),
        ("date", "within_range", "0d..5d"),
        ("reference", "eq", None),
    } <= said
    assert not any(field == "amount" and operator == "greater_than" for field, operator, _ in said)
    assert {(each.field.name, each.ledger_field.name) for each in links()} >= {("description", "reference")}


def get(client, query, fragment=False):
    headers = {"HX-Request": "true", "HX-Target": "rule-proposals"} if fragment else {}
    return client.get(reverse("rule_suggest") + query, headers=headers).content.decode()


def test_the_page_offers_what_to_learn_from_and_searches_when_the_browser_asks(client, alice, run):
    matched(alice, run, 2)
    page = get(client, f"?account_id={run.account_id}")
    assert "Learn from those chosen" in page
    assert f"Learn from run {run.number}" in page
    assert 'hx-trigger="load"' in get(client, f"?run={run.pk}")
    found = get(client, f"?run={run.pk}", fragment=True)
    assert found.strip().startswith('<section id="rule-proposals"')
    assert "Precision on history" in found
    assert "holds for all" in get(client, f"?run={run.pk}&now=1")  # without JavaScript


def test_a_proposal_is_one_click_from_the_editor(client, alice, run):
    ids = "&".join(f"match={each.pk}" for each in matched(alice, run, 3))
    found = get(client, "?" + ids, fragment=True)
    address = found.split('href="/rules/new/?')[1].split('"')[0].replace("&amp;", "&")
    page = client.get("/rules/new/?" + address).content.decode()
    assert "0 to 3% below ledger <strong>amount</strong>" in page
    assert 'value="Reference in description and amount within 3%"' in page


def test_a_proposal_is_saved_into_its_place_among_the_accounts_rules(client, alice, run):
    loose = make_rule("Loose", SAME_AMOUNT).rule
    for position, rule in enumerate([run.run_rules.get().version.rule, loose], 1):
        AccountRule.objects.create(account=run.account, rule=rule, position=position)
    made = matched(alice, run, 3)
    page = get(client, "?" + "&".join(f"match={each.pk}" for each in made), fragment=True)
    assert "Save and use after “Exact”" in page
    form = dict(
        re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', page)[:5]
    )  # the token of the form is the first
    form = {name: html.unescape(value) for name, value in form.items()}
    for _ in range(2):  # a second click makes no second rule
        answer = client.post(reverse("rule_suggest_save"), form, follow=True)
    assert [each.rule.name for each in run.account.rule_places.order_by("position")] == [
        "Exact", "Reference in description and amount within 3%", "Loose",
    ]  # fmt: skip
    assert "Runs of Bank use it from now on" in answer.content.decode()


def test_what_is_no_rule_is_not_saved(client, run):
    answer = client.post(reverse("rule_suggest_save"), {"account_id": run.account_id, "body": "{}"}, follow=True)
    assert "expected a name" in answer.content.decode()
    assert not run.account.rule_places.exists()


def test_ticked_matches_of_a_run_are_learnt_from(client, run):
    first, second = Match.objects.order_by("pk")[:2]
    response = client.post(reverse("rule_suggest"), {"match": [first.pk, second.pk], "back": "/"})
    assert response.headers["Location"].endswith(f"?account_id={run.account_id}&match={first.pk}&match={second.pk}")
    assert reverse("rule_suggest") in client.get(reverse("run_matches", args=[run.pk])).content.decode()
    for page in ("run", "run_unmatched"):
        assert f"{reverse('rule_suggest')}?run={run.pk}" in client.get(reverse(page, args=[run.pk])).content.decode()
    assert reverse("rule_suggest") in client.get(reverse("review")).content.decode()


def test_without_an_account_the_page_says_what_to_do_first(client):
    assert "nothing to learn from yet" in get(client, "")
