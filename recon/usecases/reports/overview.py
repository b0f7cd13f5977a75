"""The figures of the first page: how much ties out, what is open, how old it is, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Abs, TruncDate
from django.utils import timezone

from recon.models import (
    Account,
    Claim,
    LedgerEntry,
    MatchingRun,
    OpenItem,
    RunRule,
    RunState,
    Side,
    Statement,
)
from recon.rows import amount
from recon.usecases.review.sla import STILL_WORK, is_late
from rules.models import MatchingRule

DAYS_SHOWN = 14
RULE_DAYS = 30
AGES: tuple[tuple[str, str, int | None, int | None], ...] = (
    ("0-3", "up to 3 days", None, 3),
    ("4-7", "4 to 7 days", 4, 7),
    ("8-30", "8 to 30 days", 8, 30),
    ("31-90", "31 to 90 days", 31, 90),
    ("91", "over 90 days", 91, None),
)
"""Ageing buckets: key, name, from and until (days since the row's own date, inclusive)."""

EXCEPTIONS = STILL_WORK
"""Open items that need somebody; an accepted one is open but explained."""


@dataclass(frozen=True)
class CurrencySum:
    """`value` is the sum of absolute amounts: what is at stake, whichever way it flows."""

    currency: str
    count: int
    value: Decimal


@dataclass(frozen=True)
class Share:
    """One bar: `percent` of the longest one, 0 to 100."""

    key: str
    name: str
    count: int
    percent: int


@dataclass(frozen=True)
class Day:
    """Statement lines that real runs of a day matched and left."""

    day: date
    matched: int
    unmatched: int

    @property
    def rate(self) -> Decimal | None:
        """Percent matched, None for a day without lines."""
        return rate(self.matched, self.matched + self.unmatched)


@dataclass
class Overview:
    """Everything the page shows; counts over all accounts or one."""

    lines: int = 0
    matched: int = 0
    open_count: int = 0
    late_count: int = 0
    open_values: list[CurrencySum] = field(default_factory=list)
    late_values: list[CurrencySum] = field(default_factory=list)
    ages: list[Share] = field(default_factory=list)
    undated: int = 0
    reasons: list[Share] = field(default_factory=list)
    rules: list[Share] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    runs_today: dict[str, int] = field(default_factory=dict)
    recent_runs: list[MatchingRun] = field(default_factory=list)

    @property
    def match_rate(self) -> Decimal | None:
        """Percent of all imported statement lines that a confirmed match holds."""
        return rate(self.matched, self.lines)

    @property
    def runs_today_count(self) -> int:
        return sum(self.runs_today.values())


@dataclass(frozen=True)
class FirstSteps:
    """What a new installation still lacks, in the order it is needed."""

    has_account: bool
    has_ledger: bool
    has_rule: bool
    has_run: bool

    @property
    def are_done(self) -> bool:
        return self.has_run


def first_steps() -> FirstSteps:
    return FirstSteps(
        has_account=Account.objects.for_people().exists(),
        has_ledger=LedgerEntry.objects.exists(),
        has_rule=MatchingRule.objects.enabled().exists(),
        has_run=MatchingRun.objects.exists(),
    )


def overview_of(account: Account | None, now: datetime | None = None) -> Overview:
    """The figures at `now` for one account, or for all. A fixed number of queries, none of them per row shown."""
    now = now or timezone.now()
    today = timezone.localdate(now)
    found = Overview()
    runs = of(MatchingRun.objects.all(), account)
    found.lines = of(Statement.objects.ready(), account).aggregate(n=Sum("record_count"))["n"] or 0
    found.matched = of(Claim.objects.filter(side=Side.STATEMENT, part=0), account).count()
    add_exceptions(found, of(exceptions(), account), today, is_late(now))
    found.reasons = shares(
        (row["reason"], row["reason"], row["n"])
        for row in of(exceptions(), account).values("reason").annotate(n=Count("pk")).order_by("-n", "reason")[:8]
    )
    real = runs.filter(state=RunState.COMPLETED, is_dry_run=False)
    found.days = days_of(real, today - timedelta(days=DAYS_SHOWN - 1), today)
    found.rules = rules_of(real.filter(completed_at__gte=now - timedelta(days=RULE_DAYS)))
    found.runs_today = dict(
        runs.filter(created_at__gte=timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0))
        .order_by()
        .values_list("state")
        .annotate(n=Count("pk"))
    )
    found.recent_runs = list(runs.select_related("account", "statement")[:6])
    return found


def exceptions() -> QuerySet[OpenItem]:
    return OpenItem.objects.filter(state__in=EXCEPTIONS).order_by()


def of(rows: QuerySet[Any], account: Account | None) -> QuerySet[Any]:
    return rows if account is None else rows.filter(account_id=account.pk)


def aged(rows: QuerySet[OpenItem], key: str, today: date) -> QuerySet[OpenItem]:
    """Those in one ageing bucket; an unknown bucket narrows nothing."""
    bounds = {name: (least, most) for name, _, least, most in AGES}.get(key)
    if bounds is None:
        return rows
    return rows.filter(age_bounds(*bounds, today))


def age_bounds(least: int | None, most: int | None, today: date) -> Q:
    return age_bounds_on("row_date", least, most, today)


def age_bounds_on(column: str, least: int | None, most: int | None, today: date) -> Q:
    """Rows whose date lies so many days back, both ends included."""
    wanted = Q(**{f"{column}__isnull": False})
    if least is not None:
        wanted &= Q(**{f"{column}__lte": today - timedelta(days=least)})
    if most is not None:
        wanted &= Q(**{f"{column}__gte": today - timedelta(days=most)})
    return wanted


def add_exceptions(found: Overview, items: QuerySet[OpenItem], today: date, late: Q) -> None:
    """Counts and values by currency and age, in one pass over the open items."""
    buckets = [When(age_bounds(least, most, today), then=Value(key)) for key, _, least, most in AGES]
    is_over = Case(When(late, then=Value(1)), default=Value(0))
    rows = items.values("currency", "scale", age=Case(*buckets, default=Value("")), is_over=is_over).annotate(
        n=Count("pk"),
        # Ten amounts of 18 digits do not fit the databases' integers; their upper and lower digits do.
        upper=Sum(Abs(F("units")) / Value(10**9)),
        lower=Sum(Abs(F("units")) % Value(10**9)),
    )
    by_age: dict[str, int] = defaultdict(int)
    values: dict[tuple[bool, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in rows:
        by_age[row["age"]] += row["n"]
        value = amount(int(row["upper"]) * 10**9 + int(row["lower"]), row["scale"])
        for only_late in {False, bool(row["is_over"])}:
            values[only_late, row["currency"]][0] += row["n"]
            values[only_late, row["currency"]][1] += value
    sums = {key: CurrencySum(key[1], *value) for key, value in sorted(values.items())}
    found.open_values = [each for (only_late, _), each in sums.items() if not only_late]
    found.late_values = [each for (only_late, _), each in sums.items() if only_late]
    found.open_count = sum(each.count for each in found.open_values)
    found.late_count = sum(each.count for each in found.late_values)
    found.ages = shares((key, name, by_age[key]) for key, name, _, _ in AGES)
    found.undated = by_age[""]


def days_of(runs: QuerySet[MatchingRun], first: date, last: date) -> list[Day]:
    """The days from first to last, with those on which nothing ran. Suggested lines count as not matched."""
    sums = (
        runs.annotate(day=TruncDate("completed_at"))
        .filter(day__gte=first, day__lte=last)
        .order_by()
        .values_list("day")
        .annotate(matched=Sum("lines_matched"), total=Sum("lines_total"))
    )
    counted = {day: (matched, total - matched) for day, matched, total in sums}
    days = [first + timedelta(days=place) for place in range((last - first).days + 1)]
    return [Day(day, *counted.get(day, (0, 0))) for day in days]


def rules_of(runs: QuerySet[MatchingRun]) -> list[Share]:
    """Matches by rule, the most successful first."""
    places = RunRule.objects.filter(run__in=runs.order_by()).order_by()
    sums = (
        places.values("version__rule_id", "version__rule__name")
        .annotate(n=Sum("matched"))
        .order_by("-n", "version__rule__name")
    )
    return shares((row["version__rule_id"], row["version__rule__name"], row["n"]) for row in sums[:8])


def shares(counts: Iterable[tuple[str, str, int]]) -> list[Share]:
    rows = list(counts)
    longest = max((count for _, _, count in rows), default=0)
    return [Share(key, name, count, round(100 * count / longest) if longest else 0) for key, name, count in rows]


def rate(part: int, whole: int) -> Decimal | None:
    """Percent with one decimal place, rounded down: 100 is said only when everything is matched."""
    return Decimal(part * 1000 // whole) / 10 if whole else None
