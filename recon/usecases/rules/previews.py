"""What a rule would do to a statement while it is being written: nothing is stored, nothing is claimed.

A preview looks at all lines of one statement and at the ledger around them as if nothing of it were matched yet:
somebody who writes a rule wants to know what it says, not what earlier runs left over.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Self, TypeVar, cast
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.db.models import F, Q, QuerySet

from recon.engine import Cancelled, EngineError, Options, Outcome, match
from recon.engine.options import Sign
from recon.engine.options import Strategy as EngineStrategy
from recon.models import Account, LedgerEntry, MatchingRun, Side, Statement, StatementLine, Strategy
from recon.usecases.accounts.scope import all_rows, entries_in_scope, lines_in_scope
from recon.usecases.grouping import grouping_fields
from recon.usecases.rules.preview_pairs import Pair, as_two_sides, examples, explained, near_misses, turned_back
from recon.usecases.runs.input import compared, next_entry_id, with_transaction_id
from recon.usecases.runs.pushdown import choose_entries
from recon.usecases.runs.spilling import spill_folder
from rules.criteria import Rule
from rules.criteria.scope import whole_days

Thing = TypeVar("Thing")

SAMPLE = 100_000
"""Lines a preview looks at; of a longer statement every n-th line."""
LEDGER_LIMIT = 200_000
"""Entries a preview reads without narrowing them to the dates around the statement."""
DAYS_AROUND = 45
"""How far around the statement's dates entries are read then, if the rule itself has no date window."""
WITHIN: dict[str, Side] = {Strategy.WITHIN_STATEMENT: Side.STATEMENT, Strategy.WITHIN_LEDGER: Side.LEDGER}
"""Strategies that match one side with itself."""
CANDIDATE_BUDGET = 2_000_000
SECONDS = 10.0
LARGE = 10_000
"""Lines of a statement above which a preview begins with a few of them if the whole may take long."""
FEW = 500
"""So many: what they imply is found by the indexes of the ledger."""
KINDS_KEPT = 500
QUICK = 1.0
"""Seconds within which somebody who types should see what a change does."""


@dataclass(frozen=True)
class Preview:
    """What one rule would do. ``refused`` says why it cannot be tried as it is; the figures are 0 then."""

    statement: Statement
    lines: int = 0
    entries: int = 0
    every: int = 1  # only every n-th line was looked at
    days: tuple[date, date] | None = None  # only entries of these days were looked at
    is_first: bool = False  # few lines, because all of them may take long: a whole one should follow
    matched: int = 0
    suggested: int = 0
    doubtful: int = 0  # of these, those that have other candidates
    candidates: int = 0
    seconds: float = 0.0
    refused: str = ""
    examples: list[Pair] = field(default_factory=list)
    near_misses: list[Pair] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Lines that stay open."""
        return self.lines - self.matched - self.suggested

    @property
    def is_within(self) -> bool:
        """Whether rows of one side are matched with each other. They are only ever suggested."""
        return self.statement.account.strategy in WITHIN

    @property
    def rows_word(self) -> str:
        return "entries" if self.statement.account.strategy == Strategy.WITHIN_LEDGER else "lines"

    @property
    def is_broad(self) -> bool:
        """Whether most of what it finds is not clear-cut: a sign that the rule needs one more criterion."""
        return self.doubtful > max(self.matched, 10) or self.candidates > 20 * max(self.lines, 1_000)


class Superseded(Exception):  # noqa: N818 - what happened, not a fault
    """A newer preview of the same person has begun: nobody waits for this one."""


class Watch:
    """Says when a preview should stop: the same page has asked again (somebody typed on), or it takes too long.

    The latest request of a page stands in a small file, because any server process may get the next one.
    """

    def __init__(self, page: str = "", seconds: float = SECONDS) -> None:
        self.started = time.perf_counter()
        self.until = time.monotonic() + seconds
        self.number = uuid4().hex
        name = hashlib.sha256(page.encode()).hexdigest()[:32]
        self.latest = settings.DATA_DIR / "previews" / name if page else None
        if self.latest:
            self.latest.parent.mkdir(exist_ok=True)
            self.latest.write_text(self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.latest and not self.superseded:
            self.latest.unlink(missing_ok=True)

    @property
    def superseded(self) -> bool:
        """Whether a newer one has begun; one that has ended already took the file with it."""
        try:
            return self.latest is not None and self.latest.read_text() != self.number
        except FileNotFoundError:
            return True

    def must_stop(self) -> bool:
        return self.superseded or time.monotonic() > self.until


def latest_statement() -> Statement | None:
    """The statement that a preview starts with."""
    return Statement.objects.ready().select_related("account").order_by("-number").first()


def preview_rule(rule: Rule, statement: Statement, watch: Watch | None = None) -> Preview:
    """Try a rule on a statement. Raises Superseded if the watch says that nobody waits for it any more."""
    watch = watch or Watch()
    lines, every = _lines(statement)
    entries, days = _entries(statement, [rule], lines)
    read = time.perf_counter()
    tried = _tried(rule, lines, entries, watch, Preview(statement, lines.num_rows, entries.num_rows, every, days))
    if len(_was_quick) >= KINDS_KEPT:
        _was_quick.clear()
    _was_quick[_kind(rule, statement)] = time.perf_counter() - read <= QUICK and not tried.refused
    return tried


def first_preview(rule: Rule, statement: Statement, watch: Watch) -> Preview | None:
    """Try a rule on a few lines of a large statement; the figures come at once, and are a guess.

    None if all rows are in memory and a rule of this kind was quick a moment ago, or if nothing narrows the ledger to
    what these lines imply.
    """
    account = statement.account
    is_quick = _recent.has(_lines_key(statement)) and _was_quick.get(_kind(rule, statement), False)
    if statement.record_count <= LARGE or is_quick:
        return None
    every = statement.record_count // FEW
    queryset = lines_in_scope(account, statement).annotate(place=F("position") % every).filter(place=0)
    lines = all_rows(account, Side.STATEMENT, queryset, compared(account.strategy, Side.STATEMENT))
    like_a_run = MatchingRun(account=account, strategy=account.strategy)
    choice = choose_entries(like_a_run, [rule], lines, entries_in_scope(account))
    if not choice.narrowed:
        return None
    entries = all_rows(account, Side.LEDGER, choice.entries, compared(account.strategy, Side.LEDGER))
    preview = Preview(statement, lines.num_rows, entries.num_rows, every, is_first=True)
    return _tried(rule, lines, with_transaction_id(entries), watch, preview)


def _tried(rule: Rule, lines: pa.Table, entries: pa.Table, watch: Watch, preview: Preview) -> Preview:
    """The preview with what the engine makes of these rows."""
    options = replace(settling_options(preview.statement.account, watch), told=("statement",))
    try:
        outcome = match([rule], lines, entries, options)
    except Cancelled:
        if watch.superseded:
            raise Superseded from None
        advice = f"Trying it took more than {SECONDS:.0f} seconds: add a criterion that is more precise."
        return replace(preview, refused=advice)
    except EngineError as error:  # too broad, for example
        return replace(preview, refused=str(error))
    if watch.superseded:
        raise Superseded
    side = WITHIN.get(preview.statement.account.strategy, Side.STATEMENT)
    found = replace(
        preview,
        lines=(entries if side == Side.LEDGER else lines).num_rows,
        matched=_rows_in(outcome, "confirmed", side),
        suggested=_rows_in(outcome, "suggested", side),
        doubtful=_rows_in(outcome, "ambiguous", side, column="decided_by"),
        candidates=outcome.rules[0].candidates,
    )
    if found.is_within:
        outcome, lines, entries = as_two_sides(outcome, entries if side == Side.LEDGER else lines, side)
        options = replace(options, sign="as_given")
    near = near_misses(outcome, lines, entries, options)
    shown = explained(rule, [*examples(outcome, lines, entries), *near], options)
    if found.is_within:
        shown = [turned_back(each) for each in shown]
    return replace(
        found,
        examples=[each for each in shown if each.state],
        near_misses=[each for each in shown if not each.state],
        seconds=time.perf_counter() - watch.started,
    )


def preview_rows(statement: Statement, rules: Sequence[Rule]) -> tuple[pa.Table, pa.Table]:
    """The lines and entries that several rules together are tried on."""
    lines, _ = _lines(statement)
    return lines, _entries(statement, rules, lines)[0]


def preview_options(account: Account, watch: Watch) -> Options:
    """The engine on a short leash: few candidates, half the memory, stopped when nobody waits any more."""
    return Options(
        time_zone=account.time_zone,
        sign=cast("Sign", account.sign),
        tolerance_limit=account.tolerance_limit,
        threads=settings.MATCH_THREADS,
        memory_limit=f"{settings.MATCH_MEMORY_MB // 2}MB",
        temp_dir=str(spill_folder()),
        candidate_budget=min(CANDIDATE_BUDGET, settings.CANDIDATE_BUDGET),
        sum_pool=settings.SUM_POOL,
        sum_size=settings.SUM_SIZE,
        cancelled=watch.must_stop,
    )


def settling_options(account: Account, watch: Watch) -> Options:
    """As the account's runs start: one line with one entry, groups of them, or reversals within one side."""
    strategy = cast("EngineStrategy", account.strategy)
    grouping = () if account.strategy == Strategy.ONE_TO_ONE else grouping_fields(account.grouping)
    return replace(preview_options(account, watch), strategy=strategy, grouping=grouping)


def read_ahead(statement: Statement) -> None:
    """Read what a preview of any rule will need, if that is the same for all of them; it then waits for less."""
    _lines(statement)
    if not _is_large(statement):
        _entries(statement, [], pa.table({}))


class _Kept:
    """A thing that one reads and others wait for."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.lock = threading.Lock()
        self.things: list[Any] = []


class Recent:
    """The last few things read, for some minutes: while somebody types, the same rows are tried again and again."""

    kept = 6
    seconds = 300.0

    def __init__(self) -> None:
        self._things: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def has(self, key: Hashable) -> bool:
        """Whether something was read for the key a moment ago."""
        with self._lock:
            kept = self._things.get(key)
        return bool(kept and kept.things and kept.until > time.monotonic())

    def get(self, key: Hashable, read: Callable[[], Thing]) -> Thing:
        """What `read` gave for the key a moment ago, or gives now; who asks meanwhile waits for the same answer."""
        now = time.monotonic()
        with self._lock:
            self._things = {other: kept for other, kept in self._things.items() if kept.until > now}
            kept = self._things.setdefault(key, _Kept(now + self.seconds))
            for oldest in list(self._things)[: -self.kept]:
                del self._things[oldest]
        with kept.lock:
            if not kept.things:
                kept.things.append(read())
            return cast("Thing", kept.things[0])


_recent = Recent()
_was_quick: dict[Hashable, bool] = {}
"""Whether the last whole preview of a kind of rule on a statement was, as this process saw it."""


def _kind(rule: Rule, statement: Statement) -> Hashable:
    """Rules that differ only in their values take about as long."""
    compared = [
        (each.field.name, each.ledger_field.name, each.operator.name, each.loose, each.is_constant)
        for each in rule.criteria
    ]
    return statement.pk, *compared


def _lines(statement: Statement) -> tuple[pa.Table, int]:
    every = _every(statement)
    lines: QuerySet[StatementLine] = lines_in_scope(statement.account, statement)
    if every > 1:
        lines = lines.annotate(place=F("position") % every).filter(place=0)
    columns = compared(statement.account.strategy, Side.STATEMENT)
    key = _lines_key(statement)
    return _recent.get(key, lambda: all_rows(statement.account, Side.STATEMENT, lines, columns)), every


def _every(statement: Statement) -> int:
    return max(1, -(-statement.record_count // SAMPLE))


def _lines_key(statement: Statement) -> Hashable:
    """The strategy says what columns are compared."""
    return statement.pk, _every(statement), statement.account.strategy


def _entries(
    statement: Statement, rules: Sequence[Rule], lines: pa.Table
) -> tuple[pa.Table, tuple[date, date] | None]:
    account = statement.account
    entries: QuerySet[LedgerEntry] = entries_in_scope(account)
    days = _days(rules, lines) if _is_large(statement) else None
    wanted = entries if days is None else entries.filter(Q(booking_date__range=days) | Q(booking_date__isnull=True))
    columns = compared(account.strategy, Side.LEDGER)
    table = _recent.get(
        (statement.pk, next_entry_id(), days, columns), lambda: all_rows(account, Side.LEDGER, wanted, columns)
    )
    return with_transaction_id(table), days


def _is_large(statement: Statement) -> bool:
    """Whether the ledger is narrowed to the days around the statement."""
    entries = entries_in_scope(statement.account)
    key = (statement.pk, next_entry_id(), "large")  # an entry that arrives makes another key
    return _recent.get(key, lambda: entries.order_by()[: LEDGER_LIMIT + 1].count() > LEDGER_LIMIT)


def _days(rules: Sequence[Rule], lines: pa.Table) -> tuple[date, date] | None:
    """The days of the entries that can matter: the statement's, widened by the rules' own date windows."""
    found = pc.min_max(lines["booking_date"]).as_py()
    if found["min"] is None:
        return None
    reaches = [_reach(rule) for rule in rules]
    low, high = min(reach[0] for reach in reaches), max(reach[1] for reach in reaches)
    # One day more on either side: an instant may fall on another day in the account's zone.
    return found["min"] - timedelta(days=high + 1), found["max"] - timedelta(days=low - 1)


def _reach(rule: Rule) -> tuple[int, int]:
    windows = [each.window for each in rule.criteria if each.field.kind == "date" and each.window is not None]
    return whole_days(windows[0]) if windows else (-DAYS_AROUND, DAYS_AROUND)


def _rows_in(outcome: Outcome, value: str, side: Side, *, column: str = "state") -> int:
    chosen = outcome.matches.filter(pc.field(column) == value)["match_no"]
    in_them = pc.is_in(pc.field("match_no"), chosen.combine_chunks())
    return int(outcome.match_rows.filter((pc.field("side") == int(side)) & in_them).num_rows)
