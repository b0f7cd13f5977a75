"""Trying rules: what they know, what one says in words, and what it would do to a statement or a pair of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, IdField, PlainField, Shape, as_text
from recon.api.v1.paging import Paged
from recon.api.v1.rows import CurrencyField
from recon.api.v1.rules import BODY_EXAMPLE, RuleBodyField
from recon.api.v1.spec import Call, operation
from recon.engine import Cancelled
from recon.models import Account, Match, MatchingRun, Statement
from recon.usecases.accounts.scope import builtin_account
from recon.usecases.ledger.transactions import transaction_id
from recon.usecases.rules import previews
from recon.usecases.rules.pair_trial import Trial, try_pair, typed_row
from recon.usecases.rules.preview_pairs import Pair
from recon.usecases.rules.proposals import Search, propose_for_leftovers, propose_from_matches
from rules.bodies import read_body
from rules.criteria import FIELDS, Rule, operator_names, parse_rule
from rules.differences import sentences
from rules.models import MatchingRule

TAG = "Rules"


class RuleChoiceInput(Shape):
    """A rule as it is being written, or a saved one."""

    rule = RuleBodyField(required=False, help_text="A rule's body, as `create_rule` takes it.")
    rule_id = serializers.CharField(max_length=64, required=False, help_text="Id of a saved rule.")

    example: dict[str, Any] = {"rule": BODY_EXAMPLE}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("rule" in attrs) == ("rule_id" in attrs):
            raise serializers.ValidationError("Expected either rule or rule_id.")
        return attrs


class WordsShape(Shape):
    """A rule in words."""

    name = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField())

    example = {"name": "Reference and amount", "sentences": ["the reference equals that of the ledger entry"]}


class FieldShape(Shape):
    """A field that criteria compare, and the operators that take it."""

    field = serializers.CharField()
    kind = serializers.CharField()
    help = serializers.CharField()
    operators = serializers.ListField(child=serializers.CharField())

    example = {
        "field": "amount",
        "kind": "amount",
        "help": "Signed from the account owner's view.",
        "operators": ["eq"],
    }


class RulePreviewInput(RuleChoiceInput):
    """A rule, and the statement to try it on."""

    statement = IdField(queryset=Statement.objects.ready().select_related("account"), pk_field=serializers.CharField())

    example = {"rule": BODY_EXAMPLE, "statement": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e"}


class TriedVerdictShape(Shape):
    """What one criterion says about a pair; 0 is what every rule asks: currency and direction."""

    criterion = serializers.IntegerField()
    sentence = serializers.CharField()
    expected = serializers.CharField()
    found = serializers.CharField()
    difference = serializers.CharField(allow_null=True)
    passed = serializers.BooleanField()


class TriedRowShape(Shape):
    """A row of a preview."""

    id = serializers.CharField()
    amount = AmountField()
    currency = serializers.CharField()
    booking_date = serializers.DateField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)


class TriedPairShape(Shape):
    """A line beside an entry: a match, or a near miss with its reason."""

    line = TriedRowShape()
    entry = TriedRowShape()
    state = serializers.CharField()
    decided_by = serializers.CharField()
    reason = serializers.CharField()
    criterion = serializers.IntegerField(allow_null=True)
    verdicts = TriedVerdictShape(many=True)


class RulePreviewShape(Shape):
    """What a rule would do to a statement if nothing of it were matched yet. Nothing is stored."""

    lines = serializers.IntegerField(help_text="Lines that were looked at.")
    every = serializers.IntegerField(help_text="Of a long statement, only every n-th line is looked at.")
    entries = serializers.IntegerField(help_text="Ledger entries around them.")
    matched = serializers.IntegerField()
    suggested = serializers.IntegerField()
    left = serializers.IntegerField()
    candidates = serializers.IntegerField()
    is_broad = serializers.BooleanField(help_text="Most of what it finds is not clear-cut: add a criterion.")
    refused = serializers.CharField(help_text="Why it cannot be tried as it is; then the figures are 0.")
    seconds = serializers.FloatField()
    examples = TriedPairShape(many=True)
    near_misses = TriedPairShape(many=True)

    example = {
        "lines": 128,
        "every": 1,
        "entries": 131,
        "matched": 120,
        "suggested": 5,
        "left": 3,
        "candidates": 130,
        "is_broad": False,
        "refused": "",
        "seconds": 0.05,
        "examples": [],
        "near_misses": [],
    }


class TypedRow(Shape):
    """A row as somebody would type it."""

    amount = AmountField()
    currency = CurrencyField(default="EUR")
    date = serializers.DateField(required=False)
    reference = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    source: Any = serializers.CharField(max_length=1000, required=False, allow_blank=True)


class TrialInput(RuleChoiceInput):
    """A rule, a line and an entry to try it on."""

    account = IdField(
        queryset=Account.objects.all(), pk_field=serializers.IntegerField(), required=False,
        help_text="Whose time zone, sign and tolerance count.",
    )  # fmt: skip
    line = TypedRow()
    entry = TypedRow()

    example = {
        "rule": BODY_EXAMPLE,
        "line": {"amount": "152.75", "currency": "EUR", "date": "2026-03-31", "reference": "INV-2026-0042"},
        "entry": {"amount": "152.75", "currency": "EUR", "date": "2026-03-30", "reference": "INV-2026-0042"},
    }


class TrialShape(Shape):
    """What a rule says of a pair."""

    matches = serializers.BooleanField()
    verdicts = TriedVerdictShape(many=True)

    example = {
        "matches": True,
        "verdicts": [
            {
                "criterion": 1,
                "sentence": "the reference equals that of the ledger entry",
                "expected": "INV-2026-0042",
                "found": "INV-2026-0042",
                "difference": None,
                "passed": True,
            }
        ],
    }


class SuggestInput(Shape):
    """What to learn from: what a run left open, or matches of an account."""

    run = IdField(
        queryset=MatchingRun.objects.finished().select_related("account"), pk_field=serializers.CharField(),
        required=False,
    )  # fmt: skip
    account = IdField(queryset=Account.objects.all(), pk_field=serializers.IntegerField(), required=False)
    matches = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62), max_length=500, required=False
    )

    example: dict[str, Any] = {"account": 1, "matches": [12, 13, 14]}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("run" in attrs) == ("account" in attrs and "matches" in attrs):
            raise serializers.ValidationError("Expected either run, or account and matches.")
        return attrs


class ProposalShape(Shape):
    """A rule, and what it would do."""

    body = PlainField()
    found = serializers.IntegerField(source="judged.found", help_text="Of the pairs it was made from.")
    agree = serializers.IntegerField(source="judged.agree", help_text="Decided matches it would make in the same way.")
    differ = serializers.IntegerField(source="judged.differ", help_text="Rows it would match otherwise.")
    fresh = serializers.IntegerField(source="judged.fresh", help_text="Open lines it would match.")
    precision = AmountField(source="judged.precision", allow_null=True, help_text="Percent of the decided rows.")


class SuggestionsShape(Shape):
    """What a search came to; `problem` says why there is nothing to propose."""

    proposals = ProposalShape(many=True)
    pairs = serializers.IntegerField()
    history = serializers.IntegerField()
    passed_over = serializers.IntegerField()
    problem = serializers.CharField()
    strategy = serializers.CharField(help_text="How a run has to settle them, if one row settles many; else empty.")
    grouping = serializers.CharField(help_text="What the many rows that one settles have in common.")

    example = {
        "proposals": [{"body": BODY_EXAMPLE, "found": 3, "agree": 40, "differ": 0, "fresh": 2, "precision": "100.0"}],
        "pairs": 3,
        "history": 40,
        "passed_over": 0,
        "problem": "",
        "strategy": "",
        "grouping": "",
    }


SUGGEST_SECONDS = 30.0


@operation(TAG, gives=FieldShape, paged=True)
def list_rule_fields(call: Call) -> Paged:
    """List the fields that criteria compare, with their operators.

    All in one page."""
    return Paged(
        [
            {"field": field.name, "kind": field.kind, "help": field.help, "operators": operator_names(field)}
            for field in FIELDS.values()
        ]
    )


@operation(TAG, takes=RuleChoiceInput, gives=WordsShape)
def put_rule_in_words(call: Call) -> dict[str, Any]:
    """Put a rule into words.

    Checks it as `create_rule` does, and saves nothing."""
    body = body_of(call)
    parse_rule(body)
    return {"name": body["name"], "sentences": sentences(body)}


@operation(TAG, takes=RulePreviewInput, gives=RulePreviewShape)
def preview_rule(call: Call) -> dict[str, Any]:
    """Try a rule on a statement.

    What it would match, suggest and leave, with examples and near misses."""
    found = previews.preview_rule(rule_of(call), call.given["statement"])
    shown = {str(name): getattr(found, str(name)) for name in RulePreviewShape().fields}
    return shown | {
        "examples": [shown_pair(pair) for pair in found.examples],
        "near_misses": [shown_pair(pair) for pair in found.near_misses],
    }


@operation(TAG, takes=TrialInput, gives=TrialShape)
def try_rule(call: Call) -> Trial:
    """Try a rule on a line and an entry.

    Criterion by criterion: expected, found, passed."""
    given = call.given
    account = given.get("account") or builtin_account()
    line, entry = (typed_row(said(given[side])) for side in ("line", "entry"))
    problems = [
        Fault(f"body.{side}.{name}", text)
        for side, row in (("line", line), ("entry", entry))
        for name, text in row.problems.items()
    ]
    if problems:
        raise Problem("invalid", f"{problems[0].place}: {problems[0].message}", problems)
    return try_pair(rule_of(call), line, entry, previews.preview_options(account, previews.Watch()))


@operation(TAG, takes=SuggestInput, gives=SuggestionsShape)
def suggest_rules(call: Call) -> Search:
    """Suggest rules.

    From matches that people made by hand, or from what a run left open; nothing is saved."""
    given, watch = call.given, previews.Watch(seconds=SUGGEST_SECONDS)
    try:
        if "run" in given:
            return propose_for_leftovers(given["run"], watch)
        own = Match.objects.visible().filter(pk__in=given["matches"], account_id=given["account"].pk)
        return propose_from_matches(given["account"], list(own.values_list("pk", flat=True)), watch)
    except Cancelled:
        return Search(problem=f"The search took more than {SUGGEST_SECONDS:.0f} seconds and was stopped.")


def body_of(call: Call) -> dict[str, Any]:
    """The body of the rule that is asked about."""
    if "rule" in call.given:
        return read_body(as_text(call.given["rule"]))
    rule = MatchingRule.objects.filter(pk=call.given["rule_id"]).first()
    if rule is None:
        fault = Fault("body.rule_id", "There is no such rule.", "the id of a rule", call.given["rule_id"])
        raise Problem("invalid", fault.message, [fault])
    return read_body(rule.current.body)


def rule_of(call: Call) -> Rule:
    return parse_rule(body_of(call))


def said(row: Mapping[str, Any]) -> dict[str, str]:
    """A checked row as the texts it was typed as."""
    return {name: f"{value:f}" if name == "amount" else str(value) for name, value in row.items()}


def shown_pair(pair: Pair) -> dict[str, Any]:
    return {
        "line": shown_row(pair.line, str(pair.line.id)),
        "entry": shown_row(pair.entry, transaction_id(pair.entry.id)),
        **{name: getattr(pair, name) for name in ("state", "decided_by", "reason", "criterion", "verdicts")},
    }


def shown_row(row: Any, public_id: str) -> dict[str, Any]:
    names = ("amount", "currency", "booking_date", "reference", "description")
    return {"id": public_id, **{name: getattr(row, name) for name in names}}
