"""What a rule would do to a real statement while it is being written."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.urls import reverse

from recon.models import LedgerEntry, Match, OpenItem, StatementLine, UnmatchedItem
from recon.usecases.rules import previews
from recon.usecases.rules.previews import Superseded, Watch, latest_statement, preview_rule
from recon.usecases.runs import pushdown
from rules.criteria import parse_rule
from rules.drafts import draft_of
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, WITHIN_TWO_DAYS, make_account, make_entries, make_statement, row
from tests.rules.posting import posted

EXACT = {"name": "Exact", "criteria": [SAME_AMOUNT, SAME_REFERENCE]}


@pytest.fixture
def account(db):
    return make_account()


@pytest.fixture
def statement(account):
    """Five lines: two clear matches, two that share amount and day, one that nothing fits."""
    make_entries(
        account,
        [
            row(1, "10.00", "2026-03-01", "A-1"),
            row(2, "20.00", "2026-03-02", "A-2"),
            row(3, "30.00", "2026-03-03", "A-3"),
            row(4, "30.00", "2026-03-03", "A-4"),
        ],
    )
    return make_statement(
        account,
        [
            row(1, "10.00", "2026-03-01", "A-1"),
            row(2, "20.00", "2026-03-04", "A-2"),
            row(3, "30.00", "2026-03-03", "B-3"),
            row(4, "30.00", "2026-03-03", "B-4"),
            row(5, "55.00", "2026-03-03", "B-5"),
        ],
    )


def test_a_preview_says_how_many_lines_would_match_and_shows_some(statement):
    preview = preview_rule(parse_rule(EXACT), statement)
    assert (preview.lines, preview.entries, preview.matched, preview.suggested, preview.left) == (5, 4, 2, 0, 3)
    assert [(pair.line.reference, pair.entry.reference, pair.state) for pair in preview.examples] == [
        ("A-1", "A-1", "confirmed"),
        ("A-2", "A-2", "confirmed"),
    ]
    assert str(preview.examples[0].line.amount) == "10.00"


def test_doubtful_matches_are_shown_first(statement):
    preview = preview_rule(parse_rule({"name": "N", "criteria": [SAME_AMOUNT, WITHIN_TWO_DAYS]}), statement)
    assert (preview.matched, preview.suggested) == (2, 2)
    assert [pair.state for pair in preview.examples] == ["suggested", "suggested", "confirmed", "confirmed"]


def test_a_rule_that_only_suggests_is_not_called_too_broad_for_it(account):
    rows = [row(n, f"{n}.00", "2026-03-01", f"S-{n}") for n in range(1, 13)]
    make_entries(account, rows)
    statement = make_statement(account, rows)
    preview = preview_rule(parse_rule({**EXACT, "suggest_only": True}), statement)
    assert (preview.matched, preview.suggested, preview.is_broad) == (0, 12, False)


def test_a_preview_settles_groups_where_the_accounts_runs_do(client):
    account = make_account("Payouts", strategy="one_to_many", grouping="reference")
    parts = [row(n, "10.00", "2026-03-01", "P-1", source=f"till {n}") for n in range(1, 7)]
    make_entries(account, [*parts, row(7, "9.00", "2026-03-01", "P-2")])
    statement = make_statement(account, [row(1, "60.00", "2026-03-02", "P-1"), row(2, "8.00", "2026-03-02", "P-2")])
    preview = preview_rule(parse_rule(EXACT), statement)
    assert (preview.matched, preview.left) == (1, 1)
    (pair,) = preview.examples
    assert (pair.line.reference, len(pair.entries)) == ("P-1", 6)
    assert all(verdict.passed for verdict in pair.verdicts)
    page = preview_page(client, EXACT).content.decode()
    assert "and 2 more entries" in page
    assert "one line to many entries by reference" in page


def test_a_near_miss_of_a_group_shows_the_whole_group_and_its_sum(account):
    account = make_account("Payouts", strategy="one_to_many", grouping="reference, date")
    parts = [row(n, "10.00", "2026-03-01", "P-1") for n in range(1, 4)]
    make_entries(account, [*parts, row(4, "99.00", "2026-03-01", "P-2"), row(5, "7.00", "2026-02-01", "P-1")])
    statement = make_statement(account, [row(1, "31.00", "2026-03-01", "P-1")])
    (pair,) = preview_rule(parse_rule(EXACT), statement).near_misses
    assert (pair.reason, [str(entry.amount) for entry in pair.entries]) == ("group_total_differs", ["10.00"] * 3)
    assert [(each.found, each.expected, each.difference) for each in pair.failed] == [
        ("31.00", "equals 30.00", "1.00")
    ]


def test_lines_of_a_group_are_one_near_miss(account):
    account = make_account("Instalments", strategy="many_to_one", grouping="reference")
    make_entries(account, [row(1, "100.00", "2026-03-01", "C-1"), row(2, "5.00", "2026-03-01", "C-2")])
    rows = [row(n, "30.00", "2026-03-02", "C-1") for n in range(1, 4)]
    statement = make_statement(account, [*rows, row(4, "6.00", "2026-03-02", "C-2")])
    misses = preview_rule(parse_rule(EXACT), statement).near_misses
    assert [[len(each.lines), each.failed[0].found] for each in misses] == [[3, "90.00"], [1, "6.00"]]


@pytest.mark.parametrize("strategy", ["within_statement", "within_ledger"])
def test_a_preview_pairs_reversals_where_the_accounts_runs_do(client, strategy):
    account = make_account("Wallet", strategy=strategy, sign="inverted")
    rows = [
        row(1, "10.00", "2026-03-01", "A-1"), row(2, "-10.00", "2026-03-04", "A-1"),
        row(3, "20.00", "2026-03-01", "A-2"), row(4, "-20.00", "2026-03-01", "A-3"),
    ]  # fmt: skip
    make_entries(account, rows if strategy == "within_ledger" else [])
    statement = make_statement(account, rows if strategy == "within_statement" else [row(1, "10.00", reference="A-1")])
    preview = preview_rule(parse_rule(EXACT), statement)
    assert (preview.lines, preview.matched, preview.suggested) == (4, 0, 2)
    (example,), (miss,) = preview.examples, preview.near_misses
    assert {str(each.amount) for each in (example.line, example.entry)} == {"10.00", "-10.00"}
    assert all(verdict.passed for verdict in example.verdicts)
    assert (miss.reason, [each.sentence for each in miss.failed]) == (
        "reference_differs", ["Statement *reference* equals ledger *reference*"],
    )  # fmt: skip
    page = preview_page(client, EXACT).content.decode()
    word = "entries" if strategy == "within_ledger" else "lines"
    assert f"Would suggest <strong>2</strong> of 4 {word} as reversals of each other" in page
    assert "Try this pair" not in page


def test_of_a_large_statement_nobody_has_looked_at_yet_a_few_lines_come_first(client, account, monkeypatch):
    monkeypatch.setattr(previews, "LARGE", 50)
    monkeypatch.setattr(previews, "FEW", 6)
    monkeypatch.setattr(pushdown, "SMALL", 20)
    monkeypatch.setattr(pushdown, "READ", 1_000)  # so slow that looking up is quicker
    monkeypatch.setattr(previews, "QUICK", 60.0)
    rows = [row(n, f"{n}.00", "2026-03-01", f"R-{n}") for n in range(1, 61)]
    make_entries(account, [*rows, *({**each, "booking_date": None} for each in rows[:30])])
    statement = make_statement(account, rows)
    first = preview_page(client, EXACT).content.decode()
    assert "A first look at 6 of 60 lines; the whole statement follows" in first
    assert "Would match <strong>3</strong> of 6 lines, suggest <strong>3</strong>" in first
    assert f'hx-post="{reverse("rule_preview")}?whole=1"' in first
    form, fragment = posted(draft_of(EXACT)), {"HX-Request": "true", "HX-Target": "rule-preview"}
    whole = client.post(reverse("rule_preview") + "?whole=1", form, headers=fragment).content.decode()
    assert "Would match <strong>30</strong> of 60 lines, suggest <strong>30</strong>" in whole
    assert "first look" not in whole
    assert "first look" not in preview_page(client, EXACT).content.decode()  # the rows are in memory, and it is quick
    monkeypatch.setattr(previews, "QUICK", 0.0)
    preview_rule(parse_rule(EXACT), statement)
    assert "first look" in preview_page(client, EXACT).content.decode()  # what was slow is likely slow again
    reads = {"name": "N", "criteria": [{"field": "description", "operator": "contains"}]}
    assert previews.first_preview(parse_rule(reads), statement, Watch()) is None


def test_rows_read_ahead_are_not_read_again(client, statement):
    assert client.get(reverse("rule_read_ahead")).status_code == 204
    StatementLine.objects.all().delete()
    LedgerEntry.objects.all().delete()
    assert preview_rule(parse_rule(EXACT), statement).matched == 2


def test_a_preview_stores_nothing_and_claims_nothing(statement):
    preview_rule(parse_rule(EXACT), statement)
    assert not Match.objects.exists()
    assert not UnmatchedItem.objects.exists()
    assert not OpenItem.objects.exists()


def test_a_preview_of_a_rule_that_would_compare_too_much_says_so(account, monkeypatch):
    many = [row(number, "1.00", reference=f"R{number}") for number in range(1500)]
    make_entries(account, many)
    monkeypatch.setattr(previews, "CANDIDATE_BUDGET", 1000)
    alike = {"field": "reference", "operator": "similar", "value": 90}
    preview = preview_rule(parse_rule({"name": "N", "criteria": [alike]}), make_statement(account, many))
    assert "pairs of rows" in preview.refused
    assert preview.matched == 0


def test_of_a_long_statement_every_nth_line_is_looked_at(statement, monkeypatch):
    monkeypatch.setattr(previews, "SAMPLE", 2)
    preview = preview_rule(parse_rule(EXACT), statement)
    assert (preview.every, preview.lines) == (3, 1)


def test_of_a_large_ledger_the_days_around_the_statement_are_read(account, statement, monkeypatch):
    make_entries(account, [row(9, "10.00", "2025-01-01", "A-1"), row(10, "99.00", None, "X")])
    monkeypatch.setattr(previews, "LEDGER_LIMIT", 3)
    rule = parse_rule({"name": "N", "criteria": [SAME_REFERENCE, WITHIN_TWO_DAYS]})
    preview = preview_rule(rule, statement)
    assert preview.entries == 5  # not the one of last year; the one without a date may matter
    assert preview.days
    assert [str(day) for day in preview.days] == ["2026-02-26", "2026-03-07"]
    assert preview.matched == 2


def test_a_newer_preview_of_the_same_page_stops_the_older_one_in_whatever_process():
    with Watch("alice page 1") as older, Watch("alice page 2") as other_tab:
        assert not older.must_stop()
        with Watch("alice page 1") as newer:
            assert older.superseded
            assert older.must_stop()
            assert not newer.must_stop()
        assert older.must_stop()  # also when the newer one was faster
        assert not other_tab.must_stop()
    assert not list((settings.DATA_DIR / "previews").iterdir())


def test_a_preview_that_was_superseded_has_no_answer(statement):
    with Watch("page") as watch, Watch("page"), pytest.raises(Superseded):
        preview_rule(parse_rule(EXACT), statement, watch)


def test_the_latest_statement_is_the_one_a_preview_starts_with(account, statement):
    newer = make_statement(account, [row(1, "1.00")], name="april.csv", sha256="1" * 64)
    assert latest_statement() == newer


def preview_page(client, body, **more):
    form = {**posted(draft_of(body)), **more}
    fragment = {"HX-Request": "true", "HX-Target": "rule-preview"}
    return client.post(reverse("rule_preview"), form, headers=fragment)


def test_the_form_shows_the_preview_of_what_stands_in_it(client, statement):
    page = preview_page(client, EXACT).content.decode()
    assert page.strip().startswith('<div id="rule-preview"')
    assert "Would match <strong>2</strong> of 5 lines" in page


def test_an_unfinished_rule_is_not_tried(client, statement):
    page = preview_page(client, {"name": "", "criteria": [{"field": "date", "operator": "within_range"}]})
    assert "not complete yet" in page.content.decode()


def test_a_rule_without_a_name_is_tried_all_the_same(client, statement):
    assert "of 5 lines" in preview_page(client, {"criteria": [SAME_REFERENCE]}).content.decode()


def test_another_statement_can_be_chosen(client, account, statement):
    make_statement(account, [row(1, "1.00")], name="april.csv", sha256="1" * 64)
    assert "of 1 lines" in preview_page(client, EXACT).content.decode()
    assert "of 5 lines" in preview_page(client, EXACT, preview_statement=statement.pk).content.decode()


def test_without_a_statement_the_preview_says_what_it_needs(client):
    assert "Import a statement" in preview_page(client, EXACT).content.decode()


def test_without_htmx_the_preview_is_a_page(client, statement):
    page = client.post(reverse("rule_preview"), posted(draft_of(EXACT))).content.decode()
    assert "<html" in page
    assert "of 5 lines" in page


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        (r"INV-(\d+)", "42"),  # the first group
        (r"inv-\d+", "INV-42"),  # without a group the whole match, whatever the case
        (r"\w+$", "you"),
        (r"(X)?INV", None),  # the group took no part in the match
        (r"PO-\d+", None),
    ],
)
def test_the_preview_marks_what_a_pattern_takes_also_in_an_unfinished_rule(client, account, pattern, taken):
    make_statement(account, [row(1, "1.00", description="Payment INV-42, thank you")])
    criterion = {"field": "description", "operator": "eq", "ledger_field": "reference", "pattern": pattern}
    body = {"name": "", "criteria": [criterion, {"field": "date", "operator": "within_range"}]}
    page = preview_page(client, body).content.decode()
    assert '<ul class="extracts" id="c1-extracts" hx-swap-oob="true">' in page
    assert (f"<mark>{taken}</mark>" in page) == (taken is not None)
    assert ("no match" in page) == (taken is None)
