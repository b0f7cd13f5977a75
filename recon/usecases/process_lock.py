"""Which process is alive: each holds a lock on a file of its own, which the system releases when it dies."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from uuid import uuid4

from django.conf import settings

_held: dict[int, tuple[str, int]] = {}  # process id -> token and open file; a forked child needs its own
_guard = threading.Lock()


def this_process() -> str:
    """A token for this process that no other one had or will have."""
    with _guard:
        if os.getpid() not in _held:
            token = uuid4().hex
            handle = os.open(_path(token), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            _held[os.getpid()] = token, handle
        return _held[os.getpid()][0]


def is_alive(token: str) -> bool:
    """Whether the process of this token still runs, on this machine or on one that shares the data directory.

    A missing file is a process that died: whoever found that out has deleted it.
    """
    if not token:
        return False
    try:
        handle = os.open(_path(token), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        _path(token).unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)


def _path(token: str) -> Path:
    directory = settings.DATA_DIR / "processes"
    directory.mkdir(exist_ok=True)
    return Path(directory / token)
