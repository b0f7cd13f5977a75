"""Why a line and an entry did, or did not, match: what each rule of a run says of the pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from recon.engine import Verdict, explain_pairs
from recon.engine.options import Sign
from recon.models import LedgerEntry, MatchingRun, Side, StatementLine
from recon.usecases.accounts.scope import all_rows
from recon.usecases.rules.previews import Watch, preview_options
from recon.usecases.runs.engine_options import rates_of, rules_of
from recon.usecases.runs.reading import Row
from rules.models import RuleVersion


@dataclass(frozen=True)
class RuleVerdicts:
    """One rule's verdicts on a pair."""

    version: RuleVersion
    verdicts: tuple[Verdict, ...]

    @property
    def matches(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)


def verdicts_of_run(run: MatchingRun, line: Row, entry: Row) -> list[RuleVerdicts]:
    """What the run's rules, as they were, say of two whole rows; by the SQL that matched."""
    lines = all_rows(run.account, Side.STATEMENT, StatementLine.objects.filter(pk=line.pk))
    entries = all_rows(run.account, Side.LEDGER, LedgerEntry.objects.filter(pk=entry.pk))
    entries = entries.append_column("transaction_id", entries["external_id"])
    options = replace(
        preview_options(run.account, Watch()),
        sign=cast("Sign", run.sign),
        rates=rates_of(run),
    )
    told = explain_pairs(rules_of(run), lines, entries, [([(line.pk, 0)], [(entry.pk, 0)])], options)
    versions = [place.version for place in run.run_rules.select_related("version__rule")]
    return [RuleVerdicts(versions[each.rule_index], each.verdicts) for each in told]
