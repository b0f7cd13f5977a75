"""The main job from the shell: files in, one JSON object out."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from recon.demo import practice
from recon.models import Account, Claim, LedgerEntry, MatchingRun, OpenItem, StatementLine, StatementRowError
from recon.usecases.accounts.scope import create_account
from recon.usecases.events import Actor
from rules.models import MatchingRule


@pytest.fixture
def files(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    (tmp_path / "ledger.csv").write_bytes(practice.ledger_csv())
    (tmp_path / "statement.csv").write_bytes(practice.statement_csv())
    (tmp_path / "percent.json").write_text(practice.WITHIN_ONE_PERCENT)
    (tmp_path / "exact.json").write_text(practice.EXACT)
    (tmp_path / "both.json").write_text(f"[{practice.EXACT}, {practice.WITHIN_ONE_PERCENT}]")
    return tmp_path


def printed(files: Path, *options: str, rules: str = "percent.json", **names: str) -> str:
    out = StringIO()
    call_command(
        "reconcile",
        "--statement",
        files / names.get("statement", "statement.csv"),
        "--ledger",
        files / names.get("ledger", "ledger.csv"),
        "--rules",
        files / rules,
        *options,
        stdout=out,
        stderr=StringIO(),
    )
    return out.getvalue()


def reconcile(files: Path, *options: str, **names: str) -> dict:
    return json.loads(printed(files, "--json", *options, **names).splitlines()[-1])


def settled(result: dict) -> list[str]:
    return [match["external"][0][-3:] for match in result["matches"]]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("percent.json", ["001", "002", "004", "005", "007", "009"]),
        ("exact.json", ["001", "009"]),
        ("both.json", ["001", "002", "004", "005", "007", "009"]),  # the second rule takes what the first left
    ],
)
def test_the_practice_example_gives_its_known_answer(db, files, rules, expected):
    result = reconcile(files, rules=rules)
    assert sorted(settled(result)) == expected
    assert all(match["external"][0][-3:] == match["internal"][0][-3:] for match in result["matches"])
    assert result["matched_transactions"] == len(expected)
    assert result["unmatched_transactions"] == 10 - len(expected)
    left = {"external": 10 - len(expected), "internal": 10 - len(expected)}
    assert {side: len(rows) for side, rows in result["unmatched"].items()} == left


def test_the_result_has_the_agreed_shape(db, files):
    result = reconcile(files)
    assert result["reconciliation_id"] == MatchingRun.objects.get().run_id
    assert (result["status"], result["suggested"]) == ("completed", 0)
    second = next(match for match in result["matches"] if match["external"] == ["ext_002"])
    assert second["internal"] == ["txn_002"]
    assert second["rule"] == "Within 1% with the same reference"
    assert (second["status"], second["amount_difference"]) == ("confirmed", "-0.60")
    assert any("amount" in reason for reason in second["reasons"])
    assert {row["id"] for row in result["unmatched"]["external"]} == {"ext_003", "ext_006", "ext_008", "ext_010"}
    assert all(row["reason"] for side in result["unmatched"].values() for row in side)


def test_without_json_the_counts_are_said_in_words(db, files):
    assert "6 matched, 0 suggested, 4 unmatched of 10" in printed(files)


def test_it_can_be_repeated_because_every_call_has_an_account_of_its_own(db, files):
    first, second = reconcile(files), reconcile(files)
    assert settled(first) == settled(second)
    assert Account.objects.count() == 2
    assert MatchingRule.objects.count() == 1  # the same rule is the same record …
    assert not MatchingRule.objects.listed().exists()  # … and not among those people work with


def test_a_dry_run_finds_the_same_and_settles_nothing(db, files):
    dry, real = reconcile(files, "--dry-run"), reconcile(files)
    different = ("reconciliation_id", "is_dry_run")
    assert {key: dry[key] for key in dry if key not in different} == {
        key: real[key] for key in real if key not in different
    }
    dry_account = MatchingRun.objects.get(is_dry_run=True).account_id
    assert not Claim.objects.filter(account_id=dry_account).exists()
    assert not OpenItem.objects.filter(account_id=dry_account).exists()


def test_a_named_account_is_used_and_its_claimed_rows_stay_claimed(db, files):
    create_account(Actor.command(), name="Practice", scope={"owned": True})
    reconcile(files, "--account", "Practice", rules="exact.json")
    with pytest.raises(CommandError, match="imported before"):
        reconcile(files, "--account", "Practice")
    again = reconcile(files, "--account", "Practice", "--again")
    assert again["matched_transactions"] == 6
    assert Account.objects.count() == 1


def test_rows_without_ids_are_named_by_their_place(db, files):
    (files / "s.csv").write_text("amount,date,currency,reference\n5.00,2026-01-01,EUR,A\n-7.00,2026-01-01,EUR,B\n")
    (files / "l.csv").write_text("amount,date,currency,reference\n-9.00,2026-01-01,EUR,C\n5.00,2026-01-01,EUR,A\n")
    result = reconcile(files, rules="exact.json", statement="s.csv", ledger="l.csv")
    assert [(match["external"], match["internal"]) for match in result["matches"]] == [(["1"], ["2"])]
    assert [row["id"] for row in result["unmatched"]["external"]] == ["2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("percent.json", "{", "rules are refused"),
        ("percent.json", "[]", "at least one rule"),
        ("percent.json", practice.EXACT.replace("equals", "resembles"), "resembles"),
        ("percent.json", practice.EXACT.replace('"equals"}', '"eq", "pattern": "("}'), "pattern"),
        ("statement.csv", "", "empty"),
        ("statement.csv", "id,amount,date,currency\n1,x,2026-01-01,EUR\n", "line 2|Line 2"),
        ("ledger.csv", "id,date,currency\n1,2026-01-01,EUR\n", "amount"),
        ("ledger.csv", "id,amount,date,currency\n1,12 apples,2026-01-01,EUR\n", "apples"),
    ],
)
def test_refused_input_says_why_and_stores_nothing(db, files, name, content, message):
    (files / name).write_text(content)
    with pytest.raises(CommandError, match=message) as refused:
        reconcile(files)
    assert refused.value.returncode == 1
    stored = (Account, StatementLine, LedgerEntry, MatchingRun)
    assert [model.objects.count() for model in stored] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--account", "Nobody"), "no account named"),
        (("--rate", "0.92"), "USD/EUR = 0.92"),
        (("--currency", "euro"), "three capital letters"),
        (("--strategy", "one_to_none"), "one_to_none"),
    ],
)
def test_options_that_make_no_sense_are_refused(db, files, options, message):
    with pytest.raises(CommandError, match=message):
        reconcile(files, *options)
    assert (StatementLine.objects.count(), LedgerEntry.objects.count()) == (0, 0)


def test_a_file_that_is_not_there_is_refused(db, files):
    with pytest.raises(CommandError, match="there is no such file"):
        reconcile(files, statement="nowhere.csv")


def test_rows_that_are_there_are_left_out_and_bad_ones_kept_as_on_the_pages(db, files):
    create_account(Actor.command(), name="Practice", scope={"owned": True})
    reconcile(files, "--account", "Practice")
    longer = practice.statement_csv() + b"ext_900,1.00,2024-02-01T00:00:00Z,New,USD,NEW,bank\n"
    (files / "longer.csv").write_bytes(longer + b"ext_901,1.0.0,2024-02-01T00:00:00Z,Bad,USD,BAD,bank\n")
    more = practice.ledger_csv() + b"txn_900,1.00,2024-02-01T00:00:00Z,New,USD,NEW,books\n"
    (files / "more.csv").write_bytes(more)
    names = {"statement": "longer.csv", "ledger": "more.csv"}
    with pytest.raises(CommandError, match=r"1\.0\.0"):
        reconcile(files, "--account", "Practice", "--skip-known", **names)
    result = reconcile(files, "--account", "Practice", "--skip-known", "--good-rows", **names)
    assert result["matched_transactions"] + result["unmatched_transactions"] == 1
    assert StatementRowError.objects.get().found == "1.0.0"
