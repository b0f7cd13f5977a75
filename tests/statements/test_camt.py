"""CAMT.052, .053 and .054: entries, batches, statuses, and attacks by XML."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from recon.statements import read
from recon.statements.model import Hints, Limits, StatementError

ENTRY = "<Ntry><Amt Ccy='EUR'>{}</Amt><CdtDbtInd>{}</CdtDbtInd><Sts>BOOK</Sts>{}</Ntry>"
PARTS = (
    "<NtryDtls><TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs><Amt Ccy='EUR'>7.00</Amt></TxDtls>"
    "<TxDtls><Refs><EndToEndId>E2</EndToEndId></Refs><Amt Ccy='EUR'>{}</Amt></TxDtls></NtryDtls>"
)


def camt(*entries: str, version: str = "053.001.08", body: str = "BkToCstmrStmt", kind: str = "Stmt") -> bytes:
    inner = "".join(entries)
    return (
        f"<?xml version='1.0'?><Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.{version}'><{body}><{kind}>"
        f"<Id>1</Id><Acct><Id><IBAN>DE02</IBAN></Id><Ccy>EUR</Ccy></Acct>{inner}</{kind}></{body}></Document>"
    ).encode()


def rows(data: bytes, hints: Hints | None = None) -> list[dict]:
    return read(data, "a.xml", hints).statements[0].lines.to_pylist()


def test_the_direction_is_the_indicators_also_in_a_reversal():
    found = rows(camt(ENTRY.format("5.00", "DBIT", "<RvslInd>true</RvslInd>"), ENTRY.format("5", "CRDT", "")))
    assert [row["units"] for row in found] == [-500, 500]
    assert json.loads(found[0]["extra"]) == {"reversal": "true"}


def test_a_batch_stays_one_line_with_its_details():
    [row] = rows(camt(ENTRY.format("10.00", "CRDT", PARTS.format("3.00"))))
    assert row["units"] == 1000
    details = json.loads(row["extra"])["details"]
    assert [(part["amount"], part["reference"]) for part in details] == [("7.00", "E1"), ("3.00", "E2")]


def test_a_batch_that_adds_up_is_split_when_the_account_wants_it():
    found = rows(camt(ENTRY.format("10.00", "DBIT", PARTS.format("3.00"))), Hints(split_batches=True))
    assert [(row["units"], row["reference"], row["position"]) for row in found] == [(-700, "E1", 1), (-300, "E2", 2)]


def test_a_batch_that_does_not_add_up_is_never_split():
    [row] = rows(camt(ENTRY.format("10.00", "CRDT", PARTS.format("2.99"))), Hints(split_batches=True))
    assert row["units"] == 1000


@pytest.mark.parametrize("version", ["052.001.01", "053.001.02", "053.001.10", "054.001.04"])
def test_every_version_and_any_prefix_is_read(version):
    plain = camt(ENTRY.format("1.00", "CRDT", ""), version=version).decode()
    prefixed = plain.replace("<", "<n:").replace("<n:/", "</n:").replace("<n:?", "<?").replace("xmlns=", "xmlns:n=")
    bare = plain.replace(f" xmlns='urn:iso:std:iso:20022:tech:xsd:camt.{version}'", "")
    for text in (plain, prefixed, bare):
        assert [row["units"] for row in rows(text.encode())] == [100]


def test_the_other_party_is_the_debtor_of_money_in_and_the_creditor_of_money_out():
    parties = (
        "<NtryDtls><TxDtls><RltdPties><Dbtr>{0}<Nm>Payer</Nm>{1}</Dbtr><Cdtr>{0}<Nm>Payee</Nm>{1}</Cdtr></RltdPties>"
        "<RmtInf><Ustrd>Invoice</Ustrd><Ustrd>12</Ustrd></RmtInf></TxDtls></NtryDtls>"
    )
    for nesting in (("", ""), ("<Pty>", "</Pty>")):  # versions up to 07, and from 08
        details = parties.format(*nesting)
        found = rows(camt(ENTRY.format("1", "CRDT", details), ENTRY.format("1", "DBIT", details)))
        assert [row["counterparty"] for row in found] == ["Payer", "Payee"]
        assert found[0]["description"] == "Invoice 12"


def test_dates_keep_the_day_as_written_and_the_instant_in_utc():
    dates = "<BookgDt><DtTm>2026-03-05T00:15:00+01:00</DtTm></BookgDt><ValDt><Dt>2026-03-06</Dt></ValDt>"
    [row] = rows(camt(ENTRY.format("1", "CRDT", dates)))
    assert (row["booking_date"], row["value_date"]) == (date(2026, 3, 5), date(2026, 3, 6))
    assert row["booked_at"] == datetime(2026, 3, 4, 23, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("opened", "closed", "day"),
    [
        ("2026-03-05", "2026-03-05", date(2026, 3, 5)),
        ("2026-03-04", "2026-03-05", None),  # of two days, nothing says which
        ("2026-03-05", None, None),
    ],
)
def test_entries_without_a_date_are_of_a_statement_of_one_day_where_that_is_wanted(opened, closed, day):
    balance = "<Bal><Tp><CdOrPrtry><Cd>{}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>1</Amt><Dt><Dt>{}</Dt></Dt></Bal>"
    stated = [balance.format(code, at) for code, at in (("OPBD", opened), ("CLBD", closed)) if at]
    dated = ENTRY.format("2", "CRDT", "<ValDt><Dt>2026-03-07</Dt></ValDt>")
    data = camt(*stated, ENTRY.format("1", "CRDT", ""), dated)
    assert [row["booking_date"] for row in rows(data)] == [None, date(2026, 3, 7)]
    wanted = rows(data, Hints(undated_by_statement=True))
    assert [row["booking_date"] for row in wanted] == [day, date(2026, 3, 7)]


@pytest.mark.parametrize(
    "status", ["<Sts>PDNG</Sts>", "<Sts><Cd>PDNG</Cd></Sts>", "<Sts>INFO</Sts>", "<Sts>FUTR</Sts>"]
)
def test_what_is_not_booked_is_left_out_visibly(status):
    pending = ENTRY.format("1", "CRDT", "").replace("<Sts>BOOK</Sts>", status)
    [statement] = read(camt(pending, ENTRY.format("2", "CRDT", "")), "a.xml").statements
    assert statement.lines["units"].to_pylist() == [200]
    assert [each.line for each in statement.left_out] == [1]


def test_a_notification_keeps_its_entries_for_information():
    entry = ENTRY.format("1", "CRDT", "").replace("BOOK", "INFO")
    found = rows(camt(entry, version="054.001.10", body="BkToCstmrDbtCdtNtfctn", kind="Ntfctn"))
    assert [row["units"] for row in found] == [100]


@pytest.mark.parametrize(
    ("amount", "indicator", "column", "found"),
    [
        ("12..34", "CRDT", "Amt", "12..34"),
        ("", "CRDT", "Amt", ""),
        ("-5.00", "CRDT", "Amt", "-5.00"),  # the direction is said apart; a sign would contradict it
        ("1234567890123456789", "CRDT", "Amt", "1234567890123456789"),
        ("5.00", "CREDIT", "CdtDbtInd", "CREDIT"),
    ],
)
def test_an_entry_that_cannot_be_read_is_a_row_error(amount, indicator, column, found):
    reading = read(camt(ENTRY.format(amount, indicator, ""), ENTRY.format("1", "CRDT", "")), "a.xml")
    assert reading.statements[0].lines.num_rows == 1
    [error] = reading.errors
    assert (error.column, error.found) == (column, found)
    assert error.raw is not None
    assert "<CdtDbtInd" in error.raw


def test_a_file_that_breaks_off_gives_what_came_before_and_says_where():
    whole = camt(*[ENTRY.format("1", "CRDT", "")] * 3)
    reading = read(whole[: whole.rindex(b"<Ntry>") + 20], "cut.xml")
    assert reading.statements[0].lines.num_rows == 2
    assert "damaged or cut off at line 1" in reading.errors[0].message


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',  # grows without end
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',  # reads other files
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',  # calls out
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entity_attacks_are_refused(declaration, encoding):
    text = camt(ENTRY.format("1", "CRDT", "<AddtlNtryInf>&a;</AddtlNtryInf>")).decode()
    text = text.replace("<?xml version='1.0'?>", f"<?xml version='1.0' encoding='{encoding}'?>{declaration}")
    with pytest.raises(StatementError, match="DOCTYPE"):
        read(text.encode(encoding), "attack.xml")


def test_xml_of_endless_depth_is_refused():
    with pytest.raises(StatementError, match="damaged"):
        read(b"<?xml version='1.0'?>" + b"<BkToCstmrStmt>" * 100_000, "deep.xml")


def test_more_lines_than_the_limit_are_refused():
    with pytest.raises(StatementError, match="more than 2 lines"):
        read(camt(*[ENTRY.format("1", "CRDT", "")] * 3), "a.xml", Hints(limits=Limits(max_rows=2)))


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("<Document xmlns='urn:iso:std:iso:20022:tech:xsd:pain.001.001.03'><a/></Document>", "payment order"),
        ("<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.02'></Document>", "is empty"),
        ("<Document><BkToCstmrStmt><GrpHdr/></BkToCstmrStmt></Document>", "no statement in it"),
        ("<invoice/>", "not a bank statement"),
    ],
)
def test_other_xml_is_refused_by_its_name(xml, says):
    with pytest.raises(StatementError, match=says):
        read(f"<?xml version='1.0'?>{xml}".encode(), "a.xml")
