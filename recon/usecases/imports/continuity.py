"""How a statement joins the account's others: it follows one, leaves a gap, or overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final, Literal

import pyarrow.compute as pc
from django.db.models import QuerySet

from recon.models import Account, Statement
from recon.statements.model import Reading
from recon.usecases.imports.facts import CurrencyFacts, reading_facts, statement_facts, worst_verdict

_AT_MOST: Final = 50
"""Statements that one may overlap before the rest is no longer looked at."""

Verdict = Literal["first", "follows", "gap", "overlap", "touches", "unknown"]


@dataclass(frozen=True)
class Span:
    """What a statement covers, whether it is stored or only read. Balances by currency."""

    start: date | None
    end: date | None
    number: str = ""
    opening: dict[str, Decimal] = field(default_factory=dict)
    closing: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Joint:
    """How a statement joins its neighbour, in a word and a sentence. `currency` is the one that has a gap."""

    verdict: Verdict
    text: str
    neighbour: Statement | None = None
    currency: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.verdict in {"gap", "overlap"}


def span_of_reading(reading: Reading) -> Span:
    """First and last day a file covers (what it states, else the days of its lines) and its outer balances."""
    start, end = period(reading)
    number = reading.statements[0].number if reading.statements else None
    return Span(start, end, number or "", *_outer(reading_facts(reading)))


def span_of(statement: Statement) -> Span:
    """The same of a stored statement."""
    outer = _outer(statement_facts(statement))
    return Span(statement.period_start, statement.period_end, statement.statement_number, *outer)


def _outer(facts: Sequence[CurrencyFacts]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """The first opening and the last closing balance of each currency."""
    opening = {each.currency: each.opening for each in reversed(facts) if each.opening is not None}
    closing = {each.currency: each.closing for each in facts if each.closing is not None}
    return opening, closing


def period(reading: Reading) -> tuple[date | None, date | None]:
    """First and last day a file covers: what it states, else the days of its lines."""
    days = pc.min_max(reading.lines["booking_date"]).as_py()
    starts = [each.period_start for each in reading.statements if each.period_start] or [days["min"]]
    ends = [each.period_end for each in reading.statements if each.period_end] or [days["max"]]
    return min(starts), max(ends)


def others(account: Account, but: Statement | None = None) -> QuerySet[Statement]:
    """The account's statements that are in force, without one of them."""
    ready = Statement.objects.ready().filter(account=account)
    return ready if but is None else ready.exclude(pk=but.pk)


def overlapping(account: Account, span: Span, but: Statement | None = None) -> list[Statement]:
    """The statements that cover a day of the span, newest first; one that only joins it is none of them."""
    if span.start is None or span.end is None:
        return []
    found = others(account, but).filter(period_start__lte=span.end, period_end__gte=span.start).order_by("-number")
    return _overlapping(span, list(found[:_AT_MOST]))


def _overlapping(span: Span, candidates: Sequence[Statement]) -> list[Statement]:
    if span.start is None or span.end is None:
        return []
    return [
        each
        for each in candidates
        if each.period_start and each.period_end
        and each.period_start <= span.end and each.period_end >= span.start and not _joins(each, span)
    ]  # fmt: skip


def _joins(other: Statement, span: Span) -> bool:
    """Whether two statements that share a day are neighbours all the same: one opens with what the other closes."""
    theirs = span_of(other)
    if other.period_end == span.start and other.period_start != span.start:
        return bool(_pairs(theirs, span)) and not _breaks(theirs, span)
    if other.period_start == span.end and other.period_end != span.end:
        return bool(_pairs(span, theirs)) and not _breaks(span, theirs)
    return False


def joint(account: Account, span: Span, but: Statement | None = None) -> Joint:
    """How a span joins the statements of the account; `but` is the statement itself if it is stored."""
    if span.start is None or span.end is None:
        return joint_among(span, [])
    before = others(account, but).filter(period_end__lte=span.start).order_by("-period_end", "-number")[:1]
    return joint_among(span, [*overlapping(account, span, but), *before])


def joint_among(span: Span, candidates: Sequence[Statement]) -> Joint:
    """How a span joins one of these statements, which do not contain itself."""
    if span.start is None or span.end is None:
        return Joint("unknown", "The file names no days, so that nothing can be said about the statements before it.")
    for other in _overlapping(span, candidates):
        days = f"{other.period_start} to {other.period_end}"
        if other.period_end == span.start or other.period_start == span.end:
            shared = span.start if other.period_end == span.start else span.end
            return Joint("touches", f"It shares the day {shared} with {other.name} ({days}).", other)
        text = f"The period {span.start} to {span.end} overlaps that of {other.name} ({days})."
        return Joint("overlap", text, other)
    earlier = [each for each in candidates if each.period_end and each.period_end <= span.start]
    before = max(earlier, key=lambda each: (each.period_end, each.number), default=None)
    if before is None:
        return Joint("first", "No earlier statement of this account is here.")
    return _after(before, span)


@dataclass(frozen=True)
class Place:
    """A statement in the chain of its account: what it adds up to, and how it joins the one before."""

    statement: Statement
    facts: list[CurrencyFacts]
    joint: Joint

    @property
    def verdict(self) -> str:
        return worst_verdict(self.facts)

    @property
    def opening(self) -> list[tuple[str, Decimal]]:
        """The first opening balance of each currency."""
        return list(_outer(self.facts)[0].items())

    @property
    def closing(self) -> list[tuple[str, Decimal]]:
        """The last closing balance of each currency."""
        return list(_outer(self.facts)[1].items())


def chain(account: Account, limit: int = 12) -> list[Place]:
    """The account's latest statements, the latest first, each with its balance check and how it joins: one query."""
    latest = list(others(account).filter(period_end__isnull=False).order_by("-period_end", "-number")[: limit + 1])
    return [
        Place(
            each, statement_facts(each), joint_among(span_of(each), [other for other in latest if other.pk != each.pk])
        )
        for each in latest[:limit]
    ]


def _after(before: Statement, span: Span) -> Joint:
    earlier = span_of(before)
    for currency, (closed, opens) in _breaks(earlier, span).items():
        text = (
            f"It opens with {opens:,} {currency}, but {before.name} closed with {closed:,}:"
            " a statement in between may be missing."
        )
        return Joint("gap", text, before, currency)
    if pairs := _pairs(earlier, span):
        balances = ", ".join(f"{opens:,} {currency}" for currency, (_, opens) in pairs.items())
        return Joint("follows", f"It opens with what {before.name} closed with: {balances}.", before)
    return Joint("unknown", f"It comes after {before.name}; there are no balances to compare.", before)


def _pairs(earlier: Span, later: Span) -> dict[str, tuple[Decimal, Decimal]]:
    """By currency, what the earlier one closes and the later one opens with."""
    both = sorted(earlier.closing.keys() & later.opening.keys())
    return {currency: (earlier.closing[currency], later.opening[currency]) for currency in both}


def _breaks(earlier: Span, later: Span) -> dict[str, tuple[Decimal, Decimal]]:
    return {currency: pair for currency, pair in _pairs(earlier, later).items() if pair[0] != pair[1]}


def following(statement: Statement) -> Statement | None:
    """The statement that comes next in the account, if any."""
    if statement.period_end is None:
        return None
    later = others(statement.account, statement).filter(period_start__gte=statement.period_end)
    return later.order_by("period_start", "number").first()
