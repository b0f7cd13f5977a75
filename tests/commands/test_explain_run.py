"""A run says how it went about its work."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from recon.models import RunKind
from recon.usecases.runs import pushdown
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, actor, make_account, make_entries, make_rule, make_statement, row


@pytest.fixture
def run(alice):
    """Two lines against three entries by two rules; the second has nothing left to do."""
    account = make_account()
    make_entries(account, [row(number, f"{number}.00", reference=f"R{number}") for number in (1, 2, 3)])
    statement = make_statement(account, [row(number, f"{number}.00", reference=f"R{number}") for number in (1, 2)])
    rules = [make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE), make_rule("Amount", SAME_AMOUNT)]
    return start_run(actor(alice), account, statement, rules, kind=RunKind.INSTANT, is_dry_run=True)


def said(run) -> str:
    out = StringIO()
    call_command("explain_run", run, stdout=out)
    return out.getvalue()


def test_it_names_how_rows_were_read_and_what_each_rule_did(run):
    text = said(run.run_id)
    assert f"Dry run {run.number} ({run.run_id}): completed, one to one" in text
    assert "Read: 2 lines and 3 entries: every open entry in scope, because there are few of them" in text
    assert "Rule 1: Exact v1: 2 matches, 0 suggestions" in text
    assert "pairs found by: same amount and same reference" in text
    assert said(str(run.number)) == text


def test_a_narrowed_reading_says_by_what_estimate(run, alice, monkeypatch):
    monkeypatch.setattr(pushdown, "SMALL", 2)
    monkeypatch.setattr(pushdown, "LOOK_UP", 0)
    monkeypatch.setattr(pushdown, "FETCH", 1)
    rules = [each.version for each in run.run_rules.all()]
    again = start_run(actor(alice), run.account, run.statement, rules, kind=RunKind.INSTANT, is_dry_run=True)
    text = said(again.run_id)
    assert "Read: 2 lines and 2 entries: only the open entries that have an amount or a reference of" in text
    assert "4 amounts and references looked up, 2 entries found" in text


def test_an_unknown_run_is_named(db):
    with pytest.raises(CommandError, match="There is no run recon_none"):
        said("recon_none")
