"""One line and one entry against a rule, and the reasons of the pairs that a preview shows."""

from __future__ import annotations

import pytest
from django.urls import reverse

from recon.engine import Options
from recon.usecases.rules.pair_trial import try_pair, typed_row
from recon.usecases.rules.pasted_rows import pasted_row
from recon.usecases.rules.previews import preview_rule
from rules.criteria import parse_rule
from rules.drafts import draft_of
from tests.cast import (
    SAME_AMOUNT,
    SAME_REFERENCE,
    WITHIN_TWO_DAYS,
    lines,
    make_account,
    make_entries,
    make_statement,
    row,
)
from tests.rules.posting import posted

BODY = {"name": "N", "criteria": [SAME_AMOUNT, SAME_REFERENCE, WITHIN_TWO_DAYS]}
LINE = {"amount": "100.00", "date": "2026-03-04", "reference": "INV-1"}
ENTRY = {"amount": "100.00", "date": "2026-03-02", "reference": "INV-1"}


def verdicts(line, entry):
    return try_pair(parse_rule(BODY), typed_row(line), typed_row(entry), Options()).verdicts


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, [True, True, True]),
        ({"amount": "100.01"}, [False, True, True]),
        ({"reference": "inv-1"}, [True, True, True]),  # case does not count
        ({"reference": ""}, [True, False, True]),  # nothing equals nothing
        ({"date": "2026-03-01"}, [True, True, False]),
        ({"date": ""}, [True, True, False]),
        ({"amount": "100.0000"}, [True, True, True]),  # more decimals, the same amount
        ({"currency": "USD"}, [False, True, True, True]),  # first what every rule asks
        ({"amount": "-100.00"}, [False, False, True, True]),  # another direction
    ],
)
def test_every_criterion_says_what_it_thinks_of_a_typed_pair(change, passed):
    assert [verdict.passed for verdict in verdicts(LINE, {**ENTRY, **change})] == passed


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"amount": ""}, "amount"),
        ({"amount": "12,3.4"}, "amount"),
        ({"amount": "1,000.00"}, "amount"),  # in half of Europe that is one
        ({"amount": "1.0000000001"}, "amount"),
        ({"currency": "EURO"}, "currency"),
        ({"date": "31.02.2025"}, "date"),
    ],
)
def test_a_row_that_cannot_be_read_says_which_text_and_is_not_tried(said, key):
    typed = typed_row({**LINE, **said})
    assert list(typed.problems) == [key]
    trial = try_pair(parse_rule(BODY), typed, typed_row(ENTRY), Options())
    assert (trial.verdicts, trial.matches) == ((), False)


def post(client, target, body=BODY, **more):
    headers = {"HX-Request": "true", "HX-Target": target}
    return client.post(reverse("rule_try"), {**posted(draft_of(body)), **more}, headers=headers).content.decode()


def test_a_typed_pair_is_tried_beside_the_form(client):
    typed = {f"try-line-{key}": text for key, text in LINE.items()}
    typed |= {f"try-entry-{key}": text for key, text in ENTRY.items()}
    page = post(client, "try-verdicts", **typed)
    assert page.strip().startswith('<div id="try-verdicts"')
    assert "These two match" in page
    page = post(client, "rule-try", **{**typed, "try-entry-amount": "12,3.4"})
    assert 'id="try-entry-amount-problem"' in page
    assert "These two" not in page


def test_nothing_is_said_about_empty_rows_or_an_unfinished_rule(client):
    page = post(client, "rule-try", {"name": "", "criteria": [{"field": "date", "operator": "within_range"}]})
    assert "problem" not in page
    assert "These two" not in page


def test_a_pair_is_picked_from_the_preview(client):
    account = make_account()
    (entry,) = make_entries(account, [row(1, "10.00", "2026-03-02", "A-1")])
    (line,) = lines(make_statement(account, [row(1, "10.50", "2026-03-02", "A-1")]))
    page = post(client, "rule-try", pair=f"{line.pk} {entry.pk}")
    assert 'value="10.50"' in page
    assert 'value="A-1"' in page
    assert "These two do not match" in page
    assert client.post(reverse("rule_try"), {"pair": "1 or 2"}).status_code == 404
    assert client.post(reverse("rule_try"), {"pair": "999 999"}).status_code == 404


@pytest.mark.parametrize(
    ("pasted", "row"),
    [
        (  # copied from a spreadsheet
            "02.03.2026\tINV-42\tPayment for an order\t1.234,50\tEUR\tACME",
            ("1234.50", "EUR", "2026-03-02", "INV-42", "Payment for an order", "ACME"),
        ),
        ("7;2026-03-02;-5.00;fee", ("-5.00", "", "2026-03-02", "7", "fee", "")),
        ('"1,000.00",USD,"Order, paid",03/31/2026', ("1000.00", "USD", "2026-03-31", "", "Order, paid", "")),
        ('{"amount": 10.10, "currency": "EUR", "id": 3}', ("10.10", "EUR", "", "", "", "")),  # from the API
        ('{"amount": ', ("", "", "", "", '{"amount":', "")),
        ("just words", ("", "", "", "", "just words", "")),
    ],
)
def test_a_pasted_row_falls_into_its_fields(pasted, row):
    names = ("amount", "currency", "date", "reference", "description", "counterparty")
    assert tuple(pasted_row(pasted).get(name, "") for name in names) == row


def test_a_row_is_pasted_into_the_form(client):
    page = post(client, "rule-try", **{"try-line-pasted": "2026-03-02\t10.00\tEUR\tA-1"})
    assert 'value="10.00"' in page
    assert 'value="2026-03-02"' in page


def test_a_preview_gives_reasons_for_matches_and_near_misses(client):
    account = make_account()
    make_entries(account, [row(1, "10.00", reference="A-1"), row(2, "20.00", reference="A-2")])
    statement = make_statement(account, [row(1, "10.00", reference="A-1"), row(2, "20.00", reference="B-2")])
    preview = preview_rule(parse_rule({"name": "N", "criteria": [SAME_AMOUNT, SAME_REFERENCE]}), statement)
    (example,), (miss,) = preview.examples, preview.near_misses
    assert [verdict.passed for verdict in example.verdicts] == [True, True]
    assert (miss.reason, miss.line.reference, miss.entry.reference) == ("reference_differs", "B-2", "A-2")
    assert [verdict.criterion for verdict in miss.failed] == [2]
