"""Dates and times as files write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.statements import read
from recon.statements.columns import dates_of
from recon.statements.dates import DateError, instant, order_votes, parse_date, parse_time


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2025-01-31", "dmy", date(2025, 1, 31)),
        ("2025/1/31", "mdy", date(2025, 1, 31)),
        ("20250131", "dmy", date(2025, 1, 31)),
        ("20091224120000[0:GMT]", "dmy", date(2009, 12, 24)),  # OFX in a CSV
        ("2025年1月31日", "dmy", date(2025, 1, 31)),
        ("2025.01.31.", "dmy", date(2025, 1, 31)),  # Hungary
        ("2025. 1. 31. 17:08", "dmy", date(2025, 1, 31)),  # Korea
        ("31/01/2025", "dmy", date(2025, 1, 31)),
        ("01/31/2025", "mdy", date(2025, 1, 31)),
        ("31.1.25", "dmy", date(2025, 1, 31)),
        ("31-01-99", "dmy", date(1999, 1, 31)),
        ("25/01/31", "ymd", date(2025, 1, 31)),
        ("31012025", "dmy", date(2025, 1, 31)),
        ("01312025", "mdy", date(2025, 1, 31)),
        ("07 Nov 2013", "dmy", date(2013, 11, 7)),
        ("23-Jan-15", "mdy", date(2015, 1, 23)),
        ("January 31, 2025", "dmy", date(2025, 1, 31)),
        ("Jan 1, 2024 12:00:00 AM PST", "dmy", date(2024, 1, 1)),
        ("3 de marzo de 2024", "dmy", date(2024, 3, 3)),
        ("3. März 2024", "dmy", date(2024, 3, 3)),
        ("1er février 2024", "dmy", date(2024, 2, 1)),
        ("5 мая 2024", "dmy", date(2024, 5, 5)),
        ("Fri 31/01/2025", "dmy", date(2025, 1, 31)),
        ("2017-02-14-11.57.44.235044", "dmy", date(2017, 2, 14)),  # Austria's easybank
        ("31.02.2025", "dmy", None),
        ("29.02.2023", "dmy", None),
        ("13/13/2025", "dmy", None),
        ("2025-00-10", "dmy", None),
        ("25", "dmy", None),
        ("pending", "dmy", None),
        ("12/29", "dmy", None),  # no year: nothing is guessed
    ],
)
def test_a_date_is_read_or_refused(text, order, expected):
    if expected is None:
        with pytest.raises(DateError, match=r"\w"):
            parse_date(text, order)
    else:
        assert parse_date(text, order).day == expected


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-06-29T00:32:53.036910+00:00", datetime(2025, 6, 29, 0, 32, 53, 36910, UTC)),
        ("2025-06-29 23:30:00 -0200", datetime(2025, 6, 30, 1, 30, tzinfo=UTC)),
        ("06/29/2025 05:08 PM", datetime(2025, 6, 29, 17, 8, tzinfo=UTC)),
        ("29.06.2025, 17:08", datetime(2025, 6, 29, 17, 8, tzinfo=UTC)),
        ("1612345678", datetime(2021, 2, 3, 9, 47, 58, tzinfo=UTC)),  # Unix seconds
        ("2025-06-29", None),
    ],
)
def test_an_instant_needs_a_time_of_day(text, utc):
    assert instant(parse_date(text, "mdy" if "PM" in text else "dmy"), UTC) == utc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12:31:46", (time(12, 31, 46), None)),
        ("06:50 PM", (time(18, 50), None)),
        ("123456", (time(12, 34, 56), None)),
        ("9:05 +02:00", (time(9, 5), timezone(timedelta(hours=2)))),
        ("25:00", None),
        ("noon", None),
    ],
)
def test_a_time_in_a_column_of_its_own(text, expected):
    if expected is None:
        with pytest.raises(DateError, match=r"\w"):
            parse_time(text)
    else:
        assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("texts", "votes"),
    [
        (["24/12/2009", "01/02/2009"], (1, 0, 1)),
        (["12/24/2009"], (0, 1, 0)),
        (["05/05/2009", "2009-12-24"], (0, 0, 0)),  # the same either way
        (["05/03/2021"], (0, 0, 1)),
    ],
)
def test_day_and_month_are_told_apart_by_a_whole_column(texts, votes):
    assert order_votes(texts) == votes


@given(
    st.dates(date(1970, 1, 1), date(2068, 12, 31)),
    st.sampled_from(["dmy", "mdy"]),
    st.sampled_from("/.- "),
    st.booleans(),
)
def test_what_is_written_in_an_order_is_read_back(day, order, mark, short):
    year = "%y" if short else "%Y"
    pattern = mark.join(["%d", "%m", year] if order == "dmy" else ["%m", "%d", year])
    assert parse_date(day.strftime(pattern), order).day == day


# hypothesis wants bounds without a zone
FIRST, LAST = datetime(1900, 1, 1), datetime(2099, 12, 31)  # noqa: DTZ001


@given(st.lists(st.datetimes(FIRST, LAST, timezones=st.just(UTC))))
def test_iso_instants_read_at_once_are_what_they_are_one_by_one(moments):
    texts = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in moments]
    column = dates_of(pa.array(texts, pa.string()), "dmy", UTC)
    assert column.days.to_pylist() == [moment.date() for moment in moments]
    assert column.instants.to_pylist() == [moment.replace(microsecond=0) for moment in moments]


def test_one_impossible_day_among_iso_instants_is_named():
    column = dates_of(pa.array(["2025-01-31T10:00:00Z", "2025-02-31T10:00:00Z"]), "dmy", UTC)
    assert column.days.to_pylist() == [date(2025, 1, 31), None]
    assert "a day that exists" in column.failures[1]


@pytest.mark.parametrize(
    ("dates", "first", "asked"),
    [
        (["26-01-02", "26-01-13", "26-02-28"], date(2026, 1, 2), "ymd"),  # else years 2002 to 2028
        (["26/01/02"], date(2026, 1, 2), "ymd"),  # one day: nothing tells
        (["05-01-26", "17-01-26", "28-02-26"], date(2026, 1, 5), None),
        (["13-01-26", "14-01-26"], date(2026, 1, 13), None),  # a day apart, or a year
        (["05.01.26"], date(2026, 1, 5), None),  # with points the year stands last
        (["12/29/25", "12/31/25"], date(2025, 12, 29), None),
    ],
)
def test_a_year_of_two_digits_may_stand_first(dates, first, asked):
    rows = "".join(f"{each},A,-1.00,EUR\n" for each in dates)
    reading = read(f"Date,Text,Amount,Currency\n{rows}".encode(), "a.csv")
    assert reading.lines["booking_date"][0].as_py() == first
    assert [each.suggested for each in reading.questions if each.about == "date_order"] == ([asked] if asked else [])
