"""The matching engine: rules in order over two tables of rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyarrow as pa

from recon.engine.options import Options
from recon.engine.outcome import Outcome, RuleOutcome
from recon.engine.plan import make_plan
from recon.engine.reasons import unmatched_table
from recon.engine.results import keep_standing, match_tables
from recon.engine.rule_run import TAKEN, Work, run_rule
from recon.engine.session import Session, opened
from recon.engine.sides import Sides, grouped_sides, load, one_sided
from recon.engine.strategies import check_strategy, two_sides
from recon.engine.subset_sum import MAX_POOL, MAX_SIZE, Found, search_groups, store_groups
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


def _match_sides(rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> Outcome:
    with opened(options) as session:
        session.report("Loading rows")
        sides = load(session, rules, statement, ledger, options)
        for table in TAKEN:
            session.run(table)
        search = bool(grouped_sides(options.strategy)) and not options.grouping
        ran = (_search if search else _run_all)(session, sides, rules)
        session.report("Writing results")
        keep_standing(session, len(rules))
        matches, match_rows, differences, runners_up = match_tables(session, rules, sides)
        session.report("Explaining what is left", matched=matches.num_rows)
        unmatched = unmatched_table(session, sides, rules if options.reasons else ())
        return Outcome(matches, match_rows, differences, runners_up, unmatched, ran)


def _run_all(session: Session, sides: Sides, rules: Sequence[Rule]) -> list[RuleOutcome]:
    return [_run(session, sides, index, rule) for index, rule in enumerate(rules)]


def _search(session: Session, sides: Sides, rules: Sequence[Rule]) -> list[RuleOutcome]:
    """Grouped strategies without a grouping key look for sums."""
    found: list[Found] = []
    ran = []
    for index, rule in enumerate(rules):
        started = time.perf_counter()
        session.report(f"Rule {index + 1}: {rule.name}", index, len(found))
        new = search_groups(session, sides, index, rule, found)
        found += new
        confirmed = sum(each.state == "confirmed" for each in new)
        plan = f"sums of at most {MAX_SIZE} of at most {MAX_POOL} rows"
        seconds = time.perf_counter() - started
        ran.append(RuleOutcome(index, confirmed, len(new) - confirmed, plan, "", 0, len(new), seconds))
    store_groups(session, sides, found)
    return ran


def _run(session: Session, sides: Sides, index: int, rule: Rule) -> RuleOutcome:
    started = time.perf_counter()
    session.report(f"Rule {index + 1}: {rule.name}", index, session.count("taken"))
    plan = make_plan(rule, sides, session.options)
    units = (make_units(session, sides, "statement", rule), make_units(session, sides, "ledger", rule))
    left, right = (open_units(session, each, plan.criteria, sides) for each in units)
    work = Work(session, sides, plan, index, units, left, right)
    run_rule(work)
    session.drop(*{work.left, work.right, left, right} - {units[0].table, units[1].table})
    counts = dict(session.rows(f"SELECT state, count(*) FROM taken WHERE rule = {index} GROUP BY state"))
    return RuleOutcome(
        index=index,
        matched=counts.get("confirmed", 0),
        suggested=counts.get("suggested", 0),
        plan="\n".join(work.steps),
        blocking_key=", ".join(pair[0].removeprefix("s.") for pair in plan.equal),
        estimated_candidates=work.estimated,
        candidates=work.candidates,
        seconds=time.perf_counter() - started,
    )
