"""Who acts and on what, where a test does not say more."""

from __future__ import annotations

import pytest
from django.db import connection

from recon.demo import practice
from recon.models import RunKind
from recon.usecases.bulk.apart_tables import RANGE, tables_apart
from recon.usecases.imports.importing import import_ledger, import_statement
from recon.usecases.runs.starting import start_run
from rules.authoring import create_rule
from tests.cast import actor, make_account


@pytest.fixture
def by(alice):
    return actor(alice)


@pytest.fixture
def account(db):
    return make_account()


@pytest.fixture
def practised(alice, settings, tmp_path):
    """Runs the practice example and gives what came of it."""
    settings.MEDIA_ROOT = tmp_path

    def practise(name: str):
        by, account = actor(alice), make_account(name)
        import_ledger(by, account, practice.ledger_csv(), "ledger.csv")
        statement = import_statement(by, account, practice.statement_csv(), "statement.csv")
        versions = [create_rule(by, practice.EXACT).current, create_rule(by, practice.WITHIN_ONE_PERCENT).current]
        return start_run(by, account, statement, versions, kind=RunKind.INSTANT, is_dry_run=False)

    return practise


@pytest.fixture
def no_tables_left(transactional_db):
    """What rolling back would do to the tables that large loads have of their own."""
    yield
    with connection.cursor() as cursor:
        for model in RANGE:
            for each in tables_apart(model):
                cursor.execute(f"DROP TABLE {each.name}")
