"""Requests per key and minute."""

from __future__ import annotations

import pytest

from recon.api.throttle import take
from recon.models import ApiKey


def test_a_bucket_gives_what_it_holds_and_fills_up_evenly(tmp_path):
    bucket = tmp_path / "bucket"
    assert [take(bucket, 3, now=100.0) for _ in range(3)] == [0, 0, 0]
    assert take(bucket, 3, now=100.0) == pytest.approx(20)  # a third of a minute for one of three
    assert take(bucket, 3, now=110.0) == pytest.approx(10)
    assert take(bucket, 3, now=120.5) == 0
    assert [take(bucket, 3, now=1000.0) > 0 for _ in range(4)] == [False, False, False, True]  # never more than 3


def test_a_clock_that_steps_back_takes_nothing_away(tmp_path):
    bucket = tmp_path / "bucket"
    take(bucket, 2, now=1000.0)
    assert take(bucket, 2, now=10.0) == 0


def test_a_key_over_its_limit_is_told_when_to_come_back(api, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    assert [api.get("/reconciliation").status_code for _ in range(3)] == [200, 200, 429]
    refused = api.get("/reconciliation")
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert refused.data["error_detail"]["code"] == "GEN_RATE_LIMITED"
    assert "This key has sent too many requests. Try again in" in refused.data["error"]


def test_a_key_may_have_a_limit_of_its_own(caller_with, settings):
    settings.API_REQUESTS_PER_MINUTE = 1
    free = caller_with("read")
    ApiKey.objects.update(requests_per_minute=0)  # as many as it likes
    bound = caller_with("run", "read")
    assert [free.get("/reconciliation").status_code for _ in range(3)] == [200, 200, 200]
    assert [bound.get("/reconciliation").status_code for _ in range(2)] == [200, 429]
