"""Statements inside zip and gzip files, and archives made to do harm."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from recon.statements import read
from recon.statements.model import Hints, Limits, StatementError

STATEMENT = b":20:R\n:25:A\n:28C:1/1\n:60F:C260101EUR0,00\n:61:260105C1,00NTRFX\n:62F:C260105EUR1,00\n-\n"


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def test_a_statement_is_read_inside_a_zip_and_a_gzip_file(tmp_path):
    for name, data in (("a.zip", zipped({"in/a.sta": STATEMENT})), ("a.sta.gz", gzip.compress(STATEMENT))):
        (tmp_path / name).write_bytes(data)
        for source in (data, tmp_path / name):
            reading = read(source, name)
            assert (reading.format, reading.lines["units"].to_pylist()) == ("mt940", [100])


def test_several_files_come_together_and_one_that_is_no_statement_is_an_error():
    files = {"__MACOSX/._a.sta": b"x", "a.sta": STATEMENT, "b.sta": STATEMENT, "c.xml": b"<?xml version='1.0'?><x/>"}
    reading = read(zipped(files), "month.zip")
    assert len(reading.statements) == 2
    [error] = reading.errors
    assert error.message.startswith("c.xml: This XML file (<x>) is not a bank statement")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no file in it"),
        ({"../../etc/cron.d/x": STATEMENT}, "points outside"),
        ({"/etc/passwd": STATEMENT}, "points outside"),
        ({"C:\\x.sta": STATEMENT}, "points outside"),
        ({"in.zip": zipped({"a.sta": STATEMENT})}, "archive inside an archive"),
        ({"in.gz": gzip.compress(STATEMENT)}, "archive inside an archive"),
        ({"bomb.sta": bytes(20_000_000)}, "grows more than"),
        ({f"{n}.sta": STATEMENT for n in range(1001)}, "more than the limit of 1,000"),
    ],
)
def test_harmful_zip_files_are_refused(files, says):
    with pytest.raises(StatementError, match=says):
        read(zipped(files), "a.zip")


def test_a_zip_that_lies_about_its_sizes_is_still_bounded():
    data = bytearray(zipped({"bomb.sta": bytes(20_000_000)}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # the claimed unpacked size
    with pytest.raises(StatementError):
        read(bytes(data), "a.zip")


def test_a_gzip_bomb_stops_at_the_limit():
    with pytest.raises(StatementError, match="grows more than"):
        read(gzip.compress(bytes(50_000_000)), "a.gz")
    with pytest.raises(StatementError, match="more than the limit"):
        read(gzip.compress(STATEMENT * 100), "a.gz", Hints(limits=Limits(max_unpacked=1000)))


@pytest.mark.parametrize("cut", [20, 60, -30])
def test_damaged_archives_are_refused(cut):
    for data, name in ((zipped({"a.sta": STATEMENT * 20}), "a.zip"), (gzip.compress(STATEMENT * 20), "a.gz")):
        with pytest.raises(StatementError, match="damaged"):
            read(data[:cut], name)
