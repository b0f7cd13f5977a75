"""Criteria worth trying on pairs of rows that belong together: every operator, on every field, in every form it takes.

Nothing here knows an operator by name: which forms there are follows from its inputs, and it is worth trying if it
says what two matching rows have in common (`Operator.blocking`), or compares with a text that all lines share.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rules.criteria.criterion import Criterion
from rules.criteria.fields import FIELDS, TEXT_FIELDS, Field
from rules.criteria.operators import Blocking, Inputs, operators_for
from rules.criteria.operators.base import ValueInput
from rules.criteria.parsing import parse_criterion
from rules.criteria.scope import Scope

HOLDS = Decimal("0.95")
"""The part of the pairs that a criterion has to be met by; of fewer than twenty pairs that is all of them."""

_SCOPE = Scope(scale=2, times=False)
_AMOUNTS = tuple(Decimal(step) for step in ("0.01", "0.05", "0.10", "0.50", "1.00", "2.00", "5.00", "10.00"))
_PERCENTS = tuple(Decimal(step) for step in ("0.5", "1", "2", "3", "4", "5"))
_DAYS = tuple(Decimal(step) for step in (1, 2, 3, 5, 7, 10, 14, 21, 30))
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Seen:
    """What was seen of the pairs: by how much they differ (statement minus ledger), and the statement's texts."""

    amounts: Sequence[Decimal] = ()
    percents: Sequence[Decimal] = ()  # of the absolute ledger amount
    days: Sequence[int] = ()
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)


def ideas(seen: Seen) -> list[Criterion]:
    """All criteria worth trying, for each field from the strictest to the loosest."""
    found = []
    for one in FIELDS.values():
        for operator in operators_for(one):
            inputs = operator.inputs(one)
            for given in [*_comparisons(one, inputs, seen), *_constants(one, inputs, seen)]:
                criterion, _ = parse_criterion(1, {"field": one.name, "operator": operator.name, **given})
                if criterion and (criterion.is_constant or operator.blocking(criterion, _SCOPE) is not None):
                    found.append(criterion)
    return found


def links() -> list[Criterion]:
    """Texts that rows may share, as loosely as they can be looked up by equal parts: to search a heap of rows by."""
    found = [each for each in ideas(Seen()) if each.field.kind == "text" and each.loose]
    return [each for each in found if _by_equal_parts(each.operator.blocking(each, _SCOPE))]


def _by_equal_parts(blocking: Blocking | None) -> bool:
    return blocking is not None and (blocking.equal is not None or blocking.text in {"tokens", "loose_tokens"})


def enough(holding: int, pairs: int) -> bool:
    """Whether a criterion that this many of the pairs meet says something about all of them."""
    return holding >= math.ceil(HOLDS * pairs)


def _comparisons(one: Field, inputs: Inputs, seen: Seen) -> list[dict[str, Any]]:
    """The forms of a comparison: with every ledger field, exact and loose, with a tolerance that fits."""
    fit = _TOLERANCES.get(inputs.value)
    if inputs.required and fit is None:
        return []
    values: list[dict[str, Any]] = [{"value": text} for text in fit(seen)] if fit else [{}]
    others = TEXT_FIELDS if "ledger_field" in inputs.options else (one.name,)
    looseness: list[dict[str, Any]] = [{}, {"loose": True}] if "loose" in inputs.options else [{}]
    return [
        {**value, **loose, **({"ledger_field": other} if other != one.name else {})}
        for other in sorted(others, key=lambda name: name != one.name)
        for value in values
        for loose in looseness
    ]


def _constants(one: Field, inputs: Inputs, seen: Seen) -> list[dict[str, Any]]:
    """A text, or a word, that all lines have in this field."""
    texts = seen.texts.get(one.name, ())
    if inputs.value != "text" or not texts or not all(texts):
        return []
    if len(set(texts)) == 1:
        return [{"value": texts[0]}]
    shared = set.intersection(*({word.casefold() for word in _WORD.findall(text)} for text in texts))
    words = [word for word in _WORD.findall(texts[0]) if word.casefold() in shared]
    return [{"value": max(words, key=len)}] if words else []


def _amount_windows(seen: Seen) -> list[str]:
    """In money and in percent, the steadier of the two first: a charge is always the same, a fee a part."""
    forms = [(seen.amounts, _AMOUNTS, ""), (seen.percents, _PERCENTS, "%")]
    forms.sort(key=lambda form: _unsteadiness(form[0]))
    windows = [(_fitting(gaps, steps), unit) for gaps, steps, unit in forms]
    return ["..".join(f"{end:f}{unit}" for end in window) for window, unit in windows if window]


def _unsteadiness(gaps: Sequence[Decimal]) -> Decimal:
    """0 if all are as large, up to 1."""
    sizes = [abs(gap) for gap in gaps]
    return (max(sizes) - min(sizes)) / max(sizes) if any(sizes) else Decimal(0)


def _date_windows(seen: Seen) -> list[str]:
    days = _fitting([Decimal(each) for each in seen.days], _DAYS)
    return ["..".join(f"{end:f}d" for end in days)] if days else []


_TOLERANCES: dict[ValueInput, Callable[[Seen], list[str]]] = {
    "amount_window": _amount_windows,
    "date_window": _date_windows,
}


def _fitting(gaps: Sequence[Decimal], steps: Sequence[Decimal]) -> tuple[Decimal, Decimal] | None:
    """From and to, each a usual size, around all gaps but the few widest; None if they are all zero or too wide."""
    kept = sorted(gaps, key=abs)[: math.ceil(HOLDS * len(gaps))]
    if not any(kept):
        return None
    step = next((step for step in steps if step >= abs(kept[-1])), None)
    if step is None:
        return None
    return (Decimal(0) if min(kept) >= 0 else -step), (Decimal(0) if max(kept) <= 0 else step)
