"""Every case of `cases.toml` and `kinds.toml` gives its expected answer."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.engine.judging import Body, outcome, row, taken
from tests.engine.reference import Taken
from tests.engine.reference_rows import Books

CASES: list[Body] = [
    case
    for name in ("cases.toml", "kinds.toml")
    for case in tomllib.loads((Path(__file__).parent / name).read_text("utf-8"))["case"]
]


def _named(condition: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if condition in case]


def _read(text: str, repeat: int) -> list[Body]:
    made = []
    for record in csv.DictReader(text.strip().splitlines(), skipinitialspace=True):
        given = {name.strip(): value.strip() for name, value in record.items() if value and value.strip()}
        amount = Decimal(given.pop("amount"))
        scale = max(0, -int(amount.as_tuple().exponent))
        more: Body = {"external_id": given.pop("id")} | given
        if date := more.pop("date", None):
            moment = datetime.fromisoformat(date)
            more |= {"booking_date": moment.date()}
            if "T" in date:
                more["booked_at"] = moment.replace(tzinfo=UTC)
        made += [(int(amount.scaleb(scale)), scale, more)] * repeat
    return [
        row(number, units, scale=scale, currency=more.get("currency", "USD"), transaction_id=f"txn_{number}",
            **{name: value for name, value in more.items() if name != "currency"})
        for number, (units, scale, more) in enumerate(made, 1)
    ]  # fmt: skip


def _runs(case: Body) -> Iterator[tuple[Taken, list[Body], list[Body]]]:
    """Every match of all the case's runs, each run on what is still open, with the rows that it names."""
    lines = _read(case["lines"], case.get("repeat_lines", 1))
    entries = _read(case["entries"], case.get("repeat_entries", 1))
    rates = {tuple(pair.split("/")): Decimal(rate) for pair, rate in case.get("rates", {}).items()}
    rules = [{"name": case["id"], **rule} for rule in case["rules"]]
    for strategy in case.get("strategies", ["one_to_one"]):
        books = Books(
            case.get("zone", "UTC"), case.get("sign", "as_given"), strategy, tuple(case.get("grouping", ())), rates
        )
        made = taken(outcome(rules, lines, entries, books))
        for match in made:
            yield match, lines, entries
        claimed = [m for m in made if m.state == "confirmed"]
        lines = [one for one in lines if not any((one["id"], 0) in m.lines for m in claimed)]
        entries = [one for one in entries if not any((one["id"], 0) in m.entries for m in claimed)]


def _said(match: Taken, lines: Sequence[Body], entries: Sequence[Body]) -> str:
    sides = (
        " + ".join(one["external_id"] for one in rows if (one["id"], one["part"]) in keys)
        for rows, keys in ((lines, match.lines), (entries, match.entries))
    )
    return " = ".join(sides) + (f" {match.difference.quantize(Decimal('0.01'))}" if match.difference else "")


@pytest.mark.parametrize("case", _named("lines"))
def test_case_gives_its_expected_answer(case: Body) -> None:
    found: dict[str, list[str]] = {"confirmed": [], "suggested": []}
    for match, lines, entries in _runs(case):
        found[match.state].append(_said(match, lines, entries))
    assert sorted(found["suggested"]) == sorted(case.get("suggested", []))
    if "confirmed_count" in case:
        assert len(found["confirmed"]) == case["confirmed_count"]
    else:
        assert sorted(found["confirmed"]) == sorted(case.get("confirmed", []))


@pytest.mark.parametrize("case", _named("pairs"))
def test_each_pair_of_amounts_matches_or_does_not(case: Body) -> None:
    for pair in csv.DictReader(case["pairs"].strip().splitlines(), skipinitialspace=True):
        one = {
            **case,
            "lines": f"id, amount\nline, {pair['line']}",
            "entries": f"id, amount\nentry, {pair['entry']}",
        }
        assert bool(list(_runs(one))) is (pair["matches"] == "yes"), pair
