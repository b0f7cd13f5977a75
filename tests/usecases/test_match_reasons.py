"""What a match, and what is left, say of themselves."""

from __future__ import annotations

import pytest

from recon.models import Match, RunKind, Side
from recon.usecases.integrity import violations
from recon.usecases.review.match_reasons import match_reasons
from recon.usecases.runs.reading import match_views, run_unmatched
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, make_entries, make_rule, make_statement, row


@pytest.mark.parametrize(
    ("group_date", "expected", "difference"),
    [
        ("earliest", "is within 9 days of 2026-03-01", "+9 days"),
        ("latest", "is within 9 days of 2026-03-08", "+2 days"),
    ],
)
def test_a_group_is_told_by_the_date_that_stands_for_it(by, account, group_date, expected, difference):
    make_entries(account, [row(1, "60.00", "2026-03-01", "P"), row(2, "40.00", "2026-03-08", "P")])
    statement = make_statement(account, [row(1, "100.00", "2026-03-10", "P")])
    within = {"field": "date", "operator": "within_range", "value": "9d"}
    rule = make_rule("Payout", SAME_AMOUNT, within, group_date=group_date)
    start_run(
        by, account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False,
        strategy="one_to_many", grouping="reference",
    )  # fmt: skip
    (view,) = match_views([Match.objects.get()])
    told = match_reasons(view)[1]
    assert (told.expected, told.found, told.difference) == (expected, "2026-03-10", difference)


def test_what_nearly_cancelled_a_row_stands_on_its_own_side(by, account):
    lines = [row(1, "10.00", reference="A"), row(2, "-10.00", reference="B")]
    make_entries(account, [row(number, "5.00") for number in range(1, 4)])
    statement = make_statement(account, lines)
    run = start_run(
        by, account, statement, [make_rule("Returned", SAME_AMOUNT, SAME_REFERENCE)], kind=RunKind.INSTANT,
        is_dry_run=False, strategy="within_statement",
    )  # fmt: skip
    left = run_unmatched(run, Side.STATEMENT).items
    own = [view.row.external_id for view in left if view.row]
    nearest = [view.nearest.external_id for view in left if view.nearest]
    assert (own, nearest, {view.item.reason for view in left}) == (["1", "2"], ["2", "1"], {"reference_differs"})
    assert list(violations()) == []
