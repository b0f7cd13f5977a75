"""Rule authoring in the browser, with and without JavaScript."""

from __future__ import annotations

import json
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from recon.models import Event
from rules import authoring
from rules.bodies import read_body
from rules.models import MatchingRule, RuleStatus, RuleVersion

BODY = (
    '{"name": "Exact", "criteria": [{"field": "amount", "operator": "eq"}, {"field": "reference", "operator": "eq"}]}'
)


@pytest.fixture
def rule(alice) -> MatchingRule:
    return authoring.create_rule(authoring.OnScreen(alice), BODY)


class Inputs(HTMLParser):
    """What a browser would post of the rule form, and which ids the page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.posted: dict[str, list[str]] = {}
        self.ids: set[str] = set()
        self.select = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "select":
            self.select = given["name"]
        elif tag == "option" and "selected" in given:
            self.posted[self.select] = [given["value"]]
        elif tag == "input" and given.get("type") != "checkbox" and given.get("name") != "csrfmiddlewaretoken":
            self.posted.setdefault(given["name"], []).append(given.get("value") or "")
        elif tag == "input" and given.get("type") == "checkbox" and "checked" in given:
            self.posted[given["name"]] = ["on"]


def form_of(response) -> dict[str, list[str]]:
    return Inputs(response.content.decode()).posted


def ids_of(response) -> set[str]:
    return Inputs(response.content.decode()).ids


def test_a_rule_with_three_criteria_is_built_without_javascript(client):
    new = reverse("rule_new")
    form = form_of(client.get(new))
    form |= {"name": ["Built by hand"], "c1-allowable_drift": ["0.01"]}
    form = form_of(client.post(new, {**form, "do": "add:date"}))
    form["c2-operator"] = ["within_range"]
    form = form_of(client.post(new, {**form, "do": "refresh"}))  # brings the input for the window
    form = form_of(client.post(new, {**form, "do": "preset:c2:2d"}))
    form = form_of(client.post(new, {**form, "do": "add:description"}))
    form |= {"c3-operator": ["contains"], "c3-against": ["fixed"]}
    form = form_of(client.post(new, {**form, "do": "refresh"}))
    form["c3-value"] = ["INV-"]
    form = form_of(client.post(new, {**form, "do": "up:c3"}))
    assert not MatchingRule.objects.exists()  # nothing is stored before it is saved
    response = client.post(new, {**form, "do": "save"})
    made = MatchingRule.objects.get()
    assert response.headers["Location"] == reverse("rule", args=[made.pk])
    assert read_body(made.current.body) == {
        "name": "Built by hand",
        "criteria": [
            {"field": "amount", "operator": "eq", "allowable_drift": Decimal("0.01"), "drift_unit": "absolute"},
            {"field": "description", "operator": "contains", "value": "INV-"},
            {"field": "date", "operator": "within_range", "value": "2d"},
        ],
    }


@pytest.mark.parametrize("step", ["add:amount", "remove:c1", "duplicate:c1", "up:c2", "down:c1", "refresh"])
def test_a_step_answers_htmx_with_the_criteria_alone(client, rule, step):
    url = reverse("rule", args=[rule.pk])
    form = {**form_of(client.get(url)), "do": step}
    whole = client.post(url, form)
    fragment = client.post(url, form, headers={"HX-Request": "true", "HX-Target": "rule-criteria"})
    assert fragment.content.decode().strip().startswith('<section id="rule-criteria"')
    assert fragment.content.decode().strip().replace(" autofocus", "") in whole.content.decode().replace(
        " autofocus", ""
    )
    assert fragment.headers["HX-Trigger-After-Settle"] == "criteria-changed"
    assert "HX-Target" in fragment.headers["Vary"]


def test_the_sentences_follow_the_typing(client, rule):
    form = form_of(client.get(reverse("rule", args=[rule.pk])))
    form["c1-allowable_drift"] = ["0.05"]
    said = client.post(reverse("rule_words"), form).content.decode()
    assert "at most 0.05 apart" in said
    assert said.count("hx-swap-oob") == 2
    form["c1-allowable_drift"] = ["much"]
    assert "Not complete: expected a number" in client.post(reverse("rule_words"), form).content.decode()


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ({"name": ""}, "rule-name-problem", "expected a name"),
        ({"c1-allowable_drift": "12,3.4"}, "c1-allowable_drift-problem", "expected a number"),
        ({"c1-allowable_drift": "-1"}, "c1-allowable_drift-problem", "not negative"),
        ({"c2-pattern": "(INV"}, "c2-pattern-problem", "regular expression"),
        ({"c2-against": "fixed", "c2-value": ""}, "c2-value-problem", "give a value"),
        ({"c1-operator": "contains"}, "c1-operator-problem", "contains cannot be used on amount"),
        ({"c1-operator": "sounds_like"}, "c1-operator-problem", "expected one of"),
        ({"c1-operator": "within_range"}, "c1-value-problem", "needs a value"),
        ({"max_difference": "a lot"}, "max_difference-problem", "expected a number"),
        ({"on_ambiguity": "guess"}, "on_ambiguity-problem", "expected one of"),
        ({"criterion": []}, "criteria-problem", "at least one criterion"),
    ],
)
def test_what_is_wrong_is_said_beside_its_input_and_nothing_is_saved(client, rule, change, place, message):
    url = reverse("rule", args=[rule.pk])
    response = client.post(url, {**form_of(client.get(url)), **change})
    assert response.status_code == 422
    page = response.content.decode()
    assert place in ids_of(response)
    assert message in page[page.index(f'id="{place}"') :][:400]
    rule.refresh_from_db()
    assert rule.version == 1


def test_saving_makes_a_version_and_saving_untouched_makes_none(client, rule):
    url = reverse("rule", args=[rule.pk])
    client.post(url, {**form_of(client.get(url)), "c1-allowable_drift": "0.02"})
    client.post(url, form_of(client.get(url)))
    rule.refresh_from_db()
    assert rule.version == 2
    assert read_body(rule.current.body)["criteria"][1] == {"field": "reference", "operator": "eq"}


def test_a_rule_is_saved_as_a_new_one(client, rule):
    url = reverse("rule", args=[rule.pk])
    client.post(url, {**form_of(client.get(url)), "do": "save_new"})
    assert sorted(MatchingRule.objects.values_list("name", flat=True)) == ["Exact", "Exact (copy)"]


def test_the_second_of_two_editors_sees_the_difference_and_can_still_save(client, rule, bob):
    url = reverse("rule", args=[rule.pk])
    mine = {**form_of(client.get(url)), "c1-allowable_drift": "0.02"}
    authoring.save_version(authoring.OnScreen(bob), rule.pk, BODY.replace("Exact", "Bob's"))
    response = client.post(url, mine)
    assert response.status_code == 409
    page = response.content.decode()
    assert "bob saved version 2 while you were editing" in page
    assert "at most 0.02 apart" in page  # what mine would change
    rule.refresh_from_db()
    assert rule.name == "Bob's"
    client.post(url, form_of(response))
    rule.refresh_from_db()
    assert (rule.version, rule.name) == (3, "Exact")


def test_a_form_that_is_sent_twice_makes_one_rule_and_one_version(client, rule):
    new, url = reverse("rule_new"), reverse("rule", args=[rule.pk])
    form = {**form_of(client.get(new)), "name": ["Twice"]}
    assert client.post(new, form).headers["Location"] == client.post(new, form).headers["Location"]
    assert MatchingRule.objects.filter(name="Twice").count() == 1
    client.post(new, {**form, "name": ["Another"]})  # gone back, and changed: that is another rule
    assert MatchingRule.objects.filter(name="Another").count() == 1
    form = {**form_of(client.get(url)), "c1-allowable_drift": ["0.02"]}
    assert [client.post(url, form).status_code for _ in range(2)] == [302, 302]
    rule.refresh_from_db()
    assert rule.version == 2


def test_what_somebody_writes_outlives_a_rule_that_is_deleted_meanwhile(client, rule):
    url = reverse("rule", args=[rule.pk])
    form = {**form_of(client.get(url)), "c1-allowable_drift": "0.02"}
    client.post(reverse("rule_delete", args=[rule.pk]))
    assert client.post(url, {**form, "do": "add:date"}).status_code == 200
    response = client.post(url, form)
    assert response.status_code == 409
    assert "was deleted while you were editing" in response.content.decode()
    client.post(reverse("rule_new"), form_of(response))
    assert read_body(MatchingRule.objects.get().current.body)["criteria"][0]["allowable_drift"] == Decimal("0.02")


def test_a_rule_is_archived_and_taken_out_on_its_own_page(client, rule):
    url = reverse("rule", args=[rule.pk])
    for status, offered in (("archived", "Take this rule out of the archive"), ("enabled", "Archive this rule")):
        client.post(reverse("rule_status", args=[rule.pk]), {"status": status, "next": rule.pk})
        assert offered in client.get(url).content.decode()


def test_the_list_says_each_rule_in_words_in_a_fixed_number_of_queries(client, alice, django_assert_max_num_queries):
    for _ in range(20):
        authoring.create_rule(authoring.OnScreen(alice), BODY)
    with django_assert_max_num_queries(6):  # session, user, any rule, rules, versions
        page = client.get(reverse("rules")).content.decode()
    assert page.count("Statement <strong>amount</strong> equals ledger <strong>amount</strong>") == 20


def test_the_list_is_filtered_by_word_and_status(client, alice, rule):
    by = authoring.OnScreen(alice)
    other = authoring.create_rule(by, BODY.replace("Exact", "Old one"))
    authoring.set_status(by, other.pk, RuleStatus.ARCHIVED)
    assert "Old one" not in client.get(reverse("rules")).content.decode()
    assert "Old one" in client.get(reverse("rules"), {"status": "archived"}).content.decode()
    fragment = client.get(reverse("rules"), {"q": "exa"}, headers={"HX-Request": "true", "HX-Target": "rule-rows"})
    assert fragment.content.decode().strip().startswith('<div id="rule-rows"')
    assert "No rule fits" in client.get(reverse("rules"), {"q": "nothing like it"}).content.decode()


def test_a_rule_is_disabled_in_its_row_and_without_htmx(client, rule):
    url = reverse("rule_status", args=[rule.pk])
    row = client.post(url, {"status": "disabled"}, headers={"HX-Request": "true", "HX-Target": f"rule-{rule.pk}"})
    assert "Disabled" in row.content.decode()
    assert client.post(url, {"status": "enabled"}).headers["Location"] == reverse("rules")
    rule.refresh_from_db()
    assert rule.status == "enabled"
    assert client.post(url, {"status": "asleep"}).status_code == 404


def test_deleting_asks_first(client, rule):
    url = reverse("rule_delete", args=[rule.pk])
    assert "Delete “Exact”?" in client.get(url).content.decode()
    assert MatchingRule.objects.exists()
    client.post(url)
    assert not MatchingRule.objects.exists()
    assert client.get(reverse("rule", args=[rule.pk])).status_code == 404


def test_versions_show_who_changed_what_and_can_be_restored(client, rule, bob):
    amount, reference = read_body(BODY)["criteria"]
    moved = json.dumps({"name": "Exact", "criteria": [reference, amount]})
    authoring.save_version(authoring.OnScreen(bob), rule.pk, moved)
    page = client.get(reverse("rule_versions", args=[rule.pk])).content.decode()
    assert "bob" in page
    assert "moved" in page
    client.post(reverse("rule_restore", args=[rule.pk, 1]))
    rule.refresh_from_db()
    assert read_body(rule.current.body)["criteria"][0]["field"] == "amount"
    assert Event.objects.filter(verb="rule restored", object_id=rule.pk).count() == 1


def test_rules_go_out_and_come_in_as_json(client, rule):
    exported = client.get(reverse("rule_export", args=[rule.pk]))
    assert exported.headers["Content-Disposition"] == 'attachment; filename="exact.json"'
    assert json.loads(exported.content) == json.loads(BODY)
    upload = SimpleUploadedFile("rules.json", client.get(reverse("rules_export")).content)
    answer = client.post(reverse("rules_import"), {"file": upload}, follow=True).content.decode()
    assert "“Exact”: another rule has that name, too" in answer
    assert MatchingRule.objects.filter(name="Exact").count() == 2
    other = client.post(reverse("rules_import"), {"text": BODY.replace("Exact", "Other")}, follow=True)
    assert "that name" not in other.content.decode()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": ""}, "Choose a file or paste"),
        ({"text": "{"}, "cannot be read"),
        ({"text": '[{"name": "A", "criteria": []}]'}, "at least one criterion"),
        ({"file": SimpleUploadedFile("rules.json", b"\xff\xfe\x00")}, "not text in UTF-8"),
        ({"text": "[" * 3000}, "cannot be read"),
        ({"text": r'{"name": "a\u0000b", "criteria": []}'}, "without the character U+0000"),
        ({"text": r'{"name": "A", "criteria": [{"\ud800": 1}]}'}, "without halves of characters"),
        ({"text": '{"name": "A", "criteria": [{"field": "amount", "operator": "sounds"}]}'}, "criterion 1: operator:"),
    ],
)
def test_an_import_that_is_refused_says_why(client, given, message):
    response = client.post(reverse("rules_import"), given)
    assert response.status_code == 422
    assert message in response.content.decode()
    assert not MatchingRule.objects.exists()


def test_a_new_rule_starts_from_the_gallery(client):
    assert "Card processor payouts" in client.get(reverse("rule_gallery")).content.decode()
    new = reverse("rule_new") + "?gallery=card-processor-payouts"
    form = form_of(client.get(new))
    assert form["criterion"] == ["c1", "c2", "c3"]
    client.post(new, form)
    assert read_body(MatchingRule.objects.get().current.body)["difference_type"] == "fee"
    assert client.get(reverse("rule_new"), {"gallery": "unheard-of"}).status_code == 404


def test_a_new_rule_starts_from_a_body_in_the_address(client):
    assert form_of(client.get(reverse("rule_new"), {"body": BODY}))["criterion"] == ["c1", "c2"]
    odd = '{"name": ["x"], "criteria": [{"field": "size", "operator": 7, "magic": {}}, 3]}'
    assert client.get(reverse("rule_new"), {"body": odd}).status_code == 200  # to be put right in the form
    assert client.get(reverse("rule_new"), {"body": "[1]"}).status_code == 404
    assert client.get(reverse("rule_new"), {"body": r'{"name": "\ud800"}'}).status_code == 404


def test_an_empty_list_says_what_to_do_next(client):
    page = client.get(reverse("rules")).content.decode()
    assert reverse("rule_new") in page
    assert reverse("rule_gallery") in page


def test_text_of_people_is_shown_as_text(client, alice):
    criterion = {"field": "reference", "operator": "eq", "value": "<b>*amount*</b>"}
    evil = {"name": "<script>alert(1)</script>", "criteria": [criterion]}
    made = authoring.create_rule(authoring.OnScreen(alice), json.dumps(evil))
    for url in (reverse("rules"), reverse("rule", args=[made.pk]), reverse("rule_versions", args=[made.pk])):
        page = client.get(url).content.decode()
        assert "<script>alert" not in page
        assert "<b>" not in page


def test_a_text_that_is_refused_today_but_was_stored_once_is_still_listed(client, alice, rule):
    body = r'{"name": "Old", "criteria": [{"field": "reference", "operator": "eq", "value": "a\u0000b"}]}'
    RuleVersion.objects.create(rule=rule, number=2, body=body)
    MatchingRule.objects.filter(pk=rule.pk).update(version=2)
    for url in (reverse("rules"), reverse("rule", args=[rule.pk]), reverse("rule_versions", args=[rule.pk])):
        assert client.get(url).status_code == 200
