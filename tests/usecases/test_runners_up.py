"""What a suggested match was preferred to, and what that is worse in."""

from __future__ import annotations

import pytest

from recon.models import Match, RunKind
from recon.usecases.runs import reading
from recon.usecases.runs.starting import apply_run, start_run
from tests.cast import actor, make_account, make_entries, make_rule, make_statement, row

WITHIN_A_EURO = {"field": "amount", "operator": "within_range", "value": "1.00"}
WITHIN_A_WEEK = {"field": "date", "operator": "within_range", "value": "7d"}


@pytest.mark.parametrize(
    ("entry", "day", "gap"),
    [
        ("10.00", "2026-03-02", "as near in amount and date"),
        ("10.00", "2026-03-05", "3 days apart instead of 0"),
        ("10.50", "2026-03-02", "amount 0.50 off instead of 0.00"),
        ("9.125", "2026-03-03", "amount 0.875 off instead of 0.00, 1 day apart instead of 0"),
    ],
)
@pytest.mark.parametrize("is_applied", [False, True])
def test_a_runner_up_says_what_it_is_worse_in(alice, db, entry, day, gap, is_applied):
    account = make_account()
    best, other = make_entries(account, [row(1, "10.00", "2026-03-02", "A"), row(2, entry, day, "B")])
    statement = make_statement(account, [row(1, "10.00", "2026-03-02")])
    rule = make_rule("Near", WITHIN_A_EURO, WITHIN_A_WEEK)
    run = start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=is_applied)
    if is_applied:
        run = apply_run(actor(alice), run)
    (view,) = reading.match_views(list(Match.objects.filter(run_number=run.number)))
    assert view.is_suggestion
    assert [placed.row for placed in view.entries] == [best]
    (rival,) = reading.runners_up(view)
    assert (rival.row, rival.gap) == (other, gap)
