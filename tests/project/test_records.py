"""What the database itself refuses."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from recon.models import Claim, Event, LedgerEntry, Match, MatchState, Origin, Side, Via, reserve_ids


def entry(**values) -> LedgerEntry:
    fields = {"id": 1, "units": 100, "scale": 2, "currency": "EUR", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return LedgerEntry(**{**fields, **values})


@pytest.mark.parametrize(
    "values",
    [
        {"units": 10**18},  # 19 digits
        {"units": -(10**18)},
        {"scale": 10},
        {"scale": -1},
        {"currency": "eur"},
        {"currency": "EU1"},
        {"currency": "EU"},
    ],
)
def test_an_impossible_amount_is_refused(db, values):
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(**values).save(force_insert=True)
    assert LedgerEntry.objects.count() == 0


def test_the_largest_amount_is_kept_exactly(db):
    entry(units=10**18 - 1).save(force_insert=True)
    assert str(LedgerEntry.objects.get().amount) == "9999999999999999.99"


def test_a_row_part_is_claimed_once_per_account(db):
    Claim.objects.create(account_id=1, side=Side.LEDGER, row_id=7, match_id=1)
    Claim.objects.create(account_id=2, side=Side.LEDGER, row_id=7, match_id=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        Claim.objects.create(account_id=1, side=Side.LEDGER, row_id=7, match_id=3)
    assert Claim.objects.count() == 2


@pytest.mark.parametrize("given", [{"state": "maybe"}, {"origin": "hearsay"}])
def test_a_match_in_a_state_or_of_an_origin_that_is_none_is_refused(db, given):
    known = {"state": MatchState.CONFIRMED, "origin": Origin.RULE}
    sums = {"account_id": 1, "currency": "EUR", "scale": 2, "line_units": 1, "entry_units": 1}
    Match.objects.create(id=1, created_at=timezone.now(), **sums, **known)
    with pytest.raises(IntegrityError), transaction.atomic():
        Match.objects.create(id=2, created_at=timezone.now(), **sums, **(known | given))


def test_an_event_is_never_changed(db, alice):
    event = Event.objects.create(actor=alice, via=Via.SCREEN, verb="match confirmed", kind="match", object_id="1")
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(verb="match rejected")


def test_reserved_ids_never_overlap(db):
    first = reserve_ids(LedgerEntry, 10)
    assert reserve_ids(LedgerEntry, 1) == first + 10


def test_the_suite_runs_on_the_database_it_was_told(db, settings):
    wanted = "postgresql" if "postgresql" in settings.DATABASES["default"]["ENGINE"] else "sqlite"
    assert connection.vendor == wanted


@pytest.mark.parametrize("package", ["recon.engine", "recon.statements", "recon.rows", "rules.criteria"])
def test_a_pure_package_leaves_django_unloaded(package):
    code = f"import sys, {package}; print(any(name.split('.')[0] == 'django' for name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_keys_of_rows_stored_before_are_made_again_without_what_nobody_sees(db):
    stale = {"reference": "INV\u200b-7", "reference_key": "inv\u200b-7"}
    entry(**stale, description="\u200e", description_key="\u200e", counterparty="Ann", counterparty_key="ann").save()
    import_module("recon.migrations.0020_keys_without_unseen_characters").make_keys_again(apps, None)
    kept = LedgerEntry.objects.get()
    assert (kept.reference_key, kept.description_key, kept.counterparty_key) == ("inv-7", None, "ann")
