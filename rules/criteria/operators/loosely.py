"""Texts of which only letters and digits count, compared in two ways: by their loose keys, or by their compact ones.

"INV-2024-0012" and "INV-2024-12" have the same loose key, "RF18 5390 0754" and "RF1853900754" the same compact one.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.criteria.criterion import Criterion
from rules.criteria.scope import Form, Scope, quoted
from rules.criteria.text import compact_key, loose_key, text_key

Relation = Callable[[str, str], str]
"""SQL that says whether two texts, both SQL, are related."""


def plain_form(criterion: Criterion) -> Form:
    """The form of whole texts that a criterion compares."""
    return "both_loose" if criterion.loose else "key"


def either(criterion: Criterion, scope: Scope, form: Form, by_loose: Relation, by_compact: Relation) -> str:
    """SQL: the texts of a pair are related, loose ones in either of the two ways; NULL if one of them is missing."""
    left, right = criterion.text("statement", form), criterion.text("ledger", form)
    if not criterion.loose or not scope.compact:
        return by_loose(left, right)
    # Cases are asked in turn, so that the second way, which may be dear, is asked of few.
    by_loose_key, by_compact_key = by_loose(_loose(left), _loose(right)), by_compact(_compact(left), _compact(right))
    several = f"contains({left}, '|') OR contains({right}, '|')"
    neither = f"({left} <> {left} OR {right} <> {right})"
    return f"(CASE WHEN {by_loose_key} THEN true WHEN {several} THEN {by_compact_key} ELSE {neither} END)"


def greater(criterion: Criterion, form: Form, by_loose: Relation, by_compact: Relation) -> str:
    """SQL: the greater of two numbers that are told of a pair's loose texts in the two ways."""
    left, right = criterion.text("statement", form), criterion.text("ledger", form)
    return f"greatest({by_loose(_loose(left), _loose(right))}, {by_compact(_compact(left), _compact(right))})"


def either_constant(criterion: Criterion, scope: Scope, text: str, relation: Relation) -> str:
    """SQL: a text is related to the criterion's constant, a loose one in either of the two ways."""
    constant = str(criterion.constant)
    if not criterion.loose:
        return relation(text, quoted(text_key(constant) or ""))
    loose, compact = loose_key(constant) or "", compact_key(constant) or ""
    if not scope.compact and loose == compact:
        return relation(text, quoted(loose))
    return f"({relation(_loose(text), quoted(loose))} OR {relation(_compact(text), quoted(compact))})"


def without_zeros(text: str) -> str:
    """SQL for what is equal wherever loose or compact keys are: both are the same letters with other zeros dropped."""
    return f"zeroless({text})"


def _loose(text: str) -> str:
    return f"split_part({text}, '|', 1)"


def _compact(text: str) -> str:
    return f"split_part({text}, '|', -1)"
