"""Work once on a request that is sent twice: who works on it, what was done already, what was answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from recon.models import ApiRequest, Event
from recon.usecases.process_lock import is_alive, this_process

KEPT: Final = timedelta(days=7)
"""How long an answer is kept; after it the same key is a new request."""

LONGEST: Final = timedelta(minutes=15)
"""No request takes longer: a process that lives on but could not put down that it had given up is not waited for."""

WAIT_SECONDS: Final = 10.0
_SWEEP_EVERY: Final = 3600.0
_last_sweep = float("-inf")


class KeyReused(Exception):  # noqa: N818 - it is an answer, not a fault
    """The same idempotency key came with another request."""


class StillInWork(Exception):  # noqa: N818 - it is an answer, not a fault
    """The first request with this key is not answered yet."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def begin(user: User, key: str, fingerprint: str, *, wait: float | None = None) -> ApiRequest | Answer:
    """Take up a request, or give the answer it got before.

    While another process or thread is at work on it, waits for that one's answer up to `wait` seconds, WAIT_SECONDS if
    not given. A request whose process died is taken over, with what it did already on record. Raises KeyReused and
    StillInWork.
    """
    deadline, pause = time.monotonic() + (WAIT_SECONDS if wait is None else wait), 0.02
    while True:
        request = _claimed(user, key, fingerprint)
        if not isinstance(request, str):
            return request
        if time.monotonic() > deadline:
            raise StillInWork
        time.sleep(pause)
        pause = min(pause * 2, 0.2)


def _claimed(user: User, key: str, fingerprint: str) -> ApiRequest | Answer | str:
    """The request, ours now; its answer; or the word of who has it."""
    found = ApiRequest.objects.filter(user=user, key=key).first()
    if found is None:
        _sweep()
        now = timezone.now()
        try:
            with transaction.atomic():
                return ApiRequest.objects.create(
                    user=user, key=key, fingerprint=fingerprint, worker=this_process(), taken_at=now
                )
        except IntegrityError:
            return "another was faster"
    if found.fingerprint != fingerprint:
        raise KeyReused
    if found.status is not None:
        return Answer(found.status, found.headers, bytes(found.body))
    overdue = timezone.now() - found.taken_at > LONGEST
    if is_alive(found.worker) and not overdue:
        return "at work"
    return found if _take_over(found) else "another was faster"


def _take_over(found: ApiRequest) -> bool:
    taken, now = (found.worker, found.taken_at), timezone.now()
    found.worker, found.taken_at = this_process(), now
    mine = ApiRequest.objects.filter(pk=found.pk, worker=taken[0], taken_at=taken[1], status=None)
    return bool(mine.update(worker=found.worker, taken_at=now))


def finish(request: ApiRequest, answer: Answer) -> None:
    """Keep the answer: from now on it is what this request gets."""
    ApiRequest.objects.filter(pk=request.pk).update(
        status=answer.status, headers=dict(answer.headers), body=answer.body, worker=""
    )


def forget(request: ApiRequest) -> None:
    """The request was refused and nothing was done: the key may be used again, also with a mended body."""
    request.delete()


def give_up(request: ApiRequest) -> None:
    """The work broke off; whoever sends the request again goes on from what was done."""
    ApiRequest.objects.filter(pk=request.pk).update(worker="")


def done_earlier(request_id: int, kind: str) -> str | None:
    """Id of the first record of this kind that an earlier try of the request made or changed, if there is one."""
    event = Event.objects.filter(request_id=request_id, kind=kind).order_by("id").first()
    return event.object_id if event else None


def has_done_something(request: ApiRequest) -> bool:
    """Whether a try of the request, this one or an earlier one, made or changed anything."""
    return Event.objects.filter(request_id=request.pk).exists()


def _sweep() -> None:
    global _last_sweep
    if time.monotonic() - _last_sweep > _SWEEP_EVERY:
        _last_sweep = time.monotonic()
        ApiRequest.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
