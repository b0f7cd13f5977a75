"""The figures of a report against a plain look at every row: split and undated ones, later matches, inverted books."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, get_args

import pytest

from recon.models import (
    Claim,
    LedgerEntry,
    Match,
    MatchDifference,
    MatchState,
    Origin,
    RowPart,
    Side,
    Sign,
    StatementLine,
    reserve_ids,
)
from recon.rows import amount
from recon.usecases.reports import as_at
from recon.usecases.reports.as_at import RowsAsAt, Standing, every_row, row_page
from recon.usecases.reports.figures import ageing, day_sums, months, tie_out
from recon.usecases.reports.overview import AGES
from tests.cast import make_account, make_entries, make_statement, row

FIRST = date(2025, 1, 20)
DAYS = [FIRST - timedelta(days=1), FIRST + timedelta(days=200), date(2026, 1, 31), date(2026, 6, 1)]
AMOUNTS = ["10.00", "-3.50", "0.00", "7.125", "-9999999999999999.99", "9999999999999999.99"]
MODELS: dict[Side, Any] = {Side.STATEMENT: StatementLine, Side.LEDGER: LedgerEntry}


@pytest.fixture(params=[Sign.AS_GIVEN, Sign.INVERTED])
def books(request, db):
    """Forty rows a side; most are matched, a third of them in parts."""
    random = Random(4)
    account, other = make_account("Books", sign=request.param), make_account("Other")
    make_statement(account, _rows(random))
    make_statement(account, _rows(random)[:3], state="discarded")
    make_entries(account, _rows(random))
    make_entries(other, _rows(random))
    for side, model in MODELS.items():
        for each in model.objects.filter(account_id=account.pk):
            parts = _split(random, account, side, each) if random.random() < 0.3 else [0]
            for part in parts:
                if random.random() < 0.6:
                    _match(random, account, side, each, part)
    return account


def _rows(random):
    days = [None if random.random() < 0.15 else (FIRST + timedelta(days=random.randrange(450))) for _ in range(40)]
    return [
        row(n, random.choice(AMOUNTS), day and day.isoformat(), currency=random.choice(["EUR", "USD"]))
        for n, day in enumerate(days)
    ]


def _split(random, account, side, each):
    first = each.units // 3
    for part, units in enumerate([first, each.units - first], start=1):
        RowPart.objects.create(account_id=account.pk, side=side, row_id=each.pk, part=part, units=units)
    return [1, 2]


def _match(random, account, side, each, part):
    on = random.choice([None, None, *DAYS, *(FIRST + timedelta(days=random.randrange(450)) for _ in range(4))])
    made = datetime(2025, 1, 20, 12, tzinfo=UTC) + timedelta(days=random.randrange(450))
    match = Match.objects.create(
        id=reserve_ids(Match, 1), account_id=account.pk, origin=Origin.MANUAL, state=MatchState.CONFIRMED,
        currency=each.currency, scale=each.scale, line_units=0, entry_units=0, cleared_on=on, created_at=made,
    )  # fmt: skip
    Claim.objects.create(account_id=account.pk, side=side, row_id=each.pk, part=part, match_id=match.pk)
    if random.random() < 0.5:
        MatchDifference.objects.create(
            match_id=match.pk, type="fee", currency="EUR", units=random.randrange(99), scale=2
        )


def looked_at(account, side, day):
    """By id: the row, its amount, what of it is open (None: nothing), and whether a match of it had cleared."""
    sign = -1 if side == Side.LEDGER and account.sign == Sign.INVERTED else 1
    matches = Match.objects.in_bulk()
    cleared = {}
    for claim in Claim.objects.filter(account_id=account.pk, side=side):
        match = matches[claim.match_id]
        cleared[claim.row_id, claim.part] = (match.cleared_on or match.created_at.date()) <= day
    parts_of = defaultdict(list)
    for part in RowPart.objects.filter(account_id=account.pk, side=side):
        parts_of[part.row_id].append(part)
    found = {}
    rows = MODELS[side].objects.filter(account_id=account.pk)
    if side == Side.STATEMENT:
        rows = rows.filter(statement_number=rows.order_by("statement_number").first().statement_number)
    for each in rows:
        parts = parts_of[each.pk]
        left = [p.units for p in parts] if parts else [each.units]
        names = [p.part for p in parts] if parts else [0]
        still = [units for units, part in zip(left, names, strict=True) if not cleared.get((each.pk, part))]
        any_cleared = any(cleared.get((each.pk, part)) for part in (0, *names))
        open_amount = sign * amount(sum(still), each.scale) if still else None
        found[each.pk] = (each, sign * amount(each.units, each.scale), open_amount, any_cleared)
    return found


def is_booked(each, day):
    return each.booking_date is None or each.booking_date <= day


@pytest.mark.parametrize("day", DAYS)
def test_figures_are_those_of_a_look_at_every_row(books, day):
    want: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    ages: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, 0])
    by_month: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for side, whole, left in ((Side.STATEMENT, "lines", "open_lines"), (Side.LEDGER, "books", "open_entries")):
        for each, value, open_amount, any_cleared in looked_at(books, side, day).values():
            if not is_booked(each, day):
                if side == Side.LEDGER and any_cleared:
                    want[each.currency, "later"] += value
                    counts[each.currency, "later"] += 1
                continue
            want[each.currency, whole] += value
            counts[each.currency, whole] += 1
            month = each.booking_date and (each.booking_date.year, each.booking_date.month)
            by_month[side, month][0] += 1
            if open_amount is None:
                continue
            want[each.currency, left] += open_amount
            counts[each.currency, left] += 1
            by_month[side, month][1] += 1
            age = _age_key(each, day)
            for place, more in enumerate((1, open_amount, abs(open_amount))):
                ages[side, each.currency, age][place] += more
    ties = tie_out(books, day)
    names = ("lines", "open_lines", "books", "open_entries", "later")
    assert {(tie.currency, name): getattr(tie, name) for tie in ties for name in names if tie.counts.get(name)} == want
    assert {(tie.currency, name): tie.counts[name] for tie in ties for name in names if tie.counts.get(name)} == counts
    assert {
        (each.side, each.currency, each.age): [each.count, each.net, each.value] for each in ageing(books, day)
    } == ages
    assert _by_span(by_month, day) == {
        (side, each.since, each.until): [of_side.count, of_side.open]
        for each in months(books, day)
        for side, of_side in ((Side.STATEMENT, each.lines), (Side.LEDGER, each.entries))
        if of_side.count
    }
    sums = day_sums(books, day)
    assert (ties, months(books, day, sums)) == (tie_out(books, day, sums), months(books, day))


def _age_key(each, day):
    if each.booking_date is None:
        return ""
    age = (day - each.booking_date).days
    return next(key for key, _, least, most in AGES if (least or 0) <= age <= (age if most is None else most))


def _by_span(by_month, day):
    """The counts by the spans that `months` tells: twelve months, what is older, what has no date."""
    starts = [date(day.year + (day.month - 1 - n) // 12, (day.month - 1 - n) % 12 + 1, 1) for n in range(-1, 12)]
    spans = {(start.year, start.month): (start, min(day, after - timedelta(days=1)))
             for after, start in pairwise(starts)}  # fmt: skip
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for (side, month), counted in by_month.items():
        span = (None, None) if month is None else spans.get(month, (None, starts[-1] - timedelta(days=1)))
        for place in (0, 1):
            found[side, *span][place] += counted[place]
    return found


@pytest.mark.parametrize("side", list(Side))
def test_lists_behind_the_figures_are_those_of_a_look_at_every_row(books, side, monkeypatch):
    monkeypatch.setattr(as_at, "PIECE", 6)
    for day in DAYS:
        seen = sorted(looked_at(books, side, day).values(), key=_oldest_first)
        booked = [each for each in seen if is_booked(each[0], day)]
        wanted = {
            "open": [(each.pk, left) for each, _, left, _ in booked if left is not None],
            "matched": [(each.pk, value) for each, value, left, _ in booked if left is None],
            "all": [(each.pk, value) for each, value, _, _ in booked],
        }
        if side == Side.LEDGER:
            wanted["later"] = [(each.pk, value) for each, value, _, any_cleared in seen
                               if any_cleared and not is_booked(each, day)]  # fmt: skip
        for standing in [each for each in get_args(Standing) if each in wanted]:
            rows = wanted[standing]
            asked = RowsAsAt(books, side, day, standing)
            assert [(each.row.pk, each.amount) for each in every_row(asked)] == rows
            assert list(_paged(asked)) == rows


def _oldest_first(found):
    each = found[0]
    return each.booking_date is None, each.booking_date or date.min, each.pk


def _paged(asked):
    rows, after = row_page(asked, None, 7)
    while True:
        yield from ((each.row.pk, each.amount) for each in rows)
        if after is None:
            return
        rows, after = row_page(asked, after, 7)
