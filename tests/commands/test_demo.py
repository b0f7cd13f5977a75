"""The demo has real work to look at, and is loaded once."""

from __future__ import annotations

from datetime import date
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.test import override_settings

from recon.demo.shop import shop_month
from recon.management.commands import demo as command
from recon.management.commands import serve
from recon.models import Account, LedgerEntry, Match, MatchingRun, MatchState, OpenItem, StatementLine, UnmatchedItem
from rules.models import MatchingRule


@pytest.fixture(scope="module")
def loaded_once(django_db_setup, django_db_blocker, tmp_path_factory):
    """The demo, the file of its password, and what was printed; what a test does to it is rolled back."""
    place = tmp_path_factory.mktemp("demo")
    password_file = place / "demo_password"
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        override_settings(MEDIA_ROOT=place / "media"),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        for module in (command, serve):
            monkeypatch.setattr(module, "DEMO_PASSWORD_FILE", password_file)
        yield load(), password_file
        transaction.set_rollback(True)


@pytest.fixture
def demo(loaded_once, db):
    """The same, in a transaction of the test's own."""
    return loaded_once


def load() -> str:
    out = StringIO()
    call_command("demo", stdout=out)
    return out.getvalue()


def test_the_shops_month_is_the_same_every_time():
    assert shop_month(date(2026, 3, 31)) == shop_month(date(2026, 3, 31))
    statement, ledger = (len(file.splitlines()) - 1 for file in shop_month(date(2026, 3, 31)))
    assert 1_900 < statement < 2_100
    assert 1_900 < ledger < 2_100


def test_the_demo_is_reconciled_and_leaves_work_to_do(demo):
    run = MatchingRun.objects.get(account__name="Web shop, card processor")
    assert (run.state, run.is_dry_run) == ("completed", False)
    assert run.lines_total == StatementLine.objects.filter(account_id=run.account_id).count()
    assert 0.9 < run.lines_matched / run.lines_total < 0.98
    assert run.lines_suggested > 10
    assert all(place.matched for place in run.run_rules.all())  # every rule of the cascade has something to show
    assert OpenItem.objects.filter(account_id=run.account_id).unresolved().count() > 100
    assert UnmatchedItem.objects.filter(run_number=run.number).count() == run.lines_unmatched + run.entries_unmatched


def test_the_practice_example_shows_what_one_percent_makes(demo):
    runs = MatchingRun.objects.filter(account__name="Practice example").order_by("number")
    assert [run.lines_matched for run in runs] == [6, 2]
    assert Match.objects.filter(run_number__in=[run.number for run in runs], state=MatchState.PROPOSED).count() == 8


def test_the_demo_user_signs_in_with_the_printed_password_that_is_stored_hashed(demo):
    printed, password_file = demo
    password = password_file.read_text()
    user = User.objects.get(username="demo")
    assert f"Sign in as demo with the password {password}" in printed
    assert user.check_password(password)
    assert password not in user.password
    assert password_file.stat().st_mode & 0o777 == 0o600


def test_a_second_time_says_that_it_is_there(demo):
    models = (User, Account, MatchingRule, MatchingRun, StatementLine, LedgerEntry)
    before = [model.objects.count() for model in models]
    assert load().startswith("The demo is already there.")
    assert [model.objects.count() for model in models] == before
