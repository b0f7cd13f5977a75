"""The pages of a run, with and without htmx."""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recon.models import Claim, Match, MatchingRun, MatchState, RunKind, RunState, reserve_ids
from recon.usecases.runs.starting import start_run
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    actor,
    lines,
    make_account,
    make_entries,
    make_rule,
    make_statement,
    row,
)

PAGES = ("run", "run_matches", "run_unmatched", "run_reverse")


@pytest.fixture
def account(db):
    return make_account()


@pytest.fixture
def start(alice, account):
    """A run over two lines that match, one that is only suggested and one with nothing like it."""
    make_entries(
        account,
        [
            row(1, "10.00", reference="A-1"),
            row(2, "20.00", reference="A-2"),
            row(3, "30.00", reference="A-3", description="first"),
            row(4, "30.00", reference="A-3", description="second"),
            row(5, "4.50", reference="Z-9"),
        ],
    )
    statement = make_statement(
        account,
        [row(number, f"{number}0.00", reference=f"A-{number}") for number in range(1, 4)]
        + [row(4, "4.00", reference="=cmd()")],
    )
    rule = make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)

    def start(**settings):
        settings = {"kind": RunKind.INSTANT, "is_dry_run": False, **settings}
        return start_run(actor(alice), account, statement, [rule], **settings)

    return start


def text_of(response):
    return response.content.decode()


@pytest.mark.parametrize("dry", [True, False])
def test_every_page_of_a_finished_run_is_shown(client, start, dry):
    run = start(is_dry_run=dry)
    assert [client.get(reverse(name, args=[run.pk])).status_code for name in PAGES] == [200] * len(PAGES)


def test_the_summary_says_what_the_run_came_to(client, start):
    text = text_of(client.get(reverse("run", args=[start().pk])))
    assert "50.0 % of 4" in text
    assert "30.00" in text  # matched
    assert "What is matched ties out to the cent" in text


def test_the_list_of_runs_costs_the_same_for_many_runs(client, start, django_assert_num_queries):
    for _ in range(3):
        start(is_dry_run=True)
    with django_assert_num_queries(4):  # session, user, accounts of the filter, runs
        response = client.get(reverse("runs"))
    assert text_of(response).count("Dry run") >= 3


def test_the_list_of_runs_is_filtered(client, start):
    start(is_dry_run=True)
    fragment = {"HX-Request": "true", "HX-Target": "run-rows"}
    found = {"kind=dry": 1, "kind=real": 0, "state=failed": 0, "q=march": 1, "q=999": 0}  # march: the statement's name
    for query, count in found.items():
        text = text_of(client.get(f"{reverse('runs')}?{query}", headers=fragment))
        assert "<html" not in text
        assert text.count(">Run ") == count, query


def test_matches_cost_the_same_however_many_there_are(client, start, django_assert_num_queries):
    run = start()
    with django_assert_num_queries(11):
        client.get(reverse("run_matches", args=[run.pk]))


def test_a_match_gives_its_reasons_in_the_side_panel(client, start):
    start()
    match = Match.objects.filter(state=MatchState.CONFIRMED).order_by("id")[0]
    panel = {"HX-Request": "true", "HX-Target": "panel-body"}
    text = text_of(client.get(reverse("match", args=[match.pk]), headers=panel))
    assert "<html" not in text
    assert "Why this is a match" in text
    assert "A-1" in text
    assert "only candidate" in text


def test_a_suggestion_is_confirmed_and_another_rejected_from_its_page(client, start):
    run = start()
    suggestion = Match.objects.get(run_number=run.number, state=MatchState.SUGGESTED)
    back = reverse("run_matches", args=[run.pk]) + "?state=suggested"
    response = client.post(reverse("match_confirm", args=[suggestion.pk]), {"back": back})
    assert response.url == back
    suggestion.refresh_from_db()
    assert suggestion.state == MatchState.CONFIRMED


def test_chosen_matches_are_decided_together(client, start):
    run = start()
    chosen = Match.objects.filter(run_number=run.number, state=MatchState.CONFIRMED)
    ids = [match.pk for match in chosen]
    client.post(reverse("matches_decide"), {"match": ids, "decision": "unmatch", "back": "/runs/"})
    assert not Claim.objects.exists()
    assert Match.objects.filter(pk__in=ids, state=MatchState.UNDONE).count() == 2


def test_rows_of_both_sides_are_matched_by_hand_with_a_typed_difference(client, start, account):
    run = start()
    line = lines(run.statement)[3]
    entry = make_entries(account, [row(9, "4.50")])[0]
    chosen = {"run": run.pk, "line": f"{line.pk}.0", "entry": f"{entry.pk}.0", "back": "https://evil.example/"}
    tie = text_of(client.post(reverse("match_tie"), chosen))
    assert "-0.50" in tie
    assert "disabled" in tie
    tie = text_of(client.post(reverse("match_tie"), {**chosen, "difference_type": "fee"}))
    assert "disabled" not in tie
    response = client.post(reverse("match_new"), {**chosen, "difference_type": "fee"})
    assert response.url == "/runs/"  # never to another site
    match = Match.objects.get(origin="manual")
    assert (match.run_number, match.line_units - match.entry_units) == (run.number, -50)
    assert "matched since" in text_of(client.get(reverse("run_unmatched", args=[run.pk])))


def test_a_dry_run_is_applied_from_its_page_and_then_says_so(client, start):
    dry = start(is_dry_run=True)
    response = client.post(reverse("run_apply", args=[dry.pk]))
    applied = MatchingRun.objects.get(applied_from=dry)
    assert response.url == reverse("run", args=[applied.pk])
    assert f"Applied as run {applied.number}" in text_of(client.get(reverse("run", args=[dry.pk])))
    again = client.post(reverse("run_apply", args=[dry.pk]))
    assert again.status_code == 422
    assert "already applied" in text_of(again)
    assert "Apply the rest" not in text_of(again)  # there is none


def test_the_rest_of_a_dry_run_is_offered_where_others_took_rows(client, start):
    dry = start(is_dry_run=True)
    start()
    refused = text_of(client.post(reverse("run_apply", args=[dry.pk])))
    assert "no longer hold" in refused
    assert "Apply the rest" in refused


def test_a_run_is_reversed_after_saying_what_people_confirmed(client, start):
    run = start()
    suggestion = Match.objects.get(run_number=run.number, state=MatchState.SUGGESTED)
    client.post(reverse("match_confirm", args=[suggestion.pk]))
    assert "1 match of this run" in text_of(client.get(reverse("run_reverse", args=[run.pk])))
    client.post(reverse("run_reverse", args=[run.pk]), {"include_manual": "1", "why": "wrong file"})
    run.refresh_from_db()
    assert run.state == RunState.REVERSED
    assert not Claim.objects.exists()


def active_run(account, **settings) -> MatchingRun:
    settings = {"state": RunState.RUNNING, "started_at": timezone.now(), "lease_until": timezone.now(), **settings}
    return MatchingRun.objects.create(number=reserve_ids(MatchingRun, 1), account=account, kind="batch", **settings)


def test_progress_polls_while_the_run_works_and_stops_by_itself(client, account):
    run = active_run(account, stage="storing", rows_done=40, rows_total=100)
    poll = {"HX-Request": "true", "HX-Target": "run-progress"}
    response = client.get(reverse("run_progress", args=[run.pk]), headers=poll)
    assert "every 1s" in text_of(response)
    assert "40 of 100 rows" in text_of(response)
    assert "HX-Refresh" not in response.headers
    MatchingRun.objects.filter(pk=run.pk).update(state=RunState.COMPLETED, completed_at=timezone.now())
    response = client.get(reverse("run_progress", args=[run.pk]), headers=poll)
    assert "every 1s" not in text_of(response)
    assert response.headers["HX-Refresh"] == "true"


def test_a_working_run_is_cancelled_from_its_page(client, account):
    run = active_run(account)
    assert "Cancel" in text_of(client.get(reverse("run", args=[run.pk])))
    client.post(reverse("run_cancel", args=[run.pk]))
    run.refresh_from_db()
    assert run.cancel_requested
    waiting = active_run(account, state=RunState.QUEUED)
    client.post(reverse("run_cancel", args=[waiting.pk]))
    waiting.refresh_from_db()
    assert waiting.state == RunState.CANCELLED
    assert "was cancelled" in text_of(client.get(reverse("run", args=[waiting.pk])))


def test_a_run_without_results_has_no_result_pages(client, account):
    run = active_run(account, state=RunState.FAILED, completed_at=timezone.now(), error="The rule is too broad.")
    assert client.get(reverse("run_matches", args=[run.pk])).status_code == 404
    assert "The rule is too broad." in text_of(client.get(reverse("run", args=[run.pk])))


def test_matches_and_unmatched_rows_are_exported_as_csv(client, start):
    run = start()
    response = client.get(reverse("run_matches_csv", args=[run.pk]))
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert [(each["statement_ids"], each["ledger_ids"], each["state"]) for each in rows][1:] == [
        ("1", "1", "confirmed"),
        ("2", "2", "confirmed"),
    ]
    response = client.get(reverse("run_unmatched_csv", args=[run.pk]))
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert rows[0]["reference"] == "'=cmd()"  # no spreadsheet runs what a bank wrote
    assert (rows[0]["side"], rows[0]["amount"]) == ("statement", "4.00")


def test_a_workbook_holds_amounts_as_numbers_and_texts_as_texts(client, start):
    response = client.get(reverse("run_xlsx", args=[start().pk]))
    book = openpyxl.load_workbook(io.BytesIO(b"".join(response)))
    assert book.sheetnames == ["Matches", "Unmatched"]
    header, *rows = book["Unmatched"].values
    left = dict(zip(header, rows[0], strict=True))
    assert left["amount"] == 4
    assert left["reference"] == "'=cmd()"


def test_strangers_see_no_run(start, db):
    assert Client().get(reverse("run", args=[start().pk])).status_code == 302
