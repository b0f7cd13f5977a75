"""Who acts and on what, where a test does not say more."""

from __future__ import annotations

import pytest

from tests.cast import actor, make_account


@pytest.fixture
def by(alice):
    return actor(alice)


@pytest.fixture
def account(db):
    return make_account()
