"""An account with a statement and a ledger, seen by a program."""

from __future__ import annotations

import pytest

from recon.models import RunKind
from recon.usecases.events import Actor
from recon.usecases.runs.starting import start_run
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, make_account, make_entries, make_rule, make_statement, row


class Program:
    """A caller of our own API: paths are below /api/v1/."""

    def __init__(self, caller) -> None:
        self.caller = caller

    def get(self, path: str, **headers):
        return self.caller.get(f"/api/v1/{path}", **headers)

    def post(self, path: str, body=None, **headers):
        return self.caller.post(f"/api/v1/{path}", {} if body is None else body, **headers)

    def send(self, method: str, path: str, body=None, **headers):
        return self.caller.send(method, f"/api/v1/{path}", body, **headers)

    def upload(self, path: str, file, **fields):
        return self.caller.upload(f"/api/v1/{path}", file, **fields)


@pytest.fixture
def v1(api) -> Program:
    return Program(api)


@pytest.fixture
def program_with(caller_with):
    """Makes a program whose key has the given scopes."""
    return lambda *scopes: Program(caller_with(*scopes))


@pytest.fixture
def account(db):
    return make_account(sign="as_given", currencies=["EUR"])


def three_lines(account):
    """One that matches, one whose amount differs by a fee, one that nobody knows."""
    make_entries(account, [row(11, "100.00", reference="A"), row(12, "50.00", reference="B"), row(13, "7.00")])
    lines = [row(1, "100.00", reference="A"), row(2, "49.50", reference="B"), row(3, "-12.00")]
    return make_statement(account, lines)


def run_by(rule, statement):
    by = Actor.command()
    return start_run(by, statement.account, statement, [rule], kind=RunKind.INSTANT, is_dry_run=False)


@pytest.fixture
def statement(account):
    return three_lines(account)


@pytest.fixture
def rule(db):
    return make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE)


@pytest.fixture
def run(statement, rule):
    return run_by(rule, statement)
