"""One search over everything that has a page: ids, names, references, amounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Q, QuerySet

from recon.models import Account, LedgerEntry, MatchingRun, Statement, StatementLine
from recon.usecases.accounts.scope import unfinished_imports
from recon.usecases.finding import amounts_like
from rules.criteria.text import text_key
from rules.models import MatchingRule

HITS_OF_A_KIND = 6
LAST_LETTER = chr(sys.maxunicode)


@dataclass(frozen=True)
class Hit:
    """Something found. `view` and `key` make the address of its page."""

    kind: str
    title: str
    note: str
    view: str
    key: Any


def search(text: str) -> list[Hit]:
    """At most a few hits of each kind: what is named or numbered so, and rows whose reference begins so."""
    text = text.strip()
    if len(text) < 2:
        return []
    return [
        hit
        for hits in (accounts(text), rules(text), statements(text), runs(text), entries(text), lines(text))
        for hit in islice(hits, HITS_OF_A_KIND)
    ]


def accounts(text: str) -> Iterator[Hit]:
    for account in Account.objects.filter(Q(name__icontains=text) | Q(number=text))[:HITS_OF_A_KIND]:
        yield Hit("Account", account.name, account.number, "account", account.pk)


def rules(text: str) -> Iterator[Hit]:
    for rule in MatchingRule.objects.listed().filter(Q(name__icontains=text) | Q(pk=text))[:HITS_OF_A_KIND]:
        yield Hit("Rule", rule.name, rule.description, "rule", rule.pk)


def statements(text: str) -> Iterator[Hit]:
    found = Statement.objects.filter(Q(name__icontains=text) | Q(pk=text)).select_related("account")
    for statement in found[:HITS_OF_A_KIND]:
        yield Hit("Statement", statement.name, statement.account.name, "statement", statement.pk)


def runs(text: str) -> Iterator[Hit]:
    found = MatchingRun.objects.filter(pk__startswith=text).select_related("account", "statement")
    for run in found[:HITS_OF_A_KIND] if text.startswith("recon_") else ():
        yield Hit("Run", f"Run {run.number}", run.account.name, "run", run.pk)


def entries(text: str) -> Iterator[Hit]:
    rows = LedgerEntry.objects.all()
    if unfinished := unfinished_imports():
        rows = rows.exclude(import_number__in=unfinished)
    return row_hits("Ledger entry", "ledger_entry", rows, text)


def lines(text: str) -> Iterator[Hit]:
    ready = Statement.objects.ready().values("number")
    return row_hits("Statement line", "statement_line", StatementLine.objects.filter(statement_number__in=ready), text)


def row_hits(kind: str, view: str, rows: QuerySet[Any], text: str) -> Iterator[Hit]:
    """Beginnings of references come from an index, so that typing is quick over ten million rows."""
    key = text_key(text) or ""
    begins = Q(reference_key=key) | Q(reference_key__gte=key, reference_key__lt=key + LAST_LETTER)
    for row in rows.filter(begins | Q(external_id=text) | amounts_like(text)).order_by("-pk")[:HITS_OF_A_KIND]:
        note = f"{row.booking_date or 'no date'} · {row.amount:,f} {row.currency}"
        yield Hit(kind, row.reference or row.external_id or row.description or "no reference", note, view, row.pk)
