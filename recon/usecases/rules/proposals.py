"""Rules that would have matched what people matched by hand, or what a run left open: a plain search.

Of all criteria that the vocabulary offers (`rules.criteria.ideas`), those that the pairs meet are kept, for each field
the strictest; every combination of them is tried on rows whose partner is known, and the few that err least and find
most are proposed, each with what it was judged by.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon.engine import Cancelled, EngineError, Options, Outcome, explain_pairs, match
from recon.models import Account, DifferenceType, MatchDifference, MatchingRun, Side
from recon.rows import amount
from recon.usecases.rules.evidence import Evidence, Pair, gather, pairs_of
from recon.usecases.rules.group_evidence import STRATEGIES, Group, grouped_by_what_names_them, groups_of
from recon.usecases.rules.previews import Watch, preview_options
from rules.bodies import write_json
from rules.criteria import Criterion, Rule, parse_rule
from rules.criteria.ideas import Seen, enough, ideas, links
from rules.criteria.operators.base import shown_length
from rules.criteria.rule import MAX_CRITERIA

PROPOSED = 3
LEADS = 3
"""Groups of open rows, by what links them, that a run's leftovers are searched for."""
TEXTS = 3
"""Links by text that are combined with amounts and dates: the strictest."""
COUNTEREXAMPLES = 3
LINKED: tuple[dict[str, Any], ...] = (
    {"field": "amount", "operator": "within_range", "value": "5%"},
    {"field": "date", "operator": "within_range", "value": "30d"},
)
"""What a text in common is worth among open rows: only with an amount and a date that are not far off."""
UNLINKED: tuple[dict[str, Any], ...] = (
    {"field": "amount", "operator": "eq"},
    {"field": "date", "operator": "within_range", "value": "5d"},
)
"""What makes two open rows a likely pair without any text in common."""


@dataclass(frozen=True)
class Ground:
    """A criterion of a proposal, how many of the pairs meet it, and how they lie within it."""

    criterion: Criterion
    holding: int
    pairs: int
    spread: str = ""


@dataclass(frozen=True)
class Judged:
    """What a rule would do: to the pairs it was made from, to decided rows, and to open ones."""

    found: int  # of the pairs it was made from
    agree: int  # decided matches it would make in the same way
    differ: int  # rows that it would match otherwise than they were
    fresh: int  # open lines it would match
    counterexamples: list[tuple[Pair, Pair | None]] = field(default_factory=list)

    @property
    def precision(self) -> Decimal | None:
        """Of the decided rows it would match, the percentage matched as they were: one decimal, rounded down."""
        judged = self.agree + self.differ
        return (Decimal(1000 * self.agree // judged) / 10).quantize(Decimal("0.1")) if judged else None


@dataclass(frozen=True)
class Proposal:
    body: dict[str, Any]
    grounds: list[Ground]
    judged: Judged
    pairs: int

    @property
    def text(self) -> str:
        return write_json(self.body)


@dataclass(frozen=True)
class Search:
    """What a search came to. ``problem`` says why there is nothing to propose."""

    proposals: list[Proposal] = field(default_factory=list)
    pairs: int = 0
    history: int = 0
    passed_over: int = 0  # chosen matches of another kind than most
    problem: str = ""
    strategy: str = ""  # how a run has to settle them, if one row settles many
    grouping: str = ""  # what the many have in common


def propose_from_matches(account: Account, match_ids: Sequence[int], watch: Watch) -> Search:
    """Rules that would have made these matches. Raises Cancelled if the watch says so."""
    wanted = sorted(pairs_of(match_ids))
    passed_over = len(set(match_ids)) - len(wanted)
    by_side = {many: {group for group in groups_of(match_ids, many) if len(group[1]) > 1} for many in STRATEGIES}
    many, groups = max(by_side.items(), key=lambda each: len(each[1]))
    if len(groups) > max(len(wanted), 1):
        return _propose_for_groups(account, match_ids, groups, many, watch)
    if len(wanted) < 2:
        problem = "Choose at least two matches of one line each: a single one says nothing about the next."
        return Search(pairs=len(wanted), passed_over=passed_over, problem=problem)
    evidence = gather(account, None, wanted)
    options = replace(preview_options(account, watch), reasons=False)
    named = _difference_type(match_ids)
    proposals = _best(_proposals(evidence, wanted, options, named))
    problem = (
        "" if proposals else "These matches have too little in common: no amount, date or text links all of them."
    )
    return Search(proposals, len(wanted), len(evidence.known - set(wanted)), passed_over, problem)


def _propose_for_groups(
    account: Account, match_ids: Sequence[int], groups: set[Group], many: Side, watch: Watch
) -> Search:
    """Rules for rows that settle many of the side `many`, by the first key that names these and leads to a rule."""
    options = replace(preview_options(account, watch), reasons=False)
    passed_over = len(set(match_ids)) - len(groups)
    for found in grouped_by_what_names_them(account, groups, many):
        named = _difference_type(match_ids)
        if proposals := _best(_proposals(found.evidence, found.wanted, options, named)):
            history = len(found.evidence.known - set(found.wanted))
            how = {"strategy": STRATEGIES[many].value, "grouping": ", ".join(found.key)}
            return Search(proposals, len(groups), history, passed_over, **how)
    members = "entries share no reference, text, source" if many == Side.LEDGER else "lines share no reference, text"
    problem = f"Nothing names these groups: their {members} or date that others lack."
    return Search(pairs=len(groups), passed_over=passed_over, problem=problem)


def propose_for_leftovers(run: MatchingRun, watch: Watch) -> Search:
    """Rules that would match what the run left open and is open still. Raises Cancelled if the watch says so."""
    evidence = gather(run.account, run)
    options = replace(preview_options(run.account, watch), reasons=False)
    groups = _likely_pairs(evidence, options)
    of_groups = [_best(_proposals(evidence, pairs, options, texts=1))[:1] for pairs in groups]
    proposals = _distinct(sorted(itertools.chain.from_iterable(of_groups), key=_reach, reverse=True))
    problem = "" if proposals else "What is left open has no partner that a rule could find by amount, date or text."
    return Search(proposals, sum(map(len, groups)), len(evidence.known), problem=problem)


def _likely_pairs(evidence: Evidence, options: Options) -> list[list[Pair]]:
    """Pairs among the open rows by what links them: each text that the sides may share, then amount and date alone."""
    _check(options)
    linked = links()
    rules = [_rule([dict(link.given or {}), *LINKED]) for link in linked] + [_rule(UNLINKED)]
    lines = _without(evidence.lines, evidence.settled_lines)
    entries = _without(evidence.entries, evidence.settled_entries)
    made = _made(match(rules, lines, entries, options))
    groups: dict[Any, list[Pair]] = {}
    for pair, index in made.items():
        link = (linked[index].field.name, linked[index].ledger_field.name) if index < len(linked) else None
        groups.setdefault(link, []).append(pair)
    large = sorted((pairs for pairs in groups.values() if len(pairs) > 1), key=len, reverse=True)
    return large[:LEADS]


def _proposals(
    evidence: Evidence, wanted: Sequence[Pair], options: Options, named: str = "", texts: int = TEXTS
) -> Iterator[Proposal]:
    """Every combination of what the pairs meet, judged."""
    grounds = _grounds(evidence, wanted, options)
    for combination in _combinations(grounds, texts):
        _check(options)
        body = _body(combination, len(wanted), named)
        try:
            judged = judge(parse_rule(body), evidence, wanted, options)
        except Cancelled:
            raise
        except EngineError:  # too broad to be tried
            continue
        yield Proposal(body, combination, judged, len(wanted))


def _check(options: Options) -> None:
    """The engine looks four times a second; a search of many short matches would outrun it."""
    if options.cancelled():
        raise Cancelled


def judge(rule: Rule, evidence: Evidence, wanted: Sequence[Pair], options: Options) -> Judged:
    """What the rule would confirm among all rows of the evidence, held against what is known of them."""
    chosen = set(wanted)
    made = set(_made(match([rule], evidence.lines, evidence.entries, options)))
    wrong = {
        pair
        for pair in made - chosen - evidence.known
        if pair[0] in evidence.settled_lines or pair[1] in evidence.settled_entries or pair in evidence.refused
    }
    partner = {line: (line, entry) for line, entry in [*evidence.known, *wanted]}
    return Judged(
        found=len(made & chosen),
        agree=len(made & evidence.known - chosen),
        differ=len(wrong),
        fresh=len(made - chosen - evidence.known - wrong),
        counterexamples=[(pair, partner.get(pair[0])) for pair in sorted(wrong)[:COUNTEREXAMPLES]],
    )


def _best(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Those that err least, then find most, a text in common before none; none that reaches no more than a better."""
    worth = [each for each in proposals if enough(2 * each.judged.found, each.pairs)]
    worth.sort(key=lambda each: (_wrong_share(each), -each.judged.found, not _by_text(each), -_reach(each)))
    kept: list[Proposal] = []
    for each in worth:
        if not any(_reach(better) >= _reach(each) for better in kept):
            kept.append(each)
    return kept[:PROPOSED]


def _distinct(proposals: Iterable[Proposal]) -> list[Proposal]:
    """One of each: two groups of pairs may come to the same rule."""
    return list({repr(each.body["criteria"]): each for each in reversed(list(proposals))}.values())[::-1]


def _wrong_share(proposal: Proposal) -> Decimal:
    judged = proposal.judged
    made = judged.found + judged.agree + judged.differ
    return (Decimal(judged.differ) / made).quantize(Decimal("0.001")) if made else Decimal(1)


def _by_text(proposal: Proposal) -> bool:
    return any(each.criterion.field.kind == "text" and not each.criterion.is_constant for each in proposal.grounds)


def _reach(proposal: Proposal) -> int:
    """What it would settle that no rule has settled yet."""
    return proposal.judged.found + proposal.judged.fresh


# --- what the pairs have in common --------------------------------------------------------------------------------


def _grounds(evidence: Evidence, wanted: Sequence[Pair], options: Options) -> list[Ground]:
    """For each pair of fields the strictest criterion that the pairs meet, a tolerance in money and one in percent."""
    lines = _rows(evidence.lines, [line for line, _ in wanted])
    entries = _rows(evidence.entries, [entry for _, entry in wanted])
    seen = _seen(lines, entries, wanted, options)
    found: dict[Any, Ground] = {}
    for criterion, holding in _held(ideas(seen), lines, entries, wanted, options):
        unit = criterion.window.unit if criterion.window and not criterion.window.exact else ""
        group = (criterion.field.name, criterion.ledger_field.name, criterion.is_constant, unit)
        exact = (*group[:3], "")
        if enough(holding, len(wanted)) and group not in found and exact not in found:
            found[group] = Ground(criterion, holding, len(wanted), _spread(criterion, seen))
    return list(found.values())


def _held(
    tried: Sequence[Criterion], lines: pa.Table, entries: pa.Table, wanted: Sequence[Pair], options: Options
) -> Iterator[tuple[Criterion, int]]:
    """Each criterion with how many of the pairs meet it, by the SQL that matches."""
    pairs = [([(line, 0)], [(entry, 0)]) for line, entry in wanted]
    batches = [tried[start : start + MAX_CRITERIA] for start in range(0, len(tried), MAX_CRITERIA)]
    told = explain_pairs(
        [_rule([dict(each.given or {}) for each in batch]) for batch in batches], lines, entries, pairs, options
    )
    holding: Counter[tuple[int, int]] = Counter()
    for explanation in told:
        holding.update(
            (explanation.rule_index, verdict.criterion) for verdict in explanation.verdicts if verdict.passed
        )
    for index, batch in enumerate(batches):
        for number, criterion in enumerate(batch, 1):
            yield criterion, holding[index, number]


def _seen(lines: pa.Table, entries: pa.Table, wanted: Sequence[Pair], options: Options) -> Seen:
    line_of = {row["id"]: row for row in lines.to_pylist()}
    entry_of = {row["id"]: row for row in entries.to_pylist()}
    pairs = [(line_of[line], entry_of[entry]) for line, entry in wanted]
    amounts = [
        _as_compared(amount(line["units"], line["scale"]), amount(entry["units"], entry["scale"]), options)
        for line, entry in pairs
    ]
    dates = [(line["booking_date"], entry["booking_date"]) for line, entry in pairs]
    return Seen(
        amounts=[line - entry for line, entry in amounts],
        percents=[100 * (line - entry) / abs(entry) for line, entry in amounts if entry],
        days=[(line - entry).days for line, entry in dates if line and entry],
        texts={name: [line[name] or "" for line, _ in pairs] for name in ("description", "counterparty")},
    )


def _as_compared(line: Decimal, entry: Decimal, options: Options) -> tuple[Decimal, Decimal]:
    """Both amounts as the account's sign setting has them compared."""
    if options.sign == "unsigned":
        return abs(line), abs(entry)
    return line, -entry if options.sign == "inverted" else entry


def _spread(criterion: Criterion, seen: Seen) -> str:
    """How far the pairs are apart in what the criterion compares."""
    window = criterion.window
    if window is None or window.exact:
        return ""
    if window.unit == "days":
        return f"they lie {min(seen.days):+d} to {max(seen.days):+d} days apart"
    gaps, unit = (seen.percents, "%") if window.unit == "percent" else (seen.amounts, "")
    return f"they differ by {min(gaps):+.2f}{unit} to {max(gaps):+.2f}{unit}"


def _combinations(grounds: Sequence[Ground], most: int) -> Iterator[list[Ground]]:
    """An amount, and a text, a date or both: a rule that reads no amount would confirm any."""
    by_kind = {
        kind: [each for each in grounds if each.criterion.field.kind == kind] for kind in ("text", "amount", "date")
    }
    shared = [each for each in by_kind["text"] if not each.criterion.is_constant]
    shared.sort(key=lambda each: each.criterion.field is not each.criterion.ledger_field)
    words = [each for each in by_kind["text"] if each.criterion.is_constant][:1]
    texts = [*([each] for each in shared[:most]), *([each] for each in words), []]
    dates = [[], *([each] for each in by_kind["date"][:1])]
    for text, money, day in itertools.product(texts, by_kind["amount"], dates):
        if day or (text and text != words):
            yield [*text, money, *day]


# --- small things -------------------------------------------------------------------------------------------------


def _body(grounds: Sequence[Ground], pairs: int, named: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": _name(grounds),
        "description": f"Proposed from {pairs} pairs.",
        "criteria": [dict(each.criterion.given or {}) for each in grounds],
    }
    if named and any(each.criterion.field.kind == "amount" and each.spread for each in grounds):
        body["difference_type"] = named
    return body


def _name(grounds: Sequence[Ground]) -> str:
    """For example: Reference in description, amount within 3% and date."""
    first, *others = [_named(each.criterion) for each in grounds]
    rest = [word[0].lower() + word[1:] for word in others]
    return " and ".join(filter(None, [", ".join([first, *rest[:-1]]), rest[-1] if rest else ""]))


def _named(criterion: Criterion) -> str:
    name, window = criterion.field.label, criterion.window
    if criterion.ledger_field is not criterion.field:
        return f"{criterion.ledger_field.label} in {name.lower()}"
    if window is None or window.exact or criterion.field.kind != "amount":
        return name
    return f"{name} within {shown_length(max(abs(window.low), abs(window.high)), window.unit)}"


def _difference_type(match_ids: Sequence[int]) -> str:
    """What people called the differences of these matches, if they agree."""
    types = set(MatchDifference.objects.filter(match_id__in=match_ids).values_list("type", flat=True))
    types.discard(DifferenceType.UNCLASSIFIED)
    return str(types.pop()) if len(types) == 1 else ""


def _rule(criteria: Sequence[dict[str, Any]]) -> Rule:
    return parse_rule({"name": "Tried", "criteria": list(criteria)})


def _rows(table: pa.Table, ids: Sequence[int]) -> pa.Table:
    return table.filter(pc.is_in(table["id"], pa.array(ids, pa.int64())))


def _without(table: pa.Table, ids: frozenset[int]) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["id"], pa.array(sorted(ids), pa.int64()))))


def _made(outcome: Outcome) -> dict[Pair, int]:
    """The confirmed pairs, each with the number of its rule, counted from 0."""
    confirmed = outcome.matches.filter(pc.equal(outcome.matches["state"], "confirmed")).select(
        ["match_no", "rule_index"]
    )
    rows = outcome.match_rows.select(["match_no", "side", "id"])
    sides = [
        rows.filter(pc.equal(rows["side"], side)).select(["match_no", "id"]).rename_columns(["match_no", name])
        for side, name in ((0, "line"), (1, "entry"))
    ]
    joined = confirmed.join(sides[0], "match_no", join_type="inner").join(sides[1], "match_no", join_type="inner")
    return {(row["line"], row["entry"]): row["rule_index"] for row in joined.to_pylist()}
