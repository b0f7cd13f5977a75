"""Files in UTF-8 of which a byte is broken: cut at the end of a field, or pasted from a file in another encoding."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.csv_encoding import encoding_of

HEAD = "Datum;Empfänger;Betrag;Währung;Verwendungszweck\n"
ROWS = "13.03.2026;Müller;-12,50;EUR;für März\n14.03.2026;Böhm;1.200,00;EUR;Lohn\n"


def test_one_broken_byte_garbles_no_other_text_and_is_told():
    cut = "15.03.2026;Groß;-5,00;EUR;Geschäft".encode() + b" Caf\xc3\n"
    reading = read((HEAD + ROWS).encode() + cut, "file.csv")
    assert (reading.encoding, reading.errors) == ("utf-8", ())
    assert [line["counterparty"] for line in reading.lines.to_pylist()] == ["Müller", "Böhm", "Groß"]
    assert reading.lines.to_pylist()[2]["description"] == "Geschäft Caf\ufffd"
    [warning] = reading.warnings
    assert (warning.line, warning.expected) == (4, "text in UTF-8")
    assert "Caf\ufffd" in warning.message


@pytest.mark.parametrize("cell", ["15.03.2026;Groß;-1\xa0005,00", "15.03\xa02026;Groß;-5,00"])
def test_a_broken_byte_in_an_amount_or_a_date_is_an_error_of_its_row(cell):
    broken = cell.encode().replace("\xa0".encode(), b"\xa0") + ";EUR;Geschäft\n".encode()
    reading = read((HEAD + ROWS).encode() + broken, "file.csv")
    assert reading.lines.num_rows == 2
    assert [error.line for error in reading.errors] == [4]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("rows", [1, 40_000])
def test_large_and_marked_files_are_read_alike(rows, encoding):
    data = (HEAD + ROWS * rows).encode(encoding) + b"15.03.2026;M\xfcller;-5,00;EUR;Rest\n"
    reading = read(data, "file.csv")
    assert reading.lines.num_rows == 2 * rows + 1
    assert not reading.errors
    assert [warning.line for warning in reading.warnings] == [2 * rows + 2]


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "cp850", "gb18030", "cp932", "euc_kr", "cp1251"])
def test_files_in_other_encodings_stay_so(encoding):
    text = {
        "gb18030": "交易日期,金额,摘要\n2026-03-13,5.00,联通公司\n2026-03-14,6.00,工资\n",
        "cp932": "日付,金額,摘要\n2026-03-13,500,振込手数料\n2026-03-14,600,給与\n",
        "euc_kr": "거래일자,금액,적요\n2026-03-13,500,급여\n2026-03-14,600,이자\n",
        "cp1251": "Дата,Сумма,Описание\n13.03.2026,5.00,ЗАРПЛАТА\n14.03.2026,6.00,перевод\n",
    }.get(encoding, HEAD + ROWS)
    assert encoding_of(text.encode(encoding)) not in {"utf-8", "utf-8-sig"}


def test_ofx_with_a_broken_byte_is_read_as_well():
    memos = "".join(
        f"<STMTTRN><TRNAMT>-{place}.00<DTPOSTED>20260313<FITID>{place}<MEMO>Café été {place}</STMTTRN>\n"
        for place in range(1, 5)
    )
    data = f"<OFX><STMTRS><CURDEF>EUR<BANKTRANLIST>\n{memos}".encode() + (
        b"<STMTTRN><TRNAMT>-9.00<DTPOSTED>20260313<FITID>9<MEMO>Caf\xe9</STMTTRN></BANKTRANLIST></STMTRS></OFX>"
    )
    reading = read(data, "file.ofx")
    assert [line["description"] for line in reading.lines.to_pylist()][3:] == ["Café été 4", "Caf\ufffd"]
    assert [warning.line for warning in reading.warnings] == [6]
