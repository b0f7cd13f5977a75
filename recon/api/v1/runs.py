"""Matching runs: start one, watch it, and what can be done with it as a whole."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from rest_framework import serializers

from recon.api.idempotency import done_earlier
from recon.api.problems import Fault, Problem
from recon.api.v1.fields import AmountField, IdField, InstantField, Shape
from recon.api.v1.paging import Paged, number, paged
from recon.api.v1.rows import AccountFilter
from recon.api.v1.shown_matches import MatchShape, RuleVersionShape, shown_matches
from recon.api.v1.spec import Call, found, operation
from recon.models import Account, MatchingRun, RunKind, RunStage, RunState, Sign, Statement, Strategy
from recon.usecases.rules.choice import default_rules, enabled_versions
from recon.usecases.runs import reading, undo
from recon.usecases.runs import starting as runs
from recon.usecases.runs.facts import RunFacts, run_facts
from recon.usecases.runs.reconciling import run_account

TAG = "Runs"
RUNS = MatchingRun.objects.select_related("account", "statement", "created_by", "applied_from")


class ProgressShape(Shape):
    """Where a run stands, in rows of its present stage."""

    rows_done = serializers.IntegerField()
    rows_total = serializers.IntegerField()
    percent = serializers.IntegerField(source="percent_done")
    rows_per_second = serializers.IntegerField()


class LineCountsShape(Shape):
    """Statement lines by what became of them."""

    total = serializers.IntegerField(source="lines_total")
    matched = serializers.IntegerField(source="lines_matched")
    suggested = serializers.IntegerField(source="lines_suggested")
    unmatched = serializers.IntegerField(source="lines_unmatched")


class EntryCountsShape(Shape):
    """Ledger entries that were considered, by what became of them."""

    total = serializers.IntegerField(source="entries_total")
    matched = serializers.IntegerField(source="entries_matched")
    suggested = serializers.IntegerField(source="entries_suggested")
    unmatched = serializers.IntegerField(source="entries_unmatched")


class RunShape(Shape):
    """A run. While it works, `state` is queued or running: ask again."""

    id = serializers.CharField(source="run_id")
    number = serializers.IntegerField()
    account = serializers.IntegerField(source="account_id")
    statement = serializers.CharField(source="statement_id", allow_null=True, help_text="Null: the open lines of all.")
    kind = serializers.ChoiceField(RunKind.choices)
    is_dry_run = serializers.BooleanField()
    strategy = serializers.ChoiceField(Strategy.choices)
    grouping = serializers.CharField()
    sign = serializers.ChoiceField(Sign.choices)
    with_open_lines = serializers.BooleanField(help_text="Open lines of earlier statements took part again.")
    state = serializers.ChoiceField(RunState.choices)
    stage = serializers.ChoiceField(RunStage.choices)
    progress = ProgressShape(source="*")
    lines = LineCountsShape(source="*")
    entries = EntryCountsShape(source="*")
    error = serializers.CharField(help_text="Why it failed.")
    cancel_requested = serializers.BooleanField()
    applied_from = serializers.CharField(
        source="applied_from_id", allow_null=True, help_text="The dry run it made real."
    )
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    created_at = InstantField()
    started_at = InstantField(allow_null=True)
    completed_at = InstantField(allow_null=True)

    example = {
        "id": "recon_5f3c1b7a-10c9-4d1f-8e6a-0b4f5e9d5c2f",
        "number": 17,
        "account": 1,
        "statement": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e",
        "kind": "instant",
        "is_dry_run": True,
        "strategy": "one_to_one",
        "grouping": "",
        "sign": "as_given",
        "with_open_lines": False,
        "state": "completed",
        "stage": "done",
        "progress": {"rows_done": 128, "rows_total": 128, "percent": 100, "rows_per_second": 51200},
        "lines": {"total": 128, "matched": 120, "suggested": 5, "unmatched": 3},
        "entries": {"total": 131, "matched": 120, "suggested": 5, "unmatched": 6},
        "error": "",
        "cancel_requested": False,
        "applied_from": None,
        "created_by": "alice",
        "created_at": "2026-03-31T12:00:00Z",
        "started_at": "2026-03-31T12:00:00Z",
        "completed_at": "2026-03-31T12:00:01Z",
    }


class RunInput(Shape):
    """What to reconcile. What is left out is taken from the account."""

    account = IdField(
        queryset=Account.objects.all(), pk_field=serializers.IntegerField(), required=False,
        help_text="Not needed beside a statement.",
    )  # fmt: skip
    statement = IdField(
        queryset=Statement.objects.ready().select_related("account"), pk_field=serializers.CharField(), required=False,
        help_text="Without one the open lines of all the account's statements are reconciled.",
    )  # fmt: skip
    dry_run = serializers.BooleanField(
        default=False,
        help_text="Find out what would match: changes no row and no open item, and can be applied later.",
    )
    rules = serializers.ListField(
        child=serializers.CharField(max_length=64), min_length=1, max_length=200, required=False,
        help_text="Ids of enabled rules, in the order they are tried.",
    )  # fmt: skip
    strategy = serializers.ChoiceField(Strategy.choices, required=False)
    grouping = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Fields a group shares, comma separated."
    )
    kind = serializers.ChoiceField(
        RunKind.choices, required=False,
        help_text="instant: over when this answers, at most 10,000 lines; batch: by a worker. By size if left out.",
    )  # fmt: skip
    with_open_lines = serializers.BooleanField(
        default=False, help_text="Open lines of earlier statements take part again."
    )
    rates = serializers.DictField(
        child=AmountField(), required=False,
        help_text='Ledger units per statement unit, for rules across currencies: {"USD/EUR": "0.92"}.',
    )  # fmt: skip

    example = {"statement": "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e", "dry_run": True}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        statement = attrs.get("statement")
        account = attrs.setdefault("account", statement.account if statement else None)
        if account is None:
            raise serializers.ValidationError({"account": ["Expected an account or a statement."]})
        if statement is not None and statement.account_id != account.pk:
            raise serializers.ValidationError({"statement": [f"Expected a statement of account {account.pk}."]})
        return attrs


class Application(Shape):
    """How to apply a dry run."""

    rest_only = serializers.BooleanField(
        default=False, help_text="If some of its matches no longer hold: apply the others."
    )

    example = {"rest_only": False}


class Reversal(Shape):
    """How to reverse a run."""

    include_manual = serializers.BooleanField(
        default=False, help_text="Also matches that people confirmed; they stay otherwise."
    )
    why = serializers.CharField(max_length=500, default="", allow_blank=True)

    example = {"include_manual": False, "why": "wrong statement"}


class RunQuery(AccountFilter):
    """Which runs."""

    q = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="A run's number, or part of the statement's name."
    )
    statement = serializers.CharField(max_length=64, required=False, help_text="Id of a statement.")
    state = serializers.ChoiceField(RunState.choices, required=False)
    dry_run = serializers.BooleanField(required=False)


class RunRuleShape(Shape):
    """What a rule did in a run."""

    position = serializers.IntegerField()
    rule = RuleVersionShape(source="version")
    matched = serializers.IntegerField()
    suggested = serializers.IntegerField()


class SumShape(Shape):
    """Sums of one side in one currency, by outcome."""

    side = serializers.CharField()
    currency = serializers.CharField()
    confirmed = AmountField(source="amounts.confirmed")
    suggested = AmountField(source="amounts.suggested")
    unmatched = AmountField(source="amounts.unmatched")


class KeptDifferenceShape(Shape):
    """What the matches of a run leave as difference, by type and currency."""

    type = serializers.CharField()
    currency = serializers.CharField()
    amount = AmountField()


class ReasonCountShape(Shape):
    """How many rows of a side stayed open for a reason."""

    side = serializers.CharField()
    reason = serializers.CharField()
    count = serializers.IntegerField()


class SummaryShape(Shape):
    """What came of a run."""

    match_rate = AmountField(allow_null=True, help_text="Percent of the lines, one decimal.")
    rules = serializers.SerializerMethodField()
    totals = SumShape(many=True)
    differences = KeptDifferenceShape(many=True)
    reasons = ReasonCountShape(many=True)
    rates_missing = serializers.ListField(
        child=serializers.CharField(),
        help_text="Pairs of currencies without a rate, for which rows were left (no_rate).",
    )
    since = serializers.DictField(
        child=serializers.IntegerField(), help_text="What became of its matches since, by state."
    )
    previous = serializers.CharField(
        source="previous.run_id",
        default=None,
        allow_null=True,
        help_text="The account's completed run before this one.",
    )

    example = {
        "match_rate": "93.7",
        "rules": [
            {
                "position": 1,
                "rule": {"id": "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10", "name": "Reference", "version": 2},
                "matched": 120,
                "suggested": 5,
            }
        ],
        "totals": [
            {"side": "statement", "currency": "EUR", "confirmed": "787.55", "suggested": "10.00", "unmatched": "4.10"}
        ],
        "differences": [{"type": "fee", "currency": "EUR", "amount": "-0.75"}],
        "reasons": [{"side": "statement", "reason": "no_candidate", "count": 3}],
        "rates_missing": [],
        "since": {"suggested": 5},
        "previous": None,
    }

    def get_rules(self, facts: RunFacts) -> list[dict[str, Any]]:
        return [RunRuleShape(each.rule).data for each in facts.by_rule]


class PlanShape(Shape):
    """How the engine went about a run: plan, estimate and candidates per rule, and how rows were read."""

    explanation = serializers.DictField()
    timings = serializers.DictField(child=serializers.FloatField(), help_text="Seconds a stage.")

    example = {"explanation": {"rules": []}, "timings": {"reading": 0.01, "matching": 0.02, "storing": 0.01}}


@operation(TAG, query=RunQuery, gives=RunShape, paged=True)
def list_runs(call: Call) -> Paged:
    """List runs, the newest first."""
    query = call.query
    names = {"account": "account", "statement": "statement_id", "state": "state", "dry_run": "is_dry_run"}
    rows = RUNS.filter(**{field: query[name] for name, field in names.items() if name in query})
    if text := query["q"].strip():
        numbered = Q(number=int(text)) if text.isdecimal() and len(text) <= 18 else Q()
        rows = rows.filter(
            numbered | Q(statement__name__icontains=text) if numbered else Q(statement__name__icontains=text)
        )
    return paged(rows, query, key="number")


@operation(TAG, scope="run", takes=RunInput, gives=RunShape, status=201, repeatable=True, in_steps=True)
def start_run(call: Call) -> MatchingRun:
    """Start a run.

    A small one is over when this answers; a large one is queued: ask `get_run` until its state is completed, failed
    or cancelled."""
    if earlier := done_earlier(call.request, "run"):
        return run_of(earlier)
    given: dict[str, Any] = call.given
    account: Account = given["account"]
    run = run_account(
        call.by,
        account,
        given.get("statement"),
        enabled_versions(given.get("rules") or default_rules(account)),
        is_dry_run=given["dry_run"],
        kind=RunKind(given["kind"]) if "kind" in given else None,
        strategy=given.get("strategy"),
        grouping=given.get("grouping"),
        rates={pair: f"{rate:f}" for pair, rate in given.get("rates", {}).items()},
        with_open_lines=given["with_open_lines"],
    )
    return run_of(run.pk)


@operation(TAG, gives=RunShape)
def get_run(call: Call, run_id: str) -> MatchingRun:
    """Get a run.

    Its state and progress while it works, its counts when it is over."""
    return run_of(run_id)


@operation(TAG, scope="run", gives=RunShape)
def cancel_run(call: Call, run_id: str) -> MatchingRun:
    """Cancel a run.

    A queued one at once, a running one within seconds."""
    runs.cancel_run(call.by, run_of(run_id))
    return run_of(run_id)


@operation(TAG, scope="run", takes=Application, gives=RunShape, status=201, repeatable=True, in_steps=True)
def apply_run(call: Call, run_id: str) -> MatchingRun:
    """Apply a dry run.

    Its outcome becomes real, in a run of its own. If some of it no longer holds, nothing is applied unless `rest_only`
    says so."""
    dry = run_of(run_id)
    if done_earlier(call.request, "run") and (earlier := RUNS.filter(applied_from=dry).first()):
        return earlier
    return run_of(runs.apply_run(call.by, dry, rest_only=call.given["rest_only"]).pk)


@operation(TAG, scope="run", takes=Reversal, gives=RunShape, repeatable=True)
def reverse_run(call: Call, run_id: str) -> MatchingRun:
    """Reverse a run.

    Its automatic matches are undone and its rows open again. Matches that people confirmed stay, unless they are
    included; `list_confirmed_by_people` shows them."""
    undo.reverse_run(call.by, run_of(run_id), **call.given)
    return run_of(run_id)


@operation(TAG, gives=MatchShape, paged=True)
def list_confirmed_by_people(call: Call, run_id: str) -> Paged:
    """List the matches of a run that people made or confirmed.

    They stay when the run is reversed, unless they are included."""
    limit, after = call.query["limit"], number(call.query) or 0
    matches = list(undo.confirmed_by_people(run_of(run_id)).filter(pk__gt=after).order_by("pk")[: limit + 1])
    shown = shown_matches(reading.match_views(matches[:limit]))
    return Paged(shown, str(matches[limit - 1].pk) if len(matches) > limit else "")


@operation(TAG, gives=SummaryShape)
def summarize_run(call: Call, run_id: str) -> RunFacts:
    """Get the summary of a run that completed.

    By rule, by currency, by reason, and what became of its matches since."""
    return run_facts(with_results(run_id))


@operation(TAG, gives=PlanShape)
def explain_run(call: Call, run_id: str) -> MatchingRun:
    """Explain how a run was worked.

    The plan of each rule, estimated and actual candidates, how rows were read, and seconds by stage."""
    return with_results(run_id)


def run_of(run_id: str) -> MatchingRun:
    run: MatchingRun = found(RUNS, "run", run_id)
    return run


def with_results(run_id: str) -> MatchingRun:
    """A run that completed."""
    run = run_of(run_id)
    if run.state not in {RunState.COMPLETED, RunState.REVERSED}:
        fault = Fault("path.run_id", f"This run is {run.state}.", "a run that completed", run.run_id)
        raise Problem("not-found", f"This run has no results: it is {run.state}.", [fault])
    return run
