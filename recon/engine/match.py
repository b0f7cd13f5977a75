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
from recon.engine.sides import Sides, load
from rules.criteria import Rule


def match(rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> Outcome:
    """Match statement rows with ledger rows by the rules in the order given.

    The tables have ``id``, ``part``, ``ord`` and the columns of `recon.rows.ROW_SCHEMA`; the result does not depend on
    the order of their rows. Raises Cancelled, TooBroad or another EngineError.
    """
    with opened(options) as session:
        session.report("Loading rows")
        sides = load(session, rules, statement, ledger, options)
        for statement_ in TAKEN:
            session.run(statement_)
        ran = [_run(session, sides, index, rule) for index, rule in enumerate(rules)]
        session.report("Writing results")
        keep_standing(session, len(rules))
        matches, match_rows, differences, runners_up = match_tables(session, rules, sides)
        session.report("Explaining what is left", matched=matches.num_rows)
        unmatched = unmatched_table(session, sides, rules, options)
        return Outcome(matches, match_rows, differences, runners_up, unmatched, ran)


def _run(session: Session, sides: Sides, index: int, rule: Rule) -> RuleOutcome:
    started = time.perf_counter()
    session.report(f"Rule {index + 1}: {rule.name}", index, session.count("taken"))
    plan = make_plan(rule, sides, session.options)
    left = _open_units(session, "s", plan.filters["statement"])
    right = _open_units(session, "l", plan.filters["ledger"])
    work = Work(session, sides, plan, index, left, right)
    run_rule(work)
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


def _open_units(session: Session, alias: str, filters: Sequence[str]) -> str:
    """The rows of a side that no rule has confirmed and that meet the conditions on that side alone."""
    claimed = session.number("SELECT count(*) FROM taken WHERE state = 'confirmed'")
    if not claimed and not filters:
        return alias
    conditions = " AND ".join(f"({text})" for text in filters) or "true"
    open_rows = f" ANTI JOIN (SELECT {alias} AS u FROM taken WHERE state = 'confirmed') USING (u)" if claimed else ""
    return session.create("units", f"SELECT {alias}.* FROM {alias}{open_rows} WHERE {conditions}")
