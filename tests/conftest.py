"""The small cast and the fixtures every test may ask for."""

from __future__ import annotations

import gc
import os
import sqlite3
from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from recon.usecases.runs import pushdown
from tests import migrated

# How hard the tests marked random try: enough for every day, or dozens of examples each; the same every time, so
# that what is green stays green until somebody changes it.
REPEATABLE = hypothesis.settings(deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("everyday", REPEATABLE, max_examples=5)
for name, examples in {"often": 8, "thorough": 40}.items():
    hypothesis.settings.register_profile(
        name, REPEATABLE, max_examples=examples, suppress_health_check=list(hypothesis.HealthCheck)
    )
hypothesis.settings.load_profile(os.environ.get("TIEOUT_HYPOTHESIS", "everyday"))


def pytest_configure(config: pytest.Config) -> None:
    """Passwords of the cast are hashed in no time; a second of it for every test would be most of the suite."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if place := migrated.begin():
        config.add_cleanup(lambda: migrated.end(place))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say of each test whether it may ask a database and whether its examples are drawn, which spares it the cost of
    being traced.

    Only tests that may ask one run on both databases: pytest-django refuses all others a connection.
    """
    for item in items:
        asks = {"db", "transactional_db"}.intersection(getattr(item, "fixturenames", ()))
        if asks or any(item.get_closest_marker(name) for name in ("django_db", "server", "browser")):
            item.add_marker("database")
        if item.get_closest_marker("server"):  # a file's tests share one, which two processes would each start
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
        if any(item.get_closest_marker(name) for name in ("random", "hypothesis")):
            item.add_marker("random")
            item.add_marker("no_cover")


def pytest_collection_finish() -> None:
    """The thousands of tests that were found stay: looking among them for garbage again and again takes a while."""
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Let the databases of processes that test side by side begin as copies: `migrate` finds nothing to do there."""
    database = settings.DATABASES["default"]
    if not hasattr(request.config, "workerinput"):
        yield
        return
    if database["ENGINE"] == "recon.postgresql":
        database["TEST"]["TEMPLATE"] = migrated.postgresql()
        yield
        return
    database["TEST"]["NAME"] = "file:tests?mode=memory&cache=shared"
    copy = sqlite3.connect(database["TEST"]["NAME"], uri=True)
    with sqlite3.connect(migrated.sqlite()) as made:
        made.backup(copy)
    made.close()
    yield
    copy.close()


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
