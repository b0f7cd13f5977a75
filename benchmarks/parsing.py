"""How fast files are read: one generated file per format, each read in a process of its own.

``python -m benchmarks.parsing FILE ROWS`` is that process; it prints one JSON object. Every file is made from the row's
number alone, so that its count and its sum are known; a reading that differs is an error, not a figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from recon.memory import peak_memory
from recon.statements import read
from recon.statements.model import Hints

ROOT = Path(__file__).resolve().parent.parent


def _units(row: int) -> int:
    """Plus and minus by turns, no two neighbours alike."""
    return (100 + row * 7919 % 999_900) * (-1 if row % 3 else 1)


def _plain(units: int, mark: str = ".") -> str:
    return f"{'-' if units < 0 else ''}{abs(units) // 100}{mark}{abs(units) % 100:02d}"


def write_csv(file: TextIO, rows: int) -> None:
    """A bank's export: ISO dates, signed amounts, unique references."""
    file.write("Date,Amount,Currency,Reference,Description\n")
    for row in range(rows):
        day = f"2026-{row % 12 + 1:02d}-{row % 28 + 1:02d}"
        file.write(f"{day},{_plain(_units(row))},EUR,REF{row:08d},Card payment {row}\n")


def write_quoted_csv(file: TextIO, rows: int) -> None:
    """A German bank's export: everything quoted, semicolons, decimal commas, German dates, a preamble."""
    file.write('"Kontonummer:";"DE02120300000000202051"\n\n')
    file.write('"Buchungstag";"Wertstellung";"Buchungstext";"Auftraggeber";"Verwendungszweck";"Betrag";"Währung"\n')
    for row in range(rows):
        day = f"{row % 28 + 1:02d}.{row % 12 + 1:02d}.2026"
        amount = _plain(_units(row), ",")
        file.write(f'"{day}";"{day}";"Überweisung";"Kunde {row % 997}";"RE {row:08d}, danke";"{amount}";"EUR"\n')


def write_mt940(file: TextIO, rows: int) -> None:
    """Statements of 50 lines, each line with a German structured text of 27-letter subfields."""
    for row in range(rows):
        if row % 50 == 0:
            file.write(f":20:STARTUMS\n:25:12030000/202051\n:28C:{row // 50 + 1}/1\n:60F:C260101EUR1000,00\n")
        units = _units(row)
        file.write(f":61:2601{row % 28 + 1:02d}01{row % 28 + 1:02d}{'D' if units < 0 else 'C'}")
        file.write(f"{_plain(abs(units), ',')}NTRFNONREF//BANK{row:08d}\n")
        file.write(f":86:166?00GUTSCHRIFT?109075?20EREF+ORDER{row:08d}?21SVWZ+Rechnung {row} vom\n")
        file.write(f" Januar?22und vielen Dank?30DEUTDEFFXXX?31DE89370400440532013000?32Kunde {row % 997}\n")
        if row % 50 == 49 or row == rows - 1:
            file.write(":62F:C260131EUR1000,00\n-\n")


def write_camt(file: TextIO, rows: int) -> None:
    """One camt.053.001.08 statement; every entry with the details of one transaction."""
    file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    file.write('<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>1</Id>\n')
    file.write("<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>\n")
    for row in range(rows):
        units, day = _units(row), f"2026-01-{row % 28 + 1:02d}"
        mark, party = ("DBIT", "Cdtr") if units < 0 else ("CRDT", "Dbtr")
        file.write(
            f'<Ntry>\n <Amt Ccy="EUR">{_plain(abs(units))}</Amt>\n <CdtDbtInd>{mark}</CdtDbtInd>\n'
            f" <Sts><Cd>BOOK</Cd></Sts>\n <BookgDt><Dt>{day}</Dt></BookgDt>\n <ValDt><Dt>{day}</Dt></ValDt>\n"
            f" <AcctSvcrRef>BANK{row:08d}</AcctSvcrRef>\n <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd>"
            f"<SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>\n <NtryDtls><TxDtls>\n  <Refs>"
            f'<EndToEndId>ORDER{row:08d}</EndToEndId></Refs>\n  <Amt Ccy="EUR">{_plain(abs(units))}</Amt>\n'
            f"  <RltdPties><{party}><Pty><Nm>Kunde {row % 997}</Nm></Pty></{party}>"
            f"<{party}Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></{party}Acct></RltdPties>\n"
            f"  <RmtInf><Ustrd>Rechnung {row} vom Januar und vielen Dank</Ustrd></RmtInf>\n"
            f" </TxDtls></NtryDtls>\n</Ntry>\n"
        )
    file.write("</Stmt></BkToCstmrStmt></Document>\n")


def write_ofx(file: TextIO, rows: int) -> None:
    """OFX 1.0 (SGML), one element a line."""
    file.write("OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nENCODING:USASCII\nCHARSET:1252\n\n<OFX><BANKMSGSRSV1>")
    file.write("<STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>2<ACCTTYPE>CHECKING</BANKACCTFROM>\n")
    file.write("<BANKTRANLIST>\n")
    for row in range(rows):
        file.write(f"<STMTTRN>\n<TRNTYPE>OTHER\n<DTPOSTED>202601{row % 28 + 1:02d}120000[-5:EST]\n")
        file.write(f"<TRNAMT>{_plain(_units(row))}\n<FITID>F{row:08d}\n<NAME>Customer {row % 997}\n")
        file.write(f"<MEMO>Invoice {row}\n</STMTTRN>\n")
    file.write("</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n")


def write_qif(file: TextIO, rows: int) -> None:
    """A bank account's register."""
    file.write("!Type:Bank\n")
    for row in range(rows):
        file.write(
            f"D01/{row % 28 + 1:02d}/2026\nT{_plain(_units(row))}\nN{row}\nPCustomer {row % 997}\nMInvoice {row}\n^\n"
        )


def write_bai2(file: TextIO, rows: int) -> None:
    """One account of one day; every transaction with a continuation."""
    file.write("01,122099999,123456789,260131,0200,1,,,2/\n02,031001234,122099999,1,260131,,USD,2/\n")
    file.write("03,0123456789,USD,010,100000,,,015,100000,,/\n")
    for row in range(rows):
        units = _units(row)
        code = 475 if units < 0 else 195
        file.write(
            f"16,{code},{abs(units)},0,BANK{row:08d},ORDER{row:08d},INVOICE {row}\n88,FROM CUSTOMER {row % 997}\n"
        )
    file.write(f"49,0,{2 * rows + 2}/\n98,0,1,{2 * rows + 4}/\n99,0,1,{2 * rows + 6}/\n")


WRITERS: dict[str, tuple[str, Callable[[TextIO, int], None], int]] = {
    "csv": ("bank.csv", write_csv, 1_000_000),
    "csv, quoted": ("umsatz.csv", write_quoted_csv, 1_000_000),
    "camt": ("camt.053.xml", write_camt, 100_000),
    "mt940": ("bank.sta", write_mt940, 100_000),
    "ofx": ("bank.ofx", write_ofx, 100_000),
    "qif": ("bank.qif", write_qif, 100_000),
    "bai2": ("bank.bai", write_bai2, 100_000),
}
"""Format -> file name, writer, rows of the usual size."""


def measured(kind: str, rows: int | None, repeat: int) -> dict[str, Any]:
    """Seconds (median) and peak memory of reading one generated file of ``kind``."""
    name, write, usual = WRITERS[kind]
    with TemporaryDirectory(prefix="tieout-parse-") as folder:
        path = Path(folder) / name
        with path.open("w", encoding="utf-8") as file:
            write(file, rows or usual)
        command = [sys.executable, "-m", "benchmarks.parsing", str(path), str(rows or usual), str(repeat)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return {"format": kind, "rows": rows or usual, "file_mib": round(path.stat().st_size / 2**20, 1), **found}


def _timed(path: Path, rows: int, repeat: int) -> dict[str, Any]:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        reading = read(path, path.name, Hints())
        seconds.append(time.perf_counter() - start)
        net = sum(int(total.net.scaleb(2)) for each in reading.statements for total in each.totals())
        if (sum(each.lines.num_rows for each in reading.statements), net) != (rows, sum(map(_units, range(rows)))):
            raise AssertionError(f"{path.name}: {net} in another number of lines than {rows}")
    return {"seconds": round(median(seconds), 3), "peak_mib": round(peak_memory() / 2**20)}


if __name__ == "__main__":
    print(json.dumps(_timed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
