"""Files of several sheets, and pages without line ends: no row is lost in silence."""

from __future__ import annotations

import io

from openpyxl import Workbook

from recon.statements import read

HEADER = ["Date", "Text", "Amount", "Currency"]


def workbook(**sheets: list[list[str]]) -> bytes:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_rows_of_another_sheet_are_told_as_left_out():
    january = [HEADER, ["2026-01-02", "A", "-10.00", "EUR"]]
    february = [HEADER, ["2026-02-02", "B", "5.00", "EUR"], ["2026-02-03", "C", "6.00", "EUR"]]
    [statement] = read(workbook(Notes=[["Kept by Ann"]], Jan=january, Feb=february), "a.xlsx").statements
    assert statement.lines["units"].to_pylist() == [-1000]
    assert [(each.raw, each.reason) for each in statement.left_out] == [
        ("2026-02-02; B; 5.00; EUR", "on another sheet (Feb)"),
        ("2026-02-03; C; 6.00; EUR", "on another sheet (Feb)"),
    ]


def test_a_page_on_one_line_has_its_rows():
    rows = ["".join(f"<td>{cell}</td>" for cell in row) for row in (HEADER, ["2026-01-02", "A", "-1,010.50", "EUR"])]
    page = "<html><table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table></html>"
    assert read(page.encode(), "a.xls").lines["units"].to_pylist() == [-101050]


def test_a_workbook_in_xml_on_one_line_has_its_rows():
    cells = [
        "".join(f'<Cell><Data ss:Type="String">{cell}</Data></Cell>' for cell in row)
        for row in (HEADER, ["2026-01-02", "A", "-10.00", "EUR"], ["2026-01-03", "B", "5.00", "EUR"])
    ]
    space = "urn:schemas-microsoft-com:office:spreadsheet"
    table = "".join(f"<Row>{row}</Row>" for row in cells)
    sheet = f'<Worksheet ss:Name="S"><Table>{table}</Table></Worksheet>'
    book = f'<?xml version="1.0"?><Workbook xmlns="{space}" xmlns:ss="{space}">{sheet}</Workbook>'
    assert read(book.encode(), "a.xls").lines["units"].to_pylist() == [-1000, 500]
