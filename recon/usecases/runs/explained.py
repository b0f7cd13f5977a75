"""How a run went about its work, in words: how rows were read, each rule's plan, its estimate and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from recon.models import MatchingRun
from recon.usecases.runs.facts import RuleFacts, facts_by_rule, reading_estimate


def run_in_words(run: MatchingRun) -> Iterator[str]:
    """A line of text for each fact; what belongs to a rule is indented below it."""
    kind = "dry run" if run.is_dry_run else "run"
    yield f"{kind.capitalize()} {run.number} ({run.run_id}): {run.state}, {run.get_strategy_display().lower()}"
    if run.error:
        yield run.error
    if rows := run.explanation.get("rows"):
        yield f"Read: {rows['lines']:,} lines and {rows['entries']:,} entries: {rows['how']}"
        if estimate := reading_estimate(rows):
            yield f"  {estimate}"
    if run.timings:
        yield "Took: " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in run.timings.items())
    yield from rates_missing_in_words(run)
    for facts in facts_by_rule(run):
        yield from _rule_in_words(facts)


def rates_missing_in_words(run: MatchingRun) -> Iterator[str]:
    """A line if rows were left because no rate was given for their currency."""
    if missing := run.totals.get("rates_missing"):
        yield f"No exchange rate was given for {', '.join(missing)}: rows were left unmatched for that"


def _rule_in_words(facts: RuleFacts) -> Iterator[str]:
    rule, plan = facts.rule, facts.plan
    yield f"Rule {rule.position}: {rule.version}: {rule.matched:,} matches, {rule.suggested:,} suggestions"
    if not facts.found_by:
        yield "  nothing was left to compare" if plan else "  it did not run"
        return
    yield f"  pairs found by: {facts.found_by}"
    estimated, met = plan["estimated_candidates"], plan["candidates"]
    yield f"  pairs: about {estimated:,} to compare by estimate, {met:,} candidates, in {plan['seconds']:.3f} s"
    yield "  exactly:"
    yield from (f"    {step}" for step in plan["plan"].splitlines())
