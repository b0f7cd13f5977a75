"""How a run went about its work, in words: how rows were read, each rule's plan, its estimate and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recon.models import MatchingRun, RunRule
from recon.usecases.runs.facts import plans_by_rule, reading_estimate


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
    for rule, plan in plans_by_rule(run):
        yield from _rule_in_words(rule, plan)


def _rule_in_words(rule: RunRule, plan: dict[str, Any]) -> Iterator[str]:
    yield f"Rule {rule.position}: {rule.version}: {rule.matched:,} matches, {rule.suggested:,} suggestions"
    if not plan:
        yield "  it did not run"
        return
    yield f"  looked up by: {plan['blocking_key'] or 'no key'}"
    estimated, compared = plan["estimated_candidates"], plan["candidates"]
    yield f"  pairs: about {estimated:,} estimated, {compared:,} compared, in {plan['seconds']:.3f} s"
    yield from (f"  {step}" for step in plan["plan"].splitlines())
