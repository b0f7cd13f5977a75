"""Large CAMT files are read column by column, with the same outcome as entry by entry."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.statements import read
from recon.statements.camt_quick import WORTHWHILE, taken
from recon.statements.model import Hints, Reading, StatementError
from recon.statements.values import zone_of
from tests.statements.golden import DATA

CAREFULLY = Hints(encoding="utf-8")  # a file whose encoding a person names is read entry by entry

PLAIN = (
    "<Ntry><Amt Ccy='EUR'>{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd><Sts>BOOK</Sts><BookgDt>{day}</BookgDt>"
    "<AcctSvcrRef>B{n}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs><RltdPties>"
    "<Dbtr><Nm>{name}</Nm></Dbtr><Cdtr><Pty><Nm>Us</Nm></Pty></Cdtr></RltdPties><RmtInf><Ustrd>One {n}</Ustrd>"
    "<Ustrd>two</Ustrd></RmtInf></TxDtls></NtryDtls><AddtlNtryInf>{note}</AddtlNtryInf></Ntry>\n"
)
VARIED = (
    {"amount": "12..5"}, {"amount": "-1.00"}, {"mark": "NONE"}, {"day": "<Dt>2026-02-31</Dt>"},
    {"day": "<DtTm>2026-01-05T10:00:00+01:00</DtTm>"}, {"day": ""}, {"reference": "NOTPROVIDED"},
    {"name": "A &amp; B"},
    {"name": " Zoë  K. \n"}, {"note": ""}, {"note": "One 10 two"}, {"amount": "1.234"}, {"name": 'the "best"\\'},
)  # fmt: skip


def statement(entries: str) -> bytes:
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'>"
        f"<BkToCstmrStmt><Stmt><Id>1</Id>\n{entries}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def entry(n: int, **other: str) -> str:
    usual = {"amount": f"{n}.50", "mark": "CRDT" if n % 2 else "DBIT", "day": "<Dt>2026-01-05</Dt>", "name": "Ann"}
    return PLAIN.format(**{**usual, "reference": f"R{n}", "note": "Transfer", "n": n, **other})


def assert_read_alike(data: bytes) -> None:
    assert_alike(read(data, "a.xml"), read(data, "a.xml", CAREFULLY))


def assert_alike(quick: Reading, careful: Reading) -> None:
    assert [each.lines.to_pylist() for each in quick.statements] == [
        each.lines.to_pylist() for each in careful.statements
    ]
    assert quick.errors == careful.errors
    assert [each.left_out for each in quick.statements] == [each.left_out for each in careful.statements]
    assert [each.balances for each in quick.statements] == [each.balances for each in careful.statements]


def test_plain_entries_among_odd_ones_are_read_as_ever():
    entries = [entry(n, **(VARIED[n // 7 % len(VARIED)] if n % 7 == 0 else {})) for n in range(800)]
    data = statement("".join(entries))
    assert len(data) > WORTHWHILE
    assert_read_alike(data)


WITH_ENTRIES = [path for path in sorted((DATA / "camt").glob("*.xml")) if b"Ntry>" in path.read_bytes()]


@pytest.mark.parametrize("path", WITH_ENTRIES, ids=lambda path: path.name)
def test_the_entries_of_real_files_are_read_as_ever(path):
    """Each entry some hundred times, so that the file is large."""
    data = path.read_bytes()
    times = 2 + WORTHWHILE // max(
        sum(map(len, re.findall(rb"<(?:\w+:)?Ntry>.*?</(?:\w+:)?Ntry>", data, re.DOTALL))), 1
    )
    large = re.sub(
        rb"<((?:\w+:)?Ntry)>.*?</\1>", lambda found: found[0] * min(times, 400), data, count=25, flags=re.DOTALL
    )
    assert_read_alike(large)


def test_most_entries_of_a_file_stand_aside():
    found = taken(statement("".join(map(entry, range(800)))), zone_of(Hints()))
    assert found
    assert found.rows.num_rows == 800
    assert found.rows["booking_date"].to_pylist() == [date(2026, 1, 5)] * 800
    assert b"<Ntry>" not in found.skeleton


def test_a_file_that_uses_the_stand_ins_own_word_is_read_with_care():
    assert taken(statement("".join(map(entry, range(800))) + "<X read-as-columns='0,1'/>"), zone_of(Hints())) is None


PIECES = (
    b"", b"<", b">", b"&", b"&amp;", b"&lt;x&gt;", b"]]>", b"<![CDATA[x]]>", b"<!-- x -->", b"<?x y?>",
    b"</Ntry>", b"<Ntry>", b"<Ntry/>", b"<Ntry a='1'>", b"\0", b"\xff", b"\xc3", "\u00a0".encode(), "٣".encode(),
    b"\r\n", b"\t", b" ", b"-", b"+", b".", b",", b"0", b"9" * 20, b"1E3", b"CRDT", b"DBIT", b"PDNG",
    b"<RvslInd>true</RvslInd>", b"<Sts>INFO</Sts>", b" xmlns='x'", b" Ccy='JPY'", b"<x:Amt/>", b"<Dt>2026-02-30</Dt>",
    b"<TxDtls/>", b"<Amt Ccy='EUR'>7.00</Amt>",
)  # fmt: skip
LARGE = statement("".join(map(entry, range(800))))
CHANGES = st.lists(
    st.tuples(
        st.integers(0, len(LARGE)),
        st.integers(0, 40),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=4), st.text(max_size=4).map(lambda text: text.encode())),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<BookgDt><Dt>", "<BookgDt a=1><Dt>"),
        ("<BookgDt><Dt>", "<BookgDt a=1Dt>"),
        ("<Nm>", "<\u00a0Nm>"),
        ("<Nm>", "<\tNm>"),
        ("<Nm>", "<Nm a='1' a='2'>"),
        ("R401", "R]]>401"),
        ("R401", "R\ufffe401"),
        ("2026-01-05", "2026<x/>-01-05"),
        ("<Dt>2026-01-05</Dt>", "2026-01-05"),
    ],
)
def test_what_is_not_plain_in_one_entry_is_read_or_refused_as_ever(before, after):
    data = LARGE.replace(entry(401).encode(), entry(401).replace(before, after).encode())
    assert data != LARGE
    assert_read_alike(data)


@pytest.mark.random
@given(CHANGES)
def test_a_large_file_with_changed_bytes_is_read_or_refused_as_ever(changes):
    assert taken(LARGE, zone_of(Hints()))  # what is changed would be read as columns
    data = LARGE
    for start, length, piece in changes:
        data = data[:start] + piece + data[start + length :]
    outcomes: list[Reading | None] = []
    for hints in (Hints(), CAREFULLY):
        try:
            outcomes.append(read(data, "a.xml", hints))
        except StatementError:
            outcomes.append(None)
    quick, careful = outcomes
    assert (quick is None) == (careful is None)
    if quick and careful:
        assert_alike(quick, careful)
