"""The reports of a period: what ties out as at a day, and that each figure opens the rows it counts."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import date
from decimal import Decimal

import pytest
from python_calamine import CalamineWorkbook

from recon.models import RunKind, StatementBalance
from recon.usecases.reports.figures import months, tie_out
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_REFERENCE, actor, make_account, make_entries, make_rule, make_statement, row

MARCH, APRIL = date(2026, 3, 31), date(2026, 4, 30)
WITHIN_A_EURO = {"field": "amount", "operator": "within_range", "value": "1.00"}
REPORT = "/reports/?account={}&as_at=2026-03-31"


@pytest.fixture
def shop(alice):
    """In March: a payment, one less its fee, a deposit nobody knows, a cheque still out, an invoice booked late."""
    account = make_account("Shop", sla_days=None)
    make_entries(account, [
        row(1, "100.00", "2026-03-02", "A"), row(2, "50.00", "2026-03-20", "B"),
        row(3, "-30.00", "2026-02-11", "CHQ-7"), row(4, "20.00", "2026-04-02", "D"), row(5, "9.00", None, "E"),
    ])  # fmt: skip
    lines = [
        row(1, "100.00", "2026-03-03", "A"), row(2, "49.50", "2026-03-21", "B"), row(3, "7.00", "2026-03-30", "X"),
        row(4, "20.00", "2026-03-31", "D"),
    ]  # fmt: skip
    statement = make_statement(account, lines, period_start=date(2026, 3, 1), period_end=MARCH)
    for kind, units, day in (("opening", 100_000, date(2026, 3, 1)), ("closing", 117_650, MARCH)):
        StatementBalance.objects.create(statement=statement, kind=kind, units=units, scale=2, currency="EUR", date=day)
    rule = make_rule("Reference", SAME_REFERENCE, WITHIN_A_EURO, difference_type="fee")
    run = start_run(actor(alice), account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)
    assert run.lines_matched == 3
    return account


def test_the_statement_ties_to_the_books(shop):
    (tie,) = tie_out(shop, MARCH)
    assert [(step.name, step.count, step.balance, step.rows) for step in tie.steps] == [
        ("lines", 4, Decimal("1176.50"), Decimal("176.50")),
        ("open_lines", 1, Decimal("-7.00"), Decimal("-7.00")),
        ("open_entries", 2, Decimal("-21.00"), Decimal("-21.00")),
        ("differences", 1, Decimal("0.50"), Decimal("0.50")),
        ("later", 1, Decimal("-20.00"), Decimal("-20.00")),
    ]
    assert (tie.adjusted, tie.expected, tie.books) == (Decimal("1129.00"), Decimal("129.00"), Decimal("129.00"))
    assert tie.ties


def test_a_line_is_missing_where_the_balances_disagree(client, shop):
    StatementBalance.objects.filter(kind="closing").update(units=117_651)
    (tie,) = tie_out(shop, MARCH)
    assert not tie.unexplained
    assert not tie.ties
    assert "a statement is missing, or a line" in client.get(REPORT.format(shop.pk)).content.decode()


def test_months_say_what_was_booked_and_is_matched(shop):
    assert [(each.since, each.until, each.lines.count, each.lines.open, each.entries.count, each.entries.open)
            for each in months(shop, APRIL)] == [
        (date(2026, 4, 1), APRIL, 0, 0, 1, 0),
        (date(2026, 3, 1), MARCH, 4, 1, 2, 0),
        (date(2026, 2, 1), date(2026, 2, 28), 0, 0, 1, 1),
        (None, None, 0, 0, 1, 1),
    ]  # fmt: skip
    older = months(shop, date(2027, 2, 28))[-2]
    assert (older.since, older.until, older.entries.count) == (None, date(2026, 2, 28), 1)


def test_every_figure_opens_the_rows_it_counts(client, shop):
    page = client.get(REPORT.format(shop.pk)).content.decode()
    figures = re.findall(r'<a href="(/reports/[a-z]+/\?[^"]+)">([\d,]+)</a>', page)
    assert len(figures) == 5 + 1 + 5 + 4 * 3  # steps, books, ages, months
    for link, figure in figures:
        shown = client.get(html.unescape(link)).content.decode()
        assert shown.count('<tr class="linked">') == int(figure), link


def test_what_was_cleared_later_was_open_before(client, shop):
    page = client.get("/reports/rows/", {"account": shop.pk, "as_at": "2026-03-02", "side": 1}).content.decode()
    assert re.findall(r">\s*(A|B|CHQ-7|D|E)</a>", page) == ["CHQ-7", "A", "E"]


def test_rows_are_taken_away_as_csv(client, shop):
    answer = client.get("/reports/rows.csv", {"account": shop.pk, "as_at": "2026-03-31", "side": 1})
    assert answer["Content-Disposition"] == 'attachment; filename="shop-ledger-open-2026-03-31.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert [(each["reference"], each["date"], each["age"], each["amount"]) for each in rows] == [
        ("CHQ-7", "2026-02-11", "48", "-30.00"),
        ("E", "", "", "9.00"),
    ]


def test_the_whole_report_is_a_workbook(client, shop):
    answer = client.get("/reports/report.xlsx", {"account": shop.pk, "as_at": "2026-03-31"})
    book = CalamineWorkbook.from_filelike(io.BytesIO(b"".join(answer)))
    assert book.sheet_names == [
        "Reconciliation", "Ageing", "By month", "Open on statements", "Open in ledger", "Differences",
    ]  # fmt: skip
    statement = book.get_sheet_by_name("Reconciliation").to_python()
    assert ["EUR", "The books should show", "", 1129.0, 129.0] in statement
    assert statement[-1][1] == "Ties out"
    assert book.get_sheet_by_name("Differences").to_python()[1][2:5] == ["fee", "EUR", -0.5]


def test_a_list_of_rows_is_filtered_and_turned_without_its_page(client, shop):
    headers = {"HX-Request": "true", "HX-Target": "report-rows"}
    fragment = client.get(
        "/reports/rows/", {"account": shop.pk, "as_at": "2026-03-31", "age": "none", "side": 1}, headers=headers
    ).content.decode()
    assert fragment.lstrip().startswith('<div id="report-rows">')
    assert "age=none" in fragment  # also of the file to download


@pytest.mark.parametrize(
    "query",
    ["?as_at=soon", "?as_at=0001-01-01&account=x", "?account=99&as_at=9999-12-31", "?side=7&age=old&after=x"],
)
def test_nonsense_in_the_address_shows_a_page_all_the_same(client, shop, query):
    for page in ("", "rows/", "differences/"):
        assert client.get(f"/reports/{page}{query}").status_code == 200


def test_without_an_account_the_reports_say_what_to_do(client):
    assert "Make an account" in client.get("/reports/").content.decode()
    assert client.get("/reports/rows/").status_code == 404


def test_a_report_takes_as_many_queries_for_many_rows(client, shop, django_assert_max_num_queries):
    more = [row(100 + n, "1.00", "2026-03-05", f"M-{n}") for n in range(60)]
    make_entries(shop, more)
    make_statement(shop, more)
    with django_assert_max_num_queries(40):
        client.get(REPORT.format(shop.pk))
    with django_assert_max_num_queries(12):
        page = client.get("/reports/rows/", {"account": shop.pk, "as_at": "2026-03-31"}).content.decode()
    (link,) = re.findall(r'rel="next" href="([^"]+)"', page)
    second = client.get(f"/reports/rows/{html.unescape(link)}").content.decode()
    assert page.count('<tr class="linked">') == 50
    assert second.count('<tr class="linked">') == 11
