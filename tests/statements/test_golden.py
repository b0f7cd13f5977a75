"""Real files beside what they say: `tests/data/statements/MANIFEST.csv` names where each comes from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from recon.statements.inspection import inspect_file

DATA = Path(__file__).parents[1] / "data" / "statements"
SUFFIX = ".expected.json"
GOLDEN = sorted(path.relative_to(DATA).as_posix().removesuffix(SUFFIX) for path in DATA.rglob(f"*{SUFFIX}"))


@pytest.mark.parametrize("name", GOLDEN)
def test_a_real_file_reads_as_its_golden_file_says(name):
    found, _ = inspect_file(DATA / name, name)
    assert found == json.loads((DATA / f"{name}{SUFFIX}").read_text())


def test_every_golden_file_names_its_source_and_a_permissive_licence():
    with (DATA / "MANIFEST.csv").open(newline="") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    assert set(manifest) >= set(GOLDEN)
    for row in manifest.values():
        assert row["source"].startswith("https://")
        assert row["licence"] in {"MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "MIT/Apache-2.0"}, row["file"]
