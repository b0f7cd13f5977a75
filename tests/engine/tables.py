"""Small tables for tests of the engine: a row is written as the few fields that matter."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

from recon.engine import Options, match
from recon.rows import ROW_SCHEMA
from rules.criteria import parse_rule

IDENTITY = [pa.field("id", pa.int64()), pa.field("part", pa.int32()), pa.field("ord", pa.int64())]
LEDGER = [pa.field("transaction_id", pa.string()), pa.field("created_at", pa.timestamp("us", tz="UTC"))]


def row(amount="10.00", day=None, reference=None, **more):
    """One row; ``day`` is ISO text, with a time of day or without."""
    number = Decimal(amount)
    scale = more.pop("scale", max(0, -int(number.as_tuple().exponent)))
    made = {"units": int(number.scaleb(scale)), "scale": scale, "currency": "EUR", "reference": reference, "part": 0}
    if day and len(day) > 10:
        made |= {
            "booked_at": datetime.fromisoformat(day).replace(tzinfo=UTC),
            "booking_date": date.fromisoformat(day[:10]),
        }
    elif day:
        made["booking_date"] = date.fromisoformat(day)
    return made | more


def table(rows, side="statement"):
    """The rows as the engine takes them, ids and order from 1."""
    fields = IDENTITY + [field for field in ROW_SCHEMA if field.name != "line"] + (LEDGER if side == "ledger" else [])
    numbered = [{"id": n, "ord": n, "position": n} | each for n, each in enumerate(rows, start=1)]
    return pa.Table.from_pylist(numbered, schema=pa.schema(fields))


def rule(*criteria, **more):
    """A rule of these criteria; each is (field, operator, value) or a whole criterion."""
    bodies = [
        each if isinstance(each, dict) else dict(zip(("field", "operator", "value"), each, strict=False))
        for each in criteria
    ]
    return parse_rule({"name": "Rule", "criteria": bodies} | more)


def run(rules, lines, entries, **options):
    """Match lines with entries."""
    rules = rules if isinstance(rules, list) else [rules]
    return match(rules, table(lines), table(entries, "ledger"), Options(**options))


def pairs(outcome, state=None):
    """The matches as ([line ids], [entry ids]), in their order; only those in a state if asked."""
    wanted: dict[int, tuple[list[int], list[int]]] = {}
    for each in outcome.matches.to_pylist():
        if state in (None, each["state"]):
            wanted[each["match_no"]] = ([], [])
    for each in outcome.match_rows.to_pylist():
        if each["match_no"] in wanted:
            wanted[each["match_no"]][each["side"]].append(each["id"])
    return [(sorted(lines), sorted(entries)) for lines, entries in wanted.values()]


def reasons(outcome, side=0):
    """The reasons of what is left on a side, by id."""
    return {each["id"]: each["reason"] for each in outcome.unmatched.to_pylist() if each["side"] == side}
