"""Queries whose SQL is made once give what Django gives; records inserted in one go are what they were made as."""

from __future__ import annotations

import pytest
from django.db import transaction

from recon.models import Account, Event, Statement, reserve_blocks, reserve_ids
from recon.usecases.bulk.inserting import insert_new
from recon.usecases.events import Actor, event_of
from recon.usecases.outside.keys import create_key, find_key, revoke_key
from rules import authoring
from rules.models import RuleStatus

RULE = '{"name": "Exact", "criteria": [{"field": "amount", "operator": "eq"}]}'


def test_records_come_with_their_relations_and_converted_values(alice, django_assert_num_queries):
    by = Actor.command()
    made = [create_key(by, alice, name, ["read", "run"]) for name in ("one", "two")]
    for wanted, text in (*made, made[0]):
        found = find_key(text)
        assert found == wanted
        with django_assert_num_queries(0):
            assert (found.user, found.scopes, found.requests_per_minute) == (alice, ["read", "run"], None)
            assert (found.user.get_username(), found.user.is_active, found.digest) == ("alice", True, wanted.digest)
        assert (found.name, found.expires_at) == (wanted.name, None)
    assert find_key("tieout_nobody's") is None
    revoke_key(by, made[0][0])
    assert find_key(made[0][1]) is None


def test_a_rule_is_found_as_it_stands(alice):
    by = authoring.OnScreen(alice)
    rule = authoring.create_rule(by, RULE)
    assert authoring.listed_version(rule.rule_id) == rule.current
    newer = authoring.save_version(by, rule.rule_id, RULE.replace("Exact", "Same"))
    found = authoring.listed_version(rule.rule_id)
    assert found is not None
    assert (found.number, found.rule.name) == (2, "Same")
    authoring.set_status(by, newer.rule_id, RuleStatus.ARCHIVED)
    assert authoring.listed_version(rule.rule_id) is None
    assert authoring.listed_version("rule_nobody's") is None


def test_several_records_go_in_as_they_were_made(alice):
    by, account = Actor.command(), Account.objects.create(name="Bank")
    statements = [
        Statement(number=number, account=account, name=name, sha256="0" * 64, format="json", sections=[{"à": 1}])
        for number, name in enumerate(("o'clock", "100%"), start=1)
    ]
    event = event_of(by, "statement imported", "statement", statements[0].pk, after={"rows": 1, "name": "%s; --"})
    with transaction.atomic():
        insert_new([*statements, event])
    stored = Statement.objects.order_by("number")
    assert [(each.name, each.sections, each.state) for each in stored] == [
        (each.name, [{"à": 1}], "loading") for each in statements
    ]
    assert stored[0].created_at == statements[0].created_at
    assert Event.objects.get().after == {"rows": 1, "name": "%s; --"}


@pytest.mark.django_db(transaction=True)
def test_records_outside_of_a_transaction_are_refused():
    with pytest.raises(RuntimeError, match="one transaction"):
        insert_new([Account(name="Bank")])
    assert not Account.objects.filter(name="Bank").exists()


def test_blocks_of_several_tables_follow_those_that_were_reserved(db):
    last = reserve_ids(Statement, 5) + 4
    first = reserve_blocks({Statement: 3, Event: 2})
    assert first == {Statement: last + 1, Event: 1}
    assert reserve_blocks({Event: 1, Statement: 1}) == {Statement: last + 4, Event: 3}
    assert reserve_ids(Statement, 1) == last + 5
