"""Adding an operator is writing one class: form, validation, words and engine follow without another edit."""

from __future__ import annotations

import json

import jsonschema
import pytest
from django.urls import reverse

from recon.usecases.rules.previews import preview_rule
from rules.criteria import OPERATORS, Inputs, Operator, RuleError, parse_rule
from rules.criteria.ideas import Seen, ideas
from rules.criteria.operators import Blocking
from rules.criteria.schema import criterion_schema
from rules.drafts import draft_of
from rules.gallery import GALLERY
from tests.cast import make_account, make_entries, make_statement, row
from tests.rules.posting import posted


class OppositeAmount(Operator):
    """A reversal: the amounts cancel each other."""

    name = "opposite"
    label = "is the opposite of"
    help = "The two amounts add up to zero."
    kinds = ("amount",)

    def inputs(self, field):
        return Inputs("none")

    def read(self, field, operator_name, given):
        return {}

    def matches(self, criterion, scope):
        return "s.amt = -l.amt"

    def blocking(self, criterion, scope):
        return Blocking(equal=("s.amt", "-l.amt"))


class SameLength(Operator):
    """Compares how long two texts are, and takes a fixed text as well."""

    name = "same_length"
    label = "is as long as"
    help = "Both texts have equally many characters."
    kinds = ("text",)

    def inputs(self, field):
        return Inputs("text", options=frozenset({"loose", "ledger_field", "applies_to"}))

    def read(self, field, operator_name, given):
        return {"constant": given["value"]} if given.get("value") else {}

    def matches(self, criterion, scope):
        form = self.forms(criterion)[0]
        return f"length({criterion.text('statement', form)}) = length({criterion.text('ledger', form)})"


@pytest.fixture
def new_operators(monkeypatch):
    added = [OppositeAmount(), SameLength()]
    OPERATORS.extend(added)
    yield
    for operator in added:
        OPERATORS.remove(operator)


OPPOSITE = {"field": "amount", "operator": "opposite"}
AS_LONG = {"field": "reference", "operator": "same_length", "loose": True}


def test_before_it_is_registered_nobody_knows_it():
    with pytest.raises(RuleError, match="operator"):
        parse_rule({"name": "N", "criteria": [OPPOSITE]})


def test_a_new_operator_is_offered_for_its_fields_and_says_itself(client, new_operators):
    page = client.post(reverse("rule_new"), {**posted(draft_of({"criteria": [OPPOSITE]})), "do": "refresh"})
    assert "is the opposite of ledger <strong>amount</strong>" in page.content.decode()
    assert '<option value="opposite" selected>' in page.content.decode()
    page = client.post(reverse("rule_new"), {**posted(draft_of({"criteria": [AS_LONG]})), "do": "refresh"})
    assert "letters and digits only" in page.content.decode()
    assert "a fixed text" in page.content.decode()
    assert "opposite" not in page.content.decode()  # not for texts


def test_a_new_operator_is_among_what_a_suggestion_tries(new_operators):
    assert "opposite" in {each.operator.name for each in ideas(Seen())}


@pytest.mark.parametrize("path", ["/api/v1/schema/", "/openapi.json"])
def test_a_new_operator_is_in_the_documents_that_are_served_with_its_inputs(client, new_operators, path):
    served = client.get(path).json()["components"]["schemas"]["Criterion"]
    assert served == json.loads(json.dumps(criterion_schema()))
    variants = {
        (each["properties"]["field"]["const"], each["properties"]["operator"]["enum"][0]): each
        for each in served["oneOf"]
    }
    assert variants["amount", "opposite"]["description"] == "The two amounts add up to zero."
    assert set(variants["amount", "opposite"]["properties"]) == {"field", "operator"}
    assert set(variants["reference", "same_length"]["properties"]) == {
        *("field", "operator", "value", "loose", "ledger_field", "applies_to")
    }
    assert ("date", "opposite") not in variants


def test_the_page_of_documentation_reads_that_document(client):
    assert 'data-schema="/api/v1/schema/"' in client.get("/api/v1/docs/").content.decode()


def test_rules_are_refused_and_taken_as_the_schema_says(client, new_operators):
    schema = {"$defs": {"Criterion": criterion_schema()}, "$ref": "#/$defs/Criterion"}
    for criterion in (OPPOSITE, AS_LONG, *(each for example in GALLERY.values() for each in example.body["criteria"])):
        jsonschema.validate(criterion, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**OPPOSITE, "loose": True}, schema)


def test_a_new_operator_is_saved_and_matched(client, new_operators):
    account = make_account(sign="unsigned")
    make_entries(account, [row(1, "10.00", reference="AAA"), row(2, "11.00", reference="LONGER")])
    statement = make_statement(account, [row(1, "10.00", reference="BBB"), row(2, "12.00", reference="X")])
    body = {"name": "As long", "criteria": [AS_LONG]}
    assert client.post(reverse("rule_new"), {**posted(draft_of(body)), "do": "save"}).status_code == 302
    assert preview_rule(parse_rule(body), statement).matched == 1
