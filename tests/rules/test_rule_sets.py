"""The ordered rules of an account: arranging them, what each contributes, and which gets nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from recon.models import Event, MatchingRun, RunRule, reserve_ids
from recon.usecases.errors import Refused
from recon.usecases.rules.rule_sets import arrange_rules, find_overlaps, rule_places
from rules.authoring import OnScreen, set_status
from rules.models import RuleStatus
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    WITHIN_TWO_DAYS,
    actor,
    make_account,
    make_entries,
    make_rule,
    make_statement,
    row,
)


@pytest.fixture
def account(db):
    return make_account()


@pytest.fixture
def versions(db):
    """From the most precise to the broadest."""
    return [
        make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE),
        make_rule("Same reference", SAME_REFERENCE),
        make_rule("Same amount", SAME_AMOUNT, WITHIN_TWO_DAYS),
    ]


@pytest.fixture
def ids(versions):
    return [version.rule_id for version in versions]


def names(account):
    return [place.rule.name for place in rule_places(account)]


def completed_run(account, *counts, is_dry_run=False):
    run = MatchingRun.objects.create(
        number=reserve_ids(MatchingRun, 1),
        account=account,
        kind="batch",
        state="completed",
        is_dry_run=is_dry_run,
        completed_at=timezone.now(),
    )
    for position, (version, matched) in enumerate(counts, 1):
        RunRule.objects.create(run=run, version=version, position=position, matched=matched)


def test_rules_are_arranged_and_the_audit_trail_says_so(account, ids, alice):
    arrange_rules(actor(alice), account, [(ids[1], True), (ids[0], False)])
    assert names(account) == ["Same reference", "Exact"]
    assert [place.enabled for place in rule_places(account)] == [True, False]
    arrange_rules(actor(alice), account, [(ids[1], True), (ids[0], False)])  # nothing changed: no event
    (event,) = Event.objects.filter(verb="account rules changed")
    assert event.before == []
    assert event.after == [ids[1], f"{ids[0]} (paused)"]


def test_a_rule_that_is_gone_is_refused_and_nothing_changes(account, ids, alice):
    arrange_rules(actor(alice), account, [(ids[0], True)])
    with pytest.raises(Refused, match="rule_gone"):
        arrange_rules(actor(alice), account, [(ids[1], True), ("rule_gone", True)])
    assert names(account) == ["Exact"]


def test_each_rule_shows_its_share_of_what_real_runs_matched(account, versions, ids, alice):
    arrange_rules(actor(alice), account, [(rule_id, True) for rule_id in ids])
    completed_run(account, (versions[0], 60), (versions[1], 20))
    completed_run(account, (versions[0], 20), (versions[1], 0))
    completed_run(account, (versions[2], 1000), is_dry_run=True)  # a dry run matches nothing
    completed_run(make_account("Other"), (versions[2], 500))
    assert [(place.share, place.did.matched) for place in rule_places(account)] == [(80, 80), (20, 20), (0, 0)]
    assert rule_places(account)[0].did.last_matched
    assert rule_places(account)[2].did.last_matched is None


def test_a_rule_says_where_it_is_used_and_what_each_version_did(client, account, versions, ids, alice):
    arrange_rules(actor(alice), account, [(ids[0], True)])
    completed_run(account, (versions[0], 60), (versions[1], 20))
    completed_run(account, (versions[0], 20), (versions[1], 0))
    fragment = {"HX-Request": "true", "HX-Target": "rule-uses"}
    page = client.get(reverse("rule_uses", args=[ids[0]]), headers=fragment).content.decode()
    assert page.strip().startswith('<section id="rule-uses"')
    assert reverse("rule_set", args=[account.pk]) in page
    assert "Version 1: 2 runs, 80 matched" in page
    page = client.get(reverse("rule_uses", args=[ids[2]])).content.decode()
    assert "No completed run has used it yet" in page
    assert client.get(reverse("rule_uses", args=["rule_gone"])).status_code == 404
    assert reverse("rule_uses", args=[ids[0]]) in client.get(reverse("rule_versions", args=[ids[0]])).content.decode()


def test_overlaps_say_which_rule_never_gets_anything(account, ids, alice):
    make_entries(account, [row(1, "10.00", reference="A-1"), row(2, "20.00", reference="A-2")])
    statement = make_statement(account, [row(1, "10.00", reference="A-1"), row(2, "21.00", reference="A-2")])
    arrange_rules(actor(alice), account, [(rule_id, True) for rule_id in ids])
    exact, reference, amount = find_overlaps(account, statement)
    assert (exact.alone, exact.in_place, exact.taken_by, exact.is_idle) == (1, 1, [], False)
    assert (reference.alone, reference.in_place, reference.is_idle) == (2, 1, False)
    assert [(rule.name, count) for rule, count in reference.taken_by] == [("Exact", 1)]
    assert (amount.alone, amount.in_place, amount.is_idle) == (1, 0, True)


def post(client, account, step, **more):
    return client.post(reverse("rule_set", args=[account.pk]), {"do": step, **more})


def test_the_page_moves_pauses_adds_and_removes_without_javascript(client, account, ids):
    for rule_id in ids:
        post(client, account, "add", add_rule=rule_id)
    assert names(account) == ["Exact", "Same reference", "Same amount"]
    post(client, account, f"down:{ids[0]}")
    post(client, account, f"up:{ids[2]}")
    assert names(account) == ["Same reference", "Same amount", "Exact"]
    post(client, account, f"up:{ids[1]}")  # it is the first already
    post(client, account, f"pause:{ids[1]}")
    assert [place.enabled for place in rule_places(account)] == [False, True, True]
    post(client, account, f"resume:{ids[1]}")
    assert post(client, account, f"remove:{ids[2]}").headers["Location"] == reverse("rule_set", args=[account.pk])
    assert names(account) == ["Same reference", "Exact"]


def test_an_archived_rule_keeps_its_place_and_hinders_nobody(client, account, alice, ids):
    for rule_id in ids:
        post(client, account, "add", add_rule=rule_id)
    set_status(OnScreen(alice), ids[0], RuleStatus.ARCHIVED)
    post(client, account, f"up:{ids[2]}")
    assert names(account) == ["Exact", "Same amount", "Same reference"]
    assert rule_places(account)[0].rule.status == "archived"


def test_dragging_sends_the_new_order_and_gets_the_list(client, account, ids):
    for rule_id in ids:
        post(client, account, "add", add_rule=rule_id)
    fragment = {"HX-Request": "true", "HX-Target": "rule-set"}
    # Two of the three: the third was added on another page meanwhile, and is neither lost nor moved before them.
    step = {"do": f"order:{ids[1]},{ids[0]}"}
    page = client.post(reverse("rule_set", args=[account.pk]), step, headers=fragment).content.decode()
    assert page.strip().startswith('<form id="rule-set"')
    assert names(account) == ["Same reference", "Exact", "Same amount"]


def test_the_page_takes_as_many_queries_for_many_rules_as_for_one(
    client, account, alice, django_assert_max_num_queries
):
    arrange_rules(actor(alice), account, [(make_rule(f"R{n}", SAME_AMOUNT).rule_id, True) for n in range(20)])
    with django_assert_max_num_queries(8):
        assert client.get(reverse("rule_set", args=[account.pk])).status_code == 200


def test_every_account_is_listed(client, account):
    assert reverse("rule_set", args=[account.pk]) in client.get(reverse("rule_sets")).content.decode()


def test_overlaps_are_shown_beside_the_rules(client, account, ids, alice):
    arrange_rules(actor(alice), account, [(rule_id, True) for rule_id in ids])
    make_entries(account, [row(1, "10.00", reference="A-1")])
    make_statement(account, [row(1, "10.00", reference="A-1")])
    fragment = {"HX-Request": "true", "HX-Target": "rule-overlaps"}
    page = client.post(reverse("rule_overlaps", args=[account.pk]), headers=fragment).content.decode()
    assert page.count("adds nothing") == 2
    assert "1 by Exact" in page
