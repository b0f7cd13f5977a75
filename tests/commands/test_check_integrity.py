"""Whatever is broken in the records is found and named."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings

from recon.demo import practice
from recon.models import RunKind
from recon.usecases.accounts.scope import create_account
from recon.usecases.events import Actor
from recon.usecases.imports.importing import import_ledger, import_statement
from recon.usecases.integrity import violations
from recon.usecases.runs.starting import start_run
from rules.authoring import create_rule


@pytest.fixture(scope="module")
def reconciled_once(django_db_setup, django_db_blocker, tmp_path_factory):
    """Two runs over the practice example: a dry one, and a real one that settles two of ten. Made once: what a test
    breaks is rolled back around it."""
    files = override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("files"))
    with django_db_blocker.unblock(), files, transaction.atomic():
        by = Actor.command()
        account = create_account(by, name="Practice", scope={"owned": True})
        import_ledger(by, account, practice.ledger_csv(), "ledger.csv")
        statement = import_statement(by, account, practice.statement_csv(), "statement.csv")
        for text, dry in ((practice.WITHIN_ONE_PERCENT, True), (practice.EXACT, False)):
            version = create_rule(by, text).current
            run = start_run(by, account, statement, [version], kind=RunKind.INSTANT, is_dry_run=dry)
            assert run.state == "completed"
        yield
        transaction.set_rollback(True)


@pytest.fixture
def reconciled(reconciled_once, db) -> None:
    """The two runs, in a transaction of the test's own."""


def found() -> list[str]:
    return [str(violation) for violation in violations()]


def break_by(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.rowcount > 0, "the test breaks nothing"


def test_what_the_program_wrote_holds(reconciled):
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue().startswith("All ")


def test_every_violation_is_a_line_and_the_exit_code_is_one(reconciled):
    break_by("UPDATE recon_match SET line_units = line_units + 1 WHERE state = 'confirmed'")
    out = StringIO()
    with pytest.raises(CommandError, match=r"4 violations") as failed:
        call_command("check_integrity", stdout=out)
    assert failed.value.returncode == 1
    assert len(out.getvalue().splitlines()) == 4  # both matches: rows against sums, sums against differences


# Aims at one row; PostgreSQL and SQLite both know this form.
ONE_MATCH = "id = (SELECT MIN(id) FROM recon_match WHERE state = 'confirmed')"
OF_ONE_MATCH = ONE_MATCH.replace("id = ", "match_id = ", 1)

BREAKS = {
    "a line of no statement": (
        "UPDATE recon_statementline SET statement_number = 99 WHERE position = 1",
        "leads to no",
    ),
    "an entry of no import": (
        "UPDATE recon_ledgerentry SET import_number = 99 WHERE external_id = 'txn_001'",
        "leads to no ledgerimport",
    ),
    "an entry of no account": ("UPDATE recon_ledgerentry SET account_id = 99", "leads to no account"),
    "a match of no run": (f"UPDATE recon_match SET run_number = 99 WHERE {ONE_MATCH}", "leads to no matchingrun"),
    "a match by no rule": (
        f"UPDATE recon_match SET rule_version_id = 99 WHERE {ONE_MATCH}",
        "leads to no ruleversion",
    ),
    "rows of no match": (f"DELETE FROM recon_match WHERE {ONE_MATCH}", "leads to no match"),
    "a matched line that is gone": (
        "DELETE FROM recon_statementline WHERE external_id = 'ext_001'",
        "leads to no statementline",
    ),
    "a matched entry that is gone": (
        "DELETE FROM recon_ledgerentry WHERE external_id = 'txn_001'",
        "leads to no ledgerentry",
    ),
    "an unmatched item of no run": (
        "INSERT INTO recon_unmatcheditem (run_number, side, row_id, part, reason) VALUES (99, 0, 1, 0, 'x')",
        "leads to no matchingrun",
    ),
    "a nearest miss that is not there": (
        (
            "INSERT INTO recon_unmatcheditem (run_number, side, row_id, part, reason, nearest_row_id)"
            " SELECT MIN(number), 0, 1, 7, 'amount_differs', 999999 FROM recon_matchingrun"
        ),
        "leads to no ledgerentry",
    ),
    "an open item of a row that is not there": ("UPDATE recon_openitem SET row_id = row_id + 1000000", "leads to no"),
    "a difference of no match": (
        (
            "INSERT INTO recon_matchdifference (match_id, units, scale, currency, type, comment)"
            " VALUES (999999, 1, 2, 'USD', 'fee', '')"
        ),
        "leads to no match",
    ),
    "a note on no item": (
        "INSERT INTO recon_itemnote (item_id, text, created_at) VALUES (99999, 'x', '2026-01-01')",
        "leads",
    ),
    "a row part in two confirmed matches": (
        "UPDATE recon_match SET state = 'confirmed' WHERE state = 'proposed'",
        "is in 2 confirmed matches",
    ),
    "a confirmed match without its claim": (
        f"DELETE FROM recon_claim WHERE {OF_ONE_MATCH}",
        "does not hold the claim",
    ),
    "a claim of an undone match": (
        f"UPDATE recon_match SET state = 'undone' WHERE {ONE_MATCH}",
        "which is not a confirmed match of it",
    ),
    "a claim to a row of another match": (
        "UPDATE recon_claim SET match_id = match_id + 1 WHERE side = 0 AND " + OF_ONE_MATCH,
        "which is not a confirmed match of it",
    ),
    "rows that do not add up": (
        f"UPDATE recon_matchrow SET units = units + 1 WHERE side = 0 AND {OF_ONE_MATCH}",
        "add up",
    ),
    "a match without rows": (f"DELETE FROM recon_matchrow WHERE {OF_ONE_MATCH}", "has no row"),
    "a difference too much": (
        (
            "INSERT INTO recon_matchdifference (match_id, units, scale, currency, type, comment)"
            f" SELECT id, 1, scale, currency, 'fee', '' FROM recon_match WHERE {ONE_MATCH}"
        ),
        "its differences add up to 1",
    ),
    "a difference in another currency": (
        "UPDATE recon_matchdifference SET currency = 'EUR'",
        "a difference is in EUR",
    ),
    "parts that are not the whole": (
        (
            "INSERT INTO recon_rowpart (account_id, side, row_id, part, units)"
            " SELECT account_id, 0, id, 1, 1 FROM recon_statementline WHERE external_id = 'ext_003'"
        ),
        "its parts add up to 1",
    ),
    "a count of lines": (
        "UPDATE recon_matchingrun SET lines_matched = lines_matched + 1, lines_unmatched = lines_unmatched - 1",
        "matched and suggested lines is",
    ),
    "a count of entries": ("UPDATE recon_matchingrun SET entries_matched = 9", "matched and suggested entries is 9"),
    "a count of matches": ("UPDATE recon_matchingrun SET matches_confirmed = 9", "matches is 9"),
    "a count of what is left": ("UPDATE recon_matchingrun SET entries_unmatched = 99", "unmatched entries is 99"),
    "an unmatched item lost": (
        "DELETE FROM recon_unmatcheditem WHERE side = 0 AND row_id = (SELECT MIN(row_id) FROM recon_unmatcheditem)",
        "unmatched lines is",
    ),
    "a statement with rows lost": ("UPDATE recon_statement SET record_count = 11", "says 11 rows, has 10"),
    "a superseded line of a statement in force": (
        "UPDATE recon_statementline SET superseded = true WHERE position = 10",
        "is superseded, but its statement is ready",
    ),
    "a superseded line that is matched": (
        "UPDATE recon_statementline SET superseded = true WHERE external_id = 'ext_001'",
        "holds it",
    ),
    "a superseded statement without a successor": (
        "UPDATE recon_statement SET state = 'superseded'",
        "is superseded by none",
    ),
    "a repaired row that is no line": (
        (
            "INSERT INTO recon_statementrowerror"
            ' (statement_id, line_position, settled_at, "column", found, expected, message, raw, settled_why)'
            " SELECT upload_id, 99, '2026-01-01', '', '', '', '', '', '' FROM recon_statement"
        ),
        "says it became line 99",
    ),
    "an import with rows lost": ("UPDATE recon_ledgerimport SET record_count = 11", "says 11 rows, has 10"),
    "a claimed row that is an open item": (
        (
            "INSERT INTO recon_claim (account_id, side, row_id, part, match_id)"
            " SELECT account_id, side, row_id, part, 1 FROM recon_openitem"
        ),
        "is open, but",
    ),
    "an open row part without its item": ("DELETE FROM recon_openitem", "but is no open item"),
    "an open item of another amount": ("UPDATE recon_openitem SET units = units + 1", "open item"),
}


@pytest.mark.parametrize(("sql", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_what_is_broken_is_found_and_named(reconciled, sql, message):
    break_by(sql)
    assert any(message in each for each in found()), found()
