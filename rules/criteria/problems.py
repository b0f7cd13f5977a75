"""What is wrong with a rule: every problem at once, each saying where it is and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a rule.

    ``criterion`` counts from 1 and is None for the rule as a whole; ``key`` is the JSON key at fault, if there is one.
    """

    criterion: int | None
    key: str | None
    message: str

    def __str__(self) -> str:
        place = "" if self.criterion is None else f"criterion {self.criterion}: "
        return place + (f"{self.key}: " if self.key else "") + self.message


class RuleError(ValueError):
    """The rule is refused; ``problems`` lists everything that is wrong with it, in the order of the rule."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ExpectedError(ValueError):
    """Raised while one value is read; the text says what was expected and what was found."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"expected {expected}, found {shown(found)}")


def shown(value: object) -> str:
    """A value as a person would quote it, cut when it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
