"""The first page's figures, and that each number opens the list behind it."""

from __future__ import annotations

import html
import re
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from recon.charts import day_chart, round_up
from recon.models import (
    Account,
    ItemState,
    MatchingRun,
    OpenItem,
    RunKind,
    RunRule,
    RunState,
    Side,
    StatementLine,
    reserve_ids,
)
from recon.usecases.reports.overview import Day, overview_of, rate
from rules.authoring import OnScreen, create_rule
from tests.cast import make_account

EXACT = '{"name": "Exact", "criteria": [{"field": "amount", "operator": "eq"}]}'


@pytest.fixture
def make_item(account):
    def make(age: int | None, **values) -> OpenItem:
        number = reserve_ids(OpenItem, 1)
        today = timezone.localdate()
        fields = {
            "units": 1000,
            "currency": "EUR",
            "side": Side.LEDGER,
            "reason": "no_candidate",
            "row_id": number,
            "account_id": account.pk,
        }
        return OpenItem.objects.create(
            id=number,
            row_date=None if age is None else today - timedelta(days=age),
            opened_at=timezone.now(),
            **{**fields, **values},
        )

    return make


@pytest.fixture
def make_run(account):
    def make(matched: int, total: int, *, ended: datetime | None = None, **values) -> MatchingRun:
        ended = ended or timezone.now()
        return MatchingRun.objects.create(
            **{
                "number": reserve_ids(MatchingRun, 1),
                "account": account,
                "kind": RunKind.BATCH,
                "state": RunState.COMPLETED,
                "lines_matched": matched,
                "lines_unmatched": total - matched,
                "lines_total": total,
                "completed_at": ended,
                **values,
            }
        )

    return make


def test_a_new_installation_is_told_what_to_do_first(client):
    page = client.get("/").content.decode()
    for url in ("/accounts/new/", "/ledger/upload/", "/rules/", "/reconcile/"):
        assert f'href="{url}"' in page


def test_the_match_rate_counts_lines_that_a_confirmed_match_holds(make_statement, make_entries, settle):
    make_statement(3)
    settle(StatementLine.objects.all()[0], make_entries(1)[0])
    figures = overview_of(None)
    assert (figures.matched, figures.lines, figures.match_rate) == (1, 3, Decimal("33.3"))


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [(0, 0, None), (1999, 2000, Decimal("99.9")), (2000, 2000, Decimal("100")), (0, 5, Decimal(0))],
)
def test_a_rate_says_100_only_when_everything_is_matched(part, whole, percent):
    assert rate(part, whole) == percent


def test_exceptions_are_counted_and_summed_by_currency_whichever_way_they_flow(make_item):
    make_item(1, units=-1000)
    make_item(1, units=2505, scale=3)
    make_item(1, units=500, currency="USD")
    make_item(1, state=ItemState.ACCEPTED)  # explained: needs nobody
    make_item(1, state=ItemState.RESOLVED, resolved_at=timezone.now())
    figures = overview_of(None)
    assert figures.open_count == 3
    assert [(each.currency, each.count, str(each.value)) for each in figures.open_values] == [
        ("EUR", 2, "12.505"),
        ("USD", 1, "5.00"),
    ]


def test_sums_of_the_largest_amounts_are_exact(make_item):
    for _ in range(20):
        make_item(1, units=-(10**18 - 1))
    assert str(overview_of(None).open_values[0].value) == "199999999999999999.80"


@pytest.mark.parametrize(
    ("age", "bucket", "late"),
    [
        (-2, "0-3", 0), (0, "0-3", 0), (3, "0-3", 0), (4, "4-7", 0), (7, "4-7", 0),
        (8, "8-30", 1), (90, "31-90", 1), (400, "91", 1),
    ],
)  # fmt: skip
def test_an_item_ages_from_its_rows_own_date(make_item, age, bucket, late):
    make_item(age)
    figures = overview_of(None)
    assert [share.key for share in figures.ages if share.count] == [bucket]
    assert figures.late_count == late


def test_each_account_says_itself_what_is_overdue(make_item, account):
    patient, easy = make_account("Patient", sla_days=60), make_account("Easy", sla_days=None)
    for each in (account, patient, easy):
        make_item(20, account_id=each.pk)
        make_item(90, account_id=each.pk, units=5)
    assert [overview_of(each).late_count for each in (account, patient, easy, None)] == [2, 1, 0, 3]
    assert [each.value for each in overview_of(patient).late_values] == [Decimal("0.05")]


def test_an_item_without_a_date_is_counted_apart(make_item):
    make_item(None)
    assert (overview_of(None).undated, overview_of(None).late_count) == (1, 0)


def test_days_count_real_runs_only_and_show_days_without_any(make_run):
    make_run(8, 10)
    make_run(5, 5, is_dry_run=True)
    make_run(1, 2, ended=timezone.now() - timedelta(days=2))
    make_run(9, 9, ended=timezone.now() - timedelta(days=40))
    days = overview_of(None).days
    assert len(days) == 14
    assert [(day.matched, day.unmatched) for day in days[-3:]] == [(1, 1), (0, 0), (8, 2)]


def test_matches_by_rule_come_from_the_runs_own_counts(make_run, alice):
    version = create_rule(OnScreen(alice), EXACT).current
    RunRule.objects.create(run=make_run(7, 7), version=version, position=1, matched=7)
    (share,) = overview_of(None).rules
    assert (share.name, share.count, share.percent) == ("Exact", 7, 100)


def test_every_number_opens_the_list_it_counts(client, make_item, make_run, make_statement):
    make_run(1, 2)
    make_statement(2)
    for age in (1, 5, 20, 40, 100):
        make_item(age)
    make_item(None, reason="amount_differs")
    Account.objects.update(sla_days=30)
    page = html.unescape(client.get("/").content.decode())
    links = set(re.findall(r'href="(/open-items/\?[^"]+)"', page))
    counts = {link: client.get(link).content.decode().count('<tr class="linked">') for link in links}
    assert counts["/open-items/?state=exceptions"] == 6
    assert counts["/open-items/?state=exceptions&age=late"] == 2
    assert counts["/open-items/?state=exceptions&age=8-30"] == 1
    assert counts["/open-items/?state=exceptions&reason=amount_differs"] == 1
    assert len(counts) == 9


def test_figures_of_one_account_leave_the_others_out(client, account, make_item, make_run):
    make_run(1, 2)
    make_item(1)
    page = client.get("/", {"account": account.pk}).content.decode()
    assert f"state=exceptions&account={account.pk}" in html.unescape(page)
    assert overview_of(account).open_count == 1


def test_the_overview_costs_the_same_whatever_it_shows(client, make_item, make_run, django_assert_max_num_queries):
    for _ in range(5):
        make_run(1, 2)
        make_item(9)
    with django_assert_max_num_queries(18):
        client.get("/")


def test_open_items_show_age_reason_and_row(client, make_item, make_statement):
    make_statement(1)
    make_item(12, side=Side.STATEMENT, row_id=StatementLine.objects.get().pk)
    page = client.get("/open-items/").content.decode()
    assert ">INV-0000<" in page
    assert "12 d" in page
    assert "No candidate" in page


def test_a_list_of_open_items_costs_the_same_whatever_it_shows(client, make_item, django_assert_max_num_queries):
    for _ in range(60):
        make_item(1)
    with django_assert_max_num_queries(8):
        client.get("/open-items/")


@pytest.mark.parametrize(
    ("count", "end"), [(0, 2), (2, 2), (3, 4), (5, 10), (41, 100), (999, 1000), (10**6 + 1, 2 * 10**6)]
)
def test_an_axis_ends_at_a_round_number(count, end):
    assert round_up(count) == end


def test_bars_stand_on_the_floor_and_stay_below_the_top():
    chart = day_chart([Day(date(2026, 3, 1), 30, 10), Day(date(2026, 3, 2), 0, 0)])
    first, second = chart.bars
    assert first.matched_y + first.matched_height == chart.floor
    assert first.rest_y >= chart.top
    assert second.matched_height == second.rest_height == 0
    assert len(chart.dots) == 1  # a day without lines has no rate
