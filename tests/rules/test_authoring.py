"""What happens to rules: versions, statuses, removal, import and export; and each of it in the audit trail."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.db import transaction

from recon.models import Account, Event, MatchingRun, RunRule, reserve_ids
from recon.usecases.events import Actor
from recon.usecases.rules.audit import seed_rules
from rules import authoring
from rules.bodies import read_body, read_json, write_json
from rules.criteria import RuleError
from rules.gallery import EXAMPLES, GALLERY, seed_examples
from rules.models import MatchingRule, RuleStatus, RuleVersion

EXACT = '{"name": "Exact", "criteria": [{"field": "amount", "operator": "eq", "allowable_drift": 0.010}]}'
LOOSE = '{"name": "Loose", "criteria": [{"field": "amount", "operator": "equals", "allowable_drift": 0.01}]}'


@pytest.fixture
def by(alice):
    return authoring.OnScreen(alice)


def use_in_a_run(rule: MatchingRule) -> None:
    account = Account.objects.create(name="Bank")
    run = MatchingRun.objects.create(number=reserve_ids(MatchingRun, 1), account=account, kind="batch")
    RunRule.objects.create(run=run, version=rule.current, position=1)


def test_a_new_rule_is_enabled_and_keeps_its_text_as_it_came_in(by):
    rule = authoring.create_rule(by, EXACT)
    assert (rule.name, rule.status, rule.version) == ("Exact", "enabled", 1)
    assert rule.current.body == EXACT  # 0.010 keeps its digits
    assert rule.current.author == by.user


def test_a_refused_rule_leaves_nothing_behind(by):
    with pytest.raises(RuleError) as refused:
        authoring.create_rule(by, '{"name": "", "criteria": [{"field": "amount", "operator": "sounds_like"}]}')
    assert [(problem.criterion, problem.key) for problem in refused.value.problems] == [
        (None, "name"),
        (1, "operator"),
    ]
    assert not MatchingRule.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"name": NaN}', "[" * 100_000])
def test_what_is_no_rule_in_json_is_refused(db, by, text):
    with pytest.raises(RuleError):
        authoring.create_rule(by, text)


def test_every_save_is_a_version_and_saving_the_same_again_is_none(by):
    rule = authoring.create_rule(by, EXACT)
    authoring.save_version(by, rule.pk, EXACT.replace("0.010", "0.02"))
    saved = authoring.save_version(by, rule.pk, EXACT.replace("0.010", "0.020"))  # the same number
    assert saved.version == 2
    assert [version.number for version in rule.versions.all()] == [2, 1]


def test_a_version_is_never_changed(by):
    version = authoring.create_rule(by, EXACT).current
    version.body = "{}"
    with pytest.raises(TypeError):
        version.save()


def test_the_second_of_two_saves_is_told_what_the_first_one_says(by, bob):
    rule = authoring.create_rule(by, EXACT)
    authoring.save_version(authoring.OnScreen(bob), rule.pk, LOOSE, based_on=1)
    with pytest.raises(authoring.ChangedMeanwhile) as conflict:
        authoring.save_version(by, rule.pk, EXACT.replace("Exact", "Mine"), based_on=1)
    assert conflict.value.current.author == bob
    rule.refresh_from_db()
    assert (rule.version, rule.name) == (2, "Loose")


def test_a_restored_version_becomes_the_next_one(by):
    rule = authoring.create_rule(by, EXACT)
    authoring.save_version(by, rule.pk, LOOSE)
    restored = authoring.restore_version(by, rule.pk, 1)
    assert (restored.version, restored.name, restored.current.body) == (3, "Exact", EXACT)


def test_an_unused_rule_is_deleted_with_its_versions(by):
    rule = authoring.create_rule(by, EXACT)
    assert authoring.remove_rule(by, rule.pk) is True
    assert not MatchingRule.objects.exists()
    assert not RuleVersion.objects.exists()


def test_a_rule_that_a_run_used_is_archived_and_can_be_brought_back(by):
    rule = authoring.create_rule(by, EXACT)
    use_in_a_run(rule)
    assert authoring.remove_rule(by, rule.pk) is False
    rule.refresh_from_db()
    assert rule.status == RuleStatus.ARCHIVED
    assert not MatchingRule.objects.listed().exists()
    assert rule.current.body == EXACT
    assert authoring.set_status(by, rule.pk, RuleStatus.ENABLED).status == "enabled"


def test_every_change_is_in_the_audit_trail_with_who_and_what(by, alice):
    rule = authoring.create_rule(by, EXACT)
    authoring.save_version(by, rule.pk, LOOSE)
    authoring.restore_version(by, rule.pk, 1)
    authoring.set_status(by, rule.pk, RuleStatus.DISABLED)
    authoring.set_status(by, rule.pk, RuleStatus.DISABLED)  # already so: no event
    authoring.remove_rule(by, rule.pk)
    events = list(Event.objects.filter(kind="rule", object_id=rule.pk).order_by("id"))
    assert [event.verb for event in events] == [
        "rule created", "rule changed", "rule restored", "rule disabled", "rule deleted",
    ]  # fmt: skip
    assert {(event.actor, event.via) for event in events} == {(alice, "screen")}
    assert events[1].before
    assert events[1].before["criteria"][0]["allowable_drift"] == "0.010"  # exact: JSON columns would make it binary
    assert events[1].after
    assert events[1].after["name"] == "Loose"


def test_a_change_that_is_rolled_back_leaves_no_event(by):
    with transaction.atomic():
        authoring.create_rule(by, EXACT)
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_rules_are_imported_all_or_none(by):
    with pytest.raises(RuleError) as refused:
        authoring.import_rules(by, f'[{EXACT}, {{"name": "Empty", "criteria": []}}]')
    assert "rule 2" in str(refused.value)
    assert not MatchingRule.objects.exists()
    assert [rule.name for rule in authoring.import_rules(by, f"[{EXACT}, {LOOSE}]")] == ["Exact", "Loose"]


def test_what_was_exported_can_be_imported_again(by):
    rules = authoring.import_rules(by, f"[{EXACT}, {LOOSE}]")
    text = authoring.export_rules(rules)
    assert "0.010" in text
    again = authoring.import_rules(by, text)
    assert [read_body(rule.current.body) for rule in again] == [read_body(rule.current.body) for rule in rules]
    assert json.loads(authoring.export_rules(rules[:1]))["name"] == "Exact"


def test_many_rules_are_exported_in_two_queries(by, django_assert_num_queries):
    authoring.import_rules(by, "[" + ", ".join([EXACT] * 30) + "]")
    with django_assert_num_queries(2):
        authoring.export_rules(list(MatchingRule.objects.all()))


@pytest.mark.parametrize("slug", GALLERY)
def test_every_rule_of_the_gallery_holds(by, slug):
    rule = authoring.create_rule(by, GALLERY[slug].text)
    assert authoring.parsed(rule.current).criteria


def test_an_empty_installation_gets_the_three_examples_once(by):
    assert [rule.name for rule in seed_examples(by)] == [example.body["name"] for example in EXAMPLES]
    assert seed_examples(by) == []
    drift = read_body(MatchingRule.objects.earliest("created_at").current.body)["criteria"][0]["allowable_drift"]
    assert drift == Decimal("0.01")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 0.10, "b": [1, 2.50, "ü", null, true], "c": {}, "d": []}',
        '{"big": 123456789012345678.123456789, "e": 1E-7}',  # a binary fraction would lose digits
        '{"quoted \\" key": "line\\nbreak"}',
    ],
)
def test_json_is_written_back_without_losing_a_digit(text):
    assert read_json(write_json(read_json(text))) == read_json(text)


def test_an_installation_that_never_had_a_rule_is_seeded_but_one_that_lost_them_all_is_not(db):
    by = Actor.command()
    assert len(seed_rules(by)) == 3
    for rule in MatchingRule.objects.all():
        authoring.remove_rule(by, rule.pk)
    assert seed_rules(by) == []
