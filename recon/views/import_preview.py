"""What a file would become, as pages show it before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
from django.http import QueryDict

from recon.forms.imports import carried, encodings, posted_mapping, role_fields, setting_fields, without_the_open
from recon.forms.inputs import after_key
from recon.models import Account, AccountKind, ImportProfile, Side, Statement
from recon.rows import amount
from recon.statements.currencies import UNKNOWN
from recon.statements.model import MORE_ROWS, Reading, StatementError
from recon.usecases.errors import Refused, SeveralAccounts
from recon.usecases.imports.facts import reading_facts
from recon.usecases.imports.files import Source
from recon.usecases.imports.importing import Repeats
from recon.usecases.imports.preview import Preview, preview
from recon.usecases.imports.reissues import compare, differing, shares
from recon.wording import counted

SHOWN_ROWS = 12
SHOWN_ERRORS = 100
SHOWN_LEFT_OUT = 20
SHOWN_CHANGES = 40
WARNED = ("balance_differs", "no_balance_check", "gap", "account", "currency", "no_date", "inexact")
"""Announcements that need no decision, but a look."""


@dataclass(frozen=True)
class ShownRow:
    """One row as it would be stored."""

    line: int | None
    date: Any
    amount: Decimal
    currency: str
    reference: str | None
    description: str | None


@dataclass(frozen=True)
class Choice:
    """One thing to do about rows that are there already, and what the button says then."""

    value: Repeats
    label: str
    button: str


def preview_context(source: Source, name: str, account: Account | None, side: Side, data: QueryDict) -> dict[str, Any]:
    """The context of ``imports/_import_preview.html``: read with the chosen mapping, or as the file itself says."""
    context: dict[str, Any] = {
        "file_name": name,
        "side": side.label,
        "is_statement": side == Side.STATEMENT,
        "account_was": account.pk if account else "",
        "account_number": data.get("account_number", ""),
        "warned": WARNED,
        "books": books_in_words(side, account),
        "profiles": ImportProfile.objects.order_by("name"),
    }
    mapping = chosen_mapping(data)
    try:
        found = preview(source, name, account, side, mapping)
    except Refused as refused:
        return context | refusal_context(refused, mapping, data, side, debit_is_in(side, account))
    reading = found.reading
    has_rows = reading.lines.num_rows > 0 and not reading.questions
    too_many = any(error.expected == MORE_ROWS for error in reading.errors)
    return context | {
        "reading": reading,
        "totals": found.totals,
        # How the file joins the one before has a line of its own below; a gap is said twice on purpose.
        "announcements": [each for each in found.announcements if each.kind != "same_period"],
        "repeats": found.repeats,
        "rows_of": rows_of(reading) if side == Side.STATEMENT and account else (),
        "joint": found.joint,
        "rows": shown_rows(reading.lines.slice(0, SHOWN_ROWS)),
        "row_count": reading.lines.num_rows,
        "everything": counted(
            reading.lines.num_rows, *(("line",) if side == Side.STATEMENT else ("entry", "entries"))
        ),
        "row_errors": reading.errors[:SHOWN_ERRORS],
        "error_count": len(reading.errors),
        "too_many_errors": too_many,
        "left_out": [each for statement in reading.statements for each in statement.left_out][:SHOWN_LEFT_OUT],
        "left_out_count": sum(len(statement.left_out) for statement in reading.statements),
        "facts": reading_facts(reading),
        "changed_entries": found.changes.changed[:SHOWN_CHANGES],
        "can_import": not reading.errors and has_rows,
        "can_import_good_rows": bool(reading.errors) and has_rows and not too_many,
        "used_profile": str(found.profile.pk) if found.profile else data.get("profile", "") if mapping else "",
        "read_by": found.profile,
        **choice_context(found, side, data),
        **mapping_context(reading, side, debit_is_in(side, account)),
    }


def debit_is_in(side: Side, account: Account | None) -> bool:
    """In the books of an asset account, and of nobody in particular, debit is money in."""
    return side == Side.LEDGER and (account is None or account.kind == AccountKind.ASSET)


def books_in_words(side: Side, account: Account | None) -> str:
    """How debit and credit are understood, for a file of the books."""
    if side == Side.STATEMENT:
        return ""
    kind, money = ("an asset", "debit") if debit_is_in(side, account) else ("a liability", "credit")
    return f"In the books of {kind} account {money} is money in."


def chosen_mapping(data: QueryDict) -> dict[str, Any] | None:
    """The mapping of a profile that was just chosen, or the one on the page; None before there was one, and when the
    account was changed: then the account's own profile or the file says."""
    if "account_was" in data and data.get("account_was") != data.get("account", ""):
        return None
    wanted = data.get("profile")
    if wanted is not None and wanted != data.get("profile_was", ""):
        profile = ImportProfile.objects.filter(pk=after_key(wanted) or 0).first()
        return dict(profile.mapping) if profile else {}
    return posted_mapping(data)


def with_number(account: Account | None, data: QueryDict) -> Account | None:
    """The account as if it had the number somebody chose for a file with several; nothing is stored by this."""
    number = data.get("account_number")
    if account is not None and number and data.get("account_was") == str(account.pk):
        account.number = str(number)[:64]
    return account


def rows_of(reading: Reading) -> tuple[str, ...]:
    """The accounts that a column of the file names, if there are several to choose from and not too many to show."""
    named = tuple(dict.fromkeys(number for each in reading.statements for number in each.accounts))
    return named if len(named) <= MOST_ACCOUNTS else ()


MOST_ACCOUNTS = 20


def chosen_repeats(data: QueryDict) -> Repeats:
    """What somebody decided about rows that are there already."""
    return next((each for each in get_args(Repeats) if each == data.get("repeats")), "ask")


def chosen_statement(account: Account | None, data: QueryDict) -> Statement | None:
    """The statement that the file is a new issue of, as chosen on the page."""
    if chosen_repeats(data) != "replace" or account is None:
        return None
    return Statement.objects.ready().filter(account=account, pk=data.get("replaces", "")).first()


def choice_context(found: Preview, side: Side, data: QueryDict) -> dict[str, Any]:
    """What can be done about rows that are there already; with the comparison if the file replaces a statement."""
    choices = choices_of(found, side)
    chosen = chosen_repeats(data)
    if chosen not in [each.value for each in choices]:
        chosen = "ask"
    context: dict[str, Any] = {
        "choices": choices,
        "chosen": chosen,
        "replaceable": found.replaceable,
        "must_choose": bool(found.repeats) and chosen == "ask",
        "button": next((each.button for each in choices if each.value == chosen), ""),
        "unknown_currency": UNKNOWN,
    }
    if chosen == "replace":
        wanted = data.get("replaces", "")
        old = next((each for each in found.replaceable if each.pk == wanted), found.replaceable[0])
        comparison = compare(old, found.rows)
        context |= {
            "replaces": old.pk,
            "button": f"Replace {old.name}",
            "comparison": comparison,
            "shares": shares(comparison),
            "differing": differing(comparison, SHOWN_CHANGES),
        }
    return context


def choices_of(found: Preview, side: Side) -> list[Choice]:
    """The choices that make sense for a file, the safest first; none where there is nothing to decide."""
    if side == Side.LEDGER:
        return ledger_choices(found)
    total, known = found.reading.lines.num_rows, len(found.known.positions)
    choices = []
    if known == total:
        choices.append(Choice("skip", "Skip the file: every line is there already", "Skip this file"))
    elif known:
        text = f"Leave out {counted(known, 'line')} that the account has already, import the other {total - known:,}"
        choices.append(Choice("skip", text, f"Import {counted(total - known, 'new line')}"))
    if found.replaceable:
        choices.append(Choice("replace", "Take the file for a new issue of a statement, and replace that", "Replace"))
    everything = counted(total, "line")
    if found.repeats:
        text = f"Import everything ({everything}), also what may be there already"
        choices.append(Choice("import", text, f"Import {everything}"))
    elif choices:
        choices.insert(0, Choice("ask", f"Import {everything} beside what is there", f"Import {everything}"))
    return choices


def ledger_choices(found: Preview) -> list[Choice]:
    """The same for a ledger file; entries that are there unchanged are left out in any case."""
    if not found.repeats:
        return []
    total, changed = found.reading.lines.num_rows, len(found.changes.unsettled)
    fresh = total - len(found.changes.positions) - len(found.known.positions)
    choices, new = [], counted(fresh, "new entry", "new entries")
    if changed:
        what = counted(changed, "entry that changed", "entries that changed")
        choices.append(Choice("update", f"Update {what}, import {new}", f"Update {changed:,}, import {fresh:,}"))
        choices.append(Choice("skip", f"Leave {what} as it was, import {new}", f"Import {new}"))
    elif fresh or found.changes.changed:
        choices.append(Choice("skip", f"Leave out what the ledger has already, import {new}", f"Import {new}"))
    else:
        choices.append(Choice("skip", "Skip the file: the ledger has every entry already", "Skip this file"))
    if len(found.known.positions) or found.known.alike:
        everything = counted(total, "entry", "entries")
        text = f"Import everything ({everything}) as new entries, also what may be there already"
        choices.append(Choice("import", text, f"Import {everything}"))
    return choices


def refusal_context(
    refused: Refused, mapping: dict[str, Any] | None, data: QueryDict, side: Side, debits_in: bool
) -> dict[str, Any]:
    """Why the whole file is refused; with its columns where it is a table, so that the mapping can be put right."""
    if isinstance(refused, SeveralAccounts):
        return {"numbers": refused.numbers}
    error = refused.__cause__
    placed = [each for each in refused.row_errors if each.line is not None or each.raw]  # the others say nothing more
    context: dict[str, Any] = {"refusal": refused.message, "row_errors": placed[:SHOWN_ERRORS]}
    if not isinstance(error, StatementError) or not error.header:
        return context | {"mapping": data.get("mapping", "")}
    columns = (mapping or {}).get("columns", {})
    named = {role: (names,) if isinstance(names, str) else tuple(names) for role, names in columns.items()}
    return context | {
        "mapping": data.get("mapping") or "{}",
        "used_profile": data.get("profile", ""),
        "header": error.header,
        "sample": error.sample[:SHOWN_ROWS],
        "role_fields": role_fields(named, side, debit_is_in=debits_in),
        "setting_fields": setting_fields(mapping or {}),
        "encodings": encodings((mapping or {}).get("encoding") or ""),
        "encoding": (mapping or {}).get("encoding") or "",
        "header_row": (mapping or {}).get("header_row"),
        "currency": (mapping or {}).get("currency") or "",
    }


def mapping_context(reading: Reading, side: Side, debits_in: bool) -> dict[str, Any]:
    """The mapping that was used, as a form; nothing for formats that have no columns."""
    if reading.mapping is None:
        return {}
    if not reading.header:
        return {"mapping": carried(reading)}  # answers about a file that has no columns
    return {
        "mapping": carried(reading),
        "header": reading.header,
        "sample": reading.sample[:SHOWN_ROWS],
        "role_fields": role_fields(reading.mapping.columns, side, debit_is_in=debits_in),
        "setting_fields": setting_fields(without_the_open(reading, reading.mapping)),
        "encoding": reading.mapping.encoding or reading.encoding or "",
        "encodings": encodings(reading.mapping.encoding or reading.encoding or ""),
        "header_row": reading.mapping.header_row,
        "currency": reading.mapping.currency or "",
    }


def shown_rows(lines: pa.Table) -> list[ShownRow]:
    return [
        ShownRow(
            row["line"],
            row["booking_date"],
            amount(row["units"], row["scale"]),
            "" if row["currency"] == UNKNOWN else row["currency"],
            row["reference"],
            row["description"] or row["counterparty"],
        )
        for row in lines.to_pylist()
    ]
