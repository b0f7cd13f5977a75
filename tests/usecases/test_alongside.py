"""Two sides at once."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection

from recon.demo import practice
from recon.models import LedgerEntry, LoadState, Side, StatementLine
from recon.usecases.bulk.alongside import alongside
from recon.usecases.bulk.rows import load_rows
from recon.usecases.events import Actor
from recon.usecases.imports import rows as import_rows
from recon.usecases.imports.importing import store_ledger, store_statement
from recon.usecases.imports.preparing import prepare
from tests.cast import make_account


@pytest.mark.django_db(transaction=True)
def test_both_sides_of_an_account_are_stored_at_once(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    by, account = Actor.command(), make_account()
    lines = prepare(account, Side.STATEMENT, practice.statement_csv(), "statement.csv")
    entries = prepare(account, Side.LEDGER, practice.ledger_csv(), "ledger.csv")
    statement, ledger = alongside(
        partial(store_statement, by, account, lines), partial(store_ledger, by, account, entries)
    )
    assert {statement.state, ledger.state} == {LoadState.READY}
    assert StatementLine.objects.count() == statement.record_count
    assert LedgerEntry.objects.count() == ledger.record_count


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_two_imports_whose_rows_are_on_their_way_both_become_ready(settings, tmp_path, monkeypatch):
    """Each has written its record, and so holds a share of the account's key, before either becomes ready."""
    from threading import Barrier

    both_there = Barrier(2, timeout=20)

    def loading(*args, **more):
        load_rows(*args, **more)
        both_there.wait()

    monkeypatch.setattr(import_rows, "load_rows", loading)
    test_both_sides_of_an_account_are_stored_at_once(settings, tmp_path, monkeypatch)


@pytest.mark.django_db(transaction=True)
def test_the_error_of_either_is_raised_once_both_are_over():
    done = []

    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        alongside(lambda: done.append("here"), fails)
    assert done == ["here"]
