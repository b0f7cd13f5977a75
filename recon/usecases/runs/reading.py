"""What pages and exports show of a run: its matches and unmatched items, a page at a time, rows joined in bulk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar

from django.db.models import Count, Q

from recon.models import (
    Account,
    Claim,
    LedgerEntry,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchRunnerUp,
    MatchState,
    RowPart,
    RunState,
    Side,
    StatementLine,
    UnmatchedItem,
)
from recon.rows import amount
from recon.wording import counted
from rules.models import RuleVersion

Row = StatementLine | LedgerEntry
RowKey = tuple[int, int]  # side, id
Item = TypeVar("Item")

PAGE = 50


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list, and where the next one starts; nothing if this is the last."""

    items: list[Item]
    next_after: str = ""


@dataclass(frozen=True)
class Placed:
    """A row in a match: `amount` is what it settles, as compared (after sign and exchange rate)."""

    side: Side
    part: int
    amount: Decimal
    row: Row | None  # none if it was taken back since


@dataclass
class MatchView:
    """A match with everything a list shows of it."""

    match: Match
    rule: RuleVersion | None
    lines: list[Placed] = field(default_factory=list)
    entries: list[Placed] = field(default_factory=list)
    differences: list[MatchDifference] = field(default_factory=list)

    @property
    def is_suggestion(self) -> bool:
        return bool(self.match.state == MatchState.SUGGESTED)


@dataclass(frozen=True)
class RunnerUp:
    """A candidate that a suggested match was preferred to; ``gap`` says what it is worse in."""

    record: MatchRunnerUp
    row: Row | None
    gap: str


@dataclass(frozen=True)
class UnmatchedView:
    """A row part a run left open: why, and the nearest miss."""

    item: UnmatchedItem
    row: Row | None
    amount: Decimal | None  # of the part
    nearest: Row | None  # on the other side; on the same side for a possible duplicate
    rule: RuleVersion | None
    difference: Decimal | None  # statement minus ledger, to the nearest
    detail: dict[str, Any]

    @property
    def key(self) -> str:
        """The row part as forms name it."""
        return f"{self.item.row_id}.{self.item.part}"


def run_matches(
    run: MatchingRun, state: str, *, rule: int | None = None, after: str = "", limit: int = PAGE
) -> Page[MatchView]:
    """A run's matches in one state, in the order of their ids; `rule` narrows to one rule version."""
    if run.state not in {RunState.COMPLETED, RunState.REVERSED}:
        return Page([])
    matches = Match.objects.filter(run_number=run.number, state=state)
    if rule is not None:
        matches = matches.filter(rule_version_id=rule)
    if after.isdecimal():
        matches = matches.filter(pk__gt=int(after))
    found = list(matches.order_by("pk")[: limit + 1])
    return Page(match_views(found[:limit]), str(found[limit - 1].pk) if len(found) > limit else "")


def matches_of_row(side: Side, row_id: int, *, after: str = "", limit: int = PAGE) -> Page[MatchView]:
    """Every match a row was ever part of, the latest first."""
    places = MatchRow.objects.filter(side=side, row_id=row_id)
    if after.isdecimal():
        places = places.filter(match_id__lt=int(after))
    ids = list(places.order_by("-match_id").values_list("match_id", flat=True).distinct()[: limit + 1])
    matches = list(Match.objects.visible().filter(pk__in=ids[:limit]).order_by("-pk"))
    return Page(match_views(matches), str(ids[limit - 1]) if len(ids) > limit else "")


def run_unmatched(
    run: MatchingRun, side: Side, *, reason: str = "", after: str = "", limit: int = PAGE
) -> Page[UnmatchedView]:
    """The row parts of one side that a run left open, in the order of their rows."""
    if run.state not in {RunState.COMPLETED, RunState.REVERSED}:
        return Page([])
    items = UnmatchedItem.objects.filter(run_number=run.number, side=side)
    if reason:
        items = items.filter(reason=reason)
    if key := row_key(after):
        items = items.filter(Q(row_id__gt=key[0]) | Q(row_id=key[0], part__gt=key[1]))
    found = list(items.order_by("row_id", "part")[: limit + 1])
    views = unmatched_views(run.account, found[:limit])
    return Page(views, views[-1].key if len(found) > limit else "")


def match_views(matches: Sequence[Match]) -> list[MatchView]:
    """Matches with their rows, differences and rules: five queries, however many matches."""
    ids = [match.pk for match in matches]
    placed = list(MatchRow.objects.filter(match_id__in=ids).order_by("match_id", "side", "row_id", "part"))
    rows = rows_by_key((row.side, row.row_id) for row in placed)
    rules = RuleVersion.objects.select_related("rule").in_bulk({match.rule_version_id for match in matches} - {None})
    views = {match.pk: MatchView(match, rules.get(match.rule_version_id or 0)) for match in matches}
    for each in placed:
        view = views[each.match_id]
        settles = amount(each.units, view.match.scale)
        found = Placed(Side(each.side), each.part, settles, rows.get((each.side, each.row_id)))
        (view.lines if each.side == Side.STATEMENT else view.entries).append(found)
    for difference in MatchDifference.objects.filter(match_id__in=ids).order_by("pk"):
        views[difference.match_id].differences.append(difference)
    return list(views.values())


def unmatched_views(account: Account, items: Sequence[UnmatchedItem]) -> list[UnmatchedView]:
    """Unmatched items with their rows, nearest rows and rules: four queries, however many items."""
    own = [(item.side, item.row_id) for item in items]
    nearest = [(_nearest_side(item), item.nearest_row_id) for item in items if item.nearest_row_id is not None]
    rows = rows_by_key([*own, *nearest])
    rules = RuleVersion.objects.select_related("rule").in_bulk({item.rule_version_id for item in items} - {None})
    parts = part_units(account, [item for item in items if item.part])
    return [_unmatched_view(item, rows, rules, parts) for item in items]


def _unmatched_view(
    item: UnmatchedItem,
    rows: dict[RowKey, Row],
    rules: dict[int, RuleVersion],
    parts: dict[tuple[int, int, int], int],
) -> UnmatchedView:
    row = rows.get((item.side, item.row_id))
    detail = json.loads(item.detail or "{}")
    scale, units = detail.pop("scale", None), detail.pop("difference_units", None)
    part = parts.get((item.side, item.row_id, item.part))
    own_amount = None if row is None else row.amount if part is None else amount(part, row.scale)
    return UnmatchedView(
        item=item,
        row=row,
        amount=own_amount,
        nearest=rows.get((_nearest_side(item), item.nearest_row_id or 0)),
        rule=rules.get(item.rule_version_id or 0),
        difference=None if units is None or scale is None else amount(units, scale),
        detail=detail,
    )


def rows_by_key(keys: Iterable[RowKey]) -> dict[RowKey, Row]:
    """Rows of either side by (side, id): at most two queries."""
    wanted: dict[int, set[int]] = defaultdict(set)
    for side, row_id in keys:
        wanted[side].add(row_id)
    found: dict[RowKey, Row] = {}
    if lines := wanted[Side.STATEMENT]:
        found |= {(Side.STATEMENT, pk): line for pk, line in StatementLine.objects.in_bulk(lines).items()}
    if entries := wanted[Side.LEDGER]:
        found |= {(Side.LEDGER, pk): entry for pk, entry in LedgerEntry.objects.in_bulk(entries).items()}
    return found


def part_units(account: Account, items: Sequence[UnmatchedItem]) -> dict[tuple[int, int, int], int]:
    """The units of split rows' parts."""
    if not items:
        return {}
    parts = RowPart.objects.filter(account_id=account.pk, row_id__in=[item.row_id for item in items])
    return {(part.side, part.row_id, part.part): part.units for part in parts}


def since_completion(run: MatchingRun) -> dict[str, int]:
    """What became of a run's matches after it: how many are rejected, undone, withdrawn, still suggested."""
    states = [MatchState.SUGGESTED, MatchState.REJECTED, MatchState.UNDONE, MatchState.WITHDRAWN]
    counted = Match.objects.filter(run_number=run.number, state__in=states).values_list("state").annotate(Count("pk"))
    return dict(counted)


def runners_up(view: MatchView) -> list[RunnerUp]:
    """The candidates a suggested match was preferred to, nearest first."""
    found = list(MatchRunnerUp.objects.filter(match_id=view.match.pk).order_by("rank", "pk"))
    rows = rows_by_key((each.side, each.row_id) for each in found)
    known = [(each, rows.get((each.side, each.row_id))) for each in found]
    return [RunnerUp(each, row, _gap(view, each, row)) for each, row in known]


def _gap(view: MatchView, rival: MatchRunnerUp, row: Row | None) -> str:
    """What a runner-up is worse in than the match, in words."""
    said = []
    own, other = abs(view.match.difference), Decimal(rival.gap or 0)
    if other != own:
        said.append(f"amount {_plain(other)} off instead of {_plain(own)}")
    partners, rivals = (view.lines, view.entries) if rival.side == Side.LEDGER else (view.entries, view.lines)
    apart, further = _days_apart(partners, rivals[0].row if len(rivals) == 1 else None), _days_apart(partners, row)
    if apart is not None and further is not None and apart != further:
        said.append(f"{counted(further, 'day')} apart instead of {apart}")
    return ", ".join(said) or "as near in amount and date"


def _days_apart(rows: Sequence[Placed], other: Row | None) -> int | None:
    """Between the booking dates of the only row and another one."""
    one = rows[0].row if len(rows) == 1 else None
    if one is None or other is None or one.booking_date is None or other.booking_date is None:
        return None
    return abs((one.booking_date - other.booking_date).days)


def _plain(value: Decimal) -> str:
    """With two decimals, or as many more as it needs."""
    digits = max(2, -int(value.normalize().as_tuple().exponent))
    return f"{value:,.{digits}f}"


def row_key(text: str) -> tuple[int, int] | None:
    """``"12.0"`` as (row id, part); None if it is not one."""
    row_id, _, part = text.partition(".")
    return (int(row_id), int(part or 0)) if row_id.isdecimal() and (part or "0").isdecimal() else None


def _nearest_side(item: UnmatchedItem) -> int:
    """The nearest miss stands on the other side, but a duplicate's twin, and what might cancel a row, on the same."""
    is_beside = item.reason == "possible_duplicate" or json.loads(item.detail or "{}").get("nearest_is_beside")
    return item.side if is_beside else 1 - item.side


def claimed_keys(account: Account, side: Side, items: Sequence[UnmatchedView]) -> set[str]:
    """The keys of those items whose row part was matched since."""
    rows = [view.item.row_id for view in items]
    claims = Claim.objects.filter(account_id=account.pk, side=side, row_id__in=rows).values_list("row_id", "part")
    return {f"{row_id}.{part}" for row_id, part in claims}
