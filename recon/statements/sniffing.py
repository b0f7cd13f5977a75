"""From a table of texts to the mapping that reads it: what a partial mapping leaves open is found out."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from recon.statements.amounts import with_proven_fees
from recon.statements.currencies import exponent, named_in, stated_code
from recon.statements.directions import amount_column, is_card, with_directions
from recon.statements.mapping import Mapping, Role
from recon.statements.model import Hints, Question, StatementError
from recon.statements.pairs import with_own_pair
from recon.statements.profiles import profile_for
from recon.statements.roles import roles_of
from recon.statements.smallest_unit import smallest_unit
from recon.statements.styles import currency_of, date_order_of, decimal_of
from recon.statements.tables import Table
from recon.statements.traits import traits_of
from recon.statements.words import fit

_SAMPLE = 2_000


def sniffed(table: Table, partial: Mapping, hints: Hints) -> tuple[Mapping, tuple[Question, ...]]:
    """The full mapping, and what the file does not decide.

    Raises StatementError when a mapped column is not in the file, or when no column can be the amount.
    """
    if not partial.columns and (known := profile_for(table.header, partial.amount_column or hints.amount_column)):
        partial = partial.filled_from(known)
    mapping = replace(partial, columns=_columns(table, partial, hints), header_row=table.header_line or 0)
    mapping = with_own_pair(table, mapping, partial, hints)
    questions: list[Question | None] = []
    if mapping.decimal is None:
        decimal, question = decimal_of(table, mapping)
        mapping = replace(mapping, decimal=decimal)
        questions.append(question)
    mapping = replace(mapping, currency=mapping.currency or currency_of(table, mapping, hints))
    if not exponent(mapping.currency):  # then a mark before three digits parts thousands
        questions = []
    mapping = _of_own_currency(table, _of_own_amount(table, mapping, partial), partial, hints)
    mapping, question = _with_unit(table, mapping, partial, hints)
    questions.append(question)
    if mapping.date_order is None:
        order, question = date_order_of(table, mapping, hints)
        mapping = replace(mapping, date_order=order)
        questions.append(question)
    amount_kind = mapping.amount_column or hints.amount_column
    if amount_kind is None and mapping.column("gross") and not mapping.column("amount"):
        amount_kind = "gross"
    mapping = replace(mapping, amount_column=amount_kind)
    mapping, question = with_directions(table, mapping, hints)
    questions.append(question)
    mapping = with_proven_fees(table.head(_SAMPLE), mapping, hints)
    return mapping, tuple(each for each in questions if each)


def _with_unit(table: Table, mapping: Mapping, chosen: Mapping, hints: Hints) -> tuple[Mapping, Question | None]:
    """The mapping that says whether amounts count cents; what was chosen stays."""
    if chosen.in_cents is not None:
        return mapping, None
    in_cents, question = smallest_unit(table, mapping, hints)
    return replace(mapping, in_cents=question.suggested == "true" if question else in_cents), question


def _of_own_currency(table: Table, mapping: Mapping, partial: Mapping, hints: Hints) -> Mapping:
    """Without the column of currencies, where the amount's header names its own and the column has others.

    ``Amount (UAH)`` beside ``Currency`` with dollars: that is the currency in which somebody paid.
    """
    name, amounts = mapping.column("currency"), amount_column(mapping) or mapping.column("debit")
    own = named_in(amounts, hints.currency) if amounts else None
    if not name or not own or "currency" in partial.columns:
        return mapping
    codes = {stated_code(text) for text in pc.unique(table.texts(name)).to_pylist() if text}
    if codes <= {own}:
        return mapping
    columns: dict[Role, tuple[str, ...]] = {**mapping.columns}
    del columns["currency"]
    return replace(mapping, columns=columns, currency=partial.currency or own)


def _of_own_amount(table: Table, mapping: Mapping, partial: Mapping) -> Mapping:
    """On a card, the amounts that the header gives in one currency, if they are the others where that one was paid in.

    ``Amount``, ``Currency``, ``Amount in EUR``: the last is what the card was charged. A wallet of several currencies
    may have such columns as well, to report in one of them, so that nothing is changed there.
    """
    name, amounts = mapping.column("currency"), mapping.column("amount")
    if not name or not amounts or {"currency", "amount"} & partial.columns.keys() or not is_card(table, mapping):
        return mapping
    sample = table.head(_SAMPLE)
    codes = [stated_code(text) for text in sample.texts(name).to_pylist()]
    paid = sample.texts(amounts).to_pylist()
    for other in table.header:
        own = named_in(other, None)
        if other == amounts or not own or {*codes} <= {own, None} or own not in codes or not fit("amount", other):
            continue
        charged = sample.texts(other).to_pylist()
        rows = list(zip(codes, paid, charged, strict=True))
        if all(text for _code, _paid, text in rows) and all(
            (before == after) == (code == own) for code, before, after in rows
        ):
            columns: dict[Role, tuple[str, ...]] = {**mapping.columns, "amount": (other,)}
            del columns["currency"]
            return replace(mapping, columns=columns, currency=partial.currency or own)
    return mapping


def _columns(table: Table, partial: Mapping, hints: Hints) -> dict:  # type: ignore[type-arg]
    for names in partial.columns.values():
        for name in names:
            if name not in table.places:
                raise StatementError.at(
                    f"The file has no column {name!r}.",
                    column=name,
                    found=", ".join(table.header),
                    expected=f"a column named {name!r}",
                )
    columns = partial.columns
    if not (amount_column(partial) or partial.column("debit") or partial.column("credit")):
        sample = table.head(_SAMPLE).without_notes()
        traits = [traits_of(name, column) for name, column in zip(table.header, sample.columns, strict=True)]
        found = roles_of(traits, headed=table.header_line is not None, ledger=hints.side == "ledger")
        columns = {**found, **partial.columns}
    mapping = Mapping(columns=columns)
    if not (amount_column(mapping) or mapping.column("debit") or mapping.column("credit")):
        raise StatementError.at(
            "No column of amounts was found.",
            line=table.header_line or None,
            found=", ".join(table.header),
            expected="a column of amounts, or columns of debits and credits; name it in the mapping",
        )
    if table.header_line is None and not partial.columns and not {"booking_date", "value_date"} & columns.keys():
        raise StatementError.at(
            "The file has neither a header nor a column of dates, so that nothing says what its numbers are.",
            found=table.raw(0)[:80],
            expected="a table with a header, or with a column of dates",
        )
    return columns
