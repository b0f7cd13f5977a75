"""``./run bench`` prints what it measured in the shape that others read."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command


def test_it_prints_one_object_for_each_measurement() -> None:
    output = io.StringIO()
    call_command("bench", "--suite=d1", "--rows=300", "--engine=floor,tieout", "--repeat=1", "--json", stdout=output)
    printed = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [(one["suite"], one["rows"], one["engine"], one["stage"]) for one in printed] == [
        ("d1", 300, "floor", "match"),
        ("d1", 300, "tieout", "match"),
        ("d1", 300, "tieout", "total"),
    ]
    assert list(printed[1]) == [
        "suite", "rows", "engine", "stage", "seconds", "floor_seconds", "peak_mib", "matches", "precision", "recall",
    ]  # fmt: skip
    assert printed[1]["floor_seconds"] == printed[0]["seconds"] > 0
    assert printed[1]["precision"] == 1.0
    assert printed[1]["recall"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite=d9"], "unknown suite 'd9'"),
        (["--suite=d1", "--rows=many"], "--rows takes whole numbers"),
        (["--suite=d1", "--rows=0"], "--rows takes numbers above zero"),
        (["--suite=d1", "--engine=spark"], "unknown engine 'spark'"),
        (["--suite="], "no suite is named"),
        (["--suite=d1", "--engine=,"], "no engine is named"),
        (["--suite=d1", "--repeat=0"], "--repeat takes numbers above zero"),
        (["--suite=d1", "--repeat=thrice"], "--repeat takes whole numbers"),
        (["--suite=d1,api"], "api is measured alone: --suite api"),
        (["--suite=api", "--json"], "api says in words what it measured"),
        (["--suite=d1", "--database=postgresql://127.0.0.1:1/none"], "--database: the database cannot be reached"),
        (["--suite=d1", "--database=mysql://none"], "--database: DATABASE_URL names another kind of database"),
    ],
)
def test_it_refuses_what_it_does_not_know(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("bench", *arguments)
