"""The matching engine: rules in order over two tables of rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from recon.engine.contest import Contest
from recon.engine.lots import Book, alike, by_lot, joined, parted
from recon.engine.options import Options
from recon.engine.outcome import Outcome, RuleOutcome
from recon.engine.plan import make_plan
from recon.engine.reasons import Seen, unmatched_table
from recon.engine.results import match_tables
from recon.engine.rule_run import Work, run_rule
from recon.engine.session import Session, opened
from recon.engine.sides import Sides, load, one_sided
from recon.engine.standing import Met, Standing, claimed, each_once, judged, limit_of, met, standing
from recon.engine.strategies import check_strategy, two_sides
from recon.engine.subset_sum import Found, Missed, Search, search_groups, store_groups
from recon.engine.twins import Twins
from recon.engine.units import make_units, open_units
from rules.criteria import Rule


def match(rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> Outcome:
    """Match statement rows with ledger rows by the rules in the order given.

    The tables have ``id``, ``part``, ``ord`` and the columns of `recon.rows.ROW_SCHEMA`, the ledger also
    ``transaction_id`` and ``created_at``; the result does not depend on the order of their rows. Raises Cancelled,
    TooBroad or another EngineError.
    """
    check_strategy(rules, options)
    if one_sided(options.strategy):
        return two_sides(_match_sides, rules, statement, ledger, options)
    return _match_sides(rules, statement, ledger, options)


def match_each(rules: Sequence[Rule], books: Sequence[Book], options: Options) -> list[Outcome]:
    """What `match` says of each of several books, a statement and a ledger each; small ones are matched together.

    Raises what `match` raises of any of them.
    """
    found: dict[int, Outcome] = {}
    for places in alike(rules, books, options):
        some = [books[place] for place in places]
        if len(some) == 1:
            found[places[0]] = match(rules, *some[0], options)
            continue
        lots = joined(some)
        outcomes = parted(match(rules, *lots.book, options), lots, len(some))
        found |= dict(zip(places, outcomes, strict=True))
    return [found[place] for place in range(len(books))]


def _match_sides(rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> Outcome:
    started = time.perf_counter()
    with opened(options, statement.num_rows + ledger.num_rows) as session:
        session.report("Loading rows")
        sides = load(session, rules, statement, ledger, options)
        searched = options.searches_sums
        made, ran, seen = (_search if searched else _run_all)(session, sides, rules)
        session.report("Writing results")
        kept = each_once(standing(made, sides.sizes))
        matches, match_rows, differences, runners_up = match_tables(session, rules, sides, kept, searched=searched)
        matched = time.perf_counter() - started
        session.report("Explaining what is left", matched=matches.num_rows)
        unmatched = unmatched_table(session, sides, rules if options.reasons else (), kept, seen)
        return Outcome(
            matches, match_rows, differences, runners_up, unmatched, ran,
            match_seconds=matched, explain_seconds=time.perf_counter() - started - matched,
        )  # fmt: skip


Ran = tuple[list[Standing], list[RuleOutcome], Seen]


def _run_all(session: Session, sides: Sides, rules: Sequence[Rule]) -> Ran:
    made: list[Standing] = []
    seen: list[Met] = []
    return made, [_run(session, sides, index, rule, made, seen) for index, rule in enumerate(rules)], Seen(met=seen)


def _search(session: Session, sides: Sides, rules: Sequence[Rule]) -> Ran:
    """Grouped strategies without a grouping key look for sums."""
    ran: list[RuleOutcome] = []
    found: list[Found] = []
    missed: list[Missed] = []
    for index, rule in enumerate(rules):
        started = time.perf_counter()
        session.report(f"Rule {index + 1}: {rule.name}", index, len(found))
        search = search_groups(session, sides, index, rule, found)
        found += search.found
        missed += search.missed
        ran.append(_searched(session, index, search, time.perf_counter() - started))
    return store_groups(session, sides, found), ran, Seen(missed=missed)


def _searched(session: Session, index: int, search: Search, seconds: float) -> RuleOutcome:
    confirmed, among = sum(each.state == "confirmed" for each in search.found), search.among
    suggested = len(search.found) - confirmed
    if among is None:
        return RuleOutcome(index, confirmed, suggested, "", "", 0, 0, seconds)
    plan = among.in_words(session.options)
    return RuleOutcome(index, confirmed, suggested, plan, among.key, among.estimated, among.count, seconds)


def _run(session: Session, sides: Sides, index: int, rule: Rule, made: list[Standing], seen: list[Met]) -> RuleOutcome:
    started = time.perf_counter()
    session.report(f"Rule {index + 1}: {rule.name}", index, sum(len(each.line) for each in made))
    plan = make_plan(rule, sides, session.options)
    units = (make_units(session, sides, "statement", rule), make_units(session, sides, "ledger", rule))
    gone = claimed(made, sides.sizes)
    left, right = (
        open_units(session, each, plan.criteria, sides, claimed=flags) for each, flags in zip(units, gone, strict=True)
    )
    contest = Contest(
        sides.sizes, Twins(session, sides, units), by_date=rule.on_ambiguity == "date", check=session.check
    )
    work = Work(session, sides, plan, units, left, right, contest)
    run_rule(work)
    taken = contest.result()
    verdict = judged(index, rule, taken, limit_of(rule, session.options, sides.scope.scale))
    made.append(verdict)
    seen.append(met(contest, taken, verdict, gone))
    confirmed = int(verdict.confirmed.sum())
    ran = RuleOutcome(
        index=index,
        matched=confirmed,
        suggested=len(verdict.line) - confirmed,
        plan="\n".join(work.steps),
        blocking_key=work.key,
        estimated_candidates=work.estimated,
        candidates=contest.pairs,
        seconds=time.perf_counter() - started,
    )
    if sides.lots:
        ran = replace(ran, of_lots=by_lot(work, verdict, ran))
    session.drop(*{left, right} - {units[0].table, units[1].table})
    return ran
