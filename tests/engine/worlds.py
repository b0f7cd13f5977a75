"""Random small books: few different amounts, days and texts, so that ties, doubles and contests are the normal case.

Opening a database costs more than matching ten rows, so an example holds several *worlds*, each in its own currency:
rows of different currencies never meet, so each world must come out as if it were alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.engine.judging import Body, row

ZONE = "Europe/Berlin"
TEXTS = (
    None, "", "  ", "INV-0012", "inv 12", "INV-0012 ACME", "ACME inv-0012 INV-0013", "INV-0013", "INV-00",
    "Straße 1234", "STRASSE  1234", "ＡＢＣＤ１", "abcd1", "Café 77", "Cafe\u0301 77", "abc", "0", "000", "---",
    "A-B-C-D", "REF12345", "REF1234", "pay REF12345 REF1234", "REF12345 pay", "xREF1234x", "ref 12345",
    "日本語の銀行", "日本語 の 銀行", "0012", "００12", "İNV-12", "INV\u00a012", "INV\u200b12", "N° 0012", "12²",
    "INV\u00ad-0012\u200e", "\ufeff",
    "'; --",
)  # fmt: skip
PRINTED = (
    None, "RF18 5390 0754 7034", "RF18539007547034", "pay RF18 5390 0754 7034 now", "rf18-5390-754-7034", "0754 7034",
    "7547034", "paid 07 54 70 34", "INV-2024-0012", "INV-2024-12", "inv 20240012", "to INV 2024 0012 of 03.01.",
    "2024 12", "0 5", "05", "5", "0 0 500", "00 0500 1", "500 1", "A 000 1234", "a0001234", "A 1234 0", "1 00", "100",
    "10 0 x", "0754", "00 00000 00012 34500", "1234500", "A0 0B 01", "a0b1", "RF18 5390",
)  # fmt: skip
"""Numbers printed in groups, and those that read like them once zeros or separators are gone."""
NAMES = (
    None, "Adithya Medical Store", "Adithya Medical Stores", "Aditya Medical Stores", "Müller GmbH", "MÜLLER  GMBH",
    "Mu\u0308ller GmbH", "Mueller GmbH", "Muller GmbH", "Müller 007 GmbH", "MÜLLER-7-GMBH", "Müll",
    "银行 ABC", "銀行 ABC",
)  # fmt: skip
"""Names that are near each other."""
AMOUNTS = (0, 1, -1, 2, 3, 5, 100, 101, 102, 99, 98, -100, -101, 105, 10_000, 10_001, -10_000, 10**15, 10**15 + 1)
MOST = 10**18 - 1
HUGE = (MOST, MOST - 1, 1 - MOST, -MOST, 10**17, 10**16, -(10**16), 5 * 10**17, 0, 1, 2, 100)
SCALES = (2, 2, 2, 2, 2, 0, 4)  # a hundred is 100, 10000 and 1000000 units
DAY = date(2026, 3, 28)  # the night after it, clocks in Berlin go forward
DATES = (None, *(DAY + timedelta(days=n) for n in (0, 0, 0, 1, 2, 3, -1, -3, 30)), date(1, 1, 1), date(9999, 12, 31))
TIMES = tuple(
    datetime(2026, 3, 28, hour, minute, tzinfo=UTC) + timedelta(days=day)
    for day, hour, minute in (
        (0, 0, 30),
        (0, 9, 0),
        (0, 9, 0),
        (0, 9, 30),
        (0, 22, 59),
        (0, 23, 1),
        (1, 9, 0),
        (2, 8, 0),
    )
)


@st.composite
def moments(draw: st.DrawFn, days_only: bool) -> Body:
    """A booking date, or a time and the day it falls on in the account's zone."""
    if days_only:
        return {"booking_date": draw(st.sampled_from(DATES[1:]))}
    if draw(st.integers(0, 3)):
        return {"booking_date": draw(st.sampled_from(DATES))}
    at = draw(st.sampled_from(TIMES))
    return {"booked_at": at, "booking_date": at.astimezone(ZoneInfo(ZONE)).date()}


@st.composite
def rows(
    draw: st.DrawFn,
    amounts: Sequence[int],
    texts: Sequence[str | None],
    most: int,
    days_only: bool,
    scales: Sequence[int],
) -> list[Body]:
    """Up to ``most`` rows, some of them exact doubles of others. They are numbered later."""
    made: list[Body] = []
    for _ in range(draw(st.integers(0, most))):
        if made and draw(st.integers(0, 3)) == 0:
            made.append(dict(draw(st.sampled_from(made))))
            made[-1]["units"] *= draw(st.sampled_from((1, 1, 1, 1, -1)))  # or what takes it back
            continue
        one: Body = {"units": draw(st.sampled_from(amounts)), **draw(moments(days_only))}
        one["scale"] = draw(st.sampled_from(scales)) if scales != SCALES or one["units"] < 10**12 else 2
        one |= {name: draw(st.sampled_from(texts)) for name in ("reference", "description", "counterparty")}
        made.append(one)
    return made


World = tuple[list[Body], list[Body]]


@st.composite
def worlds(
    draw: st.DrawFn,
    most: int = 6,
    count: int = 6,
    shared: Sequence[int] = AMOUNTS,
    scales: Sequence[int] = SCALES,
) -> list[World]:
    """Worlds of lines and entries that share few amounts and texts; each in its own currency, ids unique over all.

    In some examples every row has a day and none a time: books are searched differently then.
    """
    days_only = draw(st.booleans())
    amounts = draw(st.lists(st.sampled_from(shared), min_size=1, max_size=4))
    texts = draw(
        st.lists(
            st.sampled_from(draw(st.sampled_from((TEXTS, TEXTS, NAMES, PRINTED, TEXTS + PRINTED)))),
            min_size=1,
            max_size=6,
        )
    )
    some = rows(amounts, texts, most, days_only, scales)
    return [(draw(_side(number, some)), draw(_side(number, some))) for number in range(draw(st.integers(1, count)))]


@st.composite
def _side(draw: st.DrawFn, world: int, some: st.SearchStrategy[list[Body]]) -> list[Body]:
    plain = draw(some)
    orders = draw(st.permutations(range(len(plain))))  # the order of rows is their `ord`, not where they stand
    named: Body = {"currency": f"X{chr(65 + world // 26)}{chr(65 + world % 26)}", "source": f"world {world}"}
    return [
        row(world * 100 + at, ord=world * 100 + order, **one, **named)
        for at, (one, order) in enumerate(zip(plain, orders, strict=True), 1)
    ]
