"""Matching runs and what they found: matches, their rows and differences, unmatched items, claims."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.db import models

from recon.models.accounts import Account, Sign, Strategy
from recon.models.fields import Money, RowNumber, Side, money_constraints, one_of, one_of_few, public_id
from recon.models.statements import Statement
from recon.rows import amount
from rules.models import RuleVersion


class RunKind(models.TextChoices):
    INSTANT = "instant"
    BATCH = "batch"


class RunState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REVERSED = "reversed"

    @classmethod
    def active(cls) -> tuple[RunState, ...]:
        return (cls.QUEUED, cls.RUNNING)


class RunStage(models.TextChoices):
    """What a running run is doing, in order."""

    WAITING = "waiting", "Waiting for a worker"
    READING = "reading", "Reading rows"
    MATCHING = "matching", "Matching"
    STORING = "storing", "Storing results"
    DONE = "done", "Done"


class Origin(models.TextChoices):
    RULE = "rule", "rule"
    SUBSET_SUM = "subset_sum", "subset sum"
    MANUAL = "manual", "by hand"


class MatchState(models.TextChoices):
    SUGGESTED = "suggested"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNDONE = "undone"
    WITHDRAWN = "withdrawn"  # a suggestion whose rows a later match took
    PROPOSED = "proposed"  # confirmed in a dry run: claims nothing until the run is applied


class DifferenceType(models.TextChoices):
    FEE = "fee", "Fee"
    ROUNDING = "rounding", "Rounding"
    FX = "fx", "Exchange rate"
    WRITE_OFF = "write_off", "Write-off"
    UNCLASSIFIED = "unclassified", "Unclassified"


def new_run_id() -> str:
    return public_id("recon")


class MatchingRunQuerySet(models.QuerySet["MatchingRun"]):
    def active(self) -> MatchingRunQuerySet:
        return self.filter(state__in=RunState.active())

    def finished(self) -> MatchingRunQuerySet:
        return self.filter(state=RunState.COMPLETED)


class MatchingRun(models.Model):
    """One run of ordered rules over a statement and the ledger: its own state machine, with a heartbeat and a lease.

    A worker holds the lease while it works; a run whose lease has run out is taken up by the next worker from a clean
    state, because results become visible only in the transaction that completes the run.
    """

    run_id = models.CharField(max_length=64, primary_key=True, default=new_run_id, editable=False)
    number = models.BigIntegerField(unique=True)  # what matches and unmatched items carry; from `reserve_ids`
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="runs")
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, null=True, related_name="runs")
    kind = models.CharField(max_length=10, choices=RunKind)
    is_dry_run = models.BooleanField(default=False)
    strategy = models.CharField(max_length=20, choices=Strategy, default=Strategy.ONE_TO_ONE)
    grouping = models.CharField(max_length=200, blank=True)
    sign = models.CharField(max_length=10, choices=Sign, default=Sign.AS_GIVEN)
    options = models.JSONField(default=dict)  # rates and engine settings, as given at the start
    with_open_lines = models.BooleanField(default=False)  # open lines of earlier statements take part again
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)
    stage = models.CharField(max_length=10, choices=RunStage, default=RunStage.WAITING)
    rows_done = models.BigIntegerField(default=0)  # in the present stage
    rows_total = models.BigIntegerField(default=0)
    rows_per_second = models.BigIntegerField(default=0)  # in the present stage, so far
    error = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_holder = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    # Kept counts. Lines: matched + suggested + unmatched = lines_total. Entries likewise, of those considered.
    lines_total = models.BigIntegerField(default=0)
    lines_matched = models.BigIntegerField(default=0)
    lines_suggested = models.BigIntegerField(default=0)
    lines_unmatched = models.BigIntegerField(default=0)
    entries_total = models.BigIntegerField(default=0)
    entries_matched = models.BigIntegerField(default=0)
    entries_suggested = models.BigIntegerField(default=0)
    entries_unmatched = models.BigIntegerField(default=0)
    matches_confirmed = models.BigIntegerField(default=0)
    matches_suggested = models.BigIntegerField(default=0)
    # {"money": [sums by side, outcome and currency], "differences": [sums by type and currency], "reasons": [counts],
    # "rates_missing": [pairs of currencies that rows were left for]}
    totals = models.JSONField(default=dict)
    explanation = models.JSONField(default=dict)  # plan, estimate and actual candidates per rule; how rows were read
    timings = models.JSONField(default=dict)  # seconds per stage
    # Ids of the matches that an attempt stores, or has stored, and that are neither visible nor removed again.
    stored_from = models.BigIntegerField(null=True)
    stored_to = models.BigIntegerField(null=True)
    applied_from = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="applied_as")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    objects = MatchingRunQuerySet.as_manager()

    class Meta:
        ordering = ("-number",)
        indexes = [
            models.Index(
                fields=["lease_until"], condition=models.Q(state__in=["queued", "running"]), name="run_active_lease"
            ),
            models.Index(fields=["account", "-number"], name="run_account"),
            models.Index(
                fields=["stored_from"], condition=models.Q(stored_from__isnull=False), name="run_with_leftovers"
            ),
        ]
        constraints = [
            one_of("kind", RunKind, "run_kind_known"),
            one_of("state", RunState, "run_state_known"),
            one_of("stage", RunStage, "run_stage_known"),
            one_of("strategy", Strategy, "run_strategy_known"),
            models.CheckConstraint(
                condition=models.Q(state__in=RunState.active(), completed_at__isnull=True)
                | models.Q(completed_at__isnull=False),
                name="run_completed_at_when_over",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running") | models.Q(started_at__isnull=False, lease_until__isnull=False),
                name="run_running_has_lease",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["completed", "reversed"])
                | models.Q(
                    lines_total=models.F("lines_matched") + models.F("lines_suggested") + models.F("lines_unmatched")
                ),
                name="run_line_counts_add_up",
            ),
            models.CheckConstraint(
                condition=models.Q(is_dry_run=False) | ~models.Q(state="reversed"), name="run_dry_is_never_reversed"
            ),
        ]

    def __str__(self) -> str:
        return self.run_id

    @property
    def percent_done(self) -> int:
        """Of the rows of the present stage."""
        return 100 * self.rows_done // self.rows_total if self.rows_total else 0

    @property
    def is_active(self) -> bool:
        return self.state in RunState.active()


class RunRule(models.Model):
    """A rule version's place in a run, and what it did there."""

    run = models.ForeignKey(MatchingRun, on_delete=models.CASCADE, related_name="run_rules")
    version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, related_name="run_rules")
    position = models.PositiveSmallIntegerField()
    matched = models.BigIntegerField(default=0)
    suggested = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["run", "position"], name="run_rule_position_once")]

    def __str__(self) -> str:
        return f"{self.position}. {self.version}"


class MatchQuerySet(models.QuerySet["Match"]):
    def visible(self) -> MatchQuerySet:
        """Without those of runs that are still at work, or were cut off: they exist for nobody."""
        over = MatchingRun.objects.filter(state__in=(RunState.COMPLETED, RunState.REVERSED))
        return self.filter(
            models.Q(run_number__isnull=True) | models.Q(run_number__in=over.order_by().values("number"))
        )


class Match(models.Model):
    """Rows that settle each other. Always: sum of lines - sum of entries = sum of differences, to the cent.

    A bulk table. A run's matches are appended once; afterwards a single match changes only in its state.
    """

    id = RowNumber(primary_key=True)
    account_id = models.BigIntegerField()
    run_number = models.BigIntegerField(null=True)  # null: made by hand outside a run
    rule_version_id = models.BigIntegerField(null=True)  # null: made by hand
    origin = models.CharField(max_length=12, choices=Origin)
    state = models.CharField(max_length=10, choices=MatchState)
    decided_by = models.CharField(max_length=30, blank=True)  # why it is decided, or why it is only suggested
    currency = models.CharField(max_length=3)  # the ledger side's
    scale = models.SmallIntegerField()
    line_units = models.BigIntegerField()  # sum of its lines at `scale`
    entry_units = models.BigIntegerField()
    cleared_on = models.DateField(null=True)  # the latest booking date of its lines
    created_at = models.DateTimeField()
    state_changed_at = models.DateTimeField(null=True)

    objects = MatchQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["run_number", "state", "id"], name="match_run_state"),
            # Few of many: what waits for a person, and what a new confirmed match may withdraw.
            models.Index(fields=["account_id", "id"], condition=models.Q(state="suggested"), name="match_suggested"),
        ]
        constraints = [
            one_of_few("origin", Origin, "match_origin_known"),
            one_of_few("state", MatchState, "match_state_known"),
            models.CheckConstraint(condition=models.Q(scale__gte=0, scale__lte=9), name="match_scale_in_range"),
        ]

    def __str__(self) -> str:
        return f"match {self.pk}"

    @property
    def line_amount(self) -> Decimal:
        return amount(self.line_units, self.scale)

    @property
    def entry_amount(self) -> Decimal:
        return amount(self.entry_units, self.scale)

    @property
    def difference(self) -> Decimal:
        return amount(self.line_units - self.entry_units, self.scale)


class MatchRow(models.Model):
    """A row part in a match, with the amount it settles (at the match's scale)."""

    pk = models.CompositePrimaryKey("match_id", "side", "row_id", "part")
    match_id = models.BigIntegerField()
    side = models.SmallIntegerField(choices=Side)
    row_id = models.BigIntegerField()
    part = models.IntegerField(default=0)
    units = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["row_id", "side"], name="match_row_history")]
        constraints = [models.CheckConstraint(condition=models.Q(side__in=Side.values), name="match_row_side_known")]

    def __str__(self) -> str:
        return f"{Side(self.side).label} {self.row_id}"


class MatchDifference(Money):
    """What a match does not settle, and what it is: fee, rounding, FX, write-off or unclassified."""

    id = models.BigAutoField(primary_key=True)
    match_id = models.BigIntegerField(db_index=True)
    type = models.CharField(max_length=12, choices=DifferenceType)
    comment = models.TextField(blank=True)

    class Meta:
        constraints = [
            *money_constraints("difference"),
            one_of("type", DifferenceType, "difference_type_known"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.amount} {self.currency}"


class MatchRunnerUp(models.Model):
    """A candidate that a suggested match was preferred to."""

    id = models.BigAutoField(primary_key=True)
    match_id = models.BigIntegerField(db_index=True)
    rank = models.PositiveSmallIntegerField()
    side = models.SmallIntegerField(choices=Side)
    row_id = models.BigIntegerField()
    part = models.IntegerField(default=0)
    gap = models.TextField(blank=True)  # its absolute amount difference, as a decimal

    class Meta:
        ordering = ("match_id", "rank")

    def __str__(self) -> str:
        return f"{self.rank}. {Side(self.side).label} {self.row_id}"


class Claim(models.Model):
    """A row part is in at most one confirmed match per account: this key says so, whatever runs side by side."""

    pk = models.CompositePrimaryKey("account_id", "side", "row_id", "part")
    account_id = models.BigIntegerField()
    side = models.SmallIntegerField(choices=Side)
    row_id = models.BigIntegerField()
    part = models.IntegerField(default=0)
    match_id = models.BigIntegerField()  # its rows lead here: a second index would double what a claim costs

    def __str__(self) -> str:
        return f"{Side(self.side).label} {self.row_id} in match {self.match_id}"


class UnmatchedItem(models.Model):
    """What a run left open, with the reason and the nearest miss. Never changed."""

    pk = models.CompositePrimaryKey("run_number", "side", "row_id", "part")
    run_number = models.BigIntegerField()
    side = models.SmallIntegerField(choices=Side)
    row_id = models.BigIntegerField()
    part = models.IntegerField(default=0)
    reason = models.CharField(max_length=30)
    rule_version_id = models.BigIntegerField(null=True)  # the rule whose nearest miss this is
    criterion = models.SmallIntegerField(null=True)  # the criterion it missed, counted from 1
    nearest_row_id = models.BigIntegerField(null=True)
    detail = models.TextField(null=True)  # JSON: what else the engine can say about the miss

    class Meta:
        indexes = [models.Index(fields=["run_number", "side", "reason", "row_id"], name="unmatched_reason")]

    def __str__(self) -> str:
        return f"{Side(self.side).label} {self.row_id}: {self.reason}"
