"""Real files with bytes changed, cut and doubled: read or refused, never a crash, a hang or a false zero."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.rows import ROW_SCHEMA
from recon.statements import read
from recon.statements.model import Reading, StatementError

DATA = Path(__file__).parents[1] / "data" / "statements"
SMALL = 12_000  # bytes: a fuzzed file is read many times
SAMPLES = {
    name: [path.read_bytes() for path in sorted((DATA / name).iterdir()) if path.stat().st_size < SMALL]
    for name in ("mt940", "camt", "ofx", "qif", "bai2")
}
TOKENS = [
    *(
        b"\0",
        b"\xff\xfe",
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<!DOCTYPE a>",
        b"</STMTTRN>",
        b"\r",
        b"-",
        b"^\n",
        b"!Type:Bank\n",
    ),
    *(b":61:", b":86:", b"\n-\n", b"?", b"//", b",", b"/", b"9" * 400, b"00000000", "٣".encode(), b"D,99999999999,"),
]


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """One of the format's files with up to six changes."""
    data = draw(st.sampled_from(SAMPLES[name]))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 200)))
        piece = draw(
            st.one_of(st.just(b""), st.sampled_from(TOKENS), st.binary(max_size=8), st.just(data[start:end] * 2))
        )
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", SAMPLES)
def test_a_mutated_file_is_read_or_refused_with_messages(name):
    @settings(max_examples=25, deadline=5000, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(mutated(name))
    def check(data: bytes) -> None:
        outcome = read_or_refused(data, f"a.{name}")
        assert all(error.message and error.expected for error in outcome.errors)
        if isinstance(outcome, Reading):
            holds(outcome)

    check()


def read_or_refused(data: bytes, name: str) -> Reading | StatementError:
    try:
        return read(data, name)
    except StatementError as refusal:
        return refusal


def holds(reading: Reading) -> None:
    """What is true of every reading."""
    for statement in reading.statements:
        assert statement.lines.schema.equals(ROW_SCHEMA)
        assert statement.balance_check() in {"ok", "differs", "unknown"}
        for row in statement.lines.to_pylist():
            digits = {each for each in row["amount_text"] or "" if each.isdecimal()} - {"0"}
            assert row["units"] != 0 or not digits, f"{row['amount_text']} became a zero"
