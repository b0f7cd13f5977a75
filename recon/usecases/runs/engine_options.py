"""Between a run's record and the engine: what the engine is told, and what it explains."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, cast

from django.conf import settings

from recon.engine import Options, Progress, RuleOutcome
from recon.engine.options import EngineError, Sign
from recon.engine.options import Strategy as EngineStrategy
from recon.engine.strategies import check_strategy
from recon.models import MatchingRun, RunStage
from recon.usecases.errors import Refused
from recon.usecases.grouping import check_grouping, grouping_fields
from recon.usecases.review.open_items import sides_reported
from recon.usecases.runs.lease import Heartbeat
from recon.usecases.runs.spilling import spill_folder
from rules.criteria import Rule, parse_rule
from rules.criteria.scope import Side as EngineSide
from rules.models import RuleVersion

_PAIR: Final = re.compile("([A-Z]{3})/([A-Z]{3})")
_RATE_DIGITS: Final = 18
_SHOWN: Final = 40


def engine_options(run: MatchingRun, heartbeat: Heartbeat) -> Options:
    """How the engine is to work on this run; it hears of a cancellation and reports to the heartbeat."""

    def report(progress: Progress) -> None:
        heartbeat.report(RunStage.MATCHING, progress.matched, heartbeat.progress["rows_total"])

    return replace(unwatched_options(run), cancelled=heartbeat.must_stop, progress=report)


def unwatched_options(run: MatchingRun) -> Options:
    """The same for a run that is over before anybody could cancel it."""
    return Options(
        strategy=cast("EngineStrategy", run.strategy),
        grouping=grouping_fields(run.grouping),
        time_zone=run.account.time_zone,
        sign=cast("Sign", run.sign),
        rates=rates_of(run),
        tolerance_limit=run.account.tolerance_limit,
        threads=settings.MATCH_THREADS,
        memory_limit=f"{settings.MATCH_MEMORY_MB}MB",
        temp_dir=str(spill_folder()),
        candidate_budget=settings.CANDIDATE_BUDGET,
        sum_pool=settings.SUM_POOL,
        sum_size=settings.SUM_SIZE,
        told=tuple(cast("EngineSide", side.label) for side in sides_reported(run.account)),
    )


def rules_of(run: MatchingRun) -> list[Rule]:
    """A run's rules as the engine reads them, in order."""
    return rules_in([each.version for each in run.run_rules.all()])


def rules_in(versions: Sequence[RuleVersion]) -> list[Rule]:
    """Versions of rules as the engine reads them, in order."""
    return [rule_in(each.body) for each in versions]


@lru_cache(maxsize=256)
def rule_in(body: str) -> Rule:
    """The stored body of a version as a rule."""
    return parse_rule(json.loads(body, parse_float=Decimal), stored=True)


def rates_typed(text: str) -> dict[str, str]:
    """``"USD/EUR = 0.92, GBP/EUR = 1.15"`` as what `exchange_rates` takes. Raises `Refused`."""
    typed = [each.strip() for each in re.split(r"[;\n]|,(?=\s*[A-Za-z])", text) if each.strip()]
    rates: dict[str, str] = {}
    for each in typed:
        pair, sign, rate = (part.strip() for part in each.partition("="))
        if not sign:
            raise Refused(f"{each!r} is not a rate; expected one such as USD/EUR = 0.92.")
        if pair.upper() in rates:
            raise Refused(f"{pair.upper()} has two rates, {rates[pair.upper()]} and {rate}; expected one.")
        rates[pair.upper()] = rate
    return rates


def check_method(rules: Sequence[Rule], strategy: str, grouping: str, rates: Mapping[str, Any]) -> None:
    """Raise Refused for a way to match that there is none of, or that these rules cannot go."""
    if not rules:
        raise Refused("Choose at least one rule.")
    check_grouping(strategy, grouping)
    method = Options(cast("EngineStrategy", strategy), grouping_fields(grouping), rates=exchange_rates(rates))
    try:
        check_strategy(rules, method)
    except EngineError as error:
        raise Refused(str(error)) from error


def rates_of(run: MatchingRun) -> dict[tuple[str, str], Decimal]:
    """A run's rates, which were checked when it started, as `exchange_rates` gives them."""
    pairs = ((pair.partition("/"), text) for pair, text in run.options.get("rates", {}).items())
    return {(statement, ledger): Decimal(str(text)) for (statement, _, ledger), text in pairs}


def exchange_rates(given: Mapping[str, Any]) -> dict[tuple[str, str], Decimal]:
    """``{"USD/EUR": "0.92"}``: ledger units (EUR) per statement unit (USD). Raises `Refused`."""
    rates = {}
    for pair, text in given.items():
        currencies = _PAIR.fullmatch(pair)
        if currencies is None or currencies[1] == currencies[2]:
            raise Refused(
                f"The rate {pair} = {text} cannot be read; expected two currencies in capital letters, such as"
                " USD/EUR = 0.92."
            )
        rates[currencies[1], currencies[2]] = _rate(pair, str(text))
    return rates


def _rate(pair: str, text: str) -> Decimal:
    """A rate above zero that amounts of 18 digits can be multiplied by in whole numbers. Raises `Refused`."""
    try:
        rate = Decimal(text).normalize()
    except InvalidOperation:
        rate = Decimal(0)
    if not (rate.is_finite() and rate > 0):
        raise Refused(f"The rate {pair} = {text} cannot be used; expected a number above zero, such as 0.92.")
    places = -int(rate.as_tuple().exponent)
    if places > _RATE_DIGITS or rate.adjusted() >= _RATE_DIGITS or len(rate.as_tuple().digits) > _RATE_DIGITS:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise Refused(f"The rate {pair} = {shown} is too long; expected at most {_RATE_DIGITS} digits.")
    return rate


def explained(rule: RuleOutcome) -> dict[str, Any]:
    """What a rule did and how, as the run's page and `explain_run` show it."""
    return {
        "plan": rule.plan,
        "blocking_key": rule.blocking_key,
        "estimated_candidates": rule.estimated_candidates,
        "candidates": rule.candidates,
        "seconds": round(rule.seconds, 3),
    }
