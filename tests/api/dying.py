"""The product, whose process kills itself where the file `die` in the data directory says: once, then it is gone."""

from __future__ import annotations

import importlib
import os
import signal
from typing import Any

from django.conf import settings

from recon.wsgi import application as product

# After Django is set up.
idempotency: Any = importlib.import_module("recon.usecases.outside.idempotency")
at_once: Any = importlib.import_module("recon.usecases.runs.at_once")
finish, announce_run = idempotency.finish, at_once.announce_run


def die_at(place: str) -> None:
    order = settings.DATA_DIR / "die"
    if order.exists() and order.read_text() == place:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def dying_finish(request, answer) -> None:
    die_at("before the answer is kept")
    finish(request, answer)


def dying_announcement(*run_ids) -> None:
    announce_run(*run_ids)
    die_at("before the run is stored")


idempotency.finish, at_once.announce_run = dying_finish, dying_announcement


def application(environ, start_response):
    def dying_start(status, headers, *rest):
        die_at("before the answer is sent")
        return start_response(status, headers, *rest)

    return product(environ, dying_start)
