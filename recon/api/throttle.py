"""How many requests a key may send: a bucket that holds a minute's worth and fills up evenly.

Buckets are small files in the data directory, because several web server processes share them and SQLite must not be
written to with every request. Machines that do not share the directory count for themselves.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from recon.models import ApiKey

if TYPE_CHECKING:  # DRF loads this module while it loads its views
    from rest_framework.views import APIView

_BUCKET = struct.Struct("dd")  # requests left, and the time (Unix, seconds) they were counted at


class TooManyRequests(Throttled):
    default_detail = "This key has sent too many requests."
    extra_detail_singular = "Try again in {wait} second."
    extra_detail_plural = "Try again in {wait} seconds."


class KeyThrottle(BaseThrottle):
    """DRF answers 429 with a Retry-After of `wait` seconds, rounded up. Signed-in browsers are not counted."""

    seconds = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ApiKey):
            return True
        limit = request.auth.requests_per_minute
        limit = settings.API_REQUESTS_PER_MINUTE if limit is None else limit
        self.seconds = take(bucket_of(request.auth), limit) if limit else 0.0
        return self.seconds == 0

    def wait(self) -> float:
        return self.seconds


def bucket_of(key: ApiKey) -> Path:
    return Path(settings.DATA_DIR / "rates" / f"{key.pk}-{key.digest[:8]}")


def take(bucket: Path, per_minute: int, now: float | None = None) -> float:
    """Take one request out of the bucket: 0 if there was one, else the seconds until there will be."""
    now = time.time() if now is None else now
    handle = _opened(bucket)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        held = os.pread(handle, _BUCKET.size, 0)
        left, at = _BUCKET.unpack(held) if len(held) == _BUCKET.size else (per_minute, now)
        left = min(per_minute, left + max(0.0, now - at) * per_minute / 60)
        if left < 1:
            return float((1 - left) * 60 / per_minute)
        os.pwrite(handle, _BUCKET.pack(left - 1, now), 0)
        return 0.0
    finally:
        os.close(handle)


def _opened(bucket: Path) -> int:
    flags = os.O_CREAT | os.O_RDWR
    try:
        return os.open(bucket, flags, 0o600)
    except FileNotFoundError:  # no key has sent a request yet
        bucket.parent.mkdir(exist_ok=True)
        return os.open(bucket, flags, 0o600)
