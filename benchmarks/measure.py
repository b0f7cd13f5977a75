"""One measurement: a contender on a dataset, in a process of its own, so that its peak memory is its own too.

``python -m benchmarks.measure FOLDER CONTENDER REPEAT`` is that process; it prints one JSON object.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from benchmarks.contenders import CONTENDERS, Run
from benchmarks.datasets import Dataset, load, save
from benchmarks.end_to_end import reconcile
from benchmarks.suites import SUITES
from recon.engine import EngineError
from recon.memory import peak_memory

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):  # noqa: N818  (what became of a measurement)
    """A contender, or the whole job, ended with an error: its last line."""


class Measurement(TypedDict):
    """What ``bench --json`` prints, one object a line. Seconds are medians; memory is the highest of all repeats.

    ``precision`` is that of confirmed matches, ``recall`` that of confirmed and suggested ones together; numbers for
    tieout, null for contenders that only join. ``matches`` counts both.
    """

    suite: str
    rows: int
    engine: str
    stage: str
    seconds: float
    floor_seconds: float | None
    peak_mib: float
    matches: int
    precision: float | None
    recall: float | None


class Measured(TypedDict):
    measurement: Measurement
    notes: list[str]
    """Lines for people: what each rule matched and took."""


def measured(suite: str, rows: int, contenders: list[str], repeat: int, database: str | None) -> Iterator[Measured]:
    """Every contender on one suite at one size. The floor goes first: it is what the others are held against."""
    with TemporaryDirectory(prefix="tieout-bench-") as folder:
        data = SUITES[suite](rows)
        save(data, Path(folder))
        floor_seconds: float | None = None
        for contender in sorted(contenders, key=lambda name: name != "floor"):
            for answer in _in_own_process(Path(folder), contender, repeat if contender != "naive" else 1):
                if contender == "floor":
                    floor_seconds = answer["measurement"]["seconds"]
                answer["measurement"]["floor_seconds"] = floor_seconds
                if not (database and answer["measurement"]["stage"] == "total"):
                    yield answer
        if database and "tieout" in contenders:
            whole = _whole_job(data, Path(folder), database, repeat)
            whole["measurement"]["floor_seconds"] = floor_seconds
            yield whole


def _whole_job(data: Dataset, folder: Path, database: str, repeat: int) -> Measured:
    """The first pass of a suite from CSV files to stored results."""
    try:
        runs = [reconcile(data, folder, database) for _ in range(repeat)]
    except RuntimeError as error:
        raise Failed(f"{data.suite}, files to results: {_last_line(str(error))}") from error
    score = runs[-1].score
    return {
        "measurement": {
            "suite": data.suite,
            "rows": data.rows,
            "engine": "tieout",
            "stage": "total",
            "seconds": round(statistics.median(run.seconds for run in runs), 4),
            "floor_seconds": None,
            "peak_mib": round(max(run.peak for run in runs) / 2**20, 1),
            "matches": score.confirmed + score.suggested,
            "precision": round(score.precision, 6),
            "recall": round(score.recall, 6),
        },
        "notes": [runs[-1].stages],
    }


def _in_own_process(folder: Path, contender: str, repeat: int) -> list[Measured]:
    command = [sys.executable, "-m", "benchmarks.measure", str(folder), contender, str(repeat)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{contender}: {_last_line(done.stderr) or f'ended by signal {-done.returncode}'}")
    sys.stderr.write(done.stderr)
    answers: list[Measured] = json.loads(done.stdout.splitlines()[-1])
    return answers


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")


def measure(folder: Path, contender: str, repeat: int) -> list[Measured]:
    """Run a contender some times: its matching, and for Tieout the total. Empty if it takes no part in this suite."""
    data = load(folder)
    try:
        found = [CONTENDERS[contender](data) for _ in range(repeat)]
    except EngineError as refused:
        print(f"{data.suite} {data.rows:,} {contender}: {refused}", file=sys.stderr)
        return []
    runs = [run for run in found if run]
    if not runs:
        return []
    peak = max(peak_memory() if run.peak is None else run.peak for run in runs)
    answers = [_measured(data, contender, "match", [run.seconds for run in runs], runs[-1], peak)]
    totals = [run.total for run in runs if run.total is not None]
    if totals:
        answers.append({**_measured(data, contender, "total", totals, runs[-1], peak), "notes": []})
    return answers


def _measured(data: Dataset, contender: str, stage: str, seconds: list[float], last: Run, peak: int) -> Measured:
    measurement: Measurement = {
        "suite": data.suite,
        "rows": data.rows,
        "engine": contender,
        "stage": stage,
        "seconds": round(statistics.median(seconds), 4),
        "floor_seconds": None,
        # Inputs, libraries and all.
        "peak_mib": round(peak / 2**20, 1),
        "matches": last.matches,
        "precision": round(last.score.precision, 6) if last.score else None,
        "recall": round(last.score.recall, 6) if last.score else None,
    }
    return {"measurement": measurement, "notes": _notes(last)}


def _notes(run: Run) -> list[str]:
    notes = list(run.notes)
    if run.score:
        rules: dict[str, dict[str, int]] = {}
        for (rule, verdict), count in run.score.by_rule.items():
            rules.setdefault(rule, {})[verdict] = count
        for rule, counts in rules.items():
            right, wrong = counts.get("confirmed right", 0), counts.get("confirmed wrong", 0)
            precision = f"{right / (right + wrong):.5f}" if right + wrong else "-"
            said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
            notes.append(f"{rule}: precision {precision} ({said})")
    return notes


def _main(arguments: list[str]) -> Any:
    folder, contender, repeat = arguments
    return measure(Path(folder), contender, int(repeat))


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1:])))
