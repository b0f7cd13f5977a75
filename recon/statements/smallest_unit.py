"""Whether whole numbers are amounts in the smallest unit (cents): by their header, by who writes so, or asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.columns import without_placeholders
from recon.statements.currencies import exponent, stated_code
from recon.statements.mapping import AMOUNT_ROLES, Mapping
from recon.statements.model import Hints, Question
from recon.statements.tables import Table

_CENTS: Final = re.compile(r"(?<![a-z])(?:cents?|centimes|centavos|pence|minor(?: units?)?)(?![a-z])")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WHOLE: Final = r"^[-+(]*\d+\)?$"
_SECONDS: Final = r"^1\d{9}$"
_GLANCE: Final = 1_000
"""Rows that are looked at before all others: in a file with decimals one of them has some."""

_WRITTEN_SO: Final[tuple[frozenset[str], ...]] = (
    frozenset({"id", "object", "amount", "currency", "created"}),  # Stripe: every object, docs.stripe.com/currencies
    frozenset({"amount_money.amount", "amount_money.currency"}),  # Square: its Money object
    frozenset({"pspReference", "amount.value", "amount.currency"}),  # Adyen: payments, in minor units
    frozenset({"charge_date", "amount", "amount_refunded", "currency"}),  # GoCardless: payments
    frozenset({"id", "entity", "amount", "currency", "created_at"}),  # Razorpay: every entity
    frozenset({"amount", "currency", "local_amount", "local_currency"}),  # Monzo's API
)
"""Keys of JSON by which the records of those are known that write amounts as whole numbers of the smallest unit."""

_ALSO_FLAT: Final = 3
"""So many of them are as plain in a table that a program made of such JSON; the others name the columns of a
dashboard's export, too, which has whole units."""

_PLACES: Final[tuple[tuple[frozenset[str], dict[str, int]], ...]] = (
    (_WRITTEN_SO[0], {"ISK": 2, "UGX": 2, "MGA": 0}),  # docs.stripe.com/currencies, "special cases", "zero-decimal"
    (_WRITTEN_SO[2], {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}),  # docs.adyen.com, "currency codes and minor units"
)
"""Where a writer counts places otherwise than ISO 4217."""

_CONTRACT: Final = frozenset({"id", "amount", "reference", "currency"})
_CONTRACT_MORE: Final = frozenset({"description", "date", "source"})
"""The keys of an external transaction in Blnk's API, whose amounts are in whole units."""


def smallest_unit(table: Table, mapping: Mapping, hints: Hints) -> tuple[bool | None, Question | None]:
    """Whether the amounts count cents, None if nothing says so; asked where JSON has whole numbers only.

    A spreadsheet shows what people call an amount. JSON is what programs tell each other, and those of processors
    write 10.50 as 1050.
    """
    names = [name for role in AMOUNT_ROLES if role != "balance" for name in mapping.columns.get(role, ())]
    if not names or not _are_whole(table, names):
        return None, None
    if all(_says_cents(name) for name in names):
        return True, None
    if hints.every_row:
        return None, None
    is_json = table.header_line == 0  # its keys name the columns, in no line of their own
    layouts = _WRITTEN_SO if is_json else _WRITTEN_SO[:_ALSO_FLAT]
    if any(layout <= {*table.header} for layout in layouts):
        return True, None
    if not is_json or _is_by_contract(table) or not _has_places(table, mapping, hints):
        return None, None
    return None, _question(table, names[0], _is_of_a_program(table, mapping, names[0]))


def _is_by_contract(table: Table) -> bool:
    names = {name.casefold() for name in table.header}
    return names >= _CONTRACT and ("date" in names or names <= _CONTRACT | _CONTRACT_MORE)


def places_by_writer(table: Table) -> dict[str, int]:
    """The places of currencies that whoever wrote the table counts otherwise than ISO 4217."""
    return next((places for layout, places in _PLACES if layout <= {*table.header}), {})


def _says_cents(name: str) -> bool:
    words = re.sub("[_. -]+", " ", _CAMEL.sub(" ", name)).casefold()
    return _CENTS.search(words) is not None


def _are_whole(table: Table, names: Iterable[str]) -> bool:
    for name in names:
        texts = without_placeholders(table.texts(name))
        filled = texts.filter(pc.not_equal(texts, ""))
        if not all(_are_all_whole(some) for some in (filled[:_GLANCE], filled)):
            return False
    return True


def _are_all_whole(texts: pa.Array) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, _WHOLE), min_count=0).as_py())


def _has_places(table: Table, mapping: Mapping, hints: Hints) -> bool:
    """Whether an amount is in a currency that has a smaller unit, as yen have none."""
    name = mapping.column("currency")
    codes = (
        {stated_code(text, hints.currency) for text in pc.unique(table.texts(name)).to_pylist()} if name else {None}
    )
    return any(exponent(code or mapping.currency or hints.currency) for code in codes)


def _is_of_a_program(table: Table, mapping: Mapping, amount: str) -> bool:
    """Whether the file looks as those of processors do: an amount with its currency in one object, Unix seconds."""
    parent, _, _ = amount.rpartition(".")
    if parent and any(name.startswith(f"{parent}.") and "currency" in name.casefold() for name in table.header):
        return True
    dates = mapping.column("booking_date")
    return dates is not None and pc.any(pc.match_substring_regex(table.texts(dates), _SECONDS)).as_py() is True


def _question(table: Table, name: str, suggested: bool) -> Question:
    some = next((text for text in table.texts(name).to_pylist() if len(text.strip("-+()0")) > 1), "1050").strip("-+()")
    return Question(
        "in_cents",
        f"All amounts are whole numbers, such as {some}: whole units of their currency, or the smallest (cents)?",
        (("false", f"whole units: {some} is {some}.00"), ("true", f"cents: {some} is {_shifted(some)}")),
        "true" if suggested else "false",
    )


def _shifted(digits: str) -> str:
    padded = digits.zfill(3)
    return f"{padded[:-2]}.{padded[-2:]}"
