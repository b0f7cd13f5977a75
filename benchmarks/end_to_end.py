"""The whole job: from two CSV files to results stored in a database, by the command that a person would use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from benchmarks.datasets import Dataset
from benchmarks.scoring import Score, add_pass, possible_matches

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {"external_id": "id", "amount": "amount", "booking_date": "date", "description": "description",
           "currency": "currency", "reference": "reference"}  # fmt: skip

MATCHES = pa.schema([("match_no", pa.int64()), ("rule_index", pa.int32()), ("state", pa.string())])
MATCH_ROWS = pa.schema([("match_no", pa.int64()), ("side", pa.int8()), ("id", pa.int64())])


def write_csv(table: pa.Table, path: Path) -> None:
    """A statement or ledger file as a bank would send it: amounts as decimals, dates in ISO order."""
    cents = pc.cast(table["units"], pa.decimal128(19, 0))
    amounts = pc.cast(pc.multiply(cents, pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))), pa.string())
    whole = table.append_column("amount", amounts)
    csv.write_csv(whole.select(list(COLUMNS)).rename_columns(list(COLUMNS.values())), path)


@dataclass(frozen=True)
class Job:
    """One `reconcile`: seconds from the first byte read to the last result stored, without starting Python and without
    printing; the peak of its memory by then, in bytes; how good its matches are; and its stages in its own words."""

    seconds: float
    peak: int
    score: Score
    stages: str


def reconcile(data: Dataset, folder: Path, database: str) -> Job:
    """Run the command on the first pass of a suite."""
    one = data.passes[0]
    files = {name: folder / name for name in ("statement.csv", "ledger.csv", "rules.json", "outcome.json", "log.txt")}
    write_csv(data.statement, files["statement.csv"])
    write_csv(data.ledger, files["ledger.csv"])
    files["rules.json"].write_text(json.dumps(list(one.rules)))
    command: list[str | Path] = [
        sys.executable, "manage.py", "reconcile", "--statement", files["statement.csv"], "--ledger", files["ledger.csv"],
        "--rules", files["rules.json"], "--strategy", one.strategy, "--json",
        *(["--grouping", ",".join(one.grouping)] if one.grouping else []),
    ]  # fmt: skip
    environment = {**os.environ, "DATABASE_URL": database, "TIEOUT_DATA_DIR": str(folder / "var")}
    with files["outcome.json"].open("w") as output, files["log.txt"].open("w") as log:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=log, check=False)
    said = files["log.txt"].read_text()
    if done.returncode:
        raise RuntimeError(said)
    stages = next(line for line in said.splitlines() if line.startswith("reconcile: parse"))
    seconds = sum(float(number) for number in re.findall(r"([0-9.]+) s\b", stages.partition(";")[0]))
    peak = int(re.findall(r"peak memory ([0-9,]+) MiB", stages)[0].replace(",", "")) * 2**20
    score = _score(data, json.loads(files["outcome.json"].read_text().splitlines()[-1]))
    return Job(seconds, peak, score, stages.removeprefix("reconcile: "))


def _score(data: Dataset, outcome: dict[str, Any]) -> Score:
    matches, rows = [], []
    names = [rule["name"] for rule in data.passes[0].rules]
    for number, one in enumerate(outcome["matches"]):
        rule = names.index(one["rule"]) if one["rule"] in names else 0
        matches.append({"match_no": number, "rule_index": rule, "state": one["status"]})
        for side, ids in enumerate((one["external"], one["internal"])):
            rows += [{"match_no": number, "side": side, "id": int(name[1:])} for name in ids]
    score = Score(possible=possible_matches(data.line_keys, data.entry_keys))
    add_pass(
        score,
        names,
        pa.Table.from_pylist(matches, MATCHES),
        pa.Table.from_pylist(rows, MATCH_ROWS),
        data.line_keys,
        data.entry_keys,
    )
    return score
