"""What a table reads as, in a few words of JSON. ``python -m tests.statements.golden`` writes it: read the diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recon.rows import amount
from recon.statements import read
from recon.statements.model import StatementError

DATA = Path(__file__).parents[1] / "data" / "statements"
GOLDEN = DATA / "tables.golden.json"


def table_files() -> list[Path]:
    """The CSV files and spreadsheets of the test data."""
    return sorted([*(DATA / "csv").iterdir(), *(DATA / "xlsx").iterdir()])


def summary(path: Path) -> dict[str, Any]:
    """Mapping, totals, balances, first line, what was left out, what failed and what is asked."""
    try:
        reading = read(path, path.name)
    except StatementError as refusal:
        return {"refused": str(refusal)}
    (statement,) = reading.statements
    totals = {
        total.currency: f"{total.lines} lines, in {total.credits}, out {total.debits}" for total in statement.totals()
    }
    first = {
        key: value for key, value in (statement.lines.slice(0, 1).to_pylist() or [{}])[0].items() if value is not None
    }
    if first:
        first["amount"] = str(amount(first.pop("units"), first.pop("scale")))
    return {
        "format": reading.format,
        "encoding": reading.encoding,
        "mapping": reading.mapping.to_dict() if reading.mapping else None,
        "account": statement.account,
        "period": f"{statement.period_start} to {statement.period_end}",
        "totals": totals,
        "balances": [f"{each.kind} {each.amount} {each.currency} {each.date}" for each in statement.balances],
        "balance_check": statement.balance_check(),
        "first": json.loads(json.dumps(first, default=str)),
        "left_out": [f"{each.line}: {each.reason}" for each in statement.left_out],
        "errors": [error.message for error in reading.errors],
        "questions": [f"{each.about}: {each.suggested}" for each in reading.questions],
    }


def main() -> None:
    """Write the golden file."""
    golden = {path.name: summary(path) for path in table_files()}
    GOLDEN.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
