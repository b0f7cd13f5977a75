"""The small cast and the fixtures every test may ask for."""

from __future__ import annotations

import os

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from recon.usecases.runs import pushdown

# How hard the tests marked random try: enough for every day, or hundreds of examples each; the same every time, so
# that what is green stays green until somebody changes it.
REPEATABLE = hypothesis.settings(deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("everyday", REPEATABLE, max_examples=10)
hypothesis.settings.register_profile(
    "thorough", REPEATABLE, max_examples=100, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile(os.environ.get("TIEOUT_HYPOTHESIS", "everyday"))


def pytest_configure() -> None:
    """Passwords of the cast are hashed in no time; a second of it for every test would be most of the suite."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def no_known_ledger_sizes() -> None:
    """A process takes a ledger's size to be about the same for a minute: longer than a test's ledger lives."""
    pushdown._sizes.clear()


@pytest.fixture
def alice(db) -> User:
    """Alice does the reconciliation."""
    return User.objects.create_user("alice", "alice@example.com", "alice-password-1")


@pytest.fixture
def bob(db) -> User:
    """Bob is her team-mate."""
    return User.objects.create_user("bob", "bob@example.com", "bob-password-1")


@pytest.fixture
def client(alice: User) -> Client:
    """Alice's browser, signed in."""
    client = Client()
    client.force_login(alice)
    return client
