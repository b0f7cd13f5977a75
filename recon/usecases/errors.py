"""How a use case says no."""

from __future__ import annotations

from collections.abc import Sequence

from recon.statements.model import RowError


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """The use case will not do what was asked; nothing was changed. Its text is for the person who asked.

    ``row_errors`` says where in a file the trouble stands, if it was about a file.
    """

    def __init__(self, message: str, row_errors: Sequence[RowError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.row_errors = tuple(row_errors)


class PartlyGone(Refused):
    """Some matches of a dry run no longer hold; the others can be applied without them."""


class SeveralAccounts(Refused):
    """A file holds statements of several accounts, and nothing says which one is meant; `numbers` are theirs."""

    def __init__(self, message: str, numbers: Sequence[str]) -> None:
        super().__init__(message)
        self.numbers = tuple(numbers)
