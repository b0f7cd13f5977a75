"""A month of a small web shop: what its card processor paid out against what its books say.

Made from a fixed seed, so that every demo tells the same story. Of about two thousand orders most tie out at once; the
rest is what a finance team meets every month: fees kept back, late settlements, references cut off or moved into the
text, refunds, invoices paid by transfer, mistyped amounts, a line sent twice, a payout that covers several orders,
orders not settled yet, and charges nobody booked.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

SEED: Final = 2026
DAYS: Final = 31
ORDERS: Final = 1_930
COLUMNS: Final = ("id", "amount", "date", "description", "currency", "reference", "source")

_CUSTOMERS: Final = (
    "Amara Okafor", "Lukas Brandt", "Sofia Rossi", "Jean Lefèvre", "Mei Tanaka", "Pedro Álvarez", "Anna Kowalska",
    "Tom Becker", "Zeynep Yılmaz", "Liam Murphy", "Elsa Lindqvist", "Nikos Papadakis", "Ines Moreira", "Jonas Weber",
)  # fmt: skip
_COMPANIES: Final = ("Müller & Söhne GmbH", "Atelier Nord SARL", "Brightside Ltd", "Casa Verde SL", "Fjord Design AS")
_PRICES: Final = (790, 1250, 1995, 2490, 3400, 4900, 8900, 12900)
_SHIPPING: Final = 490


@dataclass(frozen=True)
class Row:
    """A row of either file; the amount in cents, money in is plus."""

    id: str
    cents: int
    day: date
    description: str
    reference: str
    source: str

    def as_text(self) -> tuple[str, ...]:
        sign, whole = "-" if self.cents < 0 else "", abs(self.cents)
        amount = f"{sign}{whole // 100}.{whole % 100:02}"
        return (self.id, amount, self.day.isoformat(), self.description, "EUR", self.reference, self.source)


@dataclass
class Month:
    """Both sides as they come about; `first` and `last` are the statement's days."""

    first: date
    last: date
    dice: random.Random
    lines: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)

    def book(self, cents: int, day: date, description: str, reference: str) -> None:
        """Our books say so."""
        self.entries.append(Row(f"txn_{len(self.entries) + 1:05}", cents, day, description, reference, "web shop"))

    def settle(self, cents: int, day: date, description: str, reference: str) -> None:
        """The processor says so, if the day still belongs to its statement."""
        if day <= self.last:
            self.lines.append(Row(f"ch_{len(self.lines) + 1:05}", cents, day, description, reference, "processor"))


def shop_month(last: date) -> tuple[bytes, bytes]:
    """The statement and the ledger of the 31 days up to `last`, as CSV files."""
    month = Month(last - timedelta(days=DAYS - 1), last, random.Random(SEED))  # noqa: S311 - a story, not a secret
    for number in range(ORDERS):
        _order(month, number)
    _payout(month)
    _charges(month)
    month.lines.append(_sent_again(month.lines[len(month.lines) // 2]))
    month.lines.sort(key=lambda row: row.day)
    return _as_csv(month.lines), _as_csv(month.entries)


def _order(month: Month, number: int) -> None:
    dice = month.dice
    day = month.first + timedelta(days=number * DAYS // ORDERS)
    kind = dice.random()
    cents = _article(dice) if 0.12 <= kind < 0.18 else _basket(dice)
    reference, customer = f"ORD-{10_000 + number * 7}", dice.choice(_CUSTOMERS)
    text, settled = f"Order {reference}, {customer}", day + timedelta(days=dice.randint(0, 2))
    if kind < 0.03:  # a company pays an invoice by transfer and writes its number into the text
        invoice, company = f"INV-{2_000 + number}", dice.choice(_COMPANIES)
        month.book(cents, day, f"Invoice {invoice}, {company}", invoice)
        month.settle(cents, settled, f"SEPA transfer {invoice} {company}", "")
        return
    if kind < 0.034:  # typed by hand, two digits swapped
        month.book(_swapped(cents), day, text, reference)
    else:
        month.book(cents, day, text, reference)
    if kind < 0.09:  # the processor keeps its fee, on some foreign cards a large one
        cents -= cents * (14 if kind < 0.08 else 39) // 1000 + 25
        text = f"Card payment {reference} net of fee"
    elif kind < 0.12:  # disputed, or a slow bank
        settled = day + timedelta(days=dice.randint(6, 9))
    elif kind < 0.18:  # the reference lost its end, and many such orders are of the same article
        reference = reference[:-2]
    month.settle(cents, settled, text, reference)
    if kind > 0.97:
        back = day + timedelta(days=dice.randint(3, 8))
        month.book(-cents, back, f"Refund {reference}, {customer}", f"RF-{reference}")
        month.settle(-cents, back + timedelta(days=1), f"Refund {reference}", f"RF-{reference}")


def _article(dice: random.Random) -> int:
    """A single article with postage: its price is that of many other orders."""
    return dice.choice(_PRICES) + _SHIPPING


def _basket(dice: random.Random) -> int:
    """A few articles with postage; two in three baskets have a weighed article, so that their amount is their own."""
    cents = sum(dice.choices(_PRICES, k=dice.randint(1, 4))) + _SHIPPING
    return cents + (dice.randint(1, 2_999) if dice.random() < 0.67 else 0)


def _swapped(cents: int) -> int:
    digits = list(str(cents))
    digits[0], digits[1] = digits[1], digits[0]
    return int("".join(digits))


def _payout(month: Month) -> None:
    """Twelve marketplace orders arrive as one sum."""
    day, reference = month.first + timedelta(days=17), f"PO-{month.last:%Y%m}-0042"
    baskets = [_basket(month.dice) for _ in range(12)]
    for number, cents in enumerate(baskets, start=1):
        month.book(cents, day - timedelta(days=2), f"Marketplace order {number} of 12", reference)
    month.settle(sum(baskets), day, "Marketplace payout", reference)


def _charges(month: Month) -> None:
    """What the processor charges and nobody has booked."""
    month.settle(-2_900, month.first, "Monthly terminal fee", "FEE-TERMINAL")
    for week in range(4):
        month.settle(
            -150 - week * 10, month.first + timedelta(days=6 + 7 * week), "Chargeback handling", "FEE-CHARGEBACK"
        )


def _sent_again(line: Row) -> Row:
    """The same line once more, under an id of its own."""
    return Row(f"{line.id}b", line.cents, line.day, line.description, line.reference, line.source)


def _as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.as_text() for row in rows)
    return text.getvalue().encode()
