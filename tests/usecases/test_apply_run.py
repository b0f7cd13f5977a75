"""Applying a dry run: what it found becomes real, if it still holds."""

from __future__ import annotations

import pytest

from recon.models import (
    Claim,
    LedgerEntry,
    Match,
    MatchingRun,
    MatchState,
    OpenItem,
    RunKind,
    RunState,
    Side,
    UnmatchedItem,
)
from recon.usecases.errors import Refused
from recon.usecases.review.manual import match_by_hand
from recon.usecases.runs.starting import apply_run, start_run
from recon.usecases.runs.undo import reverse_run
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    lines,
    make_entries,
    make_rule,
    make_statement,
    row,
)

COUNTS = ("lines_total", "lines_matched", "lines_suggested", "lines_unmatched", "entries_matched", "entries_unmatched")


@pytest.fixture
def dry(by, account) -> MatchingRun:
    """A dry run that would match lines 1 and 2, suggests one of two equal entries for line 3 and leaves line 4."""
    make_entries(
        account,
        [
            row(1, "10.00", reference="A-1"),
            row(2, "20.00", reference="A-2"),
            row(3, "30.00", reference="A-3", description="first"),
            row(4, "30.00", reference="A-3", description="second"),
        ],
    )
    statement = make_statement(
        account, [row(number, f"{number}0.00", reference=f"A-{number}") for number in range(1, 5)]
    )
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)
    return start_run(by, account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=True)


def counts(run):
    return {name: getattr(run, name) for name in COUNTS}


def test_an_applied_dry_run_has_the_same_counts_totals_and_reasons(by, dry):
    applied = apply_run(by, dry)
    assert (applied.state, applied.error) == (RunState.COMPLETED, "")
    assert counts(applied) == counts(dry)
    assert counts(dry)["lines_matched"] == 2
    assert counts(dry)["lines_suggested"] == 1
    assert applied.totals == dry.totals
    assert applied.explanation["arrived"] == 0
    states = Match.objects.filter(run_number=applied.number).order_by("id").values_list("state", flat=True)
    assert list(states) == [MatchState.CONFIRMED, MatchState.CONFIRMED, MatchState.SUGGESTED]
    reasons = [
        list(
            UnmatchedItem.objects.filter(run_number=run.number)
            .order_by("side", "row_id")
            .values_list("side", "row_id", "reason", "nearest_row_id", "detail")
        )
        for run in (dry, applied)
    ]
    assert reasons[0] == reasons[1]
    assert Claim.objects.count() == 4
    assert OpenItem.objects.unresolved().filter(side=Side.STATEMENT).count() == 2


def test_a_dry_run_is_applied_once(by, dry):
    applied = apply_run(by, dry)
    with pytest.raises(Refused, match=f"already applied, as run {applied.number}"):
        apply_run(by, dry)
    with pytest.raises(Refused, match="Only a completed dry run"):
        apply_run(by, applied)


def test_nothing_is_applied_if_a_row_was_taken_since_unless_the_rest_is_asked_for(by, account, dry):
    line, entry = lines(dry.statement)[0], make_entries(account, [row(9, "10.00")])[0]
    by_hand = match_by_hand(by, account, [line.pk], [entry.pk])
    with pytest.raises(Refused, match="1 of the matches"):
        apply_run(by, dry)
    assert set(Claim.objects.values_list("match_id", flat=True)) == {by_hand.pk}
    applied = apply_run(by, dry, rest_only=True)
    assert (applied.state, applied.explanation["dropped"]) == (RunState.COMPLETED, 1)
    assert (applied.lines_total, applied.lines_matched) == (3, 1)
    freed = LedgerEntry.objects.filter(reference="A-1").get()  # its line was taken; it is open still, and says why
    left = UnmatchedItem.objects.get(run_number=applied.number, side=Side.LEDGER, row_id=freed.pk)
    assert left.reason == "claimed_by_another"


def test_a_rule_changed_since_drops_its_matches(by, dry):
    rule = dry.run_rules.get().version.rule
    rule.version = 2
    rule.save()
    with pytest.raises(Refused, match=r"a rule was changed \(Exact\)"):
        apply_run(by, dry)


def test_entries_that_arrived_since_are_counted_with_those_that_would_have_competed(by, account, dry):
    make_entries(account, [row(7, "10.00", reference="A-1"), row(8, "123.00", reference="Z")])
    applied = apply_run(by, dry)
    assert applied.state == RunState.COMPLETED
    assert applied.explanation["arrived"] == 2
    assert applied.explanation["would_have_competed"] == 1


def test_an_applied_run_is_reversed_like_any_other(by, dry):
    applied = apply_run(by, dry)
    reversed_run = reverse_run(by, applied)
    assert reversed_run.state == RunState.REVERSED
    assert not Claim.objects.exists()
    assert set(Match.objects.filter(run_number=dry.number).values_list("state", flat=True)) == {
        MatchState.PROPOSED,
        MatchState.SUGGESTED,
    }
