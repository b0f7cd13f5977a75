"""By what a rule found its pairs, in the words of people who never heard of keys, cells and joins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.criteria import Criterion, Rule
from rules.criteria.operators.base import shown_length
from rules.criteria.scope import Scope

_WHOLE_WORDS = ("tokens", "loose_tokens")
"""Relations of texts that are searched by words; all others are by letters."""

_ANY = Scope(scale=2, times=False)
"""Which texts may be searched by what they share does not hang on the run."""


def pairs_found_by(key: str, rule: Rule, grouping: Sequence[str]) -> str:
    """``"same currency and dates within 2 days"`` for the engine's ``ccy, day_cell``.

    What the engine names are columns that both sides have: of a criterion, or of the run's grouping.
    """
    words = list(dict.fromkeys(_words(name, rule, grouping) for name in key.split(", ") if name))
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "every line with every entry"


def _words(name: str, rule: Rule, grouping: Sequence[str]) -> str:
    compared = [criterion for criterion in rule.criteria if not criterion.is_constant]
    if name.startswith("group_"):
        return f"same {grouping[int(name.removeprefix('group_'))].replace('_', ' ')}"
    match name:
        case "amt":
            return "amount, equal ones first" if _reach(compared, "amount") else "same amount"
        case "amount_cell":
            return "amounts near each other"
        case "ccy":
            return "same currency"
        case "day":
            return "same day"
        case "day_cell":
            return f"dates within {_reach(compared, 'date')}"
        case "found":
            return next(_shared(compared), "texts that share a part")
    name = name.removeprefix("zeroless(s.").removesuffix(")")
    return next(_same(name, compared), name.replace("_", " "))


def _reach(compared: Sequence[Criterion], kind: str) -> str:
    """How far amounts or dates may be apart, in words; nothing if they must be equal."""
    windows = [each.window for each in compared if each.field.kind == kind and each.window and not each.window.exact]
    return next((shown_length(max(abs(each.low), abs(each.high)), each.unit) for each in windows), "")


def _shared(compared: Sequence[Criterion]) -> Iterator[str]:
    """What the texts share of which one stands in the other."""
    for criterion in compared:
        blocking = criterion.operator.blocking(criterion, _ANY)
        if blocking and blocking.text:
            own, other = criterion.field.name, criterion.ledger_field.name
            where = f"the {own} of both sides" if own == other else f"{own} and the ledger's {other}"
            yield f"{'words' if blocking.text in _WHOLE_WORDS else 'letters'} shared by {where}"


def _same(column: str, compared: Sequence[Criterion]) -> Iterator[str]:
    """Which texts are the same in rows that agree in this column."""
    for criterion in compared:
        if any(criterion.column("statement", form).name == column for form in criterion.forms):
            own, other = criterion.field.name, criterion.ledger_field.name
            part = "part of the " if criterion.pattern else ""
            yield f"same {part}{own}" if own == other else f"{own} as the ledger's {other}"
